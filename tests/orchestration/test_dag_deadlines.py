"""The deadlines of an ingest DAG: which there are, when a delivery is due, and what is entered when one is missed."""

from datetime import UTC, datetime, timedelta

import pytest

from chengxin.contracts.loader import load
from chengxin.operations.alerts.book import Book
from chengxin.orchestration import alerts, deadlines
from chengxin.settings import PROJECT
from chengxin.store.layout import Layout
from deliveries import REGISTRATION, Office, company


@pytest.fixture(scope="module")
def contract():
    return load(PROJECT / "dags" / "contracts", only="tax_arrears").contracts["tax_arrears"]


def test_deadlines_of_delivery_and_run_can_be_switched_off(contract, monkeypatch):
    monkeypatch.delenv("CHENGXIN_DEADLINES", raising=False)
    late, slow = deadlines.deadlines(contract)
    assert (late.name, late.interval) == ("报送逾期", timedelta())
    assert (slow.name, slow.interval) == ("运行逾时", timedelta(hours=12))
    assert late.callback.path == "chengxin.orchestration.deadlines.tell_overdue"
    monkeypatch.setenv("CHENGXIN_DEADLINES", "off")
    assert deadlines.deadlines(contract) is None


def test_what_comes_irregularly_is_never_due(contract):
    irregular = contract.model_copy(update={"delivery": contract.delivery.model_copy(update={"cadence": "irregular"})})
    assert [d.name for d in deadlines.deadlines(irregular)] == ["运行逾时"]


def test_a_delivery_is_late_from_midnight_after_its_last_day():
    due = deadlines.DeliveryDue("x", "weekly", 2).due(datetime(2026, 3, 1, 20, tzinfo=UTC))
    # 2 March in China; a week later is Monday the 9th, two working days more Wednesday the 11th
    assert due == datetime.fromisoformat("2026-03-12T00:00:00+08:00")
    assert deadlines.DeliveryDue("x", "irregular", 2).due(datetime(2026, 3, 1, tzinfo=UTC)) is None


def test_airflow_can_store_the_reference_and_read_it_again():
    reference = deadlines.DeliveryDue("x", "weekly", 2)
    assert deadlines.DeliveryDue.deserialize_reference(reference.serialize_reference()) == reference


def test_a_slow_run_is_one_cause_whichever_run_it_is(contract, tmp_path, monkeypatch):
    monkeypatch.setenv("CHENGXIN_HOME", str(tmp_path))
    who = deadlines.deadlines(contract)[1].callback.kwargs
    for run in ("r-1", "r-2"):
        deadlines.tell_slow_run(**who, context={"dag_run": {"dag_run_id": run}})
    (entry,) = Book(Layout(tmp_path)).open_entries()
    assert (entry.cause.kind, entry.cause.department, entry.times) == ("slow", contract.department.name, 2)
    assert entry.cause.page.endswith("/runs/r-2")


def test_a_delivery_that_is_not_overdue_after_all_is_not_told(tmp_path, monkeypatch):
    monkeypatch.setenv("CHENGXIN_HOME", str(tmp_path))
    deadlines.tell_overdue("tax_arrears")
    assert Book(Layout(tmp_path)).entries() == []


def test_a_late_arrival_updates_the_alert_one_in_time_ends_it(tmp_path, monkeypatch):
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    monkeypatch.setenv("CHENGXIN_HOME", str(office.settings.home))
    monkeypatch.setenv("CHENGXIN_CONTRACTS", str(office.settings.contracts))
    monkeypatch.setenv("CHENGXIN_NOW", "2026-05-20T04:00:00+00:00")
    office.deliver("reg", company(1), day=0)
    deadlines.tell_overdue("reg")
    (before,) = Book(office.layout).open_entries()
    office.deliver("reg", company(2), day=10)
    alerts.arrived(office.contracts["reg"])
    (after,) = Book(office.layout).open_entries()
    assert "2026-03-02" in before.cause.text and "2026-03-12" in after.cause.text
    monkeypatch.setenv("CHENGXIN_NOW", "2026-03-14T04:00:00+00:00")
    alerts.arrived(office.contracts["reg"])
    assert Book(office.layout).open_entries() == []
