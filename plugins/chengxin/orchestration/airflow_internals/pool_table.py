"""Rows of Airflow's table of pools, made by the scheduler when a run starts.

Internal: `airflow.models`, the scheduler's own session. Public alternative: `airflow pools import`, the REST API. Both
come too late for a contract that is added while all runs: a task whose pool does not exist is never started. Reasons:
docs/decisions/20261125-pools-by-a-listener.md.
"""

from collections.abc import Mapping
from typing import Any

from airflow.models.pool import Pool
from airflow.models.taskinstance import TaskInstance
from sqlalchemy import inspect, select
from sqlalchemy.dialects import postgresql, sqlite


def make_missing_of(dag_run: Any, prefix: str, new: Mapping[str, Any]) -> None:
    """Make the pools that the tasks of a starting run name and that do not exist yet. Runs in the scheduler."""
    session = inspect(dag_run).session
    if session is not None:
        make_missing(session, dag_run.dag_id, dag_run.run_id, prefix, new)


def make_missing(session: Any, dag_id: str, run_id: str, prefix: str, new: Mapping[str, Any]) -> None:
    """Make what pools of this prefix are missing, within the transaction of the scheduler, which alone may commit it.

    new: the columns of a new pool, but for its name.

    Another scheduler may do the same at the same time: the one that comes later changes nothing. In a savepoint: on
    PostgreSQL a statement that fails would else take the scheduler's own transaction with it. One of the connection,
    for the scheduler takes the end of a session's savepoint for a commit, which it forbids.
    """
    session.flush()
    connection = session.connection()
    mine = select(TaskInstance.pool).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
    there = select(Pool.pool).where(Pool.pool == TaskInstance.pool)
    wanted = mine.where(TaskInstance.pool.startswith(prefix), ~there.exists()).distinct().order_by(TaskInstance.pool)
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    with connection.begin_nested():
        for name in connection.scalars(wanted).all():
            connection.execute(insert(Pool).values(pool=name, **new).on_conflict_do_nothing(index_elements=["pool"]))
