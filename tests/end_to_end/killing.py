"""Runs that may be killed: a warm process that forks them, and what a home holds afterwards.

CHENGXIN_MANY=20 multiplies the number of kills.
"""

import hashlib
import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pipeline_runs import words

from warm import Warm

MANY = int(os.environ.get("CHENGXIN_MANY", "1"))
CACHES = {"seen.json", "tried.json"}
ENVIRONMENT = {
    "CHENGXIN_NOW": "2026-03-20T10:00:00+08:00",
    "CHENGXIN_TOKEN_KEY": "a key for tests that is long enough",
    "CHENGXIN_TRIES": "1000000",
    "GX_ANALYTICS_ENABLED": "no",
}


class Server:
    """Begins a run that is stopped, lets somebody at it, and says how it ended."""

    def __init__(self, **environment: str) -> None:
        self._warm = Warm("chengxin", os.environ | ENVIRONMENT | environment)
        self.end, self.close = self._warm.end, self._warm.close

    def begin(self, home: Path) -> int:
        return self._warm.begin(words(home, home.parent / "contracts", "run", "--json"))

    def run(self, home: Path) -> int:
        os.kill(self.begin(home), signal.SIGCONT)
        return self.end()

    def kill_after(self, home: Path, seconds: float) -> int:
        pid = self.begin(home)
        os.kill(pid, signal.SIGCONT)
        time.sleep(seconds)
        with suppress(ProcessLookupError):  # it was faster
            os.kill(pid, signal.SIGKILL)
        return self.end()

    def trace(self, home: Path, *strace: str) -> tuple[int, str]:
        pid, log = self.begin(home), home.with_suffix(".strace")
        tracer = subprocess.Popen(
            ["strace", "-f", "-p", str(pid), "-o", str(log), *strace], stderr=subprocess.PIPE, text=True
        )
        assert tracer.stderr
        said = tracer.stderr.readline()
        os.kill(pid, signal.SIGCONT)
        end = self.end()
        tracer.wait()
        if "attached" not in said:
            pytest.skip(f"strace may not attach here: {said}")
        return end, log.read_text(errors="replace")


def contents(home: Path) -> dict[str, str]:
    """Return every file of a home by digest, without caches; of files that are not published, that they are there."""
    found = {}
    for path in home.rglob("*"):
        name = path.relative_to(home)
        cache = name.name in CACHES or (name.parts[0] == "feedback" and name.name.startswith("keys-"))  # by file times
        if path.is_file() and name.parts[0] != "locks" and not cache:
            found[str(name)] = _stated(path, name)
    return found


def _stated(path: Path, name: Path) -> str:
    """Return the digest of what a file states: of links the rows, which come in any order, so their seal may differ."""
    if name.name == "linked.parquet":
        rows = pq.read_table(path).sort_by("row_id").to_pylist()
        return hashlib.sha256(repr(rows).encode()).hexdigest()
    if name.parts[0] == "admissions":
        entry = json.loads(path.read_text("utf-8"))
        assert [entry["seals"].pop(sealed) for sealed in list(entry["seals"]) if sealed.endswith("linked.parquet")]
        return hashlib.sha256(json.dumps(entry).encode()).hexdigest()
    exact = name.parts[0] in {"landing", "published", "drafts"}
    return hashlib.sha256(path.read_bytes()).hexdigest() if exact else ""
