"""Which records each recipient was handed over HTTP, as files or in answers about a subject: append-only, no values.

    <accesses>/served/<day>-<random>.jsonl   {at, by, tier, snapshot, table, file, sha256, rows}
                                             {at, by, tier, snapshot, subjects, records}
    <accesses>/files/<sha256>                which records a handed file held: eight bytes of each number, sorted

Written by the serving app before it answers; read when a record is withdrawn, to know who has it.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from chengxin.clock import Clock
from chengxin.store import lines
from chengxin.store.atomic import write_bytes
from chengxin.store.manifest import FileEntry

SERVED, FILES, RECEIPTS = "served", "files", "receipts"  # folders below accesses/
_NUMBER = "record_id"
_TYPE = np.dtype(">u8")
_DIGITS = 16  # of a record's number that stand for it


@dataclass(frozen=True)
class Reading:
    """What is read by whom: holder, tier and snapshot."""

    by: str
    tier: str
    snapshot: str


class Handovers:
    """Notes what is handed over. A file is noted once a day for each holder, however often and by which ranges."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._files, self._clock = folder / FILES, clock
        self._log = lines.LineLog(folder / SERVED, clock)
        self._lock = Lock()
        self._noted: tuple[str, set[tuple[str, str, str]]] = ("", set())

    def note_file(self, reading: Reading, entry: FileEntry, path: Path) -> None:
        """Note that a file is about to be handed over. Raise OSError where that cannot be written."""
        now = self._clock.now().isoformat()
        key = (reading.by, reading.snapshot, entry.sha256)
        with self._lock:
            if self._noted[0] != now[:10]:
                self._noted = (now[:10], set())
            noted = self._noted[1]
        if key in noted:
            return
        rows = self._keep_numbers(entry, path)
        body = {"at": now, **vars(reading), "table": entry.table, "file": entry.name}
        self._log.append({**body, "sha256": entry.sha256, "rows": rows})
        noted.add(key)

    def note_answer(self, reading: Reading, subjects: Collection[int], records: Iterable[str]) -> None:
        """Note that rows about some subjects are about to be answered. Raise OSError where that cannot be written."""
        body = {"at": self._clock.now().isoformat(), **vars(reading), "subjects": sorted(subjects)}
        self._log.append({**body, "records": sorted({number[-_DIGITS:] for number in records})})

    def _keep_numbers(self, entry: FileEntry, path: Path) -> int:
        """Keep which records a file holds, once for equal files; return how many rows have a record's number."""
        if _NUMBER not in pq.read_schema(path).names:
            return 0
        kept = self._files / entry.sha256
        if not kept.exists():
            column = pq.read_table(path, columns=[_NUMBER], partitioning=None).column(0)
            write_bytes(kept, _digests(column.to_pylist()).tobytes())
        return entry.rows


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
    for line in lines.read_lines(folder / SERVED) if wanted else ():
        if line.get("rows"):
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
    for line in lines.read_lines(folder / SERVED):
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
        (name, path.name): lines.whole_lines(path)
        for name in (SERVED, RECEIPTS)
        for path in sorted((source / name).glob(f"*{lines.SUFFIX}"))
    }
    for path in sorted((source / FILES).glob("[0-9a-f]*")):  # after the lines: so there is one for each that they name
        if not (folder / FILES / path.name).exists():
            write_bytes(folder / FILES / path.name, path.read_bytes())
    for (name, file), data in logs.items():
        target = folder / name / file
        if not target.exists() or target.stat().st_size < len(data):
            write_bytes(target, data)
