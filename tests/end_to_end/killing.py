"""Runs that may be killed: a warm process that forks them, and what a home holds afterwards.

CHENGXIN_MANY=20 multiplies the number of kills.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

MANY = int(os.environ.get("CHENGXIN_MANY", "1"))
CACHES = {"seen.json", "tried.json"}
ENVIRONMENT = {
    "CHENGXIN_NOW": "2026-03-20T10:00:00+08:00",
    "CHENGXIN_TOKEN_KEY": "geheim",
    "GX_ANALYTICS_ENABLED": "no",
}


class Server:
    """Forks a stopped run, lets somebody at it, and says how it ended."""

    def __init__(self, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("run_server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | ENVIRONMENT | environment,
        )

    def begin(self, home: Path) -> int:
        assert self.process.stdin and self.process.stdout
        arguments = ["--home", str(home), "--contracts", str(home.parent / "contracts"), "run", "--json"]
        self.process.stdin.write(json.dumps(arguments) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline().split()[1])

    def end(self) -> int:
        assert self.process.stdout
        return int(self.process.stdout.readline().split()[1])

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

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()

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
            exact = name.parts[0] in {"landing", "admissions", "published", "drafts"}
            found[str(name)] = hashlib.sha256(path.read_bytes()).hexdigest() if exact else ""
    return found
