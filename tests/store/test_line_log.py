"""A log of lines: many threads at once, cut back where a write fails, a torn end ignored."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chengxin.clock import Clock
from chengxin.store.line_log import LineLog, read_lines, stamp

CLOCK = Clock(datetime(2026, 3, 3, 17, tzinfo=UTC))  # the fourth, in China


def test_lines_of_many_threads_are_all_there_in_one_file(tmp_path: Path) -> None:
    log = LineLog(tmp_path / "log", CLOCK)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: log.append({"n": n}), range(400)))
    assert sorted(line["n"] for line in read_lines(tmp_path / "log")) == list(range(400))
    [path] = (tmp_path / "log").iterdir()
    assert path.name.startswith("20260304-") and path.stat().st_mode & 0o077 == 0


def test_each_process_has_a_file_and_torn_ends_do_not_count(tmp_path: Path) -> None:
    for n in range(2):
        LineLog(tmp_path, CLOCK).append({"n": n})
    before = stamp(tmp_path)
    path = next(tmp_path.iterdir())
    with path.open("a") as stream:
        stream.write('{"n": ')
    assert len(list(tmp_path.iterdir())) == 2 and stamp(tmp_path) != before
    assert sorted(line["n"] for line in read_lines(tmp_path)) == [0, 1]


FULL = """
import resource, signal, sys
from pathlib import Path
from chengxin.clock import Clock
from chengxin.store.line_log import LineLog
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = LineLog(Path(sys.argv[1]), Clock())
log.append({"n": 0})
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
try:
    log.append({"n": "x" * 200})
except OSError as error:
    print(error.strerror)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.append({"n": 1})
"""


def test_a_write_that_fails_raises_and_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "File too large"), done.stderr
    texts = sorted(path.read_text() for path in tmp_path.iterdir())
    assert [[json.loads(line)["n"] for line in text.splitlines()] for text in texts] == [[0], [1]]


def test_all_that_share_a_failed_write_are_refused(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("")
    log = LineLog(tmp_path / "log", CLOCK)

    def refused(n: int) -> bool:
        with pytest.raises(OSError, match="exists"):
            log.append({"n": n})
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(refused, range(40)))
    (tmp_path / "log").unlink()
    log.append({"n": 1})
    assert [line["n"] for line in read_lines(tmp_path / "log")] == [1]
