"""Kill what can be killed under a real scheduler: the state afterwards is right, and nobody had to lend a hand.

Every case has a data set of its own; what is published in the end is compared, byte by byte, with a run that nobody
disturbed. CHENGXIN_KILL_SEED picks other moments; CHENGXIN_MANY=5 repeats the cases.
"""

import os
import random
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from pipeline_runs import command, published_files
from test_airflow_dags import CONTRACT

from airflow_processes import SECONDS, AirflowProcesses
from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.contracts.loader import load
from chengxin.home import Home
from chengxin.operations.alerts.book import Book
from chengxin.settings import Settings
from chengxin.store import journal, lock
from chengxin.store.atomic import BUILDING
from chengxin.store.layout import Layout
from deliveries import uscc

pytestmark = [pytest.mark.airflow, pytest.mark.server, pytest.mark.slow]
SEED = int(os.environ.get("CHENGXIN_KILL_SEED", "1"))
ROUNDS = range(int(os.environ.get("CHENGXIN_MANY", "1")))
TEN_MINUTES = 600_000_000  # in microseconds
LOCKS = ["landing-{}", "dataset-{}", "registry"]  # what a task waits for
AFTER = f"delay_exit={TEN_MINUTES}"
HEAD = "主键,名称,统一社会信用代码,成立日期,行政区划"
ROWS = [f"{n},长沙示例{n}科技有限公司,{uscc(n)},2019-09-0{n},430105" for n in range(1, 8)]
REFUSED = "9,长沙示例商贸有限公司,,2020-02-30,430111"


@dataclass
class Case:
    """One data set and the run that takes it in."""

    processes: AirflowProcesses
    dataset: str
    draw: random.Random

    @property
    def dag(self) -> str:
        return f"ingest__{self.dataset}"

    def begin(self) -> str:
        """Lay a delivery down, start a run of its DAG and return it."""
        home, contracts = self.processes.home, self.processes.contracts / "commerce"
        contracts.mkdir(exist_ok=True)
        inbox = home / "inbox" / self.dataset
        inbox.mkdir(parents=True)
        (inbox / "delivery.csv").write_text("\n".join([HEAD, *self.draw.sample(ROWS, 4), REFUSED, ""]), "utf-8")
        text = CONTRACT.replace("commerce_demo", self.dataset).replace("folder: demo", f"folder: {self.dataset}")
        (contracts / f"{self.dataset}.yaml").write_text(text.replace("hourly", "yearly"), "utf-8")
        self.processes.switch(self.dag, on=True)
        self.processes.trigger(self.dag, "first")
        return "first"

    def ended_well(self, run: str) -> None:
        assert self.processes.ended(self.dag, run) == "success", self.processes.told()
        assert len(self.accounts()) == 1, "admitted, and once only"

    def accounts(self) -> list[Path]:
        entries = sorted((self.processes.home / "admissions").glob("*.json"))
        return [p for p in entries if f'"{self.dataset}"' in p.read_text("utf-8")]


class Held:
    """A task that waits for a lock of ours, and that strace lets go on from there only as far as a system call."""

    def __init__(self, processes: AirflowProcesses, process: psutil.Process, call: str, how: str, *only: str) -> None:
        self.processes, self.process, self.log = processes, process, processes.folder / "strace.log"
        words = ["strace", "-f", "-p", str(process.pid), "-e", f"trace={call}", "-e", f"inject={call}:{how}", *only]
        with self.log.open("w") as out:
            self.tracer = subprocess.Popen(words, stdout=out, stderr=out)
        processes.until(lambda: "attached" in self.said() or self.over())

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def over(self) -> bool:
        return self.tracer.poll() is not None

    def kill_when(self, there: Callable[[], object]) -> None:
        """Kill the task where it is held back; it must have come so far."""
        self.processes.until(lambda: there() or self.over())
        assert there() and not self.over(), self.said()
        self.process.kill()
        self.tracer.kill()  # as long as it holds the task back, it holds it back from dying too
        self.tracer.wait()


@pytest.fixture(params=ROUNDS)
def case(request: pytest.FixtureRequest, processes: AirflowProcesses) -> Case:
    name = request.node.originalname.removeprefix("test_")[:24]
    return Case(processes, f"commerce_{name}_{request.param}", random.Random(f"{SEED} {request.node.name}"))


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_task_that_is_killed(case: Case) -> None:
    with lock.held(Layout(case.processes.home), case.draw.choice(LOCKS).format(case.dataset)):
        run = case.begin()
        process = case.processes.running_task(case.dag, run, "act")
        held = Held(case.processes, process, "fsync", f"delay_enter={TEN_MINUTES}:when={case.draw.choice([1, 2])}")
    held.kill_when(lambda: re.search(r"fsync\(\d+$", held.said()))
    case.ended_well(run)
    assert case.processes.tries(case.dag, run, "act") >= 2  # a busy machine may take one more


def test_the_scheduler_is_killed_with_its_workers(case: Case) -> None:
    run = case.begin()
    case.processes.running_task(case.dag, run, "act")
    time.sleep(case.draw.uniform(0, 2))
    case.processes.kill("scheduler")
    case.ended_well(run)


def test_the_metadata_is_away_for_a_while(case: Case) -> None:
    run = case.begin()
    case.processes.running_task(case.dag, run, "act")
    time.sleep(case.draw.uniform(0, 1))
    case.processes.cluster.stop()
    time.sleep(case.draw.uniform(2, 8))
    case.processes.cluster.begin()
    case.ended_well(run)


@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system must be mounted")
def test_the_disk_is_full_for_a_while(case: Case) -> None:
    disk = case.processes.home / "batches" / case.dataset
    disk.mkdir(parents=True)
    size = case.draw.choice([4, 8, 16])
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this container may not mount")
    try:
        run = case.begin()
        waiting = "SELECT 1 FROM task_instance WHERE dag_id = %s AND state = 'up_for_retry'"
        case.processes.until(lambda: case.processes.rows(waiting, case.dag))
        subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
        case.ended_well(run)
        kept = case.processes.home / "kept"
        shutil.copytree(disk, kept)
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
    shutil.copytree(kept, disk, dirs_exist_ok=True)
    shutil.rmtree(kept)


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_worker_dies_after_the_pointer_has_moved(processes: AirflowProcesses) -> None:
    pointer = processes.home / "published" / "government" / "current.json"
    with lock.held(Layout(processes.home), "publish"):
        processes.switch("snapshot", on=True)
        run = processes.first_run("snapshot")
        process = processes.running_task("snapshot", run, "publish")
        held = Held(processes, process, "rename", AFTER, "-P", str(pointer.with_name(BUILDING + pointer.name)))
    held.kill_when(pointer.exists)
    assert processes.ended("snapshot", run) == "success", processes.told()
    assert processes.tries("snapshot", run, "publish") == 2
    heard = "SELECT count(*) FROM asset_event e JOIN asset a ON a.id = e.asset_id WHERE a.name = 'published_current'"
    assert processes.rows(heard) == [(1,)], "those who wait for snapshots hear of it, once"
    assert (processes.home / "published" / "open" / "current.json").exists()
    processes.switch("snapshot", on=False)


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_worker_dies_after_the_journal_has_the_batch(case: Case) -> None:
    with lock.held(Layout(case.processes.home), "registry"):
        run = case.begin()
        number = len(list((case.processes.home / "admissions").glob("*.json")))
        entry = case.processes.home / "admissions" / f"{number:08d}.json"
        process = case.processes.running_task(case.dag, run, "act")
        held = Held(case.processes, process, "link", AFTER, "-P", str(entry))
    held.kill_when(entry.exists)
    case.ended_well(run)
    assert case.processes.tries(case.dag, run, "act") >= 2  # a busy machine may take one more


def test_two_publications_at_once(processes: AirflowProcesses) -> None:
    processes.switch("snapshot", on=True)
    processes.trigger("snapshot", "beside")
    words = command(processes.home, processes.contracts, "publish", "--json")
    beside = subprocess.Popen(words, env=processes.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert processes.ended("snapshot", "beside") == "success", processes.told()
    _, said = beside.communicate(timeout=SECONDS)
    assert beside.returncode == 0, said.decode()[-2000:]


def test_in_the_end_it_is_as_if_nothing_had_happened(processes: AirflowProcesses, tmp_path: Path) -> None:
    layout = Layout(processes.home)
    assert Book(layout).entries() == [], "what mends itself rings nobody up"
    pipeline.tidy(Home(Settings(home=processes.home)))  # as housekeeping does each day
    left = [p.relative_to(layout.home) for p in layout.home.rglob("*") if p.name.startswith(".building-")]
    assert left == []
    assert not layout.work.is_dir() or not list(layout.work.iterdir())
    assert not layout.drafts.is_dir() or not list(layout.drafts.iterdir())
    verified = command(processes.home, processes.contracts, "verify", "--json")
    assert subprocess.run(verified, env=processes.environment, capture_output=True, check=False).returncode == 0
    assert published_files(_undisturbed(processes, tmp_path)) == published_files(processes.home)


def _undisturbed(processes: AirflowProcesses, folder: Path) -> Path:
    """Take the same deliveries in, in the same order, and publish once; return the home."""
    home = folder / "home"
    shutil.copytree(processes.home / "inbox", home / "inbox")
    settings = Settings(home=home, contracts=processes.contracts)
    contracts = load(settings.contracts).contracts
    order = [p["dataset"] for p in journal.entries(Layout(processes.home).journal) if p["revision"] == 0]
    for dataset in dict.fromkeys(order):
        taken = pipeline.outcomes(
            Home(Settings(home=processes.home, contracts=processes.contracts)), contracts[dataset]
        )
        received = {outcome.batch.delivery: outcome.batch.received_at for outcome in taken}
        for delivery in pipeline.discover(Home(settings), contracts[dataset]):
            landed = pipeline.land(Home(settings, Clock(received[delivery.name])), contracts[dataset], delivery)
            pipeline.ingest(Home(settings), contracts[dataset], landed)
    pipeline.retry_waiting(Home(settings), contracts)
    pipeline.publish(Home(settings), contracts)
    return home
