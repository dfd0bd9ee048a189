"""Kill a run at any moment, run again: the same bytes, nothing lost, nothing doubled, nothing left lying about.

More than 60 kills with the slow ones, which CHENGXIN_MANY=20 multiplies. Large files and pulls are killed in files of
their own.
"""

import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from killing import ENVIRONMENT, MANY, Server, contents
from pipeline_runs import chengxin, command

from cases import few
from deliveries import ARREARS, PENALTY, REGISTRATION, Office, company, penalty, uscc

CALLS = ("rename", "link", "fsync", "mkdir", "rmdir", "unlink", "ftruncate")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.close()


class Stages:
    """Homes with a first round of deliveries to take in, and with that taken in and a second round; what must come."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder, self.server = folder, server
        self.office = office = Office(folder)
        office.contract("test_reg", "registration", REGISTRATION)
        for name, precedence in (("test_penalty", 1), ("test_city", 2)):
            delivery = {"options": {"folder": name}, "route": {"group": "both_routes", "precedence": precedence}}
            office.contract(name, "penalty", (*PENALTY, "delivery_status_code"), delivery=delivery)
        office.contract("test_arrears", "tax_arrears", ARREARS, mode="full")
        self.send("test_reg", [company(n) for n in range(1, 6)], 0)
        rows = [penalty(n, uscc=uscc(n)) for n in range(1, 8)]
        self.send("test_penalty", [*rows, rows[0], penalty(9, uscc=uscc(1), decision_on="不详")], 1)
        self.send("test_arrears", [self.arrears(n, 100) for n in (1, 2, 3, 6)], 1)
        self.send("test_city", [penalty(n, uscc=uscc(n), penalty_content="市") for n in (1, 2, 12)], 1)
        self.homes = [folder / "home"]
        first = self.copy(0, "first")
        assert server.run(first) == 0
        taken_in = contents(first)
        self.homes.append(first)
        self.send("test_reg", [company(2, legal_rep_name="示例甲"), company(6)], 2, to=first)
        self.send(
            "test_penalty", [penalty(1, uscc=uscc(1), penalty_content="更正"), penalty(10, uscc=uscc(9))], 3, to=first
        )
        self.send("test_arrears", [self.arrears(n, 50) for n in (1, 2, 6)], 3, to=first)
        self.send("test_city", [penalty(n, uscc=uscc(n), delivery_status_code="2") for n in (1, 12)], 3, to=first)
        second = self.copy(1, "second")
        started = time.monotonic()
        assert server.run(second) == 0
        self.seconds = time.monotonic() - started
        self.expected = [taken_in, contents(second)]

    @staticmethod
    def arrears(n: int, balance: int) -> dict[str, object]:
        return {"uscc": uscc(n), "tax_type_name": "增值税", "arrears_balance": balance, "authority_name": "示例局",
                "published_on": "2026-02-01"}  # fmt: skip

    def send(self, dataset: str, rows: list[dict[str, object]], day: float, to: Path | None = None) -> None:
        path = self.office.write(dataset, rows, day=day)
        inbox = (to or self.folder / "home") / "inbox" / dataset
        inbox.mkdir(parents=True, exist_ok=True)
        shutil.move(path, inbox)

    def copy(self, stage: int, name: str) -> Path:
        home = self.folder / name
        subprocess.run(["cp", "-a", str(self.homes[stage]), str(home)], check=True)
        return home

    def settle(self, home: Path, stage: int) -> None:
        """Run to the end and compare with the run that nobody disturbed."""
        assert self.server.run(home) == 0
        found = contents(home)
        assert set(found) ^ set(self.expected[stage]) == set()
        assert found == self.expected[stage]
        shutil.rmtree(home)


@pytest.fixture(scope="module")
def stages(server: Server) -> Iterator[Stages]:
    memory = Path("/dev/shm")  # where syncs are cheap
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Stages(Path(folder), server)


def test_the_undisturbed_run_takes_everything_in(stages: Stages) -> None:
    home = stages.folder / "second"
    status = chengxin(home, stages.folder / "contracts", "status")
    assert json.dumps(status).count("unlinked") > 0
    entries = [json.loads(p.read_text()) for p in sorted((home / "admissions").iterdir())]
    latest = {e["batch_id"]: [e[n] for n in ("accepted", "quarantined", "duplicate", "unlinked")] for e in entries}
    assert sorted(latest.values()) == sorted(
        [[5, 0, 0, 0], [6, 1, 1, 1], [4, 0, 0, 0], [2, 0, 0, 0], [1, 0, 0, 1], [3, 0, 0, 0], [2, 0, 0, 1], [1, 0, 0, 1]]
    )
    assert chengxin(home, stages.folder / "contracts", "verify")["problems"] == []


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "wanted"), [(0, 18 * MANY), (1, 18 * MANY)])
def test_killed_at_random_times(stages: Stages, server: Server, stage: int, wanted: int) -> None:
    draw, kills, homes = random.Random(f"{stage} {wanted}"), 0, 0
    while kills < wanted:
        home, homes = stages.copy(stage, f"time-{stage}-{homes}"), homes + 1
        for _ in range(draw.randrange(2, 6)):
            kills += server.kill_after(home, draw.uniform(0, stages.seconds)) == -signal.SIGKILL
        stages.settle(home, stage)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize(("stage", "wanted"), few(1, [(1, 2), (0, 12 * MANY), (1, 12 * MANY)]))
def test_killed_at_system_calls_that_change_the_disk(stages: Stages, server: Server, stage: int, wanted: int) -> None:
    home = stages.copy(stage, f"traced-{stage}")
    end, log = server.trace(home, "-e", "trace=" + ",".join(CALLS))
    assert end == 0
    first = log.split(maxsplit=1)[0]
    counts = Counter(re.findall(rf"^{first} +(\w+)\(", log, re.MULTILINE))
    shutil.rmtree(home)
    points = [(call, n) for call in CALLS for n in range(1, counts[call] + 1)]
    chosen = random.Random(f"{stage} {wanted}").sample(points, min(len(points), wanted))
    for call, n in chosen:
        home = stages.copy(stage, f"{call}-{stage}-{n}")
        end, _ = server.trace(home, "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={n}")
        assert end == -signal.SIGKILL, (call, n)
        stages.settle(home, stage)


@pytest.mark.slow
def test_killed_again_and_again_it_still_gets_done(stages: Stages, server: Server) -> None:
    home, draw = stages.copy(0, "again-and-again"), random.Random(7)
    for _ in range(6):
        server.kill_after(home, draw.uniform(0.2, 0.9) * stages.seconds)
    stages.settle(home, 0)


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", few(1, [6, 1, 24]))
def test_a_full_disk_is_said_and_a_good_run_recovers(stages: Stages, kilobytes: int) -> None:
    home = stages.copy(0, f"full-{kilobytes}")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes << 10, kilobytes << 10))

    done = subprocess.run(
        command(home, stages.folder / "contracts", "run", "--json"),
        capture_output=True, text=True, env=os.environ | ENVIRONMENT, preexec_fn=limit, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "磁盘空间不足" in done.stderr
    assert "Traceback" not in done.stderr
    stages.settle(home, 0)


@pytest.mark.slow
def test_two_processes_on_one_home_both_end_right(stages: Stages) -> None:
    home, folder = stages.copy(0, "shared"), stages.folder / "shared-files"
    files = {}
    for dataset in ("test_reg", "test_penalty", "test_arrears", "test_city"):
        files[dataset] = sorted((home / "inbox" / dataset).iterdir())
    calls = [("test_reg", files["test_reg"]), ("test_reg", files["test_reg"]), ("test_penalty", files["test_penalty"]),
             ("test_arrears", files["test_arrears"]), ("test_city", files["test_city"])]  # fmt: skip
    started = [
        subprocess.Popen(
            command(home, stages.folder / "contracts", "ingest", dataset, *[f"--file={f}" for f in sent], "--json"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | ENVIRONMENT,
        )
        for dataset, sent in calls
    ]  # fmt: skip
    for process in started:
        out, err = process.communicate()
        assert process.returncode == 0, err[-2000:]
        assert json.loads(out)["batches"][0]["verdict"] in {"accept", "warn"}
    assert not folder.exists()
    settings = (home, stages.folder / "contracts")
    chengxin(*settings, "publish", **ENVIRONMENT)
    assert chengxin(*settings, "verify")["problems"] == []
    batches = [json.loads(p.read_text())["batch_id"] for p in (home / "admissions").iterdir()]
    assert len(set(batches)) == 4
    assert not [p for p in home.rglob("*") if p.name.startswith(".building-")]
    assert chengxin(*settings, "run", **ENVIRONMENT)["snapshot"] is None, "on the same day"
