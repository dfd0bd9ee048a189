"""A row with the USCC of one company and the name of another goes by its code, is told, and gives away no number."""

from pathlib import Path
from typing import Any

import pytest

from cases import few
from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.home import Home
from deliveries import CHANGE, PENALTY, REGISTRATION, START, Office, company, org_code, penalty, reg_no, renaming, uscc

SPELLINGS = ["湖南旧名公司", "湖南示例1有限公司", "湖南示例（1）有限公司", "湖南示例1有限公司（已注销）",
    "湖南示例 １ 有限公司。", "湖南*****公司", ""]  # fmt: skip
OTHER_CODES = ("reg_no", "org_code", "tax_no")


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_change", "registration_change", CHANGE)
    office.contract("pen", "penalty", PENALTY)
    office.deliver("test_reg", company(1, reg_no=reg_no(1)), company(2, reg_no=reg_no(2)), day=0)
    return office


def findings(office: Office, dataset: str, n: int = 0, rule: str = "subject.named_otherwise") -> list[str]:
    said = office.verdict(dataset, office.account(dataset, n).batch_id).findings
    return [f.message for f in said if f.rule == rule]


def unknown(office: Office, dataset: str = "pen", n: int = 0) -> list[str]:
    return findings(office, dataset, n, "subject.name_unknown")


def fine(n: int, name: str, about: int = 1, **more: Any) -> dict[str, Any]:
    return penalty(n, uscc=uscc(about), subject_name=name, **more)


def test_the_code_counts_and_the_other_name_is_reported(office: Office) -> None:
    account = office.deliver("pen", fine(1, "湖南示例1有限公司"), fine(2, "湖南示例2有限公司"), day=1)
    assert office.linked("pen") == [(2, 1, "uscc"), (3, 1, "uscc")]
    assert account["verdict"] == "warn"
    assert "有 1 行" in findings(office, "pen")[0]
    [answer] = pipeline.answer(Home(office.settings, Clock(START)), office.contracts["pen"])
    lines = (answer.folder / "名称不符.csv").read_text("utf-8-sig").splitlines()
    assert len(lines) == 2 and "湘示罚〔2026〕2号" in lines[1] and "已按代码关联" in lines[1]
    assert "名称不符" in (answer.folder / "回执.txt").read_text("utf-8-sig")


@pytest.mark.parametrize(
    ("name", "code"),
    few(10, [*((name, "uscc") for name in SPELLINGS), *((SPELLINGS[0], code) for code in OTHER_CODES),
             *((name, code) for name in SPELLINGS[1:] for code in OTHER_CODES)]),
)  # fmt: skip
def test_other_spellings_and_former_names_are_not_told(office: Office, name: str, code: str) -> None:
    office.deliver("test_change", renaming(1, "湖南旧名公司", "湖南示例1有限公司"), day=0.5)
    codes = {"uscc": uscc(1), "reg_no": reg_no(1), "org_code": org_code(1), "tax_no": uscc(1)}
    assert office.deliver("pen", penalty(1, subject_name=name, **{code: codes[code]}), day=1)["verdict"] == "accept"
    assert [subject for _, subject, _ in office.linked("pen")] == [1]
    assert findings(office, "pen") == unknown(office) == []


@pytest.mark.parametrize("code", ["uscc", "reg_no", "org_code", "tax_no"])
def test_names_of_nobody_under_known_codes_are_told_row_by_row(office: Office, code: str) -> None:
    codes = {"uscc": uscc, "reg_no": reg_no, "org_code": org_code, "tax_no": uscc}
    rows = [penalty(n, subject_name=f"别处没有{n}公司", **{code: codes[code](1 + n % 2)}) for n in range(8)]
    good = penalty(9, subject_name="湖南示例1有限公司", **{code: codes[code](1)})
    assert office.deliver("pen", *rows, good, day=1)["verdict"] == "warn"
    assert "有 8 行" in unknown(office)[0] and findings(office, "pen") == []
    [answer] = pipeline.answer(Home(office.settings, Clock(START)), office.contracts["pen"])
    lines = (answer.folder / "名称不符.csv").read_text("utf-8-sig").splitlines()[1:]
    assert [f'"{n}"' in line and "subject.name_unknown" in line for n, line in enumerate(lines, 2)] == [True] * 8
    page = (answer.folder / "回执.txt").read_text("utf-8-sig")
    assert "有 8 条记录的名称、注册号与所填代码登记的主体不符" in page


def test_a_name_that_several_others_bear_is_none_of_the_subject(office: Office) -> None:
    office.deliver("test_reg", company(3, subject_name="老街小吃店"), company(4, subject_name="老街小吃店"), day=0.5)
    office.deliver("pen", fine(1, "老街小吃店"), fine(2, "老街小吃店", about=3), day=1)
    assert findings(office, "pen") == []
    assert "有 1 行" in unknown(office)[0]


def test_a_household_may_be_called_by_its_operator(office: Office) -> None:
    shop = uscc(20, kind="92")
    row = company(20, uscc=shop, subject_name="老街小吃店", legal_rep_name="示例甲")
    office.deliver("test_reg", row, company(21, legal_rep_name="示例乙"), day=0.5)
    office.deliver("pen", penalty(1, uscc=shop, subject_name="示例甲"), penalty(2, uscc=shop, subject_name="示例丙"),
        fine(3, "示例乙", about=21), day=1)  # fmt: skip
    assert "有 2 行" in unknown(office)[0]


def test_a_registering_kind_may_tell_a_new_name(office: Office) -> None:
    office.deliver("test_reg", company(1, subject_name="湖南新名有限公司", reg_no=reg_no(1)), day=1)
    office.deliver(
        "test_change", renaming(1, "湖南新名有限公司", "湖南更新有限公司", subject_name="湖南更新有限公司"), day=2
    )
    assert unknown(office, "test_reg", 1) == unknown(office, "test_change") == []
    names = ("湖南示例1有限公司", "湖南新名有限公司", "湖南更新有限公司")
    office.deliver("pen", *[fine(n, name) for n, name in enumerate(names)], day=3)
    assert unknown(office) == []


@pytest.mark.slow
def test_rows_that_waited_are_told_once_they_are_linked(office: Office) -> None:
    office.deliver("pen", fine(1, "别处没有的公司", about=30), fine(2, "湖南示例30有限公司", about=30), day=1)
    assert unknown(office) == []
    office.deliver("test_reg", company(30), day=2)
    office.retry()
    assert "有 1 行" in unknown(office)[0]


@pytest.mark.slow
def test_a_registration_of_both_gives_neither_the_others_keys(office: Office) -> None:
    mixed = company(1, subject_name="湖南示例2有限公司", reg_no=reg_no(2))
    assert office.deliver("test_reg", mixed, day=1)["verdict"] == "warn"
    assert len(findings(office, "test_reg", 1)) == 1
    office.deliver("pen", penalty(1, reg_no=reg_no(2)), fine(2, "湖南示例1有限公司"), day=2)
    assert office.linked("pen") == [(2, 2, "reg_no"), (3, 1, "uscc")]
    assert findings(office, "pen") == []
    office.publish()
    assert office.table("subject", "name") == [("湖南示例1有限公司",), ("湖南示例2有限公司",)]


def test_a_registration_with_anothers_name_keeps_its_number(office: Office) -> None:
    office.deliver("test_reg", company(1, subject_name="湖南示例2有限公司", reg_no=reg_no(1)), day=1)
    assert findings(office, "test_reg", 1) == []
    office.publish()
    assert office.table("subject", "name") == [("湖南示例2有限公司",), ("湖南示例2有限公司",)]


NEW = (company(5, reg_no=reg_no(5)), company(6, reg_no=reg_no(6)))
MIXED = company(5, subject_name="湖南示例6有限公司", reg_no=reg_no(6))


@pytest.mark.parametrize("rows", [(*NEW, MIXED), (MIXED, *NEW), (NEW[0], MIXED, NEW[1])])
def test_it_is_told_in_the_very_batch_that_founds_both(office: Office, rows: tuple[dict[str, Any], ...]) -> None:
    office.deliver("test_reg", *rows, day=1)
    assert "有 1 行" in findings(office, "test_reg", 1)[0]
    office.deliver("pen", penalty(1, reg_no=reg_no(6)), penalty(2, reg_no=reg_no(5)), day=2)
    by_number = [subject for _, subject, _ in office.linked("pen")]
    office.publish()
    names = dict(office.table("subject", "subject_id, name"))
    assert [names[s] for s in by_number] == ["湖南示例6有限公司", "湖南示例5有限公司"]
    told = pipeline.answer(Home(office.settings, Clock(START)), office.contracts["test_reg"])[-1]
    (line,) = (told.folder / "名称不符.csv").read_text("utf-8-sig").splitlines()[1:]
    assert f'"{2 + rows.index(MIXED)}"' in line


def test_a_known_company_with_a_founded_ones_keys_is_reported(office: Office) -> None:
    mixed = company(1, subject_name="湖南示例6有限公司", reg_no=reg_no(6))
    office.deliver("test_reg", NEW[1], mixed, day=1)
    assert "有 1 行" in findings(office, "test_reg", 1)[0]
    office.publish()
    assert ("湖南示例1有限公司",) in office.table("subject", "name")


@pytest.mark.parametrize("together", [True, False])
def test_two_codes_with_one_name_are_reported_and_both_founded(office: Office, together: bool) -> None:
    if together:
        office.deliver("test_reg", MIXED, NEW[1], day=1)
    else:
        office.deliver("test_reg", MIXED, day=1)
        office.deliver("test_reg", NEW[1], day=2)
    verdict = office.verdict("test_reg", office.account("test_reg", 2 - together).batch_id)
    said = {f.rule: f.message for f in verdict.findings}
    assert f"有 {1 + together} 行的名称和注册号" in said["subject.same_named"]
    office.publish()
    assert office.table("subject", "name").count(("湖南示例6有限公司",)) == 2


def test_ordinary_registrations_are_not_told(office: Office) -> None:
    renamed = company(5, subject_name="湖南新名有限公司", reg_no=reg_no(5))
    chain = [company(n, subject_name="老街小吃店", reg_no=reg_no(n)) for n in (7, 8)]
    office.deliver("test_reg", *NEW, *chain, company(9, subject_name="老街小吃店"), renamed, day=1)
    office.deliver("test_reg", *NEW, *chain, renamed, company(10, reg_no=reg_no(10)), day=2)
    for n in (1, 2):
        rules = {f.rule for f in office.verdict("test_reg", office.account("test_reg", n).batch_id).findings}
        assert not rules & {"subject.same_named", "subject.named_otherwise"}
