"""A pool for each department, so that no source is asked by all its data sets at once.

A task whose pool does not exist is never started, and a new contract must need nothing but its file: so pools are
made when a run starts, in the scheduler, by this listener. Slots that somebody has set are left alone.
"""

from typing import Any

from airflow.listeners import hookimpl

from chengxin.contracts.models import Contract

PREFIX = "department-"
SLOTS = 2
MEANING = "同时访问该部门的任务数"


def pool_of(contract: Contract) -> str:
    """Return the name of the pool in which the tasks run that speak to a department."""
    return f"{PREFIX}{contract.department.code}"


@hookimpl
def on_dag_run_running(dag_run: Any, msg: str) -> None:
    """Make the pools that the tasks of a starting run name and that do not exist yet. Runs in the scheduler."""
    from sqlalchemy import inspect

    session = inspect(dag_run).session
    if session is not None:
        make_missing(session, dag_run.dag_id, dag_run.run_id)


def make_missing(session: Any, dag_id: str, run_id: str) -> None:
    """Make what pools are missing, within the transaction of the scheduler, which alone may commit it.

    Another scheduler may do the same at the same time: the one that comes later changes nothing. In a savepoint: on
    PostgreSQL a statement that fails would else take the scheduler's own transaction with it. One of the connection,
    for the scheduler takes the end of a session's savepoint for a commit, which it forbids.
    """
    session.flush()
    connection = session.connection()
    with connection.begin_nested():
        _make_missing(connection, dag_id, run_id)


def _make_missing(connection: Any, dag_id: str, run_id: str) -> None:
    from airflow.models.pool import Pool
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select
    from sqlalchemy.dialects import postgresql, sqlite

    mine = select(TaskInstance.pool).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
    there = select(Pool.pool).where(Pool.pool == TaskInstance.pool)
    missing = connection.scalars(
        mine.where(TaskInstance.pool.startswith(PREFIX), ~there.exists()).distinct().order_by(TaskInstance.pool)
    ).all()
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    for name in missing:
        pool = {"pool": name, "slots": SLOTS, "description": MEANING, "include_deferred": False}
        connection.execute(insert(Pool).values(pool).on_conflict_do_nothing(index_elements=["pool"]))
