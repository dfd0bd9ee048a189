"""What a manifest or a total row says of the number of records is compared with what was read; a torn end is told."""

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from cases import few
from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.home import Home
from deliveries import PENALTY, REGISTRATION, START, Office, company, penalty, uscc
from servers import Answer, Api

NAMES = ("uscc", "decision_no", "decision_on", "authority_name", "penalty_content")


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.deliver("test_reg", company(1), day=0)
    declare(office)
    return office


def declare(
    office: Office, mode: str = "incremental", form: str = "csv", file: dict[str, Any] | None = None, **options: Any
) -> None:
    columns = [{"source": n, "element": n} for n in NAMES]
    delivery = {"mode": mode, "options": {"folder": "pen", "pattern": f"*.{form}", **options}}
    file = file or {"format": form} | ({"records": "rows"} if form == "json" else {})
    office.contract("pen", "penalty", PENALTY, columns=columns, delivery=delivery, file=file)


def lines(count: int) -> list[str]:
    rows = [penalty(n, uscc=uscc(1)) for n in range(1, count + 1)]
    return [",".join(NAMES), *(",".join(str(row[n]) for n in NAMES) for row in rows)]


def send(office: Office, text: str, name: str = "罚.csv", manifest: str = "") -> dict[str, Any]:
    folder = office.settings.home / "inbox" / "pen"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, "utf-8")
    if manifest:
        (folder / f"{name}.清单").write_text(manifest, "utf-8")
    at = START.timestamp() + 60 * len(list(folder.iterdir()))
    for path in folder.glob(f"{name}*"):
        os.utime(path, (at, at))
    [found] = pipeline.discover(Home(office.settings), office.contracts["pen"])
    clock = Clock(START)
    landed = pipeline.land(Home(office.settings, clock), office.contracts["pen"], found)
    (folder / name).unlink()
    return pipeline.ingest(Home(office.settings, clock), office.contracts["pen"], landed)


def findings(office: Office, account: dict[str, Any]) -> dict[str, str]:
    return {f.rule: f.message for f in office.verdict("pen", account["batch_id"]).findings}


@pytest.mark.parametrize("listed", ["文件名,记录数\n罚.csv,5\n", '[{"name": "罚.csv", "rows": 5}]'])
@pytest.mark.parametrize(("rows", "verdict"), [(5, "accept"), (4, "hold"), (6, "hold")])
def test_what_the_manifest_counts_is_what_must_be_read(office: Office, listed: str, rows: int, verdict: str) -> None:
    declare(office, complete={"manifest": "{name}.清单"})
    account = send(office, "\n".join([*lines(rows), "合计,,,,", ""]), manifest=listed)
    assert account["verdict"] == verdict
    said = findings(office, account).get("rows.manifest", "")
    assert (f"有 5 条记录，实际读到 {rows} 条" in said) == (verdict == "hold")


@pytest.mark.parametrize("total", few(4, [
    "合计 5 条,,,,", "注：共有5条，其中市局2条,,,,", "5 rows selected.,,,,", "T,20260302,5",
    "共5条记录", "合计：5条,,,,", "合计,5条,,,", '"总计： 5 条",,,,', "记录数：5,,,,", "(5 rows)",
    "（5 行受影响）", "TRAILER,5", "T|5,,,,"]))  # fmt: skip
def test_a_total_is_reported_only_where_it_disagrees(office: Office, total: str) -> None:
    account = send(office, "\n".join([*lines(5), total, ""]))
    assert (account["verdict"], account["accepted"]) == ("warn" if findings(office, account) else "accept", 5)
    assert "rows.total" not in findings(office, account)
    account = send(office, "\n".join([*lines(4), total, ""]), "又.csv")
    assert account["verdict"] == "warn"
    assert "“又.csv”写明共 5 条，实际读到 4 条" in findings(office, account)["rows.total"]


def test_a_full_list_that_is_shorter_than_its_own_total_is_held(office: Office) -> None:
    declare(office, mode="full")
    account = send(office, "\n".join([*lines(20), "合计 20 条,,,,", ""]))
    assert account["verdict"] == "accept"
    account = send(office, "\n".join([*lines(19), "合计 20 条,,,,", ""]), "又.csv")
    assert account["verdict"] == "hold"
    assert "写明共 20 条，实际读到 19 条" in findings(office, account)["rows.total"]


@pytest.mark.parametrize("total", ["合计 4 户,,,,", "共计：5", "合计7人,,,,"])
def test_subjects_have_one_record_each_at_least(office: Office, total: str) -> None:
    account = send(office, "\n".join([*lines(5), total, ""]))
    said = findings(office, account).get("rows.total", "")
    assert ("写明共 7（户、人或件），实际读到 5 条" in said) == (total == "合计7人,,,,")
    assert account["verdict"] == ("warn" if said else "accept")


@pytest.mark.parametrize(
    "total",
    few(
        3,
        [
            "合计,,,,30",
            "小计 2 条,,,,",
            "T00000007",
            "第1页共3页,,,,",
            "备注：罚款30万元,,,,",
            "合计：250000",
            "总数,,30,,",
        ],
    ),
)
def test_what_counts_something_else_is_no_number_of_records(office: Office, total: str) -> None:
    account = send(office, "\n".join([*lines(5), total, ""]))
    assert "rows.total" not in findings(office, account)


def test_the_total_of_a_json_file_is_compared_with_its_rows(office: Office) -> None:
    rows = [{name: str(row[name]) for name in NAMES} for row in (penalty(n, uscc=uscc(1)) for n in range(1, 6))]
    declare(office, form="json", mode="full")
    account = send(office, json.dumps({"total": 5, "rows": rows}), "一.json")
    assert (account["verdict"], account["accepted"]) == ("accept", 5)
    paged = send(office, json.dumps({"total": 900, "page": 1, "pageSize": 5, "rows": rows}), "二.json")
    assert (paged["verdict"], "total=900" in findings(office, paged)["delivery.unfinished"]) == ("hold", True)
    short = send(office, json.dumps({"rows": rows[:4], "total": 5}), "三.json")
    assert short["verdict"] == "hold"
    assert "“三.json”写明共 5 条，实际读到 4 条" in findings(office, short)["rows.total"]


@pytest.mark.parametrize(
    ("behind", "told"),
    few(
        3,
        [
            ("（未完，接下表）,,,,", "未完待续"),
            ("<!DOCTYPE html><html><body>504 Gateway Time-out</body></html>", "网页（HTML）"),
            ("ORA-01555: snapshot too old: rollback segment number", "数据库或程序的报错"),
            ("未完待续", "未完待续"),
            ("转下页,,,,", "未完待续"),
            ("ERROR:  canceling statement due to user request", "数据库或程序的报错"),
            ("java.sql.SQLException: Connection reset", "数据库或程序的报错"),
        ],
    ),
)
def test_a_trailer_of_a_broken_export_holds_the_file(office: Office, behind: str, told: str) -> None:
    account = send(office, "\n".join([*lines(5), behind, ""]))
    assert account["verdict"] == "hold"
    assert f"文件在记录之外有 {told}：" in findings(office, account)["delivery.unfinished"]


@pytest.mark.parametrize("behind", few(2, ["第1页，共1页", "错误,,,,", "转让,见下,,,", "EOF", "Error,,,,", "完"]))
def test_other_ends_do_not(office: Office, behind: str) -> None:
    account = send(office, "\n".join([*lines(5), behind, ""]))
    assert account["verdict"] == "accept"


def test_pages_in_several_files_are_the_list_if_counts_agree(office: Office, tmp_path: Path) -> None:
    declare(office, form="json", mode="full", file={"format": "json", "records": "rows", "member": "*.json"})
    rows = [{name: str(row[name]) for name in NAMES} for row in (penalty(n, uscc=uscc(1)) for n in range(1, 6))]
    for total, verdict in ((5, "accept"), (6, "hold")):
        path = tmp_path / f"{total}.zip"
        with zipfile.ZipFile(path, "w") as package:
            for page, part in enumerate((rows[:3], rows[3:]), 1):
                package.writestr(f"{page}.json", json.dumps({"total": total, "page": page, "rows": part}))
        account = office.ingest("pen", path)
        assert account["verdict"] == verdict
        assert ("total=6" in findings(office, account).get("delivery.unfinished", "")) == (total == 6)


def test_a_fixed_width_file_is_compared_with_its_last_line(office: Office) -> None:
    widths = (18, 30, 8, 24, 40)
    fields = [{"source": n, "start": 1 + sum(widths[:i]), "length": widths[i]} for i, n in enumerate(NAMES)]
    office.contract(
        "pen", "penalty", PENALTY, columns=[{"source": n, "element": n} for n in NAMES],
        delivery={"mode": "full", "options": {"folder": "pen", "pattern": "*.txt"}},
        file={"format": "fixed", "encoding": "utf-8", "fields": fields},
    )  # fmt: skip
    rows = [
        {
            **penalty(n, uscc=uscc(1)),
            "decision_on": f"202401{n:02d}",
            "authority_name": "示例局" if n < 5 else "示例市场监管局一",
        }
        for n in range(1, 6)
    ]

    def laid(count: int, last: str) -> str:
        lines = [
            "".join(str(row[n]) + " " * (w - len(str(row[n]).encode())) for n, w in zip(NAMES, widths, strict=True))
            for row in rows[:count]
        ]
        return "\n".join([*lines, last, ""])

    account = send(office, laid(5, "T00000005"), "一.txt")
    assert (account["verdict"], account["accepted"]) == ("accept", 5)
    short = send(office, laid(4, "T00000005"), "二.txt")
    assert short["verdict"] == "hold"
    assert "“二.txt”写明共 5 条，实际读到 4 条" in findings(office, short)["rows.total"]


@pytest.mark.server
def test_the_total_that_every_page_repeats_is_that_of_the_pull(office: Office, monkeypatch: Any) -> None:
    rows = [{name: str(row[name]) for name in NAMES} for row in (penalty(n, uscc=uscc(1)) for n in range(1, 6))]

    def page(query: dict[str, str], _headers: Any, _number: int) -> Answer:
        start = 2 * (int(query["page"]) - 1)
        return Answer(json.dumps({"total": 5, "rows": rows[start : start + 2]}).encode())

    server = Api(page)
    monkeypatch.setenv("CHENGXIN_CONN_PAGES", server.url)
    options = {"connection": "pages", "path": "p", "page_size": 2, "total": "total", "key": ["decision_no"]}
    office.contract(
        "pages", "penalty", PENALTY, columns=[{"source": n, "element": n} for n in NAMES],
        delivery={"connector": "http_api", "mode": "full", "options": options},
        file={"format": "json", "records": "rows"},
    )  # fmt: skip
    try:
        source, clock = office.contracts["pages"], Clock(START)
        [found] = pipeline.discover(Home(office.settings), source)
        landed = pipeline.land(Home(office.settings, clock), source, found)
        account = pipeline.ingest(Home(office.settings, clock), source, landed)
    finally:
        server.close()
    assert (account["verdict"], account["accepted"]) == ("accept", 5)
    assert "rows.total" not in {f.rule for f in office.verdict("pages", account["batch_id"]).findings}


def test_several_totals_in_one_sheet_are_added_up(office: Office, tmp_path: Path) -> None:
    declare(office, form="xlsx")
    head, *rows = [line.split(",") for line in lines(6)]
    agrees, differs = [head, *rows[:4], ["共4条"], *rows[4:], ["共2条"]], [head, *rows, ["共7条"]]
    for name, sheet in (("真.xlsx", agrees), ("假.xlsx", differs)):
        book = openpyxl.Workbook()
        for row in sheet:
            book.active.append(row)
        book.save(tmp_path / name)
        account = office.ingest("pen", tmp_path / name)
        assert ("rows.total" in findings(office, account)) == (sheet is differs)


def test_an_increment_torn_in_a_row_has_it_in_its_verdict(office: Office) -> None:
    account = send(office, "\n".join(lines(5))[:-12])
    assert (account["verdict"], account["quarantined"]) == ("warn", 1)
    assert "最后一条记录不完整" in findings(office, account)["increment.cut_off"]
    review = pipeline.review(Home(office.settings), office.contracts)
    assert any("最后一条记录不完整" in f for d in review.doubts for f in d.findings)


def test_an_increment_without_its_last_line_break_is_reported(office: Office) -> None:
    assert send(office, "\n".join([*lines(5), ""]))["verdict"] == "accept"
    account = send(office, "\n".join(lines(6)), "又.csv")
    assert (account["verdict"], list(findings(office, account))) == ("warn", ["increment.unended"])
    assert send(office, "\n".join(lines(7)), "三.csv")["verdict"] == "accept"


@pytest.mark.parametrize(
    ("beside", "verdict"), [({"hasMore": True, "next": "/a"}, "hold"), ({"hasMore": False}, "accept")]
)
def test_a_file_that_says_that_it_is_one_page_is_held(office: Office, beside: dict[str, Any], verdict: str) -> None:
    declare(office, form="json")
    rows = [{n: str(penalty(k, uscc=uscc(1))[n]) for n in NAMES} for k in range(1, 3)]
    account = send(office, json.dumps({"rows": rows, **beside}), "罚.json")
    assert (account["verdict"], account["received"]) == (verdict, 2)
    told = findings(office, account).get("delivery.unfinished", "")
    assert ("hasMore=true、next" in told) == (verdict == "hold")
