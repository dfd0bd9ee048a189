"""Which records each recipient was handed over HTTP, as files or in answers about a subject: append-only, no values.

    <accesses>/served/<day>-<random>.jsonl   {at, by, tier, snapshot, table, file, sha256, numbered, rows}
                                             {at, by, tier, snapshot, subjects, records, rows}
    <accesses>/files/<sha256>                which records a handed file held: eight bytes of each number, sorted

Written by the serving app before it answers; read when a record is withdrawn, to know who has it.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from chengxin.clock import Clock
from chengxin.store import line_log
from chengxin.store.atomic import write_bytes
from chengxin.store.manifest import FileEntry

SERVED, FILES, RECEIPTS = "served", "files", "receipts"  # folders below accesses/
_NUMBER = "record_id"
_TYPE = np.dtype(">u8")
_DIGITS = 16  # of a record's number that stand for it


class QuotaExceeded(Exception):
    """A holder would be handed more rows in a day than it may have."""


@dataclass(frozen=True)
class Reading:
    """What is read by whom: holder, tier and snapshot. quota: rows that the holder may be handed in a day."""

    by: str
    tier: str
    snapshot: str
    quota: int | None = None

    def entry(self, now: str) -> dict[str, Any]:
        """Return how a line of the log begins."""
        return {"at": now, "by": self.by, "tier": self.tier, "snapshot": self.snapshot}


class AccessLog:
    """Notes what is handed over. A file is noted once a day for each holder, however often and by which ranges."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._files, self._clock = folder / FILES, clock
        self._log = line_log.LineLog(folder / SERVED, clock)
        self._lock = Lock()
        self._today = _Today(folder / SERVED)

    def note_file(self, reading: Reading, entry: FileEntry, path: Path) -> None:
        """Note that a file is about to be handed over. Raise OSError where that cannot be written, QuotaExceeded."""
        key = (reading.by, reading.snapshot, entry.sha256)
        with self._lock:
            if key in self._day().noted:
                return
        body = {"table": entry.table, "file": entry.name, "sha256": entry.sha256, "rows": entry.rows}
        with self._within(reading, entry.rows):
            numbered = self._keep_numbers(entry, path)
            self._log.append({**reading.entry(self._clock.now().isoformat()), **body, "numbered": numbered})
        self._day().noted.add(key)

    def note_answer(self, reading: Reading, subjects: Collection[int], records: Iterable[str], rows: int) -> None:
        """Note that rows about some subjects are about to be answered. Raises as `note_file`."""
        ends = sorted({number[-_DIGITS:] for number in records})
        with self._within(reading, rows):
            body = reading.entry(self._clock.now().isoformat())
            self._log.append({**body, "subjects": sorted(subjects), "records": ends, "rows": rows})

    def _day(self) -> "_Today":
        day = f"{self._clock.today():%Y%m%d}"
        if self._today.day != day:
            self._today = _Today(self._today.folder, day)
        return self._today

    @contextmanager
    def _within(self, reading: Reading, rows: int) -> Iterator[None]:
        """Keep rows of the holder's quota while they are noted; raise QuotaExceeded where it has not so many left."""
        if reading.quota is None:
            yield
            return
        with self._lock:
            today = self._day()
            if today.rows(reading.by) + rows > reading.quota:
                raise QuotaExceeded
            today.pending[reading.by] += rows
        try:
            yield
        finally:
            with self._lock:
                today.pending[reading.by] -= rows

    def _keep_numbers(self, entry: FileEntry, path: Path) -> bool:
        """Keep which records a file holds, once for equal files; return whether its rows have a record's number."""
        if _NUMBER not in pq.read_schema(path).names:
            return False
        kept = self._files / entry.sha256
        if not kept.exists():
            column = pq.read_table(path, columns=[_NUMBER], partitioning=None).column(0)
            write_bytes(kept, _digests(column.to_pylist()).tobytes())
        return True


@dataclass
class _Today:
    """What was handed over today by all processes of this machine. noted: by this one; pending: being written."""

    folder: Path
    day: str = ""
    noted: set[tuple[str, str, str]] = field(default_factory=set)
    pending: Counter[str] = field(default_factory=Counter)
    _rows: Counter[str] = field(default_factory=Counter)
    _read: dict[Path, int] = field(default_factory=dict)

    def rows(self, by: str) -> int:
        """Return the rows that a holder was handed so far, or is being handed. Reads what was added since."""
        for path in self.folder.glob(f"{self.day}-*{line_log.SUFFIX}"):
            before = self._read.get(path, 0)
            added = line_log.whole_lines(path, before) if path.stat().st_size > before else b""
            for line in map(json.loads, added.splitlines()):
                self._rows[line["by"]] += line["rows"]
            self._read[path] = before + len(added)
        return self._rows[by] + self.pending[by]


def _digests(numbers: Iterable[str | None]) -> npt.NDArray[np.uint64]:
    text = "".join(number[-_DIGITS:] for number in numbers if number)
    found: npt.NDArray[np.uint64] = np.unique(np.frombuffer(bytes.fromhex(text), _TYPE))
    return found


def holders(folder: Path, numbers: Collection[str]) -> dict[str, dict[str, str]]:
    """Return who was handed which of these records: number -> {holder: tier}.

    Who was handed a file of which is not known any more what it held counts as holding all of them.
    """
    wanted = sorted(numbers)
    found: dict[str, dict[str, str]] = {number: {} for number in wanted}
    by_end = {number[-_DIGITS:]: number for number in wanted}
    files: dict[str, set[tuple[str, str]]] = {}
    for line in line_log.read_lines(folder / SERVED) if wanted else ():
        if line.get("numbered"):
            files.setdefault(line["sha256"], set()).add((line["by"], line["tier"]))
        for end in line.get("records", ()):
            if end in by_end:
                found[by_end[end]][line["by"]] = line["tier"]
    for sha256, held_by in files.items():
        for number in _held(folder / FILES / sha256, wanted):
            found[number].update(held_by)
    return found


def _held(path: Path, wanted: list[str]) -> list[str]:
    """Return which of these records a handed file held."""
    try:
        held = np.frombuffer(path.read_bytes(), _TYPE)
    except FileNotFoundError:
        return wanted
    ends = np.array([int(number[-_DIGITS:], 16) for number in wanted], _TYPE)
    places = np.searchsorted(held, ends)
    return [n for n, p, end in zip(wanted, places, ends, strict=True) if p < len(held) and held[p] == end]


@dataclass(frozen=True)
class Holding:
    """What a holder was handed so far: distinct files, rows in them, subjects that it was answered about."""

    files: int
    rows: int
    subjects: int
    last: str


def holdings(folder: Path) -> dict[str, Holding]:
    """Return what each holder was handed, by holder."""
    seen: dict[str, tuple[dict[str, int], set[int], str]] = {}
    for line in line_log.read_lines(folder / SERVED):
        files, subjects, last = seen.get(line["by"], ({}, set(), ""))
        if "sha256" in line:
            files[line["sha256"]] = line["rows"]
        subjects.update(line.get("subjects", ()))
        seen[line["by"]] = (files, subjects, max(last, line["at"]))
    return {
        by: Holding(len(files), sum(files.values()), len(subjects), last)
        for by, (files, subjects, last) in sorted(seen.items())
    }


def take_in(source: Path, folder: Path) -> None:
    """Copy what a serving app wrote elsewhere below accesses/; run again, it copies what is new."""
    if source == folder:
        return
    logs = {
        (name, path.name): line_log.whole_lines(path)
        for name in (SERVED, RECEIPTS)
        for path in sorted((source / name).glob(f"*{line_log.SUFFIX}"))
    }
    for path in sorted((source / FILES).glob("[0-9a-f]*")):  # after the lines: so there is one for each that they name
        if not (folder / FILES / path.name).exists():
            write_bytes(folder / FILES / path.name, path.read_bytes())
    for (name, file), data in logs.items():
        target = folder / name / file
        if not target.exists() or target.stat().st_size < len(data):
            write_bytes(target, data)
