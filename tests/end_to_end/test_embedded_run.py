"""`chengxin demo --airflow`: the whole demo through a real Airflow, and no process left however it ends."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import httpx
import psutil
import pytest
from demo_runs import Started, contracts_below, door
from pipeline_runs import chengxin

from chengxin.cli.embedded_airflow import HOST, AirflowFailed, EmbeddedAirflow, reserved_port
from chengxin.cli.embedded_api import AirflowApi
from chengxin.contracts.loader import load
from chengxin.demo.timetable import Timetable
from chengxin.settings import Settings

pytestmark = [pytest.mark.airflow, pytest.mark.server]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return contracts_below(tmp_path_factory.mktemp("embedded"))


@pytest.fixture
def start(folder: Path) -> Iterator[object]:
    started: list[Started] = []

    def one(*options: str) -> Started:
        started.append(Started(folder, *options))
        return started[-1]

    yield one
    for run in started:
        run.process.kill()
        run.process.wait()
        assert run.nothing_left()


@pytest.mark.slow
def test_a_snapshot_that_a_person_refuses_is_a_failure(start):
    run = start("--once", "--ask")
    api = door(run.until("等待审批"))
    ends = time.monotonic() + 600
    while run.process.poll() is None and time.monotonic() < ends:
        with suppress(httpx.HTTPError):  # Airflow stops before the run does
            for question in api.questions():
                if f"/runs/{question.run_id}/" in run.said:  # the run tells of a question when it may be answered
                    api.answer(question, "不发布", {"reason": "测试：不发布"})
        time.sleep(1)
    assert run.process.poll() == 1, run.said
    assert "快照未发布，审批答复为“不发布”" in run.said
    assert run.nothing_left(1)


@pytest.mark.slow  # `.ci/run` does the same by `make run ONCE=1`
def test_once_ends_with_0_when_the_snapshot_is_published(start, folder):
    run = start("--once")
    assert run.process.wait(600) == 0, run.said
    assert "快照" in run.said
    assert "[31m" not in run.said
    status = chengxin(run.home, folder / "contracts", "status")
    assert {d["dataset"]: d["batches"] for d in status["datasets"]} == _planned(run.home, folder / "contracts")
    assert [len(d["held"]) for d in status["datasets"] if d["dataset"] == "banking_settlement_account"] == [1]
    assert status["snapshots"]["government"]["tables"]["registration"] > 0
    assert chengxin(run.home, folder / "contracts", "verify")["problems"] == []
    assert run.nothing_left(1)


def _planned(home: Path, contracts: Path) -> dict[str, int]:
    """Return how many deliveries each data set has by the timetable: a daily one has more as the month goes on."""
    now = json.loads((home / "demo" / "timetable.json").read_text())["now"]
    timetable = Timetable(datetime.fromisoformat(now))
    known = load(contracts).contracts.values()
    return {c.id: len(timetable.first_days(c)) + timetable.again(c) for c in known}


@pytest.mark.slow
def test_without_once_the_pages_stay_until_interrupted(start):
    run = start()
    api = door(run.until("按 Ctrl-C 结束"))
    assert api.dag_ids() >= {"ingest__commerce_registration", "snapshot"}
    runs = api.runs()
    assert api.newest_run() == runs[-1]
    assert api.runs(after=runs[-3]) == runs[-2:]
    assert AirflowApi(api.url, "admin", "another").refused()
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(60) == 0
    assert run.nothing_left(1)


@pytest.mark.slow
def test_whatever_kills_it_takes_everything_along(start):
    run = start("--once")
    run.until("密码")
    assert run.left()
    run.process.kill()
    run.process.wait()
    assert run.nothing_left()


@pytest.mark.slow
def test_a_component_that_dies_ends_the_run_with_its_name(start):
    run = start("--once")
    run.until("密码")
    scheduler = next(
        p
        for p in psutil.process_iter(["name"])
        if p.info["name"] == "scheduler" and _home(p) == str(run.home / "airflow")
    )
    scheduler.kill()
    assert run.process.wait(90) == 1
    assert "scheduler" in run.said
    assert run.nothing_left(1)


def test_two_on_one_home_are_refused(tmp_path):
    settings = Settings(home=tmp_path)
    first = EmbeddedAirflow(settings)
    with first._lock.acquire(), pytest.raises(AirflowFailed, match="已有一个"), EmbeddedAirflow(settings):
        pass


def test_a_taken_port_is_left_to_whoever_has_it():
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        another, lock = reserved_port(port)
        lock.release()
        assert another not in {0, port}


def test_two_that_are_started_at_once_get_ports_of_their_own():
    """Neither listens yet: Airflow takes a while."""
    port, lock = reserved_port(0)
    another, _ = reserved_port(port)
    assert another != port
    told = "from chengxin.cli.embedded_airflow import reserved_port; print(reserved_port({})[0])".format
    in_a_process = subprocess.run([sys.executable, "-c", told(port)], capture_output=True, text=True, check=True)
    assert int(in_a_process.stdout) not in {port, another}
    lock.release()
    assert reserved_port(port)[0] == port, "it is the first one's no more"


def _home(process: psutil.Process) -> str | None:
    with suppress(psutil.Error):
        return process.environ().get("AIRFLOW_HOME")
    return None
