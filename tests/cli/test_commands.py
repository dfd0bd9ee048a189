"""The command line as its users meet it: what it prints, how it ends."""

import json
import os
import sqlite3
import subprocess
from pathlib import Path

import pytest
from pipeline_runs import LIST_COLUMNS, chengxin, command, contract, told
from pipeline_runs import words as arguments

from deliveries import uscc

HEADER = ",".join(LIST_COLUMNS)
GOOD = "长沙示例科技有限公司,91430100MAXY00016P,1999-01-08,N/A,张某,5118(万元人民币),软件开发,湖南,长沙,长沙市开福区"
BAD = "长沙样本商贸有限公司,91430100MAXY00016Q,1999-01-08,N/A,李某,100,零售,湖南,长沙,长沙市天心区"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A home, its contracts and one delivery with a good and a bad row, ingested."""
    root = tmp_path_factory.mktemp("cli")
    home, contracts, file = root / "home", root / "contracts", root / "名单.csv"
    contract(contracts, "commerce_list", "registration", LIST_COLUMNS, file={"format": "csv"})
    file.write_text("\n".join([HEADER, GOOD, BAD]) + "\n", "utf-8")
    chengxin(home, contracts, "ingest", "commerce_list", "--file", str(file))
    return home, contracts, file


def test_ingest_prints_one_object_whose_counts_add_up(place: tuple[Path, Path, Path]) -> None:
    home, contracts, file = place
    done = chengxin(home, contracts, "ingest", "commerce_list", "--file", str(file))
    assert set(done) == {"batches", "snapshot"}
    (batch,) = done["batches"]
    assert set(batch) == {
        "dataset", "batch_id", "received", "accepted", "quarantined", "duplicate", "unlinked", "verdict"
    }  # fmt: skip
    assert batch["received"] == 2 == batch["accepted"] + batch["quarantined"] + batch["duplicate"] + batch["unlinked"]
    assert done["snapshot"] is None  # nothing changed since the first time


def test_the_report_of_a_batch_is_printed_or_written(place: tuple[Path, Path, Path], tmp_path: Path) -> None:
    home, contracts, file = place
    (batch,) = chengxin(home, contracts, "ingest", "commerce_list", "--file", str(file))["batches"]
    page = told(arguments(home, contracts, "report", "commerce_list", batch["batch_id"])).stdout
    assert page.startswith("<!doctype html>") and "校验" in page
    written = tmp_path / "report.html"
    told(arguments(home, contracts, "report", "commerce_list", batch["batch_id"], "-o", str(written)))
    assert written.read_text("utf-8") == page
    unknown = told(arguments(home, contracts, "report", "commerce_list", "commerce_list-20260101-0"))
    assert unknown.returncode == 2 and "commerce_list-20260101-0" in unknown.stderr


def test_several_files_follow_one_option(place: tuple[Path, Path, Path], tmp_path: Path) -> None:
    _, contracts, file = place
    other = tmp_path / "other.csv"
    other.write_text("\n".join([HEADER, GOOD]) + "\n", "utf-8")
    done = chengxin(tmp_path / "home", contracts, "ingest", "commerce_list", "--file", str(file), str(other))
    assert [b["received"] for b in done["batches"]] == [2, 1]
    assert done["batches"][1]["duplicate"] == 1


def test_quarantine_names_file_row_field_and_remedy_but_no_value(place: tuple[Path, Path, Path]) -> None:
    home, contracts, _ = place
    done = chengxin(home, contracts, "quarantine", "commerce_list")
    (row,) = done["rows"]
    assert (row["file"], row["row"]) == ("名单.csv", 3)
    assert {"uscc.check"} <= {r["rule"] for r in row["reasons"]}
    assert any("营业执照" in r["zh"] and r["column"] == "统一社会信用代码" for r in row["reasons"])
    assert "91430100MAXY00016Q" not in json.dumps(done)
    assert "91430100MAXY00016Q" in json.dumps(chengxin(home, contracts, "quarantine", "commerce_list", "--raw"))


def test_refused_rows_are_exported_and_replayed_after_the_mend(tmp_path: Path) -> None:
    home, contracts, file = tmp_path / "home", tmp_path / "contracts", tmp_path / "名单.csv"
    nowhere = BAD.replace("91430100MAXY00016Q", uscc(1)).replace("长沙市天心区", "")
    file.write_text("\n".join([HEADER, GOOD, nowhere]) + "\n", "utf-8")
    contract(contracts, "commerce_list", "registration", LIST_COLUMNS, file={"format": "csv"})
    path = contracts / "commerce" / "commerce_list.yaml"
    mended = path.read_text("utf-8")
    path.write_text(mended.replace("element: address", "element: address\n  required: true"), "utf-8")
    chengxin(home, contracts, "ingest", "commerce_list", "--file", str(file))
    exported = tmp_path / "refused.jsonl"
    assert chengxin(home, contracts, "quarantine", "commerce_list", "--export", str(exported))["rows"] == 1
    (row,) = map(json.loads, exported.read_text("utf-8").splitlines())
    assert (row["source_row"], row["rules"]) == (3, "field.required_missing")
    path.write_text(mended, "utf-8")
    done = chengxin(home, contracts, "quarantine", "commerce_list", "--replay")
    assert [one["passed"] for one in done["replays"]] == [1]
    assert done["snapshot"] is not None
    assert chengxin(home, contracts, "quarantine", "commerce_list")["open"] == 0


def test_a_refused_row_is_settled_by_hand_and_undone(tmp_path: Path, place: tuple[Path, Path, Path]) -> None:
    _, contracts, file = place
    home = tmp_path / "home"
    (batch,) = chengxin(home, contracts, "ingest", "commerce_list", "--file", str(file))["batches"]
    at = ("commerce_list", "--batch", batch["batch_id"], "--rows", "3", "--by", "王科")
    said = told(arguments(home, contracts, "quarantine", "close", *at, "--reason", "重复件"))
    assert "办结 1 行" in said.stdout
    done = chengxin(home, contracts, "quarantine", "close", *at, "--reason", "重复件")
    assert (done["changed"], done["already"], done["open"], done["total"]) == (0, 1, 0, 1)
    shown = chengxin(home, contracts, "quarantine", "commerce_list")
    assert shown["batches"][0]["closed"] == {"重复件": 1} and "王科" in shown["rows"][0]["closed"]
    assert "1 行经人工办结" in told(arguments(home, contracts, "status")).stdout
    (answer,) = chengxin(home, contracts, "feedback", "commerce_list")["answers"]
    assert answer["refused"]["open"] == 0
    chengxin(home, contracts, "quarantine", "close", "commerce_list", "--batch", batch["batch_id"], "--rows", "2",
        "--reason", "x", code=1)  # fmt: skip
    chengxin(home, contracts, "quarantine", "close", *at, "--reason", " ", code=2)
    undone = chengxin(home, contracts, "quarantine", "close", *at, "--reason", "弄错", "--reopen")
    assert (undone["changed"], undone["open"]) == (1, 1)


def test_show_finds_a_subject_by_code_name_and_number(place: tuple[Path, Path, Path]) -> None:
    home, contracts, _ = place
    by_code = chengxin(home, contracts, "show", "91430100MAXY00016P")
    assert [s["subject_id"] for s in by_code["subjects"]] == [1]
    tables = by_code["subjects"][0]["tables"]
    assert tables["registration"][0]["registered_capital_yuan"] == "51180000.00"
    assert tables["registration"][0]["source_row"] == 2
    assert chengxin(home, contracts, "show", "长沙示例科技有限公司")["subjects"] == by_code["subjects"]
    assert chengxin(home, contracts, "show", "1")["subjects"] == by_code["subjects"]
    assert chengxin(home, contracts, "show", "91430100MA00000000", code=1)["subjects"] == []


def test_both_tiers_of_a_snapshot_have_one_id(tmp_path: Path, place: tuple[Path, Path, Path]) -> None:
    _, contracts, file = place
    snapshot = chengxin(tmp_path / "home", contracts, "ingest", "commerce_list", "--file", str(file))["snapshot"]
    assert {Path(tier["path"]).name for tier in snapshot["tiers"].values()} == {snapshot["id"]}


def test_status_and_verify_are_content(place: tuple[Path, Path, Path]) -> None:
    home, contracts, _ = place
    (row,) = chengxin(home, contracts, "status")["datasets"]
    assert (row["batches"], row["received"], row["accepted"], row["quarantined"]) == (1, 2, 1, 1)
    assert chengxin(home, contracts, "verify")["problems"] == []


def test_verify_notices_one_changed_byte(tmp_path: Path, place: tuple[Path, Path, Path]) -> None:
    _, contracts, file = place
    home = tmp_path / "home"
    done = chengxin(home, contracts, "ingest", "commerce_list", "--file", str(file))
    path = next(Path(done["snapshot"]["tiers"]["government"]["path"]).glob("subject/*.parquet"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    assert any(path.name in problem for problem in chengxin(home, contracts, "verify", code=1)["problems"])


def test_wrong_usage_is_2_and_a_missing_source_is_1(tmp_path: Path, place: tuple[Path, Path, Path]) -> None:
    _, contracts, file = place
    chengxin(tmp_path / "h", contracts, "ingest", "nothing", "--file", str(file), code=2)
    chengxin(tmp_path / "h", contracts, "run", "nothing", code=2)
    done = subprocess.run(
        command(tmp_path / "h", tmp_path / "none", "contracts", "lint"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "合同目录不存在" in done.stdout


def test_lint_says_what_is_wrong_and_where(tmp_path: Path) -> None:
    contract(
        tmp_path, "commerce_list", "registration", LIST_COLUMNS | {"备注": "no_such_element"}, file={"format": "csv"}
    )
    found = chengxin(tmp_path / "home", tmp_path, "contracts", "lint", code=1)
    assert any("no_such_element" in p["message"] for p in found["problems"])


def test_the_summary_is_chinese_and_names_the_parquet(tmp_path: Path, place: tuple[Path, Path, Path]) -> None:
    _, contracts, file = place
    done = subprocess.run(
        command(tmp_path / "home", contracts, "ingest", "commerce_list", "--file", str(file)),
        capture_output=True, text=True, check=True, env=os.environ | {"COLUMNS": "80"},
    )  # fmt: skip
    for words in (
        "收到 = 入库 + 疑问 + 重复 + 未关联",
        "请对照营业执照",
        "政务共享层",
        "published/government/snapshots/",
    ):
        assert words in done.stdout


@pytest.mark.slow
def test_a_run_whose_rows_all_wait_says_what_is_missing(tmp_path: Path) -> None:
    contracts, file = tmp_path / "contracts", tmp_path / "处罚.csv"
    columns = {
        "文号": "decision_no",
        "名称": "subject_name",
        "代码": "uscc",
        "日期": "decision_on",
        "机关": "authority_name",
    }
    contract(contracts, "walk_penalty", "penalty", columns, file={"format": "csv"})
    row = "湘示罚〔2026〕1号,长沙示例科技有限公司,91430100MAXY00016P,2026-03-01,示例局"
    file.write_text("\n".join([",".join(columns), row]) + "\n", "utf-8")
    words = ("ingest", "walk_penalty", "--file", str(file))
    told = subprocess.run(command(tmp_path / "home", contracts, *words), capture_output=True, text=True, check=True)
    assert "1 行没有错，但主体库中还没有这些主体，先等待：请接入登记类数据集" in told.stdout


def test_alerts_lists_what_is_open_and_closes_by_hand(place: tuple[Path, Path, Path], tmp_path: Path) -> None:
    from datetime import UTC, datetime

    from chengxin.operations.alerts.book import Book
    from chengxin.operations.alerts.causes import Cause
    from chengxin.store.layout import Layout

    _, contracts, _ = place
    home = tmp_path / "home"
    cause = Cause("source", "commerce_list", "接口没有回应", title="名单", department="测试部门")
    Book(Layout(home)).open(cause, datetime(2026, 11, 25, tzinfo=UTC))
    (shown,) = chengxin(home, contracts, "alerts", code=3)["open"]
    assert (shown["id"], shown["name"], shown["cause"]["department"]) == (cause.id, "来源不可用", "测试部门")
    assert chengxin(home, contracts, "alerts", "--close", cause.id, "--by", "甲")["open"] == []
    again = subprocess.run(command(home, contracts, "alerts", "--close", cause.id), capture_output=True, text=True)
    assert again.returncode == 2


@pytest.mark.slow
def test_summary_names_the_field_that_a_main_problem_is_about(place: tuple[Path, Path, Path], tmp_path: Path) -> None:
    _, contracts, _ = place
    file = tmp_path / "名单.csv"
    file.write_text("\n".join([HEADER, GOOD.replace("1999-01-08", "1999-02-31")]) + "\n", "utf-8")
    arguments = command(tmp_path / "home", contracts, "ingest", "commerce_list", "--file", str(file))
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    said = "".join(done.stdout.split())
    assert "“成立日期”不是一个存在的日期" in said
    assert "该项" not in said


def test_a_run_without_a_usable_contract_is_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "contracts" / "commerce" / "commerce_list.yaml"
    broken.parent.mkdir(parents=True)
    broken.write_text("format: 1\nid: other_name\n", "utf-8")
    given = ["--home", str(tmp_path / "home"), "--contracts", str(tmp_path / "contracts"), "run"]
    for named in ([], ["commerce_list"]):
        done = told([*given, *named])
        assert done.returncode == 2
        assert "合同有误 commerce/commerce_list.yaml" in done.stderr
        assert "没有一份可用的合同" in done.stderr


@pytest.mark.parametrize(
    ("kind", "more", "words"),
    [
        ("JSON", {}, "“企业名称”是 JSON 类型"),
        ("TEXT", {"key": "编号"}, "表“list”没有合同所写的列：编号"),
        ("TEXT", {"watermark": "更新时间"}, "表“list”没有合同所写的列：更新时间"),
        ("TEXT", {"watermarks": "更新时间"}, "delivery.options 不正确"),
    ],
)
def test_a_failing_table_does_not_hold_up_other_departments(tmp_path: Path, kind: str, more: dict, words: str) -> None:
    home, contracts, inbox = tmp_path / "home", tmp_path / "contracts", tmp_path / "inbox"
    options = {"connection": "staging", "table": "list"} | more
    contract(contracts, "banking_list", "registration", LIST_COLUMNS, file={"format": "csv"},
        delivery={"connector": "database", "mode": "full", "options": options})  # fmt: skip
    contract(contracts, "commerce_list", "registration", LIST_COLUMNS, file={"format": "csv"})
    with sqlite3.connect(tmp_path / "staging.db") as table:
        table.execute(f"CREATE TABLE list ({', '.join(f'{name} {kind}' for name in LIST_COLUMNS)})")
    (inbox / "commerce_list").mkdir(parents=True)
    (inbox / "commerce_list" / "名单.csv").write_text("\n".join([HEADER, GOOD]) + "\n", "utf-8")
    where = {"CHENGXIN_INBOX": str(inbox), "CHENGXIN_CONN_STAGING": f"sqlite:///{tmp_path / 'staging.db'}"}
    done = told(["--home", str(home), "--contracts", str(contracts), "run"], **where)
    assert done.returncode == 1
    assert words in done.stderr
    assert [p.parent.name for p in home.glob("landing/*/commerce_list-*")] == ["commerce_list"]
