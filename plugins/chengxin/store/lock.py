"""One writer at a time: advisory file locks that the kernel frees when the process dies, and who holds them.

Beside the lock file `<name>.lock` lies `<name>.json`: process, host, command and since when. It is written for people
after the lock is taken and states nothing once the lock is free.
"""

import fcntl
import json
import logging
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from chengxin.clock import SHANGHAI, Clock
from chengxin.errors import CommitConflict
from chengxin.settings import running_task
from chengxin.store.atomic import read_json
from chengxin.store.layout import Layout

log = logging.getLogger(__name__)
#: What this process does, for those who wait; else it is its program, or the task where Airflow runs one.
command: ContextVar[str] = ContextVar("command", default=Path(sys.argv[0]).name)
_SOON, _AGAIN = 5.0, 300.0  # seconds of waiting until it is said for whom, and until it is said again


@dataclass(frozen=True)
class Holder:
    """Who holds a lock. command: program and command, without its arguments. since: ISO 8601, Shanghai time."""

    lock: str
    pid: int
    host: str
    command: str
    since: str

    def __str__(self) -> str:
        since = datetime.fromisoformat(self.since).astimezone(SHANGHAI)
        return f"{self.command}（主机 {self.host}，进程 {self.pid}）自 {since:%Y-%m-%d %H:%M:%S} 起"


@contextmanager
def held(layout: Layout, name: str, *, seconds: float = 3600) -> Iterator[None]:
    """Hold the home's lock `name`; raise CommitConflict when somebody else keeps it longer than `seconds`.

    Whoever waits says after a few seconds for whom.
    """
    layout.locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(layout.locks / f"{name}.lock")
    _acquire(lock, layout, name, seconds)
    note = layout.locks / f"{name}.json"
    try:
        with suppress(OSError):  # a full disk keeps nobody from its lock
            note.write_text(_me(name), "utf-8")
        yield
    finally:
        with suppress(OSError):
            note.unlink()
        lock.release()


def holders(layout: Layout) -> list[Holder]:
    """Return who holds which lock of a home at this moment; nothing is written."""
    found = (_holder(layout, path.stem) for path in sorted(layout.locks.glob("*.lock")) if _is_held(path))
    return [holder for holder in found if holder]


def _acquire(lock: FileLock, layout: Layout, name: str, seconds: float) -> None:
    begun, patience = time.monotonic(), _SOON
    while True:
        left = begun + seconds - time.monotonic()
        try:
            lock.acquire(timeout=max(0.0, min(left, patience)))
        except Timeout as error:
            holder, waited = _holder(layout, name), time.monotonic() - begun
            said = f"{holder}占用“{name}”锁" if holder else f"另一个进程正占用“{name}”锁"
            if waited >= seconds:
                raise CommitConflict(f"{said}，已等待 {seconds:.0f} 秒；请等它结束，或查明后终止它，再重试") from error
            log.warning("%s，已等待 %.0f 秒，继续等待", said, waited)
            patience = _AGAIN
        else:
            return


def _me(name: str) -> str:
    task = running_task()
    doing = f"Airflow {task}" if task else command.get()
    since = Clock().now().astimezone(SHANGHAI).isoformat(timespec="seconds")
    return json.dumps(asdict(Holder(name, os.getpid(), socket.gethostname(), doing, since)), ensure_ascii=False)


def _holder(layout: Layout, name: str) -> Holder | None:
    try:
        return Holder(**read_json(layout.locks / f"{name}.json"))
    except (OSError, ValueError, TypeError):  # none yet, or being written
        return None


def _is_held(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False
