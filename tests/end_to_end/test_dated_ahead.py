"""A pull that is dated in the future is held: it would win over every correction to come."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chengxin import pipeline
from chengxin.clock import SHANGHAI, Clock
from chengxin.connectors.files.drop import file_delivery
from chengxin.facts import Batch
from chengxin.home import Home
from deliveries import PENALTY, REGISTRATION, Office, company, penalty, uscc

TODAY = datetime(2031, 3, 3, 10, tzinfo=SHANGHAI)  # later than any machine's clock: the home's decides
YEAR = timedelta(days=365)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", PENALTY)
    office.deliver("reg", company(1), day=0)
    return office


def pulled(office: Office, path: Path, as_of: datetime, at: datetime, **locator: Any) -> tuple[Batch, dict[str, Any]]:
    """Take these bytes in as what a source says is of another time than now."""
    home, contract = Home(office.settings, Clock(at)), office.contracts["pen"]
    offered = file_delivery(home, contract, path)
    offered = replace(offered, offered_at=as_of, locator=replace(offered.locator, **locator))
    landed = pipeline.land(home, contract, offered)
    return landed, pipeline.ingest(home, contract, landed)


def test_it_is_held_and_says_so_and_corrections_count(office: Office) -> None:
    wrong = office.write("pen", [penalty(1, uscc=uscc(1), item_name="旧")], day=1)
    landed, account = pulled(office, wrong, TODAY + YEAR, TODAY, live=True)
    assert (account["verdict"], account["quarantined"]) == ("hold", 1)
    verdict = office.verdict("pen", landed.batch_id)
    [found] = [f for f in verdict.findings if f.severity == "critical"]
    assert found.rule == "delivery.future" and "2032-03-02" in found.message
    right = office.write("pen", [penalty(1, uscc=uscc(1), item_name="新")], day=2)
    later = TODAY + timedelta(days=1)
    landed, account = pulled(office, right, later, later, live=True)
    assert (account["accepted"], landed.as_of) == (1, later), "no pull is put behind one that is held for its date"
    office.publish(2_000)
    assert office.table("penalty", "item_name") == [("新",)]


def test_the_same_bytes_with_their_right_time_are_taken(office: Office) -> None:
    path = office.write("pen", [penalty(1, uscc=uscc(1))], day=1)
    assert pulled(office, path, TODAY + YEAR, TODAY)[1]["verdict"] == "hold"
    assert pulled(office, path, TODAY, TODAY)[1]["accepted"] == 1


@pytest.mark.parametrize(("hours", "verdict"), [(13, "accept"), (14, "hold")])
def test_a_day_is_one_of_shanghai(office: Office, hours: int, verdict: str) -> None:
    path = office.write("pen", [penalty(1, uscc=uscc(1))], day=1)
    assert pulled(office, path, TODAY + timedelta(hours=hours), TODAY)[1]["verdict"] == verdict
