"""The period in a file's name orders versions; "today", receipts and pages go by when the file was taken."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chengxin import pipeline
from chengxin.cli.inspect import status
from chengxin.clock import Clock
from chengxin.connectors.files.drop import file_delivery
from chengxin.facts import Batch
from chengxin.home import Home
from deliveries import PENALTY, REGISTRATION, Office, company, penalty, uscc

NOW = datetime(2026, 11, 30, 17, tzinfo=UTC)  # 1 December in Shanghai
PATTERNS = {"year": "2024", "quarter": "2024Q3", "month": "202410", "date": "20241009"}


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.deliver("reg", company(1), day=0)
    return office


def send(office: Office, field: str, period: str, rows: list[dict], *, mode: str = "incremental") -> Batch:
    """Take a list of a period in, now; the file itself is older still."""
    options = {"folder": "pen", "pattern": f"处罚_{{{field}}}.csv"}
    office.contract("pen", "penalty", PENALTY, delivery={"mode": mode, "options": options})
    path = office.write("pen", rows, day=0)
    path = path.rename(path.with_name(f"处罚_{period}.csv"))
    os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    contract = office.contracts["pen"]
    landed = pipeline.land(
        Home(office.settings, Clock(NOW)), contract, file_delivery(Home(office.settings, Clock(NOW)), contract, path)
    )
    pipeline.ingest(Home(office.settings, Clock(NOW)), contract, landed)
    return landed


@pytest.mark.parametrize("field", PATTERNS)
def test_an_event_after_the_period_of_a_list_is_no_future(office: Office, field: str) -> None:
    landed = send(office, field, PATTERNS[field], [penalty(1, uscc=uscc(1), decision_on="2025-06-03")])
    assert landed.as_of.year == 2024
    assert landed.received_at == NOW
    account = office.account("pen")
    assert (account.accepted, account.quarantined) == (1, 0)
    assert account.received_at == NOW.isoformat()
    assert [rule for _, rule, _ in office.issues("pen") if "future" in rule] == []


def test_an_event_after_the_arrival_is_in_the_future(office: Office) -> None:
    landed = send(office, "year", "2024", [penalty(1, uscc=uscc(1), decision_on="2026-12-02")])
    found = {finding.rule for finding in office.verdict("pen", landed.batch_id).findings}
    assert "penalty.decision_on.future" in found


def test_receipt_and_status_tell_when_it_came_in_shanghai(office: Office) -> None:
    send(office, "year", "2024", [penalty(1, uscc=uscc(1))])
    (answered,) = pipeline.answer(Home(office.settings, Clock(NOW)), office.contracts["pen"])
    assert "接收时间：2026-12-01 01:00（北京时间）" in (answered.folder / "回执.txt").read_text("utf-8-sig")
    (row,) = (r for r in status(Home(office.settings), office.contracts)["datasets"] if r["dataset"] == "pen")
    assert row["last_received_at"] == "2026-12-01T01:00:00+08:00"


@pytest.mark.slow
def test_a_list_of_an_earlier_year_that_comes_later_is_older(office: Office) -> None:
    send(office, "year", "2025", [penalty(1, uscc=uscc(1), penalty_content="新")], mode="full")
    send(office, "year", "2024", [penalty(1, uscc=uscc(1), penalty_content="旧")], mode="full")
    office.publish()
    ((content, received),) = office.table("penalty", "penalty_content, received_at")
    assert content == "新"
    assert received == NOW


@pytest.mark.parametrize("stamp", [10**12, -(10**9)])
def test_a_file_time_that_cannot_be_keeps_nobody_waiting(office: Office, stamp: int) -> None:
    path = office.write("reg", [company(2)], day=0)
    os.utime(path, (stamp, stamp))
    contract = office.contracts["reg"]
    landed = pipeline.land(
        Home(office.settings, Clock(NOW)), contract, file_delivery(Home(office.settings, Clock(NOW)), contract, path)
    )
    assert landed.as_of <= datetime.now(UTC)
    assert pipeline.ingest(Home(office.settings, Clock(NOW)), contract, landed)["accepted"] == 1
