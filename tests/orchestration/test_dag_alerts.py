"""The alert of a run that is not done in time: when, and what it says."""

import logging
from datetime import timedelta

import pytest

from chengxin.contracts.loader import load
from chengxin.orchestration import alerts
from chengxin.settings import PROJECT


@pytest.fixture(scope="module")
def contract():
    return load(PROJECT / "dags" / "contracts", only="tax_arrears").contracts["tax_arrears"]


def test_the_alert_can_be_switched_off_and_is_on_by_itself(contract, monkeypatch):
    monkeypatch.delenv("CHENGXIN_DEADLINES", raising=False)
    alert = alerts.run_in_time(contract)
    assert alert.interval == timedelta(hours=12)
    assert alert.callback.path == "chengxin.orchestration.alerts.tell_late_run"
    monkeypatch.setenv("CHENGXIN_DEADLINES", "off")
    assert alerts.run_in_time(contract) is None


def test_it_says_whose_run_is_late_and_what_to_press(contract, monkeypatch, caplog):
    monkeypatch.delenv("CHENGXIN_DEADLINES", raising=False)
    with caplog.at_level(logging.ERROR):
        alerts.tell_late_run(**alerts.run_in_time(contract).callback.kwargs, context={"dag_run": {"run_id": "r-1"}})
    assert contract.department.name in caplog.text
    assert "r-1" in caplog.text
    assert "清除" in caplog.text
