"""Kill a run that reads a large file with several processes: no worker outlives it, and the next run is exact."""

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from killing import MANY, Server, contents

from chengxin.cleaning.run import POOL_BYTES
from deliveries import PENALTY, Office, penalty, uscc

PADDING = "依法处罚" * 400
ROWS = POOL_BYTES // len(PADDING.encode()) + 500


class Large:
    """A home with one file that is large enough for several processes, most of it padding."""

    def __init__(self, folder: Path) -> None:
        self.office = Office(folder)
        self.office.contract("test_penalty", "penalty", ("source_record_id", *PENALTY))
        self.home = folder / "home"
        path = self.office.write("test_penalty", [penalty(0, uscc=uscc(1), source_record_id="0")], day=1)
        names = path.read_text("utf-8").splitlines()[0].split(",")
        inbox = self.home / "inbox" / "test_penalty"
        inbox.mkdir(parents=True)
        with (inbox / "large.csv").open("w", encoding="utf-8") as out:
            out.write(",".join(names) + "\n")
            for n in range(ROWS):
                row = penalty(n, uscc=uscc(n % 9), source_record_id=str(n), penalty_content=PADDING)
                row |= {"decision_on": "不详"} if n % 1000 == 7 else {}
                out.write(",".join(str(row[name]) for name in names) + "\n")
        os.utime(inbox / "large.csv", (path.stat().st_mtime, path.stat().st_mtime))

    def copy(self, name: str) -> Path:
        """Return a home of its own whose inbox shares the bytes."""
        home = self.home.with_name(name)
        shutil.copytree(self.home, home, copy_function=os.link)
        return home


def family(session: int) -> list[int]:
    """Return the processes of a session that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def within(seconds: float, wanted: Callable[[], object]) -> bool:
    until = time.monotonic() + seconds
    while not (reached := wanted()) and time.monotonic() < until:
        time.sleep(0.005)
    return bool(reached)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    started = Server(CHENGXIN_WORKERS="2")
    yield started
    started.close()


@pytest.mark.slow
def test_killed_while_several_processes_read_one_file(server: Server, tmp_path: Path) -> None:
    large, draw = Large(tmp_path), random.Random(20261125)
    undisturbed = large.copy("undisturbed")
    assert server.run(undisturbed) == 0
    expected = contents(undisturbed)
    [entry] = [json.loads(path.read_text()) for path in (undisturbed / "admissions").iterdir()]
    assert (entry["received"], entry["quarantined"]) == (ROWS, len(range(7, ROWS, 1000)))
    shutil.rmtree(undisturbed)
    home, shared = large.copy("killed"), 0
    for _ in range(2 * MANY):
        pid = server.begin(home)
        os.kill(pid, signal.SIGCONT)
        # the run, two workers, Python's resource tracker; a run that finds all pieces cleaned starts no workers
        assert within(60, lambda pid=pid: len(family(pid)) > 3 or not family(pid))
        time.sleep(draw.uniform(0, 1.5) if shared else 0)
        shared += len(family(pid)) > 3
        with suppress(ProcessLookupError):  # it was faster
            os.kill(pid, signal.SIGKILL)
        ended = server.end()
        assert within(60, lambda pid=pid: not family(pid)), "a worker outlived its run"
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
    assert shared
    assert server.run(home) == 0
    assert contents(home) == expected
