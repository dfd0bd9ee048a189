"""Which sources are looked at, and what becomes of those that do not answer."""

from datetime import UTC, datetime, timedelta

import pytest

from chengxin.contracts.cadence import is_look_due
from chengxin.operations.alerts.book import Book
from chengxin.orchestration import collect
from deliveries import REGISTRATION, Office, company

FIVE = datetime(2026, 3, 2, 21, 0, tzinfo=UTC)  # 5:00 of the third in China


@pytest.fixture
def office(tmp_path, monkeypatch):
    office = Office(tmp_path)
    monkeypatch.setenv("CHENGXIN_HOME", str(office.settings.home))
    monkeypatch.setenv("CHENGXIN_CONTRACTS", str(office.settings.contracts))
    monkeypatch.setenv("CHENGXIN_NOW", FIVE.isoformat())
    for name, cadence in (("weekly", "weekly"), ("now_and_then", "irregular")):
        delivery = {"options": {"folder": name}, "cadence": cadence}
        office.contract(name, "registration", REGISTRATION, delivery=delivery)
        inbox = office.layout.home / "inbox" / name
        inbox.mkdir(parents=True)
        office.write(name, [company(len(name))], day=0).rename(inbox / "one.csv")
    away = {"connector": "database", "options": {"connection": "nowhere", "table": "t"}, "cadence": "hourly"}
    office.contract("away", "registration", REGISTRATION, delivery=away)
    return office


class Kept(dict):
    """What Airflow keeps of an asset."""

    set = dict.__setitem__


@pytest.mark.parametrize(
    ("cadence", "looked", "due"),
    [
        ("hourly", FIVE - timedelta(minutes=1), True),
        ("hourly", FIVE, False),
        ("daily", FIVE - timedelta(hours=12), True),
        ("weekly", FIVE - timedelta(hours=23), True),
        ("irregular", FIVE + timedelta(seconds=1), False),
        ("monthly", None, True),
    ],
)
def test_a_cadence_decides_when_a_source_is_looked_at(cadence, looked, due):
    assert is_look_due(cadence, looked, FIVE) is due
    assert not is_look_due("daily", FIVE, FIVE + timedelta(hours=11, minutes=59))
    assert is_look_due("daily", FIVE, FIVE + timedelta(hours=12)), "17:00"


def test_what_is_offered_is_received_when_it_is_due(office):
    kept = Kept()
    done = collect.look_round(office.contracts, kept, "/p", everything=False)
    assert done.domains == {"test"}
    assert done.keys == {"T-1|4300|202603"}, "what nobody expects has no key"
    assert {d: looked["at"] for d, looked in kept["test"].items()} == {
        "weekly": FIVE.isoformat(), "now_and_then": FIVE.isoformat(), "away": None,
    }  # fmt: skip
    for everything, waiting in ((False, set()), (True, {"test"})):
        for name in ("weekly", "now_and_then"):
            office.write(name, [company(50 + everything)], day=1).rename(office.layout.home / "inbox" / name / "2.csv")
        assert collect.look_round(office.contracts, kept, "/p", everything=everything).domains == waiting


def test_a_source_that_is_away_is_an_alert_after_some_looks(office):
    kept, book = Kept(), Book(office.layout)
    for look in range(collect.IN_VAIN):
        assert book.open_entries() == [], look
        failed = collect.look_round(office.contracts, kept, "/p", everything=False).failed
    (entry,) = book.open_entries()
    assert (entry.cause.kind, entry.cause.about, entry.cause.page) == ("source", "away", "/p")
    assert len(failed) == 1
    office.contract("away", "registration", REGISTRATION, delivery={"options": {"folder": "away"}})
    collect.look_round(office.contracts, kept, "/p", everything=False)
    assert book.open_entries() == []
