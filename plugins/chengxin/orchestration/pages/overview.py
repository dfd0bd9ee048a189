"""The home as the pages see it: the index, kept fresh in the background, and the contracts in it."""

import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookLonger
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

from fastapi import HTTPException

from chengxin.clock import Clock
from chengxin.contracts.models import Contract
from chengxin.errors import StoreUnavailable
from chengxin.settings import Settings
from chengxin.store import remote
from chengxin.store.layout import Layout
from chengxin.store.remote import scopes

log = logging.getLogger(__name__)
INTERVAL = 5.0  # seconds between two looks at the home
PATIENCE = 0.15  # seconds a page waits for a look that has begun; then it shows what the index has


class Overview:
    """Reads one home through its index. Many threads use one."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings, self.clock = settings, clock
        self.layout = Layout(settings.home)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="chengxin-overview")
        self._lock = threading.Lock()
        self._began = -INTERVAL
        self._running: Future[Any] | None = None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Open the index, after a look at what is new in the home."""
        from chengxin.serve.operators import index

        path = index.path_of(self.settings)
        running = self._look()
        try:
            with suppress(TookLonger):
                running.result(PATIENCE)
            while not index.made(path):  # a first one is filled for minutes, and shown meanwhile
                time.sleep(PATIENCE / 10)
                with suppress(TookLonger):
                    running.result(PATIENCE)
        except OSError as error:
            raise HTTPException(503, f"索引无处可写，请把 CHENGXIN_CACHE 设为可写的目录：{error.strerror}") from error
        with index.reading(path) as connection:
            yield connection

    def _look(self) -> Future[Any]:
        with self._lock:
            due = time.monotonic() - self._began >= INTERVAL
            if self._running is None or (self._running.done() and (due or self._running.exception())):
                self._began = time.monotonic()
                self._running = self._worker.submit(_follow, self.settings)
            return self._running

    def datasets(self) -> list[str]:
        """Return the names of all data sets with a contract or a batch."""
        with self.reading() as connection:
            query = "SELECT dataset FROM dataset UNION SELECT dataset FROM dataset_total"
            return [row[0] for row in connection.execute(query)]

    def contract(self, connection: sqlite3.Connection, dataset: str) -> Contract | None:
        """Return a data set's contract; None when there is no usable one."""
        row = connection.execute("SELECT contract, stamp FROM dataset WHERE dataset = ?", (dataset,)).fetchone()
        return _contract(row["contract"]) if row else None


def _follow(settings: Settings) -> None:
    """Bring the copy of a far home up to date, then the index; without the store the pages show what was there."""
    from chengxin.serve.operators.following import refresh

    try:
        remote.here(settings, scopes.PAGES)
    except StoreUnavailable as error:
        log.warning("%s", error)
    refresh(settings)


@lru_cache(maxsize=1024)
def _contract(text: str) -> Contract:
    return Contract.model_validate_json(text)
