"""A row with the USCC of one company and the name of another goes by its code, is told, and gives away no number."""

from pathlib import Path
from typing import Any

import pytest

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.handover import Verdict
from chengxin.store import atomic
from deliveries import CHANGE, PENALTY, REGISTRATION, START, Office, company, penalty, reg_no, renaming, uscc


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_change", "registration_change", CHANGE)
    office.contract("pen", "penalty", PENALTY)
    office.deliver("test_reg", company(1, reg_no=reg_no(1)), company(2, reg_no=reg_no(2)), day=0)
    return office


def findings(office: Office, dataset: str, n: int = 0) -> list[str]:
    path = office.layout.validation(dataset, office.account(dataset, n).batch_id) / "verdict.json"
    said = Verdict.from_json(atomic.read_json(path)).findings
    return [f.message for f in said if f.rule == "subject.named_otherwise"]


def fine(n: int, name: str, about: int = 1, **more: Any) -> dict[str, Any]:
    return penalty(n, uscc=uscc(about), subject_name=name, **more)


def test_the_code_counts_and_the_other_name_is_told_in_verdict_and_feedback(office: Office) -> None:
    account = office.deliver("pen", fine(1, "湖南示例1有限公司"), fine(2, "湖南示例2有限公司"), day=1)
    assert office.linked("pen") == [(2, 1, "uscc"), (3, 1, "uscc")]
    assert account["verdict"] == "warn"
    assert "有 1 行" in findings(office, "pen")[0]
    [answer] = pipeline.answer(office.contracts["pen"], office.settings, Clock(START))
    lines = (answer.folder / "名称不符.csv").read_text("utf-8-sig").splitlines()
    assert len(lines) == 2 and "湘示罚〔2026〕2号" in lines[1] and "已按代码关联" in lines[1]
    assert "名称不符" in (answer.folder / "回执.txt").read_text("utf-8-sig")


@pytest.mark.parametrize(
    "name", ["湖南示例（1）有限公司", "湖南示例1有限公司（已注销）", "别处没有的公司", "湖南旧名公司", ""]
)
def test_other_spellings_former_names_and_names_of_nobody_are_not_told(office: Office, name: str) -> None:
    office.deliver("test_change", renaming(1, "湖南旧名公司", "湖南示例1有限公司"), day=0.5)
    office.deliver("pen", fine(1, name), day=1)
    assert office.linked("pen") == [(2, 1, "uscc")]
    assert findings(office, "pen") == []


def test_a_name_that_several_others_bear_tells_nothing(office: Office) -> None:
    office.deliver("test_reg", company(3, subject_name="老街小吃店"), company(4, subject_name="老街小吃店"), day=0.5)
    office.deliver("pen", fine(1, "老街小吃店"), day=1)
    assert findings(office, "pen") == []


def test_a_registration_of_both_gives_neither_name_nor_number_of_the_other(office: Office) -> None:
    mixed = company(1, subject_name="湖南示例2有限公司", reg_no=reg_no(2))
    assert office.deliver("test_reg", mixed, day=1)["verdict"] == "warn"
    assert len(findings(office, "test_reg", 1)) == 1
    office.deliver("pen", penalty(1, reg_no=reg_no(2)), fine(2, "湖南示例1有限公司"), day=2)
    assert office.linked("pen") == [(2, 2, "reg_no"), (3, 1, "uscc")]
    assert findings(office, "pen") == []
    office.publish()
    assert office.table("subject", "name") == [("湖南示例1有限公司",), ("湖南示例2有限公司",)]


def test_a_registration_that_takes_a_name_of_another_keeps_its_own_number(office: Office) -> None:
    office.deliver("test_reg", company(1, subject_name="湖南示例2有限公司", reg_no=reg_no(1)), day=1)
    assert findings(office, "test_reg", 1) == []
    office.publish()
    assert office.table("subject", "name") == [("湖南示例2有限公司",), ("湖南示例2有限公司",)]
