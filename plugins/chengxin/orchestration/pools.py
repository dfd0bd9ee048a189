"""A pool for each department, so that no source is asked by all its data sets at once.

A task whose pool does not exist is never started, and a new contract must need nothing but its file: so pools are
made when a run starts, in the scheduler, by this listener. Slots that somebody has set are left alone.
"""

from typing import Any

from chengxin.contracts.models import Contract
from chengxin.orchestration.airflow_internals.listeners import hookimpl

PREFIX = "department-"
NEW = {"slots": 2, "description": "同时访问该部门的任务数", "include_deferred": False}


def pool_of(contract: Contract) -> str:
    """Return the name of the pool of the tasks that call a department's source."""
    return f"{PREFIX}{contract.department.code}"


@hookimpl
def on_dag_run_running(dag_run: Any) -> None:
    """Make the pools that the tasks of a starting run name and that do not exist yet. Runs in the scheduler."""
    from chengxin.orchestration.airflow_internals.pool_table import make_missing_of

    make_missing_of(dag_run, PREFIX, NEW)
