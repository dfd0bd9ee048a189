"""Imports once, in the process from which tasks are forked, what otherwise every task's process imports by itself.

With LocalExecutor that process is the scheduler: the listener below. With Celery it is the worker, which imports
`chengxin.orchestration.preload_listener` when its setting `imports` says so. CHENGXIN_PRELOAD=off: neither.
"""

import sys
from functools import cache

from chengxin.orchestration.airflow_internals.listeners import hookimpl
from chengxin.settings import Settings


@hookimpl
def on_starting() -> None:
    """Load everything when this is a scheduler that forks its own tasks. Runs in every Airflow process that starts."""
    from airflow.sdk import conf

    if sys.argv[1:2] == ["scheduler"] and "LocalExecutor" in conf.get("core", "executor"):
        load()


@cache
def load() -> None:
    """Import the stages and Airflow's own share of a task, and build one DAG, which warms what Airflow caches."""
    settings = Settings.from_environment()
    if not settings.preloads:
        return
    from chengxin.contracts import loader
    from chengxin.orchestration import ingest, snapshot
    from chengxin.orchestration.airflow_internals import task_process
    from chengxin.pipeline.preload import warm_up

    task_process.load()
    warm_up()
    folder = settings.contracts
    for name in loader.names(folder)[:1]:
        for contract in loader.load(folder, only=name).contracts.values():
            ingest.build(contract)
        snapshot.build()
