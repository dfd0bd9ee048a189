"""What a receipt tells beyond counts: terms, contact, changes, the code of a known name, values as they were sent."""

import csv
from datetime import date, timedelta
from pathlib import Path

import pytest
from refusals import right, wrong

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.connectors.files.drop import file_delivery
from chengxin.home import Home
from chengxin.model.assessment import assessment
from chengxin.model.working_days import working_days
from deliveries import PENALTY, PERSON, START, Office, company, person_doc, uscc

NAMES = ("source_record_id", *PENALTY)


def answer(office: Office, day: float = 0):
    return pipeline.answer(Home(office.settings, Clock(START + timedelta(days=day))), office.contracts["pen"])


def sheet(folder: Path, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / name).read_text("utf-8-sig").splitlines()))


def test_a_receipt_states_the_term_the_contact_and_the_place(office):
    office.contract("pen", "penalty", NAMES, feedback={"contact": "信用中心 0731-0000000"})
    office.deliver("pen", wrong(1), right(2), day=1)
    (told,) = answer(office)
    due = assessment().correction_deadline(date(2026, 3, 3), working_days())
    assert (told.receipt["mend_by"], due) == ("2026-03-17", date(2026, 3, 17))
    page = (told.folder / "回执.txt").read_text("utf-8-sig")
    assert "更正期限：2026年3月17日（送达之日起 10 个工作日内" in page
    assert "联系人：信用中心 0731-0000000" in page
    assert "放回原投递目录" in page


def test_a_term_counts_from_a_day_that_the_receipt_names(office):
    contract, clock = office.contracts["pen"], Clock(START + timedelta(days=11))
    path = office.write("pen", [wrong(1), right(2)], day=1)
    landed = pipeline.land(
        Home(office.settings, clock), contract, file_delivery(Home(office.settings, clock), contract, path)
    )
    pipeline.ingest(Home(office.settings, clock), contract, landed)
    (told,) = answer(office, 11)
    page = (told.folder / "回执.txt").read_text("utf-8-sig")
    assert "接收时间：2026-03-13 10:00（北京时间）\n送达日期：2026年3月3日（各期限由此日起算）" in page
    assert "更正期限：2026年3月17日" in page


@pytest.mark.slow
def test_an_update_says_what_changed_since_the_answer_before(office):
    first = office.deliver("pen", wrong(1), wrong(2), wrong(3), right(9), day=1)["batch_id"]
    answer(office)
    mending = office.deliver("pen", right(1), right(2), wrong(3, item_name="还是错"), day=2)["batch_id"]
    told = {a.batch_id: a for a in answer(office)}
    page = (told[first].folder / "回执.txt").read_text("utf-8-sig")
    assert "与上次反馈相比：新核销 2 条，又报来仍有误、转到新批次 1 条；尚待更正 0 条。" in page
    page = (told[mending].folder / "回执.txt").read_text("utf-8-sig")
    assert f"本批更正了批次 {first} 的疑问 2 条，已核销。" in page
    assert f"批次 {first} 的疑问中 1 条本批又报来、仍然有误" in page
    office.deliver("reg", company(9), day=3)
    office.retry()
    (told,) = answer(office)
    assert "与上次反馈相比：新关联 1 条；" in (told.folder / "回执.txt").read_text("utf-8-sig")


def test_rows_wait_a_declared_time_and_then_need_a_look(office):
    office.contract("pen", "penalty", NAMES, feedback={"wait_days": 20})
    office.deliver("pen", right(9), right(8, uscc=""), day=1)
    (told,) = answer(office, 2)
    code, name = sheet(told.folder, "待关联.csv")
    assert code["处理办法"].startswith("请等待")
    assert "2026年3月23日" in code["处理办法"]
    assert name["处理办法"].startswith("请先等待至 2026年3月23日")
    assert "先等待（至 2026年3月23日）" in told.receipt["advice"]
    assert answer(office, 20.5) == []
    (told,) = answer(office, 22)
    assert [row["处理办法"][:3] for row in sheet(told.folder, "待关联.csv")] == ["请核对", "请补填"]
    assert "请核对“待关联”表中的 2 条" in told.receipt["advice"]


@pytest.mark.slow
def test_a_company_code_is_suggested_by_its_exact_name_alone(office):
    office.contract("person", "person_base", PERSON)
    office.deliver("person", {"person_name": "示例甲", "person_doc_no": person_doc(1)}, day=0.5)
    twins = [company(n, subject_name="湖南同名有限公司") for n in (11, 12)]
    office.deliver("reg", *twins, company(13, uscc=uscc(13, kind="92"), subject_name="示例丙小吃店"), day=0.6)
    rows = [
        wrong(1),
        wrong(2, subject_name="示例甲", person_doc_no=""),
        wrong(3, subject_name="湖南同名有限公司"),
        wrong(4, subject_name="湖南示例4有限"),
        wrong(5, subject_name="示例丙小吃店"),
        wrong(6, subject_name="湖南示例5有限公司", person_doc_no="430102199003077210"),
        wrong(7, subject_name="湖南示例5有限公司"),
        right(20, subject_name="湖南示例2有限公司"),
        right(21, subject_name="湖南同名有限公司"),
        right(1, source_record_id="k99"),
    ]
    office.deliver("pen", *rows, day=1)
    (told,) = answer(office)
    found = {row["记录标识"]: row["更正办法"] for row in sheet(told.folder, "需更正.csv")}
    assert {label for label, remedy in found.items() if "只有一个主体" in remedy} == {"k1", "k7"}
    assert uscc(1) in found["k1"]
    assert uscc(5) in found["k7"]
    waiting = {row["记录标识"]: row["处理办法"] for row in sheet(told.folder, "待关联.csv")}
    assert uscc(2) in waiting["k20"]
    assert "只有一个主体" not in waiting["k21"]


def test_a_value_that_was_not_taken_is_shown_as_it_was_sent(office):
    office.deliver("pen", right(1, org_code=" 12-34 ", region_code="火星"), wrong(2, org_code="5678"), day=1)
    (told,) = answer(office)
    shown = {row["问题字段"]: row["报送的值"] for row in sheet(told.folder, "未采用的值.csv")}
    assert {k: v.strip() for k, v in shown.items()} == {"org_code": "12-34", "region_code": "火星"}


def test_a_row_in_another_encoding_is_shown_with_its_place(office):
    path = office.write("pen", [right(1), wrong(2)], day=1)
    line = "k3,湖南示例3有限公司长沙分公司," + uscc(3)
    broken = "k4,湖南示例4有限公司".encode() + b"\xe4\xb8," + uscc(4).encode()
    path.write_bytes(path.read_bytes() + line.encode("gb18030") + b"\n" + broken + b"\n")
    office.ingest("pen", path)
    (told,) = answer(office)
    rows = {row["行号"]: row for row in sheet(told.folder, "需更正.csv")}
    assert rows["4"]["整行原文（未能拆分）"] == line
    assert rows["5"]["整行原文（未能拆分）"].startswith("k4,湖南示例4有限公司□")
    assert [rows[n]["记录标识"] for n in ("4", "5")] == ["第 4 行", "第 5 行"]
    text = "".join(p.read_text("utf-8-sig") for p in told.folder.glob("*.csv"))
    assert "\\ufffd" not in text
    assert "\\x" not in text
