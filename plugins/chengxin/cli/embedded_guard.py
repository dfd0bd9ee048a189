"""Keeps the processes of an embedded Airflow and ends them all, also when whoever started it was killed.

`python -m chengxin.cli.embedded_guard FOLDER PORT` runs in a session of its own. It ends what it started when its
standard input closes (the starter is gone, however it went), on SIGTERM, or when one of the processes ends by itself.
Airflow's task processes have process groups of their own, so the session is what tells which processes are ours.
"""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

# Two API servers. Airflow 3.3 writes its audit log on the event loop: while such a request waits for SQLite's one
# writer nothing else of that server goes on, not even the task's request that it waits for, until both time out.
COMPONENTS = {
    "api-server": ("api-server", "--apps", "core"),
    "execution-api": ("api-server", "--apps", "execution", "--port"),  # what tasks ask; the port is PORT
    "scheduler": ("scheduler",),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer",),
}
ENDED_BY_ITSELF = 1
PATIENCE = 8.0
LOOK_EVERY = 0.3


def airflow(*words: str) -> list[str]:
    """Return the command line of an Airflow command in this environment."""
    return [sys.executable, "-m", "airflow", *words]


def main(folder: Path, port: str) -> int:
    """Run all components until told to stop; return 1 when one of them ended by itself."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    running = {
        name: _start(name, folder, *words, *([port] if words[-1] == "--port" else ()))
        for name, words in COMPONENTS.items()
    }
    try:
        while not asked and not _closed(LOOK_EVERY):
            gone = [name for name, process in running.items() if process.poll() is not None]
            if gone:
                (folder / "ended").write_text("\n".join(gone))
                return ENDED_BY_ITSELF
        return 0
    finally:
        _stop(running)


def _start(name: str, folder: Path, *words: str) -> "subprocess.Popen[bytes]":
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(airflow(*words), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603  our own words


def _closed(seconds: float) -> bool:
    """Tell whether the starter has gone; waits that long for it."""
    readable, _, _ = select.select([sys.stdin], [], [], seconds)
    return bool(readable) and not os.read(sys.stdin.fileno(), 1)


def _stop(running: Mapping[str, "subprocess.Popen[bytes]"]) -> None:
    for process in running.values():
        process.terminate()
    until = time.monotonic() + PATIENCE
    for process in running.values():
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, until - time.monotonic()))
    end_session(os.getpid(), spare=os.getpid())


def end_session(session: int, *, spare: int = 0) -> None:
    """Kill every process of a session, those started meanwhile included."""
    while found := [pid for pid in members(session) if pid != spare]:
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def members(session: int) -> list[int]:
    """Return the living processes of a session."""
    found = []
    for process in psutil.process_iter(["status"]):
        with suppress(OSError):
            if os.getsid(process.pid) == session and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
