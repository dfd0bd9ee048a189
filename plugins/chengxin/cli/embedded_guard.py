"""Keeps the processes of an embedded Airflow and ends them all, also when whoever started it was killed.

`python -m chengxin.cli.embedded_guard FOLDER PORT` runs in a session of its own. It imports Airflow, which takes more
than a second, once for all: every command is a fork. First it makes the database; then it waits for a line on its
standard input, what the tasks' environment holds besides, as JSON; then it runs all components. It ends what it
started when its standard input closes (the starter is gone, however it went), on SIGTERM, or when one of the processes
ends by itself. Airflow's task processes have process groups of their own, so ours are found by the session.
"""

import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from runpy import run_module

import psutil

from chengxin.settings import put

MIGRATE = ("db", "migrate")
# Two API servers. Airflow 3.3 writes its audit log on the event loop: while such a request waits for SQLite's one
# writer nothing else of that server goes on, not even the task's request that it waits for, until both time out.
COMPONENTS = {
    "api-server": ("api-server", "--apps", "core"),
    "execution-api": ("api-server", "--apps", "execution", "--port"),  # what tasks ask; the port is PORT
    # Their servers of logs listen on every interface; the API server reads the files itself.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
ENDED_BY_ITSELF = 1
# What they have in common. Airflow opens its database and reads its plugins later.
LOADED = ("airflow.cli.cli_parser", "airflow.jobs.scheduler_job_runner", "airflow.api_fastapi.app")
PATIENCE = 8.0  # with the scheduler, which waits for its tasks
PATIENCE_WITH_OTHERS = 1.0  # they have nothing to finish; the triggerer sometimes waits ten seconds for its own child
LOOK_EVERY = 0.3


def airflow(*words: str) -> list[str]:
    """Return the command line of an Airflow command in this environment."""
    return [sys.executable, "-m", "airflow", *words]


def main(folder: Path, port: str) -> int:
    """Make the database, then run all components until a signal; return 1 when one of them ended by itself."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in LOADED:
        import_module(name)
    if _fork(folder / "migrate.log", *MIGRATE).wait():
        (folder / "ended").write_text(" ".join(MIGRATE))
        return ENDED_BY_ITSELF
    told = sys.stdin.readline()
    if not told:
        return 0
    put(json.loads(told))
    running = {
        name: _fork(folder / f"{name}.log", *words, *([port] if words[-1] == "--port" else ()))
        for name, words in COMPONENTS.items()
    }
    try:
        while not asked and not _closed(LOOK_EVERY):
            gone = [name for name, process in running.items() if _has_ended(process)]
            if gone:
                (folder / "ended").write_text("\n".join(gone))
                return ENDED_BY_ITSELF
        return 0
    finally:
        _stop(running)


def _fork(log: Path, *words: str) -> psutil.Process:
    """Run an Airflow command in a child of this process, of which nothing else goes on in the child."""
    child = os.fork()
    if child:
        return psutil.Process(child)
    code = 1
    try:
        code = _run(log, words)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(log: Path, words: tuple[str, ...]) -> int:
    """Do what `python -m airflow words` does, its output in a file; return its exit code."""
    from setproctitle import setthreadtitle

    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Ctrl-C stays ignored: the starter handles it
    nothing, written = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for here, there in ((nothing, 0), (written, 1), (written, 2)):
        os.dup2(here, there)
    sys.argv = ["airflow", *words]
    setthreadtitle(words[0])  # what `top` and `ps -o comm` show
    try:
        run_module("airflow", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    return 0


def _closed(seconds: float) -> bool:
    """Return whether the starter has gone; waits that long for it."""
    readable, _, _ = select.select([sys.stdin], [], [], seconds)
    return bool(readable) and not os.read(sys.stdin.fileno(), 1)


def _has_ended(process: psutil.Process) -> bool:
    try:
        process.wait(0)
    except psutil.TimeoutExpired:
        return False
    return True


def _stop(running: Mapping[str, psutil.Process]) -> None:
    for process in running.values():
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    psutil.wait_procs([running["scheduler"]], timeout=PATIENCE)
    psutil.wait_procs(running.values(), timeout=PATIENCE_WITH_OTHERS)
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
