"""A waiting row whose mended record came: it is an older version, waits no more, and its department is told."""

import csv
from pathlib import Path
from typing import Any

import pytest

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.home import Home
from chengxin.identity import ledger
from deliveries import GUARANTEE, PENALTY, REGISTRATION, START, Office, company, counts, penalty, uscc

NAMES = ("source_record_id", *PENALTY, "delivery_status_code")


def office_by(folder: Path, names: tuple[str, ...] = NAMES, **delivery: Any) -> Office:
    office = Office(folder)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", names, delivery={"options": {"folder": "pen"}} | delivery)
    office.deliver("test_reg", company(1), company(2, region_code="430302"), day=0)
    return office


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return office_by(tmp_path)


def fine(n: int, about: int = 1, **more: Any) -> dict[str, Any]:
    """Return a penalty; the subjects from 7 on are not registered."""
    return penalty(n, source_record_id=f"k{n}", uscc=uscc(about), subject_name=f"湖南示例{about}有限公司") | more


def bare(row: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in row.items() if k != "source_record_id"}


def shown(office: Office) -> list[tuple[str, str]]:
    office.publish()
    subjects = {number: code for code, number in office.table("subject", "uscc, subject_id")}
    found = office.table("penalty", "subject_id, regexp_extract(decision_no, '(\\d+)号', 1)")
    return sorted((n, subjects[s]) for s, n in found)


def told(office: Office, batch: int = 0) -> list[tuple[str, str]]:
    wanted = office.account("pen", batch).batch_id
    pipeline.answer(Home(office.settings, Clock(START)), office.contracts["pen"])
    folders = sorted((office.layout.home / "feedback" / "pen" / wanted).iterdir())
    path = [f for f in folders if f.is_dir()][-1] / "已更正.csv"
    if not path.exists():
        return []
    return [(line[1], line[5]) for line in list(csv.reader(path.read_text("utf-8-sig").splitlines()))[1:]]


@pytest.mark.parametrize("by", ["key", "source_record_id"])
def test_a_waiting_row_is_settled_by_its_mended_record(tmp_path: Path, by: str) -> None:
    columns = [{"source": n, "element": n, "optional": n != "source_record_id"} for n in NAMES]
    office = office_by(tmp_path)
    office.contract("pen", "penalty", NAMES, columns=columns, delivery={"options": {"folder": "p"}, "versions_by": by})
    assert counts(office.deliver("pen", fine(1, about=7), fine(2, about=8), day=1)) == (0, 0, 0, 2)
    mending = office.deliver("pen", fine(1), day=2)["batch_id"]
    assert shown(office) == [("1", uscc(1))]
    assert counts(office.account("pen", 0)) == (1, 0, 0, 1)
    ((row, words),) = told(office)
    assert row == "2" and mending in words and "第 2 行" in words
    office.deliver("test_reg", company(7), company(8), day=3)  # whom the mistyped code belongs to
    assert shown(office) == [("1", uscc(1)), ("2", uscc(8))]
    assert counts(office.account("pen", 0)) == (2, 0, 0, 0)


@pytest.mark.slow
def test_a_mistyped_code_and_its_owner_at_once_are_one_record(office: Office) -> None:
    office.deliver("pen", fine(1, about=7), day=1)
    office.deliver("test_reg", company(7), day=2)
    office.deliver("pen", fine(1), day=3)
    assert shown(office) == [("1", uscc(1))]


@pytest.mark.slow
def test_another_party_of_the_decision_is_no_mended_record(office: Office) -> None:
    joint = [fine(1), fine(1, about=7)]
    assert counts(office.deliver("pen", *joint, day=1)) == (1, 0, 0, 1)
    assert counts(office.deliver("pen", *joint, fine(5), day=2)) == (1, 0, 1, 1)
    office.deliver("pen", fine(1, penalty_content="改"), day=3)
    office.publish()
    assert [counts(office.account("pen", n))[3] for n in (0, 1)] == [1, 1]
    office.deliver(
        "pen", fine(1, about=2, subject_name="湖南示例7有限公司"), day=4
    )  # its mended row: of another subject
    office.publish()
    assert [counts(office.account("pen", n))[3] for n in (0, 1)] == [0, 0]


def test_the_same_number_with_another_key_is_another_record(office: Office) -> None:
    office.deliver("pen", fine(1, about=7), day=1)
    office.deliver("pen", fine(2, source_record_id="k1"), day=2)
    office.publish()
    assert counts(office.account("pen", 0)) == (0, 0, 0, 1)


@pytest.mark.slow
def test_without_a_source_key_name_and_decision_number_count(tmp_path: Path) -> None:
    office = office_by(tmp_path, NAMES[1:])
    wrong = bare(fine(1, about=7, subject_name="湖南示例1有限公司"))
    office.deliver("pen", wrong, bare(fine(3, about=7, subject_name="甲厂")), day=1)
    office.deliver("pen", bare(fine(1)), bare(fine(3)), day=2)  # of the third, the name differs too
    assert shown(office) == [("1", uscc(1)), ("3", uscc(1))]
    assert counts(office.account("pen", 0)) == (1, 0, 0, 1)


@pytest.mark.slow
def test_a_newer_row_that_waits_is_not_settled_by_an_older_one(office: Office) -> None:
    office.deliver("pen", fine(1, about=7, source_updated_at="2026-02-05 10:00:00"), day=1)
    office.deliver("pen", fine(1, source_updated_at="2026-02-01 10:00:00"), day=2)
    office.publish()
    assert counts(office.account("pen", 0)) == (0, 0, 0, 1)
    office.deliver("pen", fine(1, source_updated_at="2026-02-07 10:00:00"), day=3)
    office.publish()
    assert counts(office.account("pen", 0)) == (1, 0, 0, 0)


@pytest.mark.slow
def test_a_correction_that_came_before_its_original_settles_it(office: Office) -> None:
    office.deliver("pen", fine(1, source_updated_at="2026-02-05 10:00:00"), day=1)
    office.deliver("pen", fine(1, about=7, source_updated_at="2026-02-01 10:00:00"), day=2)
    assert shown(office) == [("1", uscc(1))]
    assert counts(office.account("pen", 1)) == (0, 0, 0, 1), "its record was known: another party of the decision?"
    office.deliver("pen", fine(2, source_updated_at="2026-02-05 10:00:00"), day=3)
    office.deliver(
        "pen", fine(2, about=7, subject_name="湖南示例1有限公司", source_updated_at="2026-02-01 10:00:00"), day=4
    )
    assert shown(office) == [("1", uscc(1)), ("2", uscc(1))]
    assert counts(office.account("pen", 3)) == (1, 0, 0, 0)


@pytest.mark.slow
def test_deleting_the_mended_record_does_not_revive_the_old_row(office: Office) -> None:
    office.deliver("pen", fine(1, about=7), day=1)
    office.deliver("pen", fine(1), day=2)
    assert shown(office) == [("1", uscc(1))]
    office.deliver("pen", fine(1, delivery_status_code="2"), fine(2), day=3)
    assert shown(office) == [("2", uscc(1))]


@pytest.mark.slow
def test_a_judgement_that_reopens_the_record_leaves_it_settled(office: Office) -> None:
    office.deliver("pen", fine(1, about=7), day=1)
    office.deliver("pen", fine(1), day=2)
    assert shown(office) == [("1", uscc(1))]
    subject = dict(office.table("subject", "uscc, subject_id"))[uscc(1)]
    said = ledger.Said(subject_id=subject, part="name_key", value="湖南示例1有限公司", outcome="same", reason="r")
    ledger.judge(office.layout, said, at=START, author="a")
    assert shown(office) == [("1", uscc(1))]
    office.publish()
    assert counts(office.account("pen", 0)) == (1, 0, 0, 0)


@pytest.mark.slow
def test_the_other_party_of_a_contract_that_was_mistyped(tmp_path: Path) -> None:
    office = office_by(tmp_path)
    office.contract("pen", "guarantee", ("source_record_id", *GUARANTEE))
    row = {"source_record_id": "g1", "uscc": uscc(1), "related_uscc": uscc(7), "institution_code": "C1031143000018",
           "contract_no": "HT-2026-001", "valid_from_on": "2026-01-01"}  # fmt: skip
    assert counts(office.deliver("pen", row, day=1)) == (0, 0, 0, 1)
    office.deliver("pen", row | {"related_uscc": uscc(2)}, day=2)
    office.publish()
    assert counts(office.account("pen", 0)) == (1, 0, 0, 0)
    assert len(office.table("guarantee", tier="assembly")) == 1
