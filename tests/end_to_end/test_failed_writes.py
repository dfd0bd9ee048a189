"""A write that fails ends its command with one sentence; nobody waits behind it, and the next run gets it done."""

import os
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from killing import ENVIRONMENT
from pipeline_runs import chengxin, command

from cases import few
from chengxin.store.layout import Layout
from chengxin.store.lock import holders
from deliveries import PENALTY, REGISTRATION, Office, company, penalty, uscc

SECONDS = 120  # for one command on a busy machine; a run that hangs takes longer
UNCOMPILED = {"PYTHONDONTWRITEBYTECODE": "1"}  # what is compiled would be cut off too
Run = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """A home with companies and penalties that are admitted and not published."""
    office = Office(tmp_path_factory.mktemp("failed"))
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_penalty", "penalty", PENALTY)
    office.deliver("test_reg", *[company(n) for n in range(1, 400)], day=0)
    office.deliver("test_penalty", *[penalty(n, uscc=uscc(n)) for n in range(1, 400)], day=1)
    return office


@pytest.fixture
def home(office: Office, tmp_path: Path) -> Path:
    return shutil.copytree(office.settings.home, tmp_path / "home")


def limit(kilobytes: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes << 10, kilobytes << 10))


@pytest.fixture
def start(office: Office) -> Iterator[Run]:
    """Start `chengxin publish` on a home; what still runs afterwards is ended."""
    started: list[subprocess.Popen[str]] = []

    def publish(home: Path, *tracer: str, preexec_fn: Callable[[], None] | None = None) -> "subprocess.Popen[str]":
        words = [*tracer, *command(home, office.settings.contracts, "publish", "--json")]
        started.append(
            subprocess.Popen(
                words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                env=os.environ | ENVIRONMENT | UNCOMPILED, preexec_fn=preexec_fn,
            )
        )  # fmt: skip
        return started[-1]

    yield publish
    for process in started:
        process.kill()
        process.communicate()


def failed(process: "subprocess.Popen[str]", home: Path, word: str) -> None:
    """Wait for a command that must fail with one sentence about a place in this home."""
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 1, err
    assert len(err.splitlines()) == 1 and err.startswith("错误：") and word in err and str(home) in err, err
    assert holders(Layout(home)) == []


def gets_done(office: Office, home: Path) -> None:
    """Publish as if nothing had been, and check every byte."""
    done = chengxin(home, office.settings.contracts, "publish", **ENVIRONMENT)
    assert done["snapshot"]["tiers"]["government"]["tables"]["penalty"] == 399
    assert chengxin(home, office.settings.contracts, "verify")["problems"] == []


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [1, 3, 6, 10, 15])
def test_a_failed_write_ends_the_publication(office, home, start, kilobytes):
    failed(start(home, preexec_fn=limit(kilobytes)), home, "磁盘")
    gets_done(office, home)


@pytest.mark.slow
def test_nobody_waits_for_a_publisher_whose_write_failed(office, home, start):
    first = start(home, preexec_fn=limit(10))
    until = time.monotonic() + SECONDS
    while first.pid not in [h.pid for h in holders(Layout(home))] and time.monotonic() < until:
        time.sleep(0.01)
    others = [start(home) for _ in range(3)]
    failed(first, home, "磁盘")
    for process in others:
        _, err = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, err
    assert chengxin(home, office.settings.contracts, "verify")["problems"] == []


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize(
    ("error", "n"), few(1, [("EIO", 20), *(("EIO", n) for n in (2, 45)), *(("EDQUOT", n) for n in (2, 20, 45))])
)
def test_a_failing_disk_ends_the_publication(*, office, home, start, error, n, tmp_path):
    trace = ("strace", "-f", "-qq", "-o", str(tmp_path / "log"), "-e", "trace=write", "-e", "signal=none")
    process = start(home, *trace, "-e", f"inject=write:error={error}:when={n}")  # of each thread
    failed(process, home, "磁盘或存储出错" if error == "EIO" else "磁盘空间不足")
    gets_done(office, home)
