"""Which rows of a snapshot the removed records have, and its files without them.

The government tier is searched by number and by decision. The open tier is searched by what was found there, and by the
handles that stand for it.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.model.kinds import kinds
from chengxin.publishing import pseudonyms
from chengxin.publishing.history.table import kind_of, table_of
from chengxin.publishing.open_tier.rules import HANDLE, TOKEN
from chengxin.publishing.reader import Snapshot
from chengxin.publishing.suppression import candidates
from chengxin.records.acts import Record
from chengxin.store.layout import ASSEMBLY
from chengxin.store.manifest import FileEntry, Manifest, TableEntry
from chengxin.store.parquet import write_parquet

_BATCH = 122_880  # rows
_NUMBERS = ("record_id", HANDLE)
_COMMON = ("credit_record", "record_source", "translated_record")
_WHOLE = (ASSEMBLY, "government", "authorised")  # the others lack columns; they are searched by what was found here
Hits = dict[tuple[str, str], list[str]]  # (table, file name) -> the numbers that name rows to go


@dataclass
class Found:
    """The removed records, with what names them in every tier. ids: grows by what is found under a decision.

    keys: of the tiers that hide numbers, by key id.
    """

    removed: Sequence[Record]
    keys: Mapping[str, bytes]
    ids: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.ids |= {r.record_id for r in self.removed} - {""}

    def numbers(self) -> list[str]:
        """Return numbers and handles."""
        return sorted(self.ids.union(*(pseudonyms.handles(i, self.keys).values() for i in self.ids)))


def affected(snapshot: Snapshot, found: Found) -> Hits:
    """Return the files of a snapshot with rows of removed records, each with the numbers that name these."""
    hits: Hits = {}
    parts: set[str] = set()
    for kind in sorted({r.kind for r in found.removed}):
        table, history = snapshot.manifest.tables.get(kind), snapshot.manifest.history.get(table_of(kind))
        for entry in table.files if table else ():
            numbers = _numbers_in(snapshot, entry, found)
            if numbers:
                hits |= {(f.table, f.name): numbers for f in (entry, *_beside(snapshot.manifest, entry))}
                parts |= {entry.part}
        for entry in history.files if history else ():
            if _numbers_in(snapshot, entry, found):
                hits |= {(entry.table, entry.name): sorted(found.ids)}
    if snapshot.manifest.tier == "open":
        hits |= _persons(snapshot, parts, hits)
    return hits


def _numbers_in(snapshot: Snapshot, entry: FileEntry, found: Found) -> list[str]:
    if snapshot.manifest.tier in _WHOLE:
        named = candidates.named(entry, snapshot, found.removed)
        found.ids |= named
        return sorted(named)
    mine = [r for r in found.removed if r.kind == entry.table]
    anywhere = entry.min_subject is None or entry.has_pseudonyms
    if not anywhere and not any(entry.may_hold(r.subject_id) for r in mine):
        return []
    numbers = found.numbers()
    present = [n for n in _NUMBERS if n in pq.read_schema(snapshot.path(entry)).names]
    rows = pq.read_table(snapshot.path(entry), columns=present, partitioning=None)
    return numbers if _kept(rows, numbers).num_rows < rows.num_rows else []


def _beside(manifest: Manifest, entry: FileEntry) -> Iterator[FileEntry]:
    """Give the files of the common tables with the rows of a kind's file."""
    for name in _COMMON:
        table = manifest.tables.get(name)
        yield from (f for f in table.files if f.part == f"{entry.table}-{entry.part}") if table else ()


def _persons(snapshot: Snapshot, parts: Iterable[str], hits: Hits) -> Hits:
    """Return the files of the open tier's persons that have nothing to show any more, with their tokens."""
    found: Hits = {}
    for part in sorted(p for p in parts if p.startswith("p")):
        common = snapshot.manifest.tables["credit_record"].files
        tokens: dict[bool, set[str]] = {True: set(), False: set()}
        for entry in (f for f in common if f.part.rpartition("-")[2] == part):
            rows = pq.read_table(snapshot.path(entry), columns=[*_NUMBERS, TOKEN], partitioning=None)
            kept = _kept(rows, hits.get((entry.table, entry.name), []))
            tokens[True] |= set(rows.column(TOKEN).to_pylist())
            tokens[False] |= set(kept.column(TOKEN).to_pylist())
        gone = sorted(t for t in tokens[True] - tokens[False] if t)
        subjects = snapshot.manifest.tables.get("subject")
        found |= {(f.table, f.name): gone for f in (subjects.files if subjects else ()) if f.part == part and gone}
    return found


@dataclass
class Rewriter:
    """Writes files without some rows; the same file of several snapshots once.

    folder: where new files go. key: of a tier whose files are encrypted.
    """

    folder: Path
    key: bytes | None = None
    _made: dict[tuple[str, str, tuple[str, ...]], tuple[FileEntry | None, Counter[str]]] = field(default_factory=dict)

    def tables(self, snapshot: Snapshot, hits: Hits) -> tuple[dict[str, TableEntry], Counter[str]]:
        """Return all tables of a snapshot without these rows, and how many records of each data set went."""
        gone: Counter[str] = Counter()
        tables = {}
        for name, table in {**snapshot.manifest.tables, **snapshot.manifest.history}.items():
            files = []
            for entry in table.files:
                made: FileEntry | None = entry
                if numbers := hits.get((name, entry.name)):
                    made, rows = self._rewritten(snapshot, entry, tuple(numbers))
                    gone.update(rows if name == "credit_record" else {})
                files += [made] if made else []
            if files or snapshot.manifest.tier == "open":
                tables[name] = TableEntry.of(table.schema, files)
        return tables, gone

    def _rewritten(
        self, snapshot: Snapshot, entry: FileEntry, numbers: tuple[str, ...]
    ) -> tuple[FileEntry | None, Counter[str]]:
        key = (entry.table, entry.sha256, numbers)
        if key not in self._made:
            gone: Counter[str] = Counter()
            file = pq.ParquetFile(snapshot.path(entry), decryption_properties=snapshot.decryption(entry))
            made = write_parquet(
                _batches(file, numbers, gone),
                self.folder / entry.table,
                table=entry.table,
                part=entry.part,
                schema=file.schema_arrow.remove_metadata(),
                key=self.key,
            )
            self._made[key] = (replace(made, extra={**entry.extra, **made.extra}) if made else None, gone)
        return self._made[key]


def _batches(file: pq.ParquetFile, numbers: Sequence[str], gone: Counter[str]) -> Iterator[pa.RecordBatch]:
    for batch in file.iter_batches(_BATCH):
        rows = pa.Table.from_batches([batch]).replace_schema_metadata(None)
        kept = _kept(rows, numbers)
        if "dataset" in rows.column_names and kept.num_rows < rows.num_rows:
            before, after = (Counter(t.column("dataset").to_pylist()) for t in (rows, kept))
            gone.update(before - after)
        yield from kept.to_batches()


def _kept(rows: pa.Table, numbers: Collection[str]) -> pa.Table:
    """Return the rows that none of these numbers names."""
    values = pa.array(sorted(numbers), pa.string())
    names = [n for n in _NUMBERS if n in rows.column_names] or [TOKEN]
    for name in names:
        rows = rows.filter(pc.invert(pc.is_in(rows.column(name), value_set=values)))
    return rows


def remaining(paths: Mapping[Path, Any], found: Found) -> Counter[Path]:
    """Return how many rows of removed records each Parquet file still has, wherever it lies.

    paths: each with what decrypts it, or None.
    """
    count: Counter[Path] = Counter()
    for path, decryption in paths.items():
        names = pq.read_schema(path, decryption_properties=decryption).names
        named = [n for n in _NUMBERS if n in names]
        rows = _columns_of(path, named, decryption) if named else pa.table({})
        gone = rows.num_rows - _kept(rows, found.numbers()).num_rows if named else 0
        if not gone and kind_of(path.parent.name) in kinds() and "record_id" in names:
            gone = len(_of_decisions(path, found, decryption))
        if gone:
            count[path] = gone
    return count


def _columns_of(path: Path, names: list[str], decryption: Any) -> pa.Table:
    return pq.read_table(path, columns=names, partitioning=None, decryption_properties=decryption)


def _of_decisions(path: Path, found: Found, decryption: Any) -> list[Record]:
    kind = kinds()[kind_of(path.parent.name)]
    mine = [r for r in found.removed if r.kind == kind.id and r.decision]
    present = set(pq.read_schema(path, decryption_properties=decryption).names)
    if not mine or not present.issuperset(candidates.columns(kind)):
        return []
    decisions = {r.decision for r in mine}
    held = candidates.records(path, kind, {r.subject_id for r in mine}, decryption)
    return [r for r in held if r.decision in decisions]
