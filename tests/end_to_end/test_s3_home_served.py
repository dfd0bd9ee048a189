"""A home in an object store, lived in: Airflow takes a delivery in and publishes, its pages and `serve` show it.

All of them at work at once, each from working copies of its own, over one S3 server.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, TypeVar

import httpx
import pytest

from chengxin.cli.embedded_airflow import EmbeddedAirflow
from chengxin.settings import Settings
from deliveries import PENALTY, REGISTRATION, Office, company, penalty, uscc
from file_servers import free_port
from object_stores import Server, s3_server, use

pytestmark = [pytest.mark.airflow, pytest.mark.server]
URL = "s3://lived-in/home"
SECONDS = 420.0
T = TypeVar("T")


def until(what: Callable[[], T]) -> T:
    """Look every second until something is there."""
    ends = time.monotonic() + SECONDS
    while time.monotonic() < ends:
        with suppress(httpx.TransportError):
            if found := what():
                return found
        time.sleep(1)
    raise AssertionError(f"it did not come within {SECONDS:.0f} s")


def ran(airflow: EmbeddedAirflow, dag_id: str, number: int) -> None:
    """See that a DAG's next run ends well."""
    api = airflow.api()
    until(lambda: dag_id in api.dag_ids())
    owed = api.owed(dag_id, datetime.now().astimezone())
    api.switch(dag_id, on=True)
    if not owed:
        api.trigger(dag_id, f"test-{number}", "test")

    def ended() -> bool:
        airflow.check()
        runs = [run for run in api.runs() if run.dag_id == dag_id]
        assert all(run.state != "failed" for run in runs), [api.failed_tasks(run) for run in runs]
        return len(runs) >= number and all(run.state == "success" for run in runs)

    until(ended)


@contextmanager
def serving(environment: dict[str, str]) -> Iterator[str]:
    """Run `chengxin serve` over the store; give its address."""
    port = free_port()
    command = [sys.executable, "-m", "chengxin.cli", "--home", URL, "serve", "--port", str(port)]
    process = subprocess.Popen(command, env=os.environ | environment)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def pages_of(airflow: EmbeddedAirflow) -> Callable[[str], str]:
    """Return what asks for one of our pages with a session."""
    login = {"username": airflow.user, "password": airflow.password}
    token = httpx.post(f"{airflow.url}/auth/token", json=login, timeout=60).json()["access_token"]
    client = httpx.Client(base_url=f"{airflow.url}/chengxin", headers={"Authorization": f"Bearer {token}"}, timeout=60)
    return lambda path: client.get(path).raise_for_status().text


@pytest.fixture
def server() -> Iterator[Server]:
    with s3_server() as running:
        yield running


@pytest.mark.slow
def test_airflow_the_pages_and_serve_work_on_one_store(server, tmp_path, monkeypatch):
    use(server, monkeypatch)
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_penalty", "penalty", PENALTY)
    inbox = tmp_path / "inbox"
    for dataset in office.contracts:
        (inbox / dataset).mkdir(parents=True)
    office.write("test_reg", [company(n) for n in range(1, 6)], day=0).rename(inbox / "test_reg/1.csv")
    rows = [penalty(1, uscc=uscc(1)), penalty(2, uscc=uscc(2)[:-1] + "?")]
    office.write("test_penalty", rows, day=1).rename(inbox / "test_penalty/1.csv")
    told = server.environment(CHENGXIN_INBOX=str(inbox), CHENGXIN_APPROVAL="never")
    work = Settings(
        home=tmp_path / "one", contracts=tmp_path / "contracts", origin=URL, work=tmp_path / "one", workers=1
    )
    serve_copies = told | {"CHENGXIN_WORK": str(tmp_path / "other")}
    with EmbeddedAirflow(work) as airflow, serving(serve_copies) as address:
        airflow.start(told)
        page = pages_of(airflow)
        until(lambda: httpx.get(f"{address}/health", timeout=60).status_code == 200)
        assert httpx.get(f"{address}/health", timeout=60).json()["tiers"]["open"]["snapshot"] is None
        for dataset in ("test_reg", "test_penalty"):
            ran(airflow, f"ingest__{dataset}", 1)
        batches = until(lambda: re.findall(r"/batches/test_penalty/([\w-]+)\"", page("/batches")))
        shown = page(f"/batches/test_penalty/{batches[0]}")
        assert "uscc" in shown
        assert "第 3 行" in shown, "the refused row is read from the store's copy"
        ran(airflow, "snapshot", 1)
        served = until(lambda: _snapshot(address))
        assert until(lambda: served in page("/snapshots"))
        objects = server.objects("lived-in", "home/")
        assert served in objects["published/open/current.json"].decode()
        found = httpx.post(f"{address}/v1/open/find", json={"identifier_or_name": uscc(2)}, timeout=60).json()
        assert found["total"] == 1
        asked = page("/refused?dataset=test_penalty")
        assert batches[0][-12:] in asked
        assert not (tmp_path / "home").exists(), "nothing was made in a folder of this machine"


def _snapshot(address: str) -> Any:
    return httpx.get(f"{address}/health", timeout=60).json()["tiers"]["open"]["snapshot"]
