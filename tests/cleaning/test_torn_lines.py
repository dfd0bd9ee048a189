"""A line break within a value makes a line of one cell, which is refused and speaks of the rows beside it."""

import os
from pathlib import Path

import pytest

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.home import Home
from deliveries import PENALTY, REGISTRATION, START, Office, built_once, company, counts, penalty, uscc

NAMES = ("uscc", "decision_no", "authority_name", "penalty_content", "decision_on")


@pytest.fixture
@built_once
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", PENALTY)
    office.deliver("reg", company(1), day=0)
    return office


def send(office: Office, found: str, put: str) -> tuple[int, int, int, int]:
    """Deliver three rows in whose text `put` stands in the place of `found`; return the counts."""
    rows = [penalty(n, uscc=uscc(1), penalty_content=f"罚款{n}万元整") for n in (1, 2, 3)]
    path = office.write("pen", [{name: row[name] for name in NAMES} for row in rows], day=1, columns=NAMES)
    text = path.read_text("utf-8").replace("\r\n", "\n")
    assert text.count(found) == 1
    at = path.stat().st_mtime
    path.write_text(text.replace(found, put), "utf-8")
    os.utime(path, (at, at))
    return counts(office.ingest("pen", path))


def test_a_row_broken_in_the_middle_costs_only_itself(office: Office) -> None:
    assert send(office, "罚款2万元整", "罚款2\n万元整") == (2, 2, 0, 0)
    assert [(row, rule) for row, rule, _ in office.issues("pen")] == [(3, "row.width"), (4, "row.width")]


def test_half_a_last_value_is_refused_and_names_its_neighbours(office: Office) -> None:
    assert send(office, "罚款3万元整,2026-01-15\n", "罚款3万元整,2026-01-15\n00:00\n") == (3, 1, 0, 0)
    assert [(row, rule) for row, rule, _ in office.issues("pen")] == [(5, "row.width")]
    [answer] = pipeline.answer(Home(office.settings, Clock(START)), office.contracts["pen"])
    assert "连同那一行重新报送" in (answer.folder / "需更正.csv").read_text("utf-8-sig")
