"""What the DAG of a contract and the drain of a domain are made of, from the shipped contracts."""

from pathlib import Path

import pytest
from airflow.sdk.exceptions import ParamValidationError

from chengxin.contracts.loader import domains, load
from chengxin.errors import ContractError
from chengxin.orchestration import collect, drain, forms, ingest
from chengxin.settings import PROJECT


@pytest.fixture(scope="module")
def contracts():
    return load(PROJECT / "dags" / "contracts").contracts


@pytest.fixture(scope="module")
def dag(contracts):
    return ingest.build(contracts["tax_arrears"])


def test_a_dag_has_tags_of_department_kind_region_and_an_owner(dag, contracts):
    contract = contracts["tax_arrears"]
    assert {contract.department.name, "tax_arrears", "430000 湖南省"} <= dag.tags
    assert {task.owner for task in dag.tasks} == {contract.department.name}


def test_a_contract_is_one_task_that_only_people_start(dag):
    assert [task.task_id for task in dag.tasks] == ["act"]
    assert not dag.timetable.can_be_scheduled
    assert (dag.max_active_runs, dag.is_paused_upon_creation) == (1, False)


def test_there_is_a_drain_for_each_domain(contracts):
    found = domains(PROJECT / "dags" / "contracts")
    assert found.keys() == {contract.domain for contract in contracts.values()}
    assert sorted(name for names in found.values() for name in names) == sorted(contracts)
    built = drain.build("tax")
    assert [task.task_id for task in built.tasks] == ["plan", "drain", "settle"]
    assert built.max_active_runs == 1, "a data set is not in two chunks"
    collected = {asset.name for asset in collect.build(found).get_task("collect").outlets}
    assert {f"waiting__{domain}" for domain in found} < collected


def test_every_task_retries_by_what_went_wrong(dag):
    for task in [*dag.tasks, *drain.build("tax").tasks, *collect.build([]).tasks]:
        assert task.retry_policy is not None and task.retries == 3
        assert task.retry_exponential_backoff == 2.0


def test_hours_are_chinas():
    assert str(collect.QUARTERS.timezone) == "Asia/Shanghai"


def test_the_form_starts_with_what_the_schedule_does(dag):
    assert dag.params["action"] == forms.NEW
    assert dag.params.get_param("action").schema["values_display"].keys() == forms.ACTIONS.keys()
    dag.params.validate()


@pytest.mark.parametrize(("name", "wrong"), [("action", "delete"), ("batch", "../../etc"), ("file", "")])
def test_the_form_refuses_nonsense(contracts, name, wrong):
    params = ingest.build(contracts["tax_arrears"]).params
    with pytest.raises(ParamValidationError):
        params[name] = wrong


def test_a_time_without_offset_is_chinas():
    assert forms.asked_since({"since": "2026-10-01T08:00:00"}).utcoffset().total_seconds() == 8 * 3600
    assert forms.asked_since({"since": "2026-10-01T00:00:00Z"}).utcoffset().total_seconds() == 0


@pytest.mark.parametrize("wrong", [None, "", "gestern", "2026-13-01"])
def test_a_time_that_is_none_is_told_in_words(wrong):
    with pytest.raises(ContractError, match="起始时间"):
        forms.asked_since({"since": wrong})


def test_no_dag_file_names_a_path_of_this_machine():
    assert str(Path.home()) not in "".join(p.read_text() for p in (PROJECT / "dags").glob("*.py"))
