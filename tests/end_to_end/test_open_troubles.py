"""`chengxin alerts`, `chengxin overdue` and the pages tell the same troubles, without any Airflow."""

from datetime import datetime, timedelta

import pytest
from pipeline_runs import chengxin

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.home import Home
from chengxin.operations.alerts.book import Book
from chengxin.operations.alerts.causes import Cause, of_contract
from chengxin.operations.index import arrivals, follower, index, lists
from deliveries import PENALTY, REGISTRATION, START, Office, company, penalty, uscc

NOW = Clock(START + timedelta(days=20))
STRICT = {"quality": {"quarantined": {"warn": 0.1, "hold": 0.6}}}


@pytest.fixture
def office(tmp_path):
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    daily = {"connector": "file_drop", "options": {"folder": "test_fines"}, "cadence": "daily", "late_after": 1}
    office.contract("test_fines", "penalty", PENALTY, **STRICT, delivery=daily)
    office.contract("test_penalty", "penalty", PENALTY, **STRICT)
    office.deliver("test_reg", *[company(n) for n in range(3)], day=0)
    office.deliver("test_fines", penalty(1, uscc=uscc(1)), day=0)
    office.deliver("test_penalty", penalty(2, uscc=uscc(1)), day=19)
    return office


def bad(n: int, first: int) -> list[dict]:
    return [penalty(first, uscc=uscc(1)), *[penalty(first + i, uscc=uscc(1), decision_on="") for i in range(1, n)]]


def told(office: Office, *words: str, code: int) -> dict:
    return chengxin(
        office.settings.home, office.settings.contracts, *words, code=code, CHENGXIN_NOW=NOW.now().isoformat()
    )


def alerts(office: Office, code: int = 3) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for entry in told(office, "alerts", code=code)["open"]:
        found.setdefault(entry["cause"]["kind"], []).append(entry)
    return found


def pages(office: Office) -> tuple[set[str], set[str]]:
    """Return the held batches and the late data sets that the pages show."""
    follower.refresh(Home(office.settings))
    with index.reading(index.path_of(Home(office.settings))) as connection:
        held = {r["batch_id"] for r in lists.held_unresolved(connection)}
        return held, {o.dataset for o in arrivals.overdue(connection, NOW.today())}


def test_nothing_open_is_exit_0(tmp_path):
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    (office.settings.home / "inbox").mkdir(parents=True)
    assert told(office, "alerts", code=0) == {"open": []}
    assert told(office, "overdue", code=0)["overdue"] == []


@pytest.mark.slow
def test_held_and_late_agree_with_pages_and_overdue(office):
    first = office.deliver("test_penalty", *bad(61, 100), day=19.5)["batch_id"]
    second = office.deliver("test_penalty", *bad(62, 200), day=19.6)["batch_id"]
    found = alerts(office)
    held, late = pages(office)
    assert {item for e in found["held"] for item in e["items"]} == held == {first, second}
    assert len(found["held"]) == 1, "one cause"
    assert {e["cause"]["about"] for e in found["overdue"]} == late
    assert {o["dataset"] for o in told(office, "overdue", code=3)["overdue"]} == late
    assert "test_fines" in late
    since = datetime.fromisoformat(found["held"][0]["opened_at"])
    assert since == START + timedelta(days=19.5), "since the trouble, not since somebody looked"


@pytest.mark.slow
def test_what_a_later_batch_settles_is_open_no_more(office):
    office.deliver("test_penalty", *bad(61, 100), day=19.5)
    office.deliver("test_penalty", penalty(300, uscc=uscc(2)), day=19.7)
    office.deliver("test_fines", penalty(301, uscc=uscc(2)), day=20)
    found = alerts(office, code=3)
    assert "held" not in found
    assert pages(office)[0] == set()
    assert {e["cause"]["about"] for e in found["overdue"]} == pages(office)[1]


def test_a_stale_book_is_not_believed(office):
    fines, book = office.contracts["test_fines"], Book(office.layout)
    for cause in (
        of_contract("overdue", office.contracts["test_penalty"], "迟"),
        of_contract("held", fines, "整批暂缓", item="test_fines-20260302-0123456789ab"),
        Cause("failed", "test_fines", "任务失败", "land:"),
    ):
        book.open(cause, START)
    found = alerts(office)
    assert "held" not in found
    assert {e["cause"]["about"] for e in found["overdue"]} == pages(office)[1]
    assert [e["cause"]["text"] for e in found["failed"]] == ["任务失败"], "what only happened stands in the book"


def test_a_released_batch_waits_for_somebody_else(office):
    office.publish(day=19)
    batch = office.deliver("test_penalty", *bad(61, 100), day=19.5)["batch_id"]
    landed = pipeline.batch(Home(office.settings), "test_penalty", batch)
    pipeline.release(Home(office.settings, NOW), office.contracts["test_penalty"], landed, "已核实", "li")
    pipeline.ingest(Home(office.settings, NOW), office.contracts["test_penalty"], landed)
    found = alerts(office)
    assert "held" not in found
    ((approval,),) = [found["approval"]]
    assert approval["items"] == [batch]
    assert "li 已放行" in approval["cause"]["text"]
    told(office, "publish", "--approve-as", "wang", "--reason", "已核对", code=0)
    assert "approval" not in alerts(office)


def test_what_the_home_shows_is_not_closed_by_hand(office):
    office.deliver("test_penalty", *bad(61, 100), day=19.5)
    for kind in ("held", "overdue"):
        told(office, "alerts", "--close", alerts(office)[kind][0]["id"], code=2)
    assert {"held", "overdue"} <= alerts(office).keys()


def test_a_contract_that_cannot_be_used_is_open(office):
    (office.settings.contracts / "test" / "broken.yaml").write_text("format: 1\nid: other\n", "utf-8")
    (problem,) = alerts(office)["contracts"]
    assert "test/broken.yaml" in problem["cause"]["text"]
