"""The services of docker-compose.yml as plain processes: same commands, same environment; one ingest through Celery."""

import json
import os
import shutil
import time
from pathlib import Path

import celery.backends.database
import psycopg
import pytest
from sqlalchemy import make_url
from test_airflow_dags import CONTRACT, GOOD

from chengxin.cli.embedded_api import AirflowApi
from compose_stack import Stack
from object_stores import s3_server
from servers import postgres_cluster

pytestmark = [pytest.mark.airflow, pytest.mark.server]
DAG = "ingest__commerce_demo"
SERVICES = ("api-server", "scheduler", "dag-processor", "triggerer", "worker")


@pytest.fixture
def stack(tmp_path: Path):
    if not os.environ.get("CHENGXIN_STACK"):
        pytest.skip("takes two minutes: set CHENGXIN_STACK=1")
    if not hasattr(celery.backends.database, "retry"):
        pytest.skip("the installed Celery is newer than Airflow's provider can use (5.7 against 5.6)")
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is not installed")
    with postgres_cluster() as cluster, s3_server() as server:
        if cluster is None:
            pytest.skip("PostgreSQL is not installed")
        url = make_url(cluster.url)
        stack = Stack(tmp_path / "stack", f"{url.host}:{url.port}", server.endpoint)
        with psycopg.connect(url.set(drivername="postgresql").render_as_string(), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE airflow LOGIN PASSWORD '{stack.secret('postgres_password')}'")
            connection.execute("CREATE DATABASE airflow OWNER airflow")
        try:
            yield stack
        finally:
            stack.stop()


def test_one_ingest_goes_through_the_services_of_docker_compose(stack: Stack) -> None:
    contracts = stack.folder / "contracts"
    (contracts / "commerce").mkdir(parents=True)
    (contracts / "commerce" / "commerce_demo.yaml").write_text(CONTRACT, "utf-8")
    (stack.home / "inbox" / "demo").mkdir(parents=True)
    (stack.home / "inbox" / "demo" / "good.csv").write_text(GOOD, "utf-8")
    only = {"CHENGXIN_CONTRACTS": str(contracts)}

    stack.start("redis")
    stack.await_healthy("redis")
    stack.run("migrate")
    for service in SERVICES:
        stack.start(service, **only)
    stack.await_healthy(*SERVICES)

    passwords = json.loads((stack.airflow_home / "simple_auth_manager_passwords.json.generated").read_text())
    api = AirflowApi(stack.url, "admin", passwords["admin"])
    _until(lambda: DAG in api.dag_ids())
    api.trigger(DAG, "by-the-test", "")
    api.switch(DAG, on=True)
    _until(lambda: _ended(api))
    assert _ended(api)[0] == "success", (stack.log("worker"), stack.log("scheduler"))
    assert [name for name in stack.home_objects() if name.startswith("admissions/")]
    assert (stack.home / "copies/0/admissions").is_dir()
    assert "exit_code=0" in stack.log("worker")


def _ended(api: AirflowApi) -> list[str]:
    """Return how runs ended, the first that ended first; the schedule may have been quicker than the test."""
    return [run.state for run in api.runs() if run.state in {"success", "failed"}]


def _until(reached, seconds: float = 240) -> None:
    until = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < until
        time.sleep(1)
