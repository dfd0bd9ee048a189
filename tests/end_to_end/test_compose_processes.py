"""The services of docker-compose.yml as plain processes: same commands, same environment; tasks on two workers."""

import shutil
import time
from pathlib import Path

import celery.backends.database
import psycopg
import pytest
import requests
from sqlalchemy import make_url
from test_airflow_dags import CONTRACT, GOOD

from chengxin.cli.embedded_api import AirflowApi
from compose_stack import Stack
from object_stores import s3_server
from servers import postgres_cluster

pytestmark = [pytest.mark.airflow, pytest.mark.server, pytest.mark.slow]
DATASETS = [f"commerce_demo{n}" for n in range(6)]
SERVICES = ("api-server", "scheduler", "dag-processor", "triggerer", "worker")
ENDED = {"success", "failed"}


@pytest.fixture
def stack(tmp_path: Path):
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


def test_ingests_go_through_the_services_of_docker_compose(stack: Stack) -> None:
    contracts = stack.folder / "contracts"
    for dataset in DATASETS:
        _deliver(stack, contracts, dataset)
    only = {"CHENGXIN_CONTRACTS": str(contracts)}

    stack.start("redis")
    stack.await_healthy("redis")
    stack.run("migrate")
    for service in SERVICES:
        stack.start(service, **only)
    assert stack.compose["services"]["worker"]["deploy"]["replicas"] == 2
    stack.start_replica("worker", "second", **only)
    stack.await_healthy(*SERVICES)
    assert stack.healthy("worker", HOSTNAME="second")

    stack.run("migrate")  # again, as at each start: the account that is there stays
    api = AirflowApi(stack.url, "admin", stack.secret("admin_password"))
    dags = {f"ingest__{dataset}" for dataset in DATASETS}
    _until(lambda: dags <= api.dag_ids())
    for dag in dags:
        api.trigger(dag, "first", "test")
    _until(lambda: {run.dag_id for run in api.runs() if run.state in ENDED} >= dags)
    assert {run.state for run in api.runs() if run.state in ENDED} == {"success"}, stack.errors_of_tasks()
    assert len([name for name in stack.home_objects() if name.startswith("admissions/")]) == len(DATASETS)
    assert (stack.home / "copies/0/admissions").is_dir()
    for worker in ("worker", "second"):
        assert "exit_code=0" in (stack.folder / f"{worker}.log").read_text(errors="replace"), "both took tasks"
    _accounts_reach_what_their_roles_say(stack)


def _accounts_reach_what_their_roles_say(stack: Stack) -> None:
    """Give out accounts as docs/deployment.md says; the pages show each what its role may see."""
    own, other = DATASETS[:2]
    stack.airflow("roles", "create", "one_source")
    stack.airflow("roles", "add-perms", "one_source", "--resource", f"DAG:ingest__{own}", "--action", "can_read")
    for name, role in (("li", "Viewer"), ("wang", "Clerk"), ("zhao", "one_source")):
        words = ["--role", role, "--firstname", name, "--lastname", name, "--email", f"{name}@localhost"]
        stack.airflow("users", "create", "--username", name, *words, "--password", f"{name}-secret")

    def status(name: str, dataset: str, *, raw: bool = False) -> int:
        login = {"username": name, "password": f"{name}-secret"}
        given = requests.post(f"{stack.url}/auth/token", json=login, timeout=30).json() if name else {}
        headers = {"Authorization": f"Bearer {given['access_token']}"} if name else {}
        wanted = {"dataset": dataset, "raw": str(raw).lower()}
        return requests.get(f"{stack.url}/chengxin/refused", wanted, headers=headers, timeout=60).status_code

    assert [status("", own), status("li", own), status("zhao", own), status("zhao", other)] == [401, 200, 200, 403]
    assert [status(name, own, raw=True) for name in ("li", "zhao", "wang")] == [403, 403, 200]


def _deliver(stack: Stack, contracts: Path, dataset: str) -> None:
    path = contracts / "commerce" / f"{dataset}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = CONTRACT.replace("commerce_demo", dataset).replace("folder: demo", f"folder: {dataset}")
    path.write_text(text, "utf-8")
    inbox = stack.home / "inbox" / dataset
    inbox.mkdir(parents=True)
    (inbox / "good.csv").write_text(GOOD, "utf-8")


def _until(reached, seconds: float = 240) -> None:
    until = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < until
        time.sleep(1)
