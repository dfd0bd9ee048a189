"""Keys of deliveries and the roll-up of a month, as Airflow's scheduler asks them; what the account of a month says."""

from datetime import UTC, datetime

import pytest
from airflow.partition_mappers.base import RollupMapper
from airflow.partition_mappers.wait_policy import WaitForAll

from chengxin.contracts.loader import load
from chengxin.errors import ContractError
from chengxin.operations.completeness import account
from chengxin.orchestration import completeness
from chengxin.orchestration.partitions import ExpectedDeliveries, MonthOfDelivery, is_expected, key_of
from chengxin.settings import PROJECT
from chengxin.store.layout import Layout
from deliveries import REGISTRATION, START, Office, company


def contract(cadence, code="43A", region="430000", name="x"):
    shipped = load(PROJECT / "dags" / "contracts").contracts["tax_arrears"]
    department = shipped.department.model_copy(update={"code": code})
    delivery = shipped.delivery.model_copy(update={"cadence": cadence})
    return shipped.model_copy(update={"id": name, "department": department, "delivery": delivery, "region": region})


def rollup(*contracts):
    window = ExpectedDeliveries.deserialize(ExpectedDeliveries.of(contracts).serialize())
    return RollupMapper(upstream_mapper=MonthOfDelivery(), window=window, wait_policy=WaitForAll())


def test_the_key_is_department_prefecture_and_month_in_china(monkeypatch):
    offered = {"offered_at": "2025-12-31T00:00:00+00:00", "locator": {}}
    monkeypatch.setenv("CHENGXIN_NOW", "2026-01-31T00:00:00+00:00")
    assert key_of(contract("daily", "43A", "430104"), offered) == "43A|4301|202601"
    late = {**offered, "locator": {"arrived": "2026-10-31T16:30:00+00:00"}}
    assert key_of(contract("daily"), late) == "43A|4300|202611", "whatever period its name says"


def test_a_month_waits_for_everybody_who_is_expected_in_it():
    month = rollup(
        contract("daily"), contract("quarterly", "43B"), contract("yearly", "43C"), contract("irregular", "43D")
    )
    assert month.to_upstream("202611") == {"43A|4300|202611"}
    assert month.to_upstream("202609") == {"43A|4300|202609", "43B|4300|202609"}
    assert month.to_upstream("202612") == {f"{code}|4300|202612" for code in ("43A", "43B", "43C")}
    assert month.to_downstream("43B|4300|202609") == "202609"


def test_the_most_frequent_data_set_of_a_department_counts():
    month = rollup(contract("yearly", name="a"), contract("monthly", name="b"))
    assert month.to_upstream("202601") == {"43A|4300|202601"}


@pytest.mark.parametrize("wrong", ["43A|4300|2026-1x", "nonsense", "43A|4300|"])
def test_a_key_that_names_no_month_is_refused(wrong):
    with pytest.raises(ValueError, match="format"):
        MonthOfDelivery().to_downstream(wrong)


def test_what_nobody_expects_has_no_key():
    assert [is_expected(contract(c)) for c in ("irregular", "daily")] == [False, True]


def test_the_serialised_window_names_pairs_in_a_fixed_order():
    contracts = [contract("daily", code) for code in ("43C", "43A", "43B")]
    assert list(ExpectedDeliveries.of(contracts).serialize()["every"]) == ["43A|4300", "43B|4300", "43C|4300"]


def test_the_account_of_a_month_names_data_sets_without_rows(tmp_path):
    office = Office(tmp_path)
    for name, cadence in (("reg", "daily"), ("rest", "monthly"), ("now_and_then", "irregular")):
        office.contract(name, "registration", REGISTRATION, delivery={"options": {"folder": name}, "cadence": cadence})
    office.deliver("reg", company(1), day=0)
    month = f"{START:%Y%m}"
    found = account(office.contracts, Layout(office.settings.home), month)
    assert found.summary() == {"expected": 2, "missing": ["rest"], "complete": False}
    for word in ("测试部门", "每月", "尚无报送", "cadence"):
        assert word in found.missing["rest"]
    with pytest.raises(ContractError, match="不是月份"):
        account(office.contracts, Layout(office.settings.home), "2026-10")


def test_the_same_answer_is_not_told_twice(tmp_path, monkeypatch):
    from airflow.sdk.exceptions import AirflowSkipException

    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION, delivery={"options": {"folder": "reg"}, "cadence": "daily"})
    monkeypatch.setenv("CHENGXIN_HOME", str(office.settings.home))
    monkeypatch.setenv("CHENGXIN_CONTRACTS", str(office.settings.contracts))
    monkeypatch.setenv("CHENGXIN_NOW", datetime(2026, 4, 5, tzinfo=UTC).isoformat())

    class Told(dict):
        set = dict.__setitem__

    told = Told()
    assert completeness.tell_month(None, told) == {
        "month": "202603",
        "expected": 1,
        "missing": ["reg"],
        "complete": False,
    }
    with pytest.raises(AirflowSkipException, match="与上次相同"):
        completeness.tell_month("202603", told)
    office.deliver("reg", company(1), day=0)
    assert completeness.tell_month("202603", told)["complete"]
