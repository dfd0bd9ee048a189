"""Kill a run on a home in an object store at any request, run again elsewhere: the same objects, nothing doubled.

CHENGXIN_MANY=20 multiplies the number of kills.
"""

import hashlib
import os
import random
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from killing import ENVIRONMENT, MANY, few_and_many
from pipeline_runs import words

from deliveries import PENALTY, REGISTRATION, Office, company, penalty, uscc
from object_stores import Server, s3_server
from warm import Warm

BUCKET = "kills"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with s3_server() as running:
        yield running


@dataclass
class Homes:
    """Homes in one bucket, all with the same deliveries; every run is on a machine of its own unless told."""

    server: Server
    forks: Warm
    folder: Path
    made: int = 0
    expected: dict[str, str] = field(default_factory=dict)

    def home(self) -> str:
        self.made += 1
        return f"s3://{BUCKET}/{self.made}"

    def begin(self, home: str) -> int:
        return self.forks.begin(words(home, self.folder / "contracts", "run", "--json"))

    def run(self, home: str) -> int:
        """Run to the end; return how many requests that took."""
        before = len(self.server.gate.requests)
        os.kill(self.begin(home), signal.SIGCONT)
        assert self.forks.end() == 0
        return len(self.server.gate.requests) - before

    def run_killed(self, home: str, request: int, *, served: bool) -> None:
        """Kill a run when it makes this request, before or after that is served."""
        pid, left = self.begin(home), [request]

        def kill(*_: str) -> bool:
            left[0] -= 1
            if left[0] == 0:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return left[0] <= 0

        setattr(self.server.gate, "after" if served else "before", kill)
        os.kill(pid, signal.SIGCONT)
        end = self.forks.end()
        self.server.gate.before = self.server.gate.after = lambda method, path: False
        assert end in {-signal.SIGKILL, 0}, "what is left to do may take fewer requests"

    def forget(self) -> None:
        """Go on on a machine that has seen nothing."""
        shutil.rmtree(self.folder / "work", ignore_errors=True)

    def contents(self, home: str) -> dict[str, str]:
        """Return what lies at its usual place, by digest; of what is noted with times only that it is there."""
        objects = self.server.objects(BUCKET, f"{home.rpartition('/')[2]}/")
        exact = ("admissions", "landing", "published")
        return {
            name: hashlib.sha256(data).hexdigest() if name.startswith(exact) else ""
            for name, data in objects.items()
            if not name.startswith(".") and not name.endswith("tried.json")
        }

    def settle(self, home: str) -> None:
        """Run to the end, sweep, and compare with the run that nobody disturbed."""
        self.run(home)
        self.sweep(home)
        found = self.contents(home)
        assert sorted(found) == sorted(self.expected)
        assert found == self.expected

    def sweep(self, home: str) -> None:
        assert self.forks.run(words(home, self.folder / "contracts", "tidy", "--json")).returncode == 0


@pytest.fixture(scope="module")
def homes(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Homes]:
    folder = tmp_path_factory.mktemp("kills")
    office = Office(folder)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_penalty", "penalty", PENALTY)
    inbox = folder / "inbox"
    for dataset in office.contracts:
        (inbox / dataset).mkdir(parents=True)
    rows = [penalty(n, uscc=uscc(n)) for n in range(1, 6)]
    office.write("test_reg", [company(n) for n in range(1, 5)], day=0).rename(inbox / "test_reg/1.csv")
    office.write("test_penalty", [*rows, penalty(9, uscc=uscc(1), decision_on="不详")], day=1).rename(
        inbox / "test_penalty/1.csv"
    )
    given = server.environment(
        CHENGXIN_WORK=str(folder / "work"), CHENGXIN_INBOX=str(inbox), CHENGXIN_STRAY_MINUTES="0"
    )
    forks = Warm("chengxin", os.environ | ENVIRONMENT | given)
    yield Homes(server, forks, folder)
    forks.close()


@pytest.mark.parametrize("rounds", few_and_many((2,), many=[(10 * MANY,)]))
def test_killed_at_any_request(homes: Homes, rounds: int) -> None:
    undisturbed = homes.home()
    requests = homes.run(undisturbed)
    homes.sweep(undisturbed)
    homes.expected = homes.contents(undisturbed)
    assert {"published/open/current.json", "admissions/00000001.json"} <= set(homes.expected)
    draw = random.Random(rounds)
    for _ in range(rounds):
        homes.forget()
        home = homes.home()
        for _ in range(draw.randrange(1, 3)):
            homes.run_killed(home, draw.randrange(1, requests), served=draw.random() < 0.5)
            if draw.random() < 0.5:
                homes.forget()
        homes.settle(home)
