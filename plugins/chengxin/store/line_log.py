"""A log of JSON lines that many threads append to: a file of its own for each process and day, never edited.

A line is durable when `append` returns. Threads that come at once share one write and one fsync. Where a write fails,
it fails for all of them, the file is cut back to what was whole, and the next line begins another file. A reader
ignores what follows the last newline: it was never durable.
"""

import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from threading import Lock
from typing import Any

from chengxin.clock import Clock
from chengxin.store.atomic import fsync_folder, naming

SUFFIX = ".jsonl"


@dataclass
class _Batch:
    """Lines that are written together."""

    lines: list[bytes] = field(default_factory=list)
    is_written: bool = False
    error: OSError | None = None


class LineLog:
    """Appends lines below a folder."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder, clock
        self._collecting, self._writing = Lock(), Lock()
        self._batch = _Batch()
        self._path: Path | None = None
        self._day: date | None = None

    def append(self, entry: dict[str, Any]) -> None:
        """Append an entry durably. Raise OSError where it cannot be written."""
        line = (json.dumps(entry, ensure_ascii=False) + "\n").encode()
        with self._collecting:
            batch = self._batch
            batch.lines.append(line)
        with self._writing:
            if not batch.is_written:
                with self._collecting:
                    self._batch = _Batch()
                try:
                    self._write(b"".join(batch.lines))
                except OSError as error:
                    self._path, batch.error = None, error
                batch.is_written = True
        if batch.error:
            raise batch.error

    def _write(self, data: bytes) -> None:
        today = self._clock.today()
        is_new = self._path is None or self._day != today
        if is_new:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._path, self._day = self._folder / f"{today:%Y%m%d}-{secrets.token_hex(4)}{SUFFIX}", today
        assert self._path is not None
        with naming(self._path):
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                whole = os.fstat(handle).st_size
                try:
                    left = memoryview(data)
                    while left:
                        left = left[os.write(handle, left) :]
                    os.fsync(handle)
                except OSError:
                    os.ftruncate(handle, whole)
                    raise
            finally:
                os.close(handle)
        if is_new:
            fsync_folder(self._folder)


def read_lines(folder: Path) -> Iterator[dict[str, Any]]:
    """Give the durable entries of all files, file by file."""
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        yield from (json.loads(line) for line in whole_lines(path).splitlines())


def whole_lines(path: Path, after: int = 0) -> bytes:
    """Return the bytes of a file from a place on up to its last newline."""
    with path.open("rb") as stream:
        stream.seek(after)
        data = stream.read()
    return data[: data.rfind(b"\n") + 1]


def stamp(folder: Path) -> tuple[tuple[str, int], ...]:
    """Return what changes with each new line: names and sizes of the files."""
    return tuple(sorted((path.name, path.stat().st_size) for path in folder.glob(f"*{SUFFIX}")))
