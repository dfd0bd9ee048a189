"""One decision under a key that is written otherwise, or a contract with its roles exchanged: told, and kept."""

import csv
from pathlib import Path
from typing import Any

import pytest

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.home import Home
from deliveries import GUARANTEE, PENALTY, REGISTRATION, START, Office, company, counts, penalty, uscc

NAMES = ("source_record_id", *PENALTY, "delivery_status_code")
FULL, SHORT = "示例市市场监督管理局", "示例市市监局"


def office_with(folder: Path, kind: str = "penalty", names: tuple[str, ...] = NAMES, **delivery: Any) -> Office:
    office = Office(folder)
    office.contract("reg", "registration", REGISTRATION)
    columns = [{"source": n, "element": n, "required": True} if n == "source_record_id" else
               {"source": n, "element": n, "optional": True} for n in names]  # fmt: skip
    office.contract("list", kind, names, columns=columns, delivery={"options": {"folder": "x"}} | delivery)
    office.deliver("reg", *[company(n) for n in range(1, 6)], day=0)
    return office


def found(office: Office, n: int) -> dict[str, str]:
    account = office.account("list", n)
    said = office.verdict("list", account.batch_id).findings
    return {f.rule: f.observed or "" for f in said if f.rule.startswith("record.")}


def decision(n: int, *, number: str = "", about: int = 1, **more: Any) -> dict[str, Any]:
    more = {"authority_name": FULL, "source_record_id": f"k{n}"} | more
    return penalty(n, uscc=uscc(about), **more) | ({"decision_no": number} if number else {})


@pytest.mark.parametrize(
    ("again", "rules"),
    [
        ({"authority_name": SHORT}, {"record.twin": "1"}),
        ({"number": "湘示罚〔2026〕001号"}, {"record.twin": "1"}),
        ({"number": "湘示罚字〔2026〕第1号", "authority_name": SHORT}, {"record.twin": "1"}),
        ({"number": "湘示罚2026-01"}, {"record.twin": "1"}),
        ({"number": "湘示罚〔2026〕11号"}, {}),
        ({"number": "湘示罚〔2026〕10号"}, {}),
        ({"number": "湘示改〔2026〕1号"}, {}),  # another series of the same day
        ({"authority_name": SHORT, "about": 2}, {}),  # the other party of one decision
        ({"authority_name": SHORT, "decision_on": "2026-01-16"}, {}),
        ({"authority_name": FULL}, {}),  # the same record once more
    ],
)
def test_a_decision_sent_again_in_other_writing_is_told(tmp_path: Path, again: Any, rules: Any) -> None:
    office = office_with(tmp_path)
    office.deliver("list", decision(1), decision(2), day=1)
    office.deliver("list", decision(1, source_record_id="k9", **again), day=2)
    assert (found(office, 0), found(office, 1)) == ({}, rules)
    assert office.account("list", 1).verdict == ("warn" if rules else "accept")


def test_the_place_of_the_other_is_in_the_answer(tmp_path: Path) -> None:
    office = office_with(tmp_path)
    office.deliver("list", decision(1), decision(2), day=1)
    office.deliver("list", decision(3), decision(2, source_record_id="k9", authority_name=SHORT), day=2)
    answers = pipeline.answer(Home(office.settings, Clock(START)), office.contracts["list"])
    lines = list(csv.reader((answers[-1].folder / "主键相同.csv").read_text("utf-8-sig").splitlines()))[1:]
    [line] = lines
    assert (line[1], line[4]) == ("3", "record.twin")
    assert office.account("list", 0).batch_id in line[5] and "第 3 行" in line[5]
    assert "“主键相同”表" in (answers[-1].folder / "回执.txt").read_text("utf-8-sig")


def test_two_writings_in_one_delivery_are_told_of_full_ones_too(tmp_path: Path) -> None:
    office = office_with(tmp_path, mode="full")
    rows = [decision(1), decision(2), decision(1, number="湘示罚〔2026〕01号", source_record_id="k7")]
    office.deliver("list", *rows, day=1)
    assert found(office, 0) == {"record.twin": "1"}
    office.deliver("list", decision(1, number="湘示罚〔2026〕01号"), decision(2), day=2)
    assert found(office, 1) == {}  # what it names otherwise, it has withdrawn


def test_what_was_deleted_or_told_by_its_number_is_no_twin(tmp_path: Path) -> None:
    office = office_with(tmp_path)
    office.deliver("list", decision(1), decision(2), day=1)
    again = decision(1, source_record_id="k9", authority_name=SHORT)
    office.deliver("list", decision(1, delivery_status_code="2"), again, day=2)
    assert found(office, 1) == {}
    office.deliver("list", decision(2, authority_name=SHORT), day=3)
    assert found(office, 2) == {"record.same_number": "1"}


def test_the_same_rows_with_new_numbers_of_their_own_are_told(tmp_path: Path) -> None:
    office = office_with(tmp_path, versions_by="source_record_id")
    items = [decision(1, item_name="甲案"), decision(1, item_name="乙案", source_record_id="k1-2")]
    office.deliver("list", *items, decision(2), day=1)
    assert found(office, 0) == {}  # two items of one decision
    again = [r | {"source_record_id": f"new {n}"} for n, r in enumerate((*items, decision(2)))]
    assert counts(office.deliver("list", *again, day=2)) == (3, 0, 0, 0)
    assert found(office, 1) == {"record.twin": "3"}


@pytest.mark.slow
def test_a_waiting_record_is_compared_once_its_subject_is_known(tmp_path: Path) -> None:
    office = office_with(tmp_path)
    office.deliver("list", decision(1, about=9), day=1)
    office.deliver("list", decision(1, about=9, source_record_id="k9", authority_name=SHORT), day=2)
    office.deliver("reg", company(9), day=3)
    office.publish()
    assert (found(office, 0), found(office, 1)) == ({}, {"record.twin": "1"})


def test_a_listing_by_another_authority_on_the_same_day_is_told(tmp_path: Path) -> None:
    office = office_with(
        tmp_path, "abnormal_operation", ("uscc", "listed_on", "authority_name", "delivery_status_code")
    )
    row = {"uscc": uscc(1), "listed_on": "2026-01-05", "authority_name": FULL}
    office.deliver("list", row, day=1)
    office.deliver("list", row | {"authority_name": SHORT}, row | {"listed_on": "2026-02-05"}, day=2)
    assert found(office, 1) == {"record.twin": "1"}


def guarantee(n: int, one: int, other: int, **more: Any) -> dict[str, Any]:
    return {"uscc": uscc(one), "related_uscc": uscc(other), "institution_code": "示例行", "contract_no": f"示保{n}号",
            "valid_from_on": "2026-01-01"} | more  # fmt: skip


@pytest.mark.parametrize(
    ("again", "rules"),
    [
        (guarantee(1, 2, 1), {"record.exchanged": "1"}),
        (guarantee(1, 1, 2, contract_no="示保001号"), {"record.twin": "1"}),
        (guarantee(2, 2, 1), {}),  # two firms that vouch for each other
        (guarantee(1, 1, 3), {}),  # one firm vouches for several by one contract: the key says who it is, no more
        (guarantee(1, 3, 2), {}),  # several vouch for one
    ],
)
def test_exchanged_roles_of_a_known_contract_are_told(tmp_path: Path, again: Any, rules: Any) -> None:
    office = office_with(tmp_path, "guarantee", (*GUARANTEE, "delivery_status_code"))
    office.deliver("list", guarantee(1, 1, 2), day=1)
    office.deliver("list", again, day=2)
    assert found(office, 1) == rules


def test_firms_that_guarantee_each_other_are_not_reported(tmp_path: Path) -> None:
    office = office_with(tmp_path, "guarantee", (*GUARANTEE, "delivery_status_code"))
    office.deliver("list", guarantee(1, 1, 2), guarantee(1, 2, 1), day=1)
    assert found(office, 0) == {}
