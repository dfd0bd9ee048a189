"""The process from which tasks are forked imports what they need, once; no other Airflow process does."""

import json
from pathlib import Path

import pytest

from airflow_home import PROJECT, AirflowHome
from compose_stack import load_compose

pytestmark = pytest.mark.airflow

START = """
import json, os, sys
sys.argv = ["airflow", {component!r}]
from airflow.listeners.listener import get_listener_manager
get_listener_manager().hook.on_starting(component=None)
print(json.dumps([name for name in ("great_expectations", "duckdb", "chengxin.pipeline") if name in sys.modules]))
"""
HEAVY = ["great_expectations", "duckdb", "chengxin.pipeline"]
FORKED = """
import os, sys
from chengxin.orchestration import preload
preload.load()
import duckdb, numpy, pyarrow, pyarrow.compute
for number in range(3):
    pid = os.fork()
    if not pid:
        before = set(sys.modules)
        rows = pyarrow.table({"n": range(1_000_000)})
        assert duckdb.connect().execute("select sum(n) from rows").fetchone() == (499999500000,)
        assert pyarrow.compute.sum(rows["n"]).as_py() == 499999500000
        assert numpy.ones((300, 300)).dot(numpy.ones((300, 300))).sum() == 300**3
        from chengxin.orchestration import ingest
        import chengxin.quality.engine
        assert not {name.split(".")[0] for name in set(sys.modules) - before} & {"great_expectations", "airflow"}
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
print("forked well")
"""


def loaded(folder: Path, component: str, **environment: str) -> list[str]:
    done = AirflowHome(folder).python(START.format(component=component), **environment)
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("component", "executor", "more", "expected"),
    [
        ("scheduler", "LocalExecutor", {}, HEAVY),
        ("scheduler", "LocalExecutor", {"CHENGXIN_PRELOAD": "off"}, []),
        ("scheduler", "CeleryExecutor", {}, []),
        ("dag-processor", "LocalExecutor", {}, []),
    ],
)
def test_only_a_scheduler_that_forks_its_tasks_loads(tmp_path, component, executor, more, expected):
    assert loaded(tmp_path, component, AIRFLOW__CORE__EXECUTOR=executor, **more) == expected


def test_forks_of_a_loaded_process_import_nothing_again(tmp_path):
    done = AirflowHome(tmp_path).python(FORKED, CHENGXIN_CONTRACTS=str(PROJECT / "dags" / "contracts"))
    assert done.stdout.splitlines()[-1:] == ["forked well"], done.stdout


@pytest.mark.slow
def test_a_celery_worker_loads_before_it_forks(tmp_path):
    home = AirflowHome(tmp_path)
    name = "AIRFLOW__CELERY__EXTRA_CELERY_CONFIG"
    setting = {name: load_compose()["services"]["worker"]["environment"][name]}
    program = """
import sys
from airflow.providers.celery.executors.celery_executor import app
assert "great_expectations" not in sys.modules
app.loader.init_worker()
print("great_expectations" in sys.modules)
"""
    done = home.python(program, **setting, AIRFLOW__CORE__EXECUTOR="CeleryExecutor")
    assert done.stdout.splitlines()[-1:] == ["True"], done.stdout
