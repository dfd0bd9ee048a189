"""Bring rows into their final order, by part, subject and place of origin, in bounded memory.

An external sort in Arrow. Rows go into buckets (a range of subjects of one part), which lie in memory while they fit
and else as Arrow streams on disk; each bucket is then sorted by numbers alone and handed on. The outcome does not
depend on the buckets.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa

from chengxin.publishing.assembly.origins import FILES_BITS
from chengxin.publishing.assembly.rows import Numbers, Window

BUCKET = 600_000  # rows
_PART_BITS = 48  # below it the subject
_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


def borders(counts: Sequence[int], sample: Sequence[Numbers], bucket: int = BUCKET) -> Numbers:
    """Return where buckets of about so many rows begin, as part << 48 | subject.

    counts: rows of each part; sample: some of its subjects.
    """
    made = []
    for part, (rows, subjects) in enumerate(zip(counts, sample, strict=True)):
        pieces = math.ceil(rows / bucket) if len(subjects) else 1
        cuts = np.quantile(subjects, np.arange(1, pieces) / pieces, method="nearest") if pieces > 1 else subjects[:0]
        made += [(part << _PART_BITS) | int(s) for s in (0, *np.unique(cuts))]
    return np.asarray(made, np.int64)


def in_order(
    windows: Iterable[Window], begins: Numbers, folder: Path, *, memory_bytes: int, threads: int
) -> Iterator[tuple[int, pa.Table]]:
    """Give (part, sorted rows) bucket by bucket, in ascending order; `part` itself is no column any more."""
    buckets = _Buckets(begins, folder, memory_bytes)
    with ThreadPoolExecutor(threads) as pool:
        for pieces in _ahead(pool, lambda window: _split(window, begins), windows, threads):
            buckets.add(pieces)
        buckets.close()
        filled = range(len(begins))
        for bucket, table in zip(filled, _ahead(pool, buckets.sorted, filled, 1), strict=True):
            if table is not None:
                yield int(begins[bucket] >> _PART_BITS), table


def _ahead(
    pool: ThreadPoolExecutor, work: Callable[[_Item], _Made], items: Iterable[_Item], ahead: int
) -> Iterator[_Made]:
    """Work on some items at once and give the outcomes in order."""
    waiting: list[Future[_Made]] = []
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > ahead:
            yield waiting.pop(0).result()
    for future in waiting:
        yield future.result()


def _split(window: Window, begins: Numbers) -> list[tuple[int, pa.Table]]:
    """Cut the rows that count into pieces of one bucket each: the one time that a row is moved before the sort."""
    bucket = np.searchsorted(begins, (window.part << _PART_BITS) | window.subject, side="right") - 1
    order = np.argsort(bucket.astype(np.uint16), kind="stable")  # of 16 bits: a radix sort
    table = window.rows.take(pa.array(window.at[order]))
    for name, column in zip(window.more.column_names, window.more.take(pa.array(order)).columns, strict=True):
        table = table.append_column(name, column)
    table = table.select(sorted(table.column_names))
    counts = np.bincount(bucket, minlength=len(begins))
    ends = np.cumsum(counts)
    return [(int(b), table.slice(int(ends[b] - counts[b]), int(counts[b]))) for b in np.flatnonzero(counts)]


class _Buckets:
    def __init__(self, begins: Numbers, folder: Path, memory_bytes: int) -> None:
        self._folder, self._limit = folder, memory_bytes
        self._held: list[list[pa.Table]] = [[] for _ in begins]
        self._bytes = 0
        self._streams: dict[int, pa.RecordBatchStreamWriter] = {}

    def add(self, pieces: list[tuple[int, pa.Table]]) -> None:
        """Take the pieces of one window."""
        for bucket, table in pieces:
            self._held[bucket].append(table)
            self._bytes += table.nbytes
        if self._bytes > self._limit:
            self._spill()

    def _spill(self) -> None:
        for bucket, tables in enumerate(self._held):
            if tables:
                table = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
                if bucket not in self._streams:
                    self._streams[bucket] = pa.ipc.new_stream(str(self._path(bucket)), table.schema)
                self._streams[bucket].write_table(table)
                self._held[bucket] = []
        self._bytes = 0

    def close(self) -> None:
        """End the streams, before anything is read."""
        for stream in self._streams.values():
            stream.close()

    def sorted(self, bucket: int) -> pa.Table | None:
        """Return the rows of a bucket in order, and forget them."""
        tables, self._held[bucket] = self._held[bucket], []
        path = self._path(bucket) if bucket in self._streams else None
        if path:
            tables = [pa.ipc.open_stream(pa.memory_map(str(path))).read_all(), *tables]
        if not tables:
            return None
        table = pa.concat_tables(tables).unify_dictionaries()
        made = table.take(pa.array(_order(table)))
        if path:
            path.unlink()
        return made

    def _path(self, bucket: int) -> Path:
        return self._folder / f"bucket-{bucket:05d}.arrows"


def _order(table: pa.Table) -> Numbers:
    """Return the places of rows in the order of subject, origin, source row."""
    subject, origin, row = (table.column(n).to_numpy() for n in ("subject_id", "origin", "source_row"))
    place = (origin << FILES_BITS) | row
    least = int(subject.min())
    bits = max(1, len(subject) - 1).bit_length()
    if (place[1:] > place[:-1]).all() and (int(subject.max()) - least) >> (62 - bits) == 0:
        # In the order of origin already: subject and position are one number, and only numbers are sorted.
        packed = np.sort(((subject - least) << bits) | np.arange(len(subject)))
        return packed & ((1 << bits) - 1)
    return np.lexsort((place, subject)).astype(np.int64)
