"""What an ingest DAG is made of, from the shipped contracts."""

from pathlib import Path

import pytest
from airflow.sdk.exceptions import ParamValidationError

from chengxin.contracts.loader import load
from chengxin.errors import ContractError
from chengxin.orchestration import forms, ingest
from chengxin.settings import PROJECT

SOURCE_TASKS = {"discover", "land", "answer"}


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


def test_only_tasks_that_speak_to_the_department_take_its_slots(dag, contracts):
    pooled = {task.task_id for task in dag.tasks if task.pool == "department-430000-SWJ"}
    assert pooled == SOURCE_TASKS
    other = ingest.build(contracts["tax_rating"])
    assert {t.pool for t in other.tasks} == {t.pool for t in dag.tasks}, "one department, one pool"


def test_every_task_retries_by_what_went_wrong(dag):
    assert all(task.retry_policy is not None and task.retries == 3 for task in dag.tasks)
    assert all(task.retry_exponential_backoff == 2.0 for task in dag.tasks)


def test_hours_are_chinas(dag):
    assert dag.timetable.timezone == "Asia/Shanghai"


def test_batches_of_a_data_set_go_one_after_the_other(dag):
    assert (dag.max_active_runs, dag.max_active_tasks) == (1, 1)
    assert all(task.max_active_tis_per_dag == 1 for task in dag.tasks), "beside the runs of a backfill too"
    assert dag.get_task(ingest.BATCH_TASK).downstream_task_ids == {"answer", "all_ended"}


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
