"""Airflow's own share of a task, imported in the process from which tasks are forked.

Internal: `airflow.sdk.execution_time`, `airflow.sdk.listener`. Public alternative: `[core] mp_forkserver_preload`,
which makes each task dearer (docs/decisions/20261125-tasks-forked-from-a-loaded-process.md).
"""

import logging


def load() -> None:
    """Import it; without it every task imports it by itself, so a release that moved it only costs time."""
    try:
        from airflow.sdk.execution_time import task_runner  # noqa: F401
        from airflow.sdk.listener import get_listener_manager
    except ImportError as error:
        logging.getLogger(__name__).warning("Airflow 的任务代码未能预先载入，每个任务将自行载入：%s", error)
    else:
        get_listener_manager()
