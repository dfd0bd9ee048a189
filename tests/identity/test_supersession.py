"""Subjects that are one: two persons say so, a table is published, and undone nothing is left of it."""

from datetime import timedelta
from pathlib import Path

import pytest

from chengxin.cli.inspect import show
from chengxin.clock import Clock
from chengxin.errors import JudgementRefused
from chengxin.home import Home
from chengxin.identity import ledger, supersession
from chengxin.pipeline import judgements
from deliveries import (
    PENALTY,
    PERSON,
    REGISTRATION,
    START,
    Office,
    built_once,
    company,
    lasting,
    penalty,
    person_doc,
    uscc,
)

NAME = "长沙凯岳建材有限公司"


@pytest.fixture
@built_once
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_pen", "penalty", PENALTY)
    office.contract("test_person", "person_base", PERSON)
    old = company(2, subject_name=NAME, uscc="", reg_no="430102000000013", legal_rep_name="示例甲")
    new = company(1, subject_name=NAME, legal_rep_name="示例甲")
    office.deliver("test_reg", new, company(3), old, day=0)
    office.deliver("test_reg", company(4, uscc=uscc(4, kind="92")), day=0.1)
    person = {"person_name": "张示例", "person_doc_no": person_doc(1), "region_code": "430102"}
    office.deliver("test_person", person, day=0)
    office.deliver("test_pen", penalty(1, uscc=uscc(1)), penalty(2, reg_no="430102000000013"), day=1)
    office.publish(day=1)
    return office


def home(office: Office, day: float = 2) -> Home:
    return Home(office.settings, Clock(START + timedelta(days=day)))


def merge(office: Office, first: int, second: int, by: str) -> ledger.Judgement:
    return judgements.merge(home(office), (first, second), by=by, reason="登记档案")


def test_two_persons_merge_and_a_split_leaves_nothing_behind(office: Office) -> None:
    before = lasting(office.snapshot())
    (found,) = judgements.twins(home(office), 20)
    assert (found.first, found.second) == (1, 3)
    proposed = merge(office, 3, 1, "甲")
    assert office.publish(day=2) is None
    with pytest.raises(JudgementRefused, match="须由另一人确认"):
        merge(office, 1, 3, "甲")
    assert merge(office, 1, 3, "乙").confirms == proposed.id
    assert office.publish(day=3) is not None
    assert office.table("subject_supersession", "subject_id, superseded_by, judgement") == [(3, 1, proposed.id)]
    assert office.table("penalty", "subject_id, linked_subject_id") == [(1, 3), (1, None)]
    assert office.table("subject_supersession", tier="open") == []
    assert judgements.twins(home(office), 20) == []
    shown = show(home(office), "3", "government")["subjects"]
    assert [(one["subject_id"], one["superseded"], len(one["tables"]["penalty"])) for one in shown] == [(1, 3, 2)]
    (then,) = show(home(office), "3", "government", (START + timedelta(days=1)).date())["subjects"]
    assert [row["subject_id"] for row in then["tables"]["penalty"]] == [3]
    assert office.publish(day=3) is None
    judgements.split(home(office), 3, by="丙", reason="看错了")
    office.publish(day=4)
    assert lasting(office.snapshot()) == before
    with pytest.raises(JudgementRefused):
        judgements.split(home(office), 3, by="丙", reason="看错了")


def test_who_merges_learns_which_decisions_both_have(office: Office) -> None:
    assert judgements.shared(home(office), (1, 3)) == 0
    office.deliver("test_pen", penalty(1, reg_no="430102000000013"), day=2)
    office.publish(day=2)
    assert judgements.shared(home(office), (1, 3)) == judgements.shared(home(office), (3, 1)) == 1
    for by in "甲乙":
        merge(office, 1, 3, by)
    office.publish(day=3)
    assert office.table("penalty", "subject_id, linked_subject_id") == [(1, 3), (1, 3), (1, None)]
    assert judgements.shared(home(office), (1, 3)) == 1


def test_only_two_firms_of_the_registry_are_merged(office: Office) -> None:
    kinds = {kind: s for s, kind in office.table("subject", "subject_id, subject_type", "assembly")}
    for first, second in ((1, 1), (1, 99), (1, kinds["person"]), (kinds["household"], 1)):
        with pytest.raises(JudgementRefused, match="不能合并"):
            merge(office, first, second, "甲")


@pytest.mark.parametrize("order", [((5, 9), (2, 5), (9, 12)), ((9, 12), (5, 9), (2, 5)), ((2, 5), (9, 12), (5, 9))])
def test_the_lowest_id_stays_whatever_the_order(order: tuple[tuple[int, int], ...]) -> None:
    said = [
        ledger.Judgement(
            id=n, at=f"2026-05-0{n + 1}T00:00:00+00:00", author="甲", subject_id=low, part="subject",
            value=str(high), outcome="same", reason="r",
        )
        for n, (low, high) in enumerate(order)
    ]  # fmt: skip
    assert {row["subject_id"]: row["superseded_by"] for row in supersession.rows(said)} == {5: 2, 9: 2, 12: 2}
