"""The home as the pages see it: the index, kept fresh in the background, and the contracts in it."""

import logging
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookLonger
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import HTTPException

import chengxin
from chengxin.contracts.models import Contract
from chengxin.errors import StoreUnavailable
from chengxin.home import Home
from chengxin.settings import environment
from chengxin.store.remote import scopes

log = logging.getLogger(__name__)
INTERVAL = 5.0  # seconds between two looks at the home
MANY = 1000  # batches that the index may lack before it is brought up to date in a process of its own
PATIENCE = 0.15  # seconds a page waits for a look that has begun; then it shows what the index has


class HomeIndex:
    """Reads one home through its index. Many threads use one."""

    def __init__(self, home: Home) -> None:
        self.home, self.clock = home, home.clock
        self.layout = home.layout
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="chengxin-overview")
        self._lock = threading.Lock()
        self._began = -INTERVAL
        self._running: Future[Any] | None = None
        self.building: str | None = ""  # how far a first index is, `done / of`; None when it is whole

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Open the index, after a look at what is new in the home; a first index is shown while it is being filled."""
        from chengxin.operations.index import index

        path = index.path_of(self.home)
        running = self._look()
        try:
            with suppress(TookLonger):
                running.result(0 if self.building else PATIENCE)
            if not index.made(path):
                with index.writing(path):  # its empty tables, at once
                    pass
        except OSError as error:
            raise HTTPException(503, f"索引无处可写，请把 CHENGXIN_CACHE 设为可写的目录：{error.strerror}") from error
        with index.reading(path) as connection:
            if self.building is not None:
                self.building = index.progress(connection)
            yield connection

    def _look(self) -> Future[Any]:
        with self._lock:
            due = time.monotonic() - self._began >= INTERVAL
            if self._running is None or (self._running.done() and (due or self._running.exception())):
                self._began = time.monotonic()
                self._running = self._worker.submit(_follow, self.home)
            return self._running

    def look_anew(self) -> None:
        """Let the next page look at the home at once: somebody has just changed it."""
        with self._lock:
            self._began = -INTERVAL

    def datasets(self) -> list[str]:
        """Return the names of all data sets with a contract or a batch."""
        with self.reading() as connection:
            query = "SELECT dataset FROM dataset UNION SELECT dataset FROM dataset_total"
            return [row[0] for row in connection.execute(query)]

    def contract(self, connection: sqlite3.Connection, dataset: str) -> Contract | None:
        """Return a data set's contract; None when there is no usable one."""
        row = connection.execute("SELECT contract, stamp FROM dataset WHERE dataset = ?", (dataset,)).fetchone()
        return _contract(row["contract"]) if row else None


def _follow(home: Home) -> None:
    """Bring the copy of a far home up to date, then the index; without the store the pages show what was there."""
    from chengxin.operations.index import follower

    try:
        home.here(scopes.PAGES)
    except StoreUnavailable as error:
        log.warning("%s", error)
    if follower.behind(home, MANY):
        _follow_aside(home)
    else:
        follower.refresh(home)


def _follow_aside(home: Home) -> None:
    """Do the work of minutes in another process: a thread of this one would keep every page waiting for its turn."""
    known = [str(Path(chengxin.__file__).parents[1]), *filter(None, [environment().get("PYTHONPATH")])]
    done = subprocess.run(  # noqa: S603  ourselves
        [sys.executable, "-m", "chengxin.operations.index", home.settings.home, home.settings.contracts],
        env=environment() | {"PYTHONPATH": os.pathsep.join(known)},
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        log.warning("索引没有建成（退出码 %d），稍后再试", done.returncode)


@lru_cache(maxsize=1024)
def _contract(text: str) -> Contract:
    return Contract.model_validate_json(text)
