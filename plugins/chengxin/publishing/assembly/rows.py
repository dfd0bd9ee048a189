"""The rows of a kind that a draft is made of: fresh ones with their links, and those of older files that are kept.

Rows are read in windows of bounded size, side by side with the links of the same rows, so nothing is joined or moved
here: a window states which of its rows count and where they belong; `publishing.assembly.order` moves them.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.errors import InvariantBroken
from chengxin.publishing.assembly.origins import FILES_BITS, Origins
from chengxin.publishing.merges import LINKED, NO_MERGES, Merges

WINDOW = 1 << 19  # rows
Numbers = npt.NDArray[np.int64]
_SOURCE = ("source_row", "source_record_id", "source_updated_at")
_LINKED = ("row_id", "waiting", "part", "record_id", "subject_id", "related_subject_id", "subject_type")


@dataclass(frozen=True)
class Window:
    """Some rows, and which of them count. at: their positions in `rows`; the others are in the order of `at`.

    part: places among the touched parts. subject: subject_id. more: further columns, `origin` among them.
    """

    rows: pa.Table
    at: Numbers
    part: Numbers
    subject: Numbers
    more: pa.Table


@dataclass(frozen=True)
class Shape:
    """What is carried of each row. columns: those of the kind that may hold a value. parts: touched ones, sorted.

    repeating: texts among the columns that are carried as places in a dictionary. merges: which ids lead to others.
    """

    columns: tuple[str, ...]
    related: bool
    parts: tuple[str, ...]
    repeating: tuple[str, ...] = ()
    merges: Merges = NO_MERGES

    @property
    def head(self) -> list[str]:
        """Return the columns that linking gave."""
        return ["record_id", "subject_id", *(["related_subject_id"] if self.related else []), "subject_type"]

    @property
    def names(self) -> list[str]:
        """Return all columns but `origin`, which older files spell out."""
        linked = [LINKED[n] for n in self.head if n in LINKED] if self.merges else []
        return [*self.head, *linked, *self.columns, *_SOURCE]

    def places(self, subjects: pa.ChunkedArray, part: Any) -> Numbers:
        """Return the places of the parts of rows among the touched ones. part: where nobody else's id counts."""
        part = self.merges.place(subjects, part)
        return np.asarray(pc.index_in(part, value_set=pa.array(self.parts, pa.string())), np.int64)


@dataclass(frozen=True)
class Picked:
    """Which rows of a batch are read: all but `rows`, or only those. rows: their row_id, ascending."""

    rows: Numbers
    only: bool = False


def fresh(
    standard: Sequence[Path],
    linked: Sequence[Path],
    shape: Shape,
    first_origin: int,
    picked: Picked,
) -> Iterator[Window]:
    """Read the settled rows of one revision of a batch that are picked."""
    links = _Links(linked, shape.related)
    names = ["row_id", *shape.columns, *_SOURCE]
    for path in standard:
        rows = pq.ParquetFile(path, read_dictionary=shape.repeating).read(columns=names)
        ids = rows.column("row_id").to_numpy()
        if not len(ids):
            continue
        mine = links.between(int(ids[0]), int(ids[-1]))
        wanted = mine.column("row_id").to_numpy()
        if picked.only or len(picked.rows):
            stays = _among(wanted, picked.rows) == picked.only
            mine, wanted = mine.filter(pa.array(stays)), wanted[stays]
        at = np.searchsorted(ids, wanted)
        if len(wanted) and not (at[-1] < len(ids) and np.array_equal(ids[at], wanted)):
            raise InvariantBroken(f"{path.parent}：关联结果与标准化行对不上；停止发布")
        more = shape.merges.apply(mine.select(shape.head))
        more = more.append_column("origin", pa.array(first_origin + (wanted >> FILES_BITS)))
        part = shape.places(mine.column("subject_id"), mine.column("part").cast(pa.string()))
        subject = more.column("subject_id").to_numpy()
        yield Window(rows.drop_columns(["row_id"]), at, part, subject, more)


def kept(files: Mapping[Path, str], shape: Shape, origins: Origins, displaced: pa.Array) -> Iterator[Window]:
    """Read the rows of older data files that nothing displaced. files: path -> part."""
    for path, part in files.items():
        texts = ["batch_id", "source_file", "subject_type", *shape.repeating]
        file = pq.ParquetFile(path, read_dictionary=texts)
        for batch in file.iter_batches(WINDOW, columns=[*shape.names, "batch_id", "source_file"]):
            rows = shape.merges.apply(pa.Table.from_batches([batch]))
            stays = pc.invert(pc.is_in(rows.column("record_id"), value_set=displaced)).to_numpy()
            at = np.flatnonzero(stays).astype(np.int64)
            more = pa.table({"origin": pa.array(_origins(rows, origins)[at])})
            subject = rows.column("subject_id").to_numpy()[at]
            here = np.full(len(at), shape.parts.index(part), np.int64)
            if shape.merges:
                here = shape.places(rows.column("subject_id"), pa.scalar(part))[at]
            yield Window(rows.select(shape.names), at, here, subject, more)


def renewed(files: Sequence[Path], fresh: pa.Table, gone: Collection[int] = ()) -> Iterator[pa.RecordBatch]:
    """Read older data files, sorted by subject like `fresh`, whose rows take the place of those of their subjects.

    gone: subjects that have no row any more.
    """
    ids, done = fresh.column("subject_id").to_numpy(), 0
    others = np.union1d(ids, np.asarray(sorted(gone), np.int64))
    for path in files:
        for batch in pq.ParquetFile(path).iter_batches(WINDOW):
            subjects = batch.column("subject_id").to_numpy()
            ready = int(np.searchsorted(ids, subjects[-1], side="right"))
            stays = ~_among(subjects, others)
            if ready == done and stays.all():
                yield batch
                continue
            rows = pa.concat_tables(
                [pa.Table.from_batches([batch]).filter(pa.array(stays)), fresh.slice(done, ready - done)]
            )
            done = ready
            order = np.argsort(rows.column("subject_id").to_numpy(), kind="stable")
            yield from rows.take(pa.array(order)).to_batches()
    yield from fresh.slice(done).to_batches()


class _Links:
    """The links of one revision, asked for in ascending ranges of row_id; row groups may lie in any order."""

    def __init__(self, paths: Sequence[Path], related: bool) -> None:
        self._names = [n for n in _LINKED if related or n != "related_subject_id"]
        self._groups: list[tuple[int, int, Path, int]] = []
        for path in paths:
            metadata = pq.read_metadata(path)
            column = metadata.schema.names.index("row_id")
            for n in range(metadata.num_row_groups):
                told = metadata.row_group(n).column(column).statistics
                self._groups.append((told.min, told.max, path, n))
        self._files = {path: pq.ParquetFile(path, read_dictionary=["part", "subject_type"]) for path in paths}
        self._loaded: dict[tuple[Path, int], pa.Table] = {}

    def between(self, low: int, high: int) -> pa.Table:
        """Return the settled rows of a range, both ends in it, by row_id."""
        needed = [(path, n) for least, most, path, n in self._groups if least <= high and most >= low]
        self._loaded = {key: self._loaded.get(key) or self._read(*key) for key in needed}
        pieces = []
        for table in self._loaded.values():
            first, behind = np.searchsorted(table.column("row_id").to_numpy(), (low, high + 1))
            pieces.append(table.slice(first, behind - first))
        if not pieces:
            return self._empty()
        found = pa.concat_tables(pieces).unify_dictionaries() if len(pieces) > 1 else pieces[0]
        return _by_row(found)

    def _read(self, path: Path, group: int) -> pa.Table:
        table = self._files[path].read_row_group(group, columns=self._names)
        settled = table.filter(pc.invert(table.column("waiting"))).drop_columns(["waiting"])
        return _by_row(settled.combine_chunks())

    def _empty(self) -> pa.Table:
        path = next(iter(self._files))
        return self._files[path].schema_arrow.empty_table().select([n for n in self._names if n != "waiting"])


def _by_row(links: pa.Table) -> pa.Table:
    ids = links.column("row_id").to_numpy()
    return links if (ids[1:] > ids[:-1]).all() else links.take(pa.array(np.argsort(ids)))


def _among(ids: Numbers, sorted_values: Numbers) -> npt.NDArray[np.bool_]:
    if not len(sorted_values):
        return np.zeros(len(ids), bool)
    place = np.minimum(np.searchsorted(sorted_values, ids), len(sorted_values) - 1)
    return np.asarray(sorted_values[place] == ids)


def _origins(rows: pa.Table, origins: Origins) -> Numbers:
    """Return the origin of each row of a data file from its batch and file."""
    batch, file = (rows.column(n).combine_chunks() for n in ("batch_id", "source_file"))
    batch, file = (c.chunk(0) if isinstance(c, pa.ChunkedArray) else c for c in (batch, file))
    pairs = np.asarray(batch.indices).astype(np.int64) * len(file.dictionary) + np.asarray(file.indices)
    found, place = np.unique(pairs, return_inverse=True)
    texts = batch.dictionary.to_pylist(), file.dictionary.to_pylist()
    known = [origins.number(texts[0][p // len(texts[1])], texts[1][p % len(texts[1])]) for p in found.tolist()]
    return np.asarray(known, np.int64)[place]
