"""Answers end to end: what a department finds in its outbox, its feedback table and at its callback."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy
from refusals import right, wrong

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.connectors.receivers import ROWS_A_POST
from chengxin.contracts.lint import lint_contract
from chengxin.home import Home
from chengxin.model.rules import rules
from deliveries import PENALTY, PERSON, START, Office, company, person_doc, reg_no, uscc
from servers import Answer, Api, postgres

CLOCK = Clock(START)


def bare(row: dict) -> dict:
    return {k: v for k, v in row.items() if k != "source_record_id"}


def answer(office: Office, dataset: str = "pen", **more):
    return pipeline.answer(Home(office.settings, CLOCK), office.contracts[dataset], **more)


def sheet(folder: Path, name: str) -> list[dict[str, str]]:
    text = (folder / name).read_bytes()
    assert text.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(text.decode("utf-8-sig").splitlines()))


def outbox(office: Office) -> list[Path]:
    return sorted(p.parent for p in (office.settings.home / "outbox").rglob("回执.json"))


@pytest.mark.slow
def test_states_counts_refused_and_waiting_rows_in_their_words(office):
    rows = [right(1), wrong(2), right(9), right(1), right(8, uscc="", subject_name="湖南示例八有限公司")]
    account = office.deliver("pen", *rows, day=1)
    (told,) = answer(office)
    counts = told.receipt["counts"]
    assert counts["received"] == sum(v for k, v in counts.items() if k != "received") == 5
    assert counts == {k: account[k] for k in counts}
    (folder,) = outbox(office)
    page = (folder / "回执.txt").read_text("utf-8-sig")
    assert "收到 5 条 = 入库 1 + 疑问 1 + 重复 1 + 未关联 2" in page
    assert "请更正“需更正”表中的 1 条记录" in page
    (refused,) = sheet(folder, "需更正.csv")
    assert (refused["行号"], refused["记录标识"], refused["问题字段"]) == ("3", "k2", "uscc")
    assert refused["问题说明"] == rules()["uscc.characters"].zh
    assert refused["更正办法"].startswith(rules()["uscc.characters"].mend_zh)
    assert refused["decision_no"] == "湘示罚〔2026〕2号"
    waiting = sheet(folder, "待关联.csv")
    assert [(w["记录标识"], w["规则代码"]) for w in waiting] == [("k9", "link.unknown_code"), ("k8", "link.name_only")]
    assert "补填统一社会信用代码" in waiting[1]["处理办法"]


def test_tells_that_a_document_is_somebody_elses(office):
    office.contract("person", "person_base", PERSON)
    office.deliver("person", {"person_name": "示例甲", "person_doc_no": person_doc(1)}, day=1)
    about = {"uscc": "", "subject_name": "示例乙"}
    office.deliver(
        "pen", right(1, **about, person_doc_no=person_doc(1)), right(2, **about, person_doc_no=person_doc(2)), day=2
    )
    answer(office)
    (folder,) = outbox(office)
    waiting = sheet(folder, "待关联.csv")
    assert [w["规则代码"] for w in waiting] == ["link.otherwise_named", "link.unknown_code"]


def test_tells_that_a_code_is_borne_by_several(office):
    office.deliver("reg", company(6, reg_no=reg_no(1)), company(7, reg_no=reg_no(1)), day=1)
    office.deliver("pen", right(1, uscc="", reg_no=reg_no(1)), right(2, uscc="", reg_no=reg_no(2)), day=2)
    answer(office)
    (folder,) = outbox(office)
    waiting = sheet(folder, "待关联.csv")
    assert [w["规则代码"] for w in waiting] == ["link.shared_code", "link.unknown_code"]


def test_lists_rows_that_contradict_the_last_of_their_record(office):
    at = {"source_updated_at": "2026-02-03 10:00:00"}
    rows = [right(1, penalty_content="甲"), right(2), right(1, penalty_content="乙"), right(1, penalty_content="乙")]
    rows += [
        right(3, penalty_content="甲", **at),
        right(3, penalty_content="乙"),
        right(4),
        right(4, penalty_content="丙"),
    ]
    office.deliver("pen", *rows, day=1)
    (told,) = answer(office)
    (folder,) = outbox(office)
    lost = sheet(folder, "被取代.csv")
    assert [(w["行号"], w["记录标识"], w["规则代码"]) for w in lost] == [
        ("2", "k1", "record.overtaken"),
        ("8", "k4", "record.overtaken"),
    ]
    assert "第 5 行" in lost[0]["问题说明"]
    assert told.receipt["overtaken"] == 2
    assert "“被取代”表" in (folder / "回执.txt").read_text("utf-8-sig")


def test_lists_every_value_that_was_not_taken_of_rows_that_were(office):
    bad = [right(n, org_code="1234") for n in range(1, 9)]
    office.deliver("pen", *bad, wrong(9, org_code="1234"), day=1)
    (told,) = answer(office)
    (folder,) = outbox(office)
    assert "有 8 个值看不懂或不存在，未采用" in (folder / "回执.txt").read_text("utf-8-sig")
    lost = sheet(folder, "未采用的值.csv")
    assert [row["记录标识"] for row in lost] == [f"k{n}" for n in range(1, 9)]
    assert {(row["问题字段"], row["规则代码"]) for row in lost} == {("org_code", "org_code.length")}
    assert [row["行号"] for row in lost] == [str(n) for n in range(2, 10)]
    assert told.receipt["untaken"] == 8


def test_values_not_taken_bear_key_fields_without_a_source_key(office):
    office.contract("pen", "penalty", PENALTY)
    office.deliver("pen", bare(right(1, org_code="1234")), bare(right(2, org_code="1234", subject_name="")), day=1)
    (told,) = answer(office)
    named = [row["记录标识"] for row in sheet(told.folder, "未采用的值.csv")]
    key = "decision_no：湘示罚〔2026〕{}号；authority_name：示例市监局；decision_on：2026-01-15"
    assert named == [key.format(1) + "；subject_name：湖南示例1有限公司", key.format(2)]


@pytest.mark.parametrize(
    ("codes", "choices"),
    [({}, "0（正常）、1（更新）、2（删除）"), ({"I": "0", "D": "2"}, "I（正常）、D（删除）")],
)
def test_says_what_may_stand_in_a_code_column(office, codes, choices):
    names = ("source_record_id", *PENALTY, "delivery_status_code")
    office.contract("pen", "penalty", names, codes={"delivery_status_code": codes} if codes else {})
    office.deliver("pen", right(1, delivery_status_code="X7"), right(2), day=1)
    (told,) = answer(office)
    (refused,) = sheet(told.folder, "需更正.csv")
    assert refused["更正办法"].endswith("。可填：" + choices)


def test_states_the_fields_of_a_row_that_does_not_fit(office):
    short = wrong(2, uscc=uscc(2)[:-1])
    path = office.write("pen", [short, right(1), wrong(3, uscc="'" + uscc(3)[:9] + " " + uscc(3)[9:] + "7")], day=1)
    with path.open("a", encoding="utf-8") as stream:
        stream.write("k4,湖南示例4有限公司\n")
    office.ingest("pen", path)
    (told,) = answer(office)
    two, three, four = sheet(told.folder, "需更正.csv")
    assert two["问题说明"] == "统一社会信用代码不是 18 位，实为 17 位"
    assert three["问题说明"] == "统一社会信用代码不是 18 位，实为 19 位"
    width = len(path.read_text("utf-8").split("\n")[0].split(","))
    assert (four["问题字段"], four["问题说明"]) == ("", f"字段数与表头不符：应有 {width} 个字段，实有 2 个")
    assert f"【应有 {width} 个字段，实有 2 个】" in (told.folder / "回执.txt").read_text("utf-8-sig")


def test_a_filler_in_a_required_field_is_told_as_what_it_is(office):
    office.deliver("pen", right(1, decision_on="1900-01-01"), right(2), day=1)
    (told,) = answer(office)
    (refused,) = sheet(told.folder, "需更正.csv")
    assert refused["规则代码"] == "date.placeholder field.required_unusable"
    assert refused["问题说明"].startswith("（1）“决定日期”是占位日期")


def test_the_receipt_lists_values_not_taken_of_accepted_rows(office):
    rows = [right(n, region_code="火星" if n in (2, 4) else "430102") for n in range(1, 6)]
    assert office.deliver("pen", *rows, day=1)["accepted"] == 5
    (told,) = answer(office)
    assert told.receipt["problems"][0]["places"] == [
        {"file": "pen-002.csv", "row": 3},
        {"file": "pen-002.csv", "row": 5},
    ]
    assert "2 次　【region_code】" in (page := (told.folder / "回执.txt").read_text("utf-8-sig"))
    assert "（第 3、5 行；region.unknown）" in page


def test_answers_nothing_twice_while_nothing_changes(office):
    office.deliver("pen", wrong(2), right(1), day=1)
    assert [a.sent is not None for a in answer(office)] == [True]
    before = {p: p.read_bytes() for p in (office.settings.home / "outbox").rglob("*") if p.is_file()}
    assert answer(office) == []
    (office.settings.home / "feedback" / "pen" / "answered.json").unlink()
    assert answer(office) == []
    assert {p: p.read_bytes() for p in (office.settings.home / "outbox").rglob("*") if p.is_file()} == before


def test_equal_states_give_equal_bytes(office):
    office.deliver("pen", wrong(2), wrong(3, decision_on=""), right(9), day=1)
    (told,) = answer(office)
    files = {p.name: p.read_bytes() for p in told.folder.iterdir() if p.name != "sent.json"}
    for path in sorted(told.folder.parent.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (office.settings.home / "feedback" / "pen" / "answered.json").unlink()
    (again,) = answer(office)
    assert {p.name: p.read_bytes() for p in again.folder.iterdir() if p.name != "sent.json"} == files


def test_a_held_batch_is_told_why_and_what_to_do(office):
    office.contract("pen", "penalty", PENALTY, quality={"quarantined": {"warn": 0.1, "hold": 0.2}})
    assert office.deliver("pen", *(bare(wrong(n)) for n in (1, 2)), day=1)["verdict"] == "hold"
    (told,) = answer(office)
    page = (told.folder / "回执.txt").read_text("utf-8-sig")
    assert "整批暂缓" in page
    assert "没有一行可用" in page
    assert "收到 2 条 = 入库 0 + 疑问 2" in page
    assert len(sheet(told.folder, "需更正.csv")) == 2


def test_mended_rows_close_refused_ones_and_update_the_receipt(office):
    office.deliver("pen", wrong(1), wrong(2), wrong(3), right(4), day=1)
    answer(office)
    mending = office.deliver("pen", right(1), right(2), day=2)["batch_id"]
    first = next(a for a in answer(office) if a.id.endswith("-r1"))
    assert first.receipt["refused"] == {"total": 3, "open": 1, "mended": {mending: 2}, "overtaken": 0, "again": 0}
    assert [r["记录标识"] for r in sheet(first.folder, "需更正.csv")] == ["k3"]
    assert office.account("pen").quarantined == 3  # the account of the old batch does not change


def test_knows_mended_rows_by_name_and_number_without_a_key(office):
    plain = [bare(wrong(n)) for n in (1, 2, 3)]
    office.contract("pen", "penalty", PENALTY)
    office.deliver("pen", *plain, {**plain[0], "decision_no": "湘示罚〔2026〕9号", "decision_on": ""}, day=1)
    mended = [{**plain[0], "uscc": uscc(1), "decision_no": "湘示罚[2026]1号"}, {**plain[1], "subject_name": "别的公司"}]
    mended[1]["uscc"] = uscc(2)
    undated = {**plain[0], "uscc": uscc(1), "decision_no": "湘示罚〔2026〕9号"}
    office.deliver("pen", *mended, undated, day=2)
    first = next(a for a in answer(office) if a.receipt["refused"]["total"])
    assert first.receipt["refused"]["open"] == 2  # the one with another name, and the one that did not come again
    assert [r["行号"] for r in sheet(first.folder, "需更正.csv")] == ["3", "4"]


def test_one_row_that_comes_again_closes_no_more_than_one(office):
    two = [bare(wrong(1, subject_name="", item_name=t)) for t in ("甲", "乙")]
    office.contract("pen", "penalty", PENALTY)
    office.deliver("pen", *two, day=1)
    mended = two[0] | {"uscc": uscc(1)}
    office.deliver("pen", mended, day=2)
    assert next(a for a in answer(office) if a.receipt["refused"]["total"]).receipt["refused"]["open"] == 1


def test_rows_of_other_subjects_close_no_nameless_row(office):
    names = ("subject_name", "uscc", "rating_year", "tax_grade_code")
    office.contract("rat", "tax_rating", names)
    rated = [{"subject_name": company(n)["subject_name"], "uscc": uscc(n), "rating_year": "2025"} for n in (1, 2, 3)]
    nameless = {"uscc": uscc(1)[:-1] + "!", "rating_year": "2025", "tax_grade_code": "A"}
    office.deliver("rat", nameless, {**rated[2], "tax_grade_code": "A"}, day=1)
    office.deliver("rat", *({**r, "tax_grade_code": "B"} for r in rated), day=2)
    assert [a.receipt["refused"]["open"] for a in answer(office, "rat") if a.receipt["refused"]["total"]] == [1]


@pytest.mark.slow
def test_a_refused_row_that_comes_again_is_to_be_mended_once(office):
    office.deliver("pen", wrong(1), wrong(1), wrong(2), wrong(3), right(4), day=1)
    office.deliver("pen", wrong(1), wrong(2), right(5), day=2)
    first, second = answer(office)
    told = {"total": 4, "open": 2, "mended": {}, "overtaken": 0, "again": 2}
    assert (first.receipt["refused"], second.receipt["refused"]["open"]) == (told, 2)
    assert [r["记录标识"] for r in sheet(first.folder, "需更正.csv")] == ["k1", "k3"]
    assert "2 条此后又报来" in (first.folder / "回执.txt").read_text("utf-8-sig")
    mending = office.deliver("pen", right(1), right(2), day=3)["batch_id"]
    told = [a.receipt["refused"] for a in answer(office) if a.receipt["refused"]["total"]]
    assert [(r["open"], r["mended"]) for r in told] == [(1, {mending: 3}), (0, {mending: 2})]


def test_a_newer_full_delivery_overtakes_older_refused_rows(office):
    office.contract("pen", "penalty", PENALTY, mode="full")
    office.deliver("pen", bare(right(1)), bare(wrong(2)), bare(right(3)), day=1)
    office.deliver("pen", bare(right(1)), bare(right(3)), bare(right(4)), day=2)
    first = next(a for a in answer(office) if a.receipt["refused"]["total"])
    assert (first.receipt["refused"]["open"], first.receipt["refused"]["overtaken"]) == (0, 1)


@pytest.mark.slow
def test_a_full_list_after_a_newer_one_is_answered_as_no_change(office):
    office.contract("pen", "penalty", PENALTY, mode="full")
    office.deliver("pen", bare(right(1)), bare(right(3)), day=1)
    office.deliver("pen", bare(right(1)), bare(right(3)), bare(right(4)), day=5)
    office.deliver("pen", bare(right(1)), bare(right(2)), bare(wrong(3)), day=3)
    pages = [(a.folder / "回执.txt").read_text("utf-8-sig") for a in answer(office)]
    late = pages[1]
    assert "没有改变任何记录：本批到达时，平台已收到更新的一期全量（pen-003.csv）" in late
    assert "收到 3 条 = 留存 1 + 疑问 1" in late and "无需处理。" in late
    assert ["已接收入库。" in page for page in pages] == [True, False, True]  # one overtaken in its turn was in force


def test_waiting_rows_linked_later_are_in_a_new_receipt(office):
    office.deliver("pen", right(9), day=1)
    answer(office)
    office.deliver("reg", company(9), day=2)
    office.retry()
    (told,) = answer(office)
    assert told.id.endswith("-r1")
    assert told.receipt["counts"]["unlinked"] == 0
    assert told.receipt["advice"] == "无需处理。"


def test_cells_a_spreadsheet_would_run_or_spoil_are_made_safe(office):
    rows = [
        wrong(1, subject_name='=HYPERLINK("a")', item_name="@SUM(1)", penalty_content="-12.5", legal_rep_name="+A1"),
        wrong(2, subject_name="＝1+1", reg_no="000123", org_code="\t=1", penalty_content=" -2+3", item_name="-"),
    ]
    office.deliver("pen", *rows, day=1)
    (told,) = answer(office)
    first, second = sheet(told.folder, "需更正.csv")
    assert first["subject_name"] == "'" + rows[0]["subject_name"]
    assert (first["item_name"], first["legal_rep_name"], first["penalty_content"]) == ("'@SUM(1)", "'+A1", "-12.5")
    assert (second["subject_name"], second["reg_no"], second["item_name"]) == ("'＝1+1", "'000123", "-")
    for row in (first, second):
        assert [v for v in row.values() if v.lstrip()[:1] in "=+@＝" and v] == []


@pytest.mark.slow
def test_a_row_copied_with_guards_closes_the_refused_one(office):
    sent = wrong(
        1, source_record_id="202600000000000017", item_name="=示例案", penalty_content="@罚款", reg_no="000123"
    )
    office.deliver("pen", sent, wrong(2, source_record_id="0002"), day=1)
    (told,) = answer(office)
    copied = [
        {k: v for k, v in row.items() if k in sent} | {"uscc": uscc(n)}
        for n, row in enumerate(sheet(told.folder, "需更正.csv"), 1)
    ]
    assert [row["source_record_id"] for row in copied] == ["'202600000000000017", "'0002"]
    mending = office.deliver("pen", *copied, day=2)["batch_id"]
    first = next(a for a in answer(office) if a.id.endswith("-r1"))
    assert first.receipt["refused"] == {"total": 2, "open": 0, "mended": {mending: 2}, "overtaken": 0, "again": 0}
    office.publish(3)
    assert office.table("penalty", "source_record_id, item_name, penalty_content")[1] == (
        "202600000000000017", "=示例案", "@罚款")  # fmt: skip


def test_no_value_of_a_row_is_logged_or_in_the_receipt(office, caplog):
    office.deliver("pen", wrong(2, person_doc_no="430102199003077210"), day=1)
    (told,) = answer(office)
    assert "430102199003077210" not in caplog.text + json.dumps(told.receipt, ensure_ascii=False)
    assert "湖南示例2" not in (told.folder / "回执.txt").read_text("utf-8-sig")


@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
def test_fills_a_feedback_table_once(office, tmp_path, monkeypatch, where):
    if where == "sqlite":
        (tmp_path / "staging.db").touch()
        _fills_table(office, monkeypatch, f"sqlite:///{tmp_path / 'staging.db'}")
        return
    with postgres() as url:
        if url is None:
            pytest.skip("PostgreSQL is not installed")
        _fills_table(office, monkeypatch, url)


def _fills_table(office, monkeypatch, url):
    monkeypatch.setenv("CHENGXIN_CONN_STAGING", url)
    names = ("source_record_id", *PENALTY)
    office.contract("pen", "penalty", names, feedback={"to": "table", "connection": "staging", "table": "反馈"})
    office.deliver("pen", wrong(2), right(9), day=1)
    (told,) = answer(office)
    assert told.sent == "反馈表 反馈"
    assert [a.sent for a in answer(office, again=[told.batch_id])] == ["反馈表 反馈"]
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        query = 'SELECT "序号", "类别", "记录标识", "字段", "规则" FROM "反馈" ORDER BY "序号"'
        found = [tuple(row) for row in connection.execute(sqlalchemy.text(query))]
    engine.dispose()
    assert found == [
        ("0", "回执", None, None, None),
        ("1", "需更正", "k2", "uscc", "uscc.characters"),
        ("2", "待关联", "k9", None, "link.unknown_code"),
    ]


def test_a_failing_callback_is_retried_and_idempotent(office, monkeypatch):
    seen: list[tuple[str, dict]] = []

    def behave(asked):
        seen.append((asked.headers["Idempotency-Key"], json.loads(asked.body)))
        return Answer(b"{}", status=503 if len(seen) <= 2 else 200)

    api = Api(behave, with_asked=True)
    monkeypatch.setenv("CHENGXIN_CONN_DESK", api.url)
    names = ("source_record_id", *PENALTY)
    how = {"to": "post", "connection": "desk", "path": "feedback", "options": {"attempts": 2, "backoff_seconds": 0}}
    office.contract("pen", "penalty", names, feedback=how)
    office.deliver("pen", wrong(2), right(1), day=1)
    (failed,) = answer(office)
    assert (failed.sent, failed.problem is not None) == (None, True)
    (told,) = answer(office)  # the next run
    api.close()
    assert told.sent == "回调 feedback"
    assert {key for key, _ in seen} == {f"{told.id}-1"}
    body = seen[-1][1]
    assert body["receipt"]["counts"]["received"] == 2
    assert [(r["record"], r["column"], r["rule"]) for r in body["rows"]] == [("k2", "uscc", "uscc.characters")]
    assert (body["part"], body["parts"], len(body["rows"]) <= ROWS_A_POST) == (1, 1, True)


def test_a_folder_outside_the_outbox_is_refused(office):
    office.contract("pen", "penalty", ("source_record_id", *PENALTY), feedback={"folder": "../../elsewhere"})
    office.deliver("pen", wrong(2), day=1)
    (told,) = answer(office)
    assert told.sent is None
    assert "发件箱之外" in told.problem


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from chengxin.connectors import receivers as connectors
from chengxin.store import atomic
def audit(event, arguments):
    if event == "os.rename" and str(arguments[1]).endswith({at!r}):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(audit)
from chengxin.cli import main
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("at", ["0000", "sent.json", "answered.json"])
def test_a_run_killed_before_sending_is_completed_by_the_next(office, at):
    office.deliver("pen", wrong(2), right(9), day=1)
    arguments = ["--home", str(office.settings.home), "--contracts", str(office.settings.contracts), "feedback", "pen"]
    program = KILLED.format(tests=str(Path(__file__).parents[1]), at=at)
    killed = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    done = subprocess.run(
        [sys.executable, "-m", "chengxin.cli", *arguments, "--json"], capture_output=True, check=True, env=os.environ
    )
    (told,) = json.loads(done.stdout)["answers"]
    assert told["sent"]
    assert told["id"].endswith("-r0")
    (folder,) = outbox(office)
    assert sorted(p.name for p in folder.iterdir()) == [
        "回执.json",
        "回执.txt",
        "待关联.csv",
        "需更正.csv",
        "需更正.xlsx",
    ]


@pytest.mark.parametrize(("to", "missing"), [("table", True), ("post", True), ("file", False), ("none", False)])
def test_lint_asks_for_a_connection_to_answer_by(office, to, missing):
    office.contract("pen", "penalty", PENALTY, feedback={"to": to})
    told = [m for m in lint_contract(office.contracts["pen"]) if m.startswith("feedback.connection")]
    assert bool(told) is missing
