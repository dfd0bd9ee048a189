"""Cut the assembled tables into the government and the authorised tier, file by file.

A file of a tier is a pure function of the assembled file and of those that tell the levels of its records; while these
stay, the file of the snapshot before is used again (`derivations`). A file that the government tier holds whole is
linked. What is sealed is in neither tier.
"""

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.errors import InvariantBroken
from chengxin.model.kinds import Kind, kinds
from chengxin.model.lawful_terms import lawful_terms
from chengxin.model.sharing import LEVELS
from chengxin.publishing import catalogue, commit
from chengxin.publishing import key as keys
from chengxin.publishing.disclosure.judgement import AUTHORISED, GOVERNMENT, SEALED, judge, judged_elements
from chengxin.publishing.history.table import CHANGE, WAITED, kind_of
from chengxin.publishing.open_tier import derivations
from chengxin.publishing.open_tier.derivations import Derivation, Known
from chengxin.store.columns import Mask
from chengxin.store.layout import ASSEMBLY, Layout
from chengxin.store.manifest import Basis, FileEntry, Manifest, TableEntry
from chengxin.store.parquet import ROW_GROUP, arrow_schema, write_parquet

TIERS = {"government": range(GOVERNMENT, len(LEVELS)), "authorised": range(AUTHORISED, AUTHORISED + 1)}
CREDIT_RECORD, RECORD_SOURCE = "credit_record", "record_source"
_BATCH = 6 * ROW_GROUP
Tables = dict[str, TableEntry]


@dataclass
class Levels:
    """What the assembled credit_record tells of the level of each record; read when first needed."""

    layout: Layout
    assembled: Manifest
    _levels: dict[str, Any] = field(default_factory=dict)
    _persons: dict[str, pa.Array] = field(default_factory=dict)

    def path(self, entry: FileEntry) -> Path:
        """Return where an assembled file lies."""
        return self.layout.snapshot(ASSEMBLY, self.assembled.snapshot_id) / entry.table / entry.name

    @property
    def records(self) -> tuple[FileEntry, ...]:
        """Return the files of credit_record."""
        table = self.assembled.tables.get(CREDIT_RECORD)
        return table.files if table else ()

    def tellers(self, entry: FileEntry) -> list[FileEntry]:
        """Return the files of credit_record on which it depends what of a file is in a tier."""
        if entry.table == CREDIT_RECORD:
            return [entry]
        if entry.table == RECORD_SOURCE or kind_of(entry.table) in kinds():
            part = f"{entry.table}-{entry.part}" if entry.table in kinds() else entry.part
            return [f for f in self.records if f.part == part]
        if not entry.part.startswith("p"):
            return []
        shown = [f for f in self.records if _kind(f).levels & {"government", "open"}]
        return [f for f in shown if f.part.rpartition("-")[2] == entry.part or "related" in _kind(f).roles]

    def chosen(self, entry: FileEntry, tier: str) -> Mask:
        """Tell which rows of a file a tier holds: records by level, persons by their records."""
        if entry.table == CREDIT_RECORD or entry.table in kinds():
            (teller,) = self.tellers(entry)
            possible, wanted = _kind(teller).levels, {LEVELS[n] for n in TIERS[tier]}
            if not possible & wanted or possible <= wanted:
                return np.full(entry.rows, bool(possible & wanted))
            return np.isin(self._of(teller), TIERS[tier])
        if entry.table == RECORD_SOURCE:
            chosen = [self._column(f, "record_id").filter(pa.array(self.chosen(f, tier))) for f in self.tellers(entry)]
            return _is_in(self._column(entry, "record_id"), pa.concat_arrays([pa.array([], pa.string()), *chosen]))
        if not entry.part.startswith("p"):
            return np.full(entry.rows, tier == "government")
        shown = _is_in(self._column(entry, "subject_id"), self._shown(entry))
        return shown if tier == "government" else ~shown

    def former(self, entry: FileEntry, tier: str, today: date) -> tuple[Mask, date | None]:
        """Return which versions in a file of history a tier holds, and the last day on which that stays so.

        A version is given where its own content allows it today and so does the record, while there is one.
        """
        kind = kinds()[kind_of(entry.table)]
        with pq.ParquetFile(self.path(entry)) as file:
            names = {"record_id", CHANGE, *judged_elements(kind)} & set(file.schema_arrow.names)
            rows = file.read(sorted(names), use_threads=False).combine_chunks()
        columns = {name: rows[name].combine_chunks() for name in rows.column_names}
        judged = judge(kind, columns, rows.num_rows, today, lawful_terms())
        levels = np.asarray(judged.levels)
        present, there = np.full(len(levels), SEALED), np.zeros(len(levels), bool)
        for teller in self.tellers(entry):
            place = pc.index_in(columns["record_id"], value_set=self._column(teller, "record_id"))
            here = np.asarray(place.is_valid())
            present[here] = self._of(teller)[np.asarray(place.drop_null())]
            there |= here
        waited = np.asarray(pc.equal(columns[CHANGE], WAITED))
        levels = np.where(waited, present, np.where(there, np.minimum(levels, present), levels))
        return np.isin(levels, TIERS[tier]), judged.course.holds_until(today)

    def hidden(self, entry: FileEntry, mask: Mask) -> dict[str, int]:
        """Count the records of a file of credit_record that the government tier does not hold, by data set."""
        if entry.table != CREDIT_RECORD or mask.all():
            return {}
        counted = self._column(entry, "dataset").filter(pa.array(~mask)).value_counts()
        return {row["values"]: row["counts"] for row in counted.to_pylist()}

    def _of(self, entry: FileEntry) -> Any:
        if entry.name not in self._levels:
            texts = self._column(entry, "share_level")
            self._levels[entry.name] = np.asarray(pc.index_in(texts, value_set=pa.array(LEVELS, pa.string())))
        return self._levels[entry.name]

    def _shown(self, entry: FileEntry) -> pa.Array:
        """Return the persons of a part whom a record of the government tier names."""
        if entry.part not in self._persons:
            found = [pa.array([], pa.int64())]
            for teller in self.tellers(entry):
                mask = pa.array(self.chosen(teller, "government"))
                names = ["subject_id", *(["related_subject_id"] if "related" in _kind(teller).roles else [])]
                found += [self._column(teller, name).filter(mask) for name in names]
            self._persons[entry.part] = pc.unique(pa.concat_arrays(found))
        return self._persons[entry.part]

    def _column(self, entry: FileEntry, name: str) -> pa.Array:
        with pq.ParquetFile(self.path(entry)) as file:
            return file.read([name], use_threads=False).column(0).combine_chunks()


def _kind(entry: FileEntry) -> Kind:
    """Return the kind of the records in a file of credit_record."""
    return kinds()[entry.part.rpartition("-")[0]]


def _is_in(values: pa.Array, wanted: pa.Array) -> Mask:
    return np.asarray(pc.is_in(values, value_set=wanted).to_numpy(zero_copy_only=False), bool)


@dataclass(frozen=True)
class TierCut:
    """The cutting of one tier. key: its own, where its files are encrypted; draft: where new files go."""

    levels: Levels
    tier: str
    draft: Path
    today: date
    known: Known
    key: bytes | None = None

    def tables(self) -> tuple[Tables, Tables, list[Derivation]]:
        """Write the files that changed and return all tables, the history, and what each file was made from."""
        assembled, made = self.levels.assembled, list[Derivation]()
        return self._cut(assembled.tables, made), self._cut(assembled.history, made), made

    def _cut(self, whole: Mapping[str, TableEntry], made: list[Derivation]) -> Tables:
        tables: Tables = {}
        for name, table in whole.items():
            files = [self._file(entry, table) for entry in table.files]
            made += files
            held = TableEntry.of(table.schema, [f.entry for f in files if f.entry])
            tables |= {name: held} if held.files else {}
        return tables

    def _file(self, entry: FileEntry, table: TableEntry) -> Derivation:
        of = (entry.sha256, *sorted(f.sha256 for f in self.levels.tellers(entry) if f != entry))
        key = keys.key_id(self.key)
        known = self.known.get(entry.table, of, _rule(self.tier), key, self.today)
        if known is not None:
            return known
        until: date | None = None
        if entry.table in self.levels.assembled.history:
            mask, until = self.levels.former(entry, self.tier, self.today)
        else:
            mask = self.levels.chosen(entry, self.tier)
        made: FileEntry | None = None
        if mask.all() and self.key is None:
            (self.draft / entry.table).mkdir(parents=True, exist_ok=True)
            commit.link(self.levels.path(entry), self.draft / entry.table / entry.name)
            made = entry
        elif mask.any():
            schema = arrow_schema(table.schema)
            rows, folder = _rows(self.levels.path(entry), mask), self.draft / entry.table
            made = write_parquet(rows, folder, table=entry.table, part=entry.part, schema=schema, key=self.key)
        hidden = self.levels.hidden(entry, mask) if self.key is None else {}
        last = until.isoformat() if until else None
        return Derivation(entry.table, of, _rule(self.tier), key, self.today.isoformat(), last, hidden, made)


def _rows(path: Path, mask: Mask) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in pq.ParquetFile(path).iter_batches(_BATCH, use_threads=False):
        yield batch.filter(pa.array(mask[start : start + batch.num_rows]))
        start += batch.num_rows


@cache
def _rule(tier: str) -> str:
    return hashlib.sha256(tier.encode() + Path(__file__).read_bytes()).hexdigest()[:16]


def publish(
    layout: Layout,
    assembled: Manifest,
    *,
    master: bytes | None,
    now: datetime,
    today: date,
    listed: Callable[[], dict[str, Any]],
) -> tuple[Manifest, bool]:
    """Derive and commit both tiers; return the government's current manifest and whether either is new.

    master: without one there is no authorised tier. listed: gives the catalogue of the government tier.
    """
    levels = Levels(layout, assembled)
    government, made = _derived(levels, "government", now=now, today=today)
    before = commit.current(layout, "government")
    changed = not (before and government.same_content(before) and government.journal == before.journal)
    if changed:
        if before is None or before.basis.assembled != assembled.snapshot_id:
            government = replace(government, snapshot_id=assembled.snapshot_id)
        government = _committed(levels, government, made, before, catalogue=listed())
    elif before:
        _drop(layout, "government", made)
        government = before
    key = keys.derive(master, "authorised")
    if key is None:
        return government, changed
    authorised, made = _derived(levels, "authorised", now=now, today=today, key=key)
    _account(assembled, government, authorised)
    before = commit.current(layout, "authorised")
    if not authorised.tables or authorised.same_content(before):
        _drop(layout, "authorised", made)
        return government, changed
    told = catalogue.for_tier(layout.snapshot("government", government.snapshot_id), authorised)
    _committed(levels, authorised, made, before, catalogue=told, key=key)
    return government, True


def _derived(
    levels: Levels, tier: str, *, now: datetime, today: date, key: bytes | None = None
) -> tuple[Manifest, list[Derivation]]:
    layout, assembled = levels.layout, levels.assembled
    draft = layout.drafts / tier
    shutil.rmtree(draft, ignore_errors=True)
    cut = TierCut(levels, tier, draft, today, Known(layout, commit.current(layout, tier)), key)
    tables, history, made = cut.tables()
    if key is not None:
        basis = Basis(assembled=assembled.snapshot_id, key_id=keys.key_id(key) or "")
        return Manifest.new(tier, now, assembled.as_of, assembled.reason, tables, basis=basis, history=history), made
    hidden = Counter[str]()
    for one in made:
        hidden.update(one.counts)
    sources = {
        name: {**told, "rows": told["rows"] - hidden[name], "hidden": hidden[name]} if hidden[name] else told
        for name, told in assembled.sources.items()
    }
    basis = replace(assembled.basis, assembled=assembled.snapshot_id, supersedes=[])  # what it stands for is its own
    manifest = replace(assembled, tier=tier, tables=tables, history=history, sources=sources, basis=basis)
    fresh = Manifest.new(tier, now, assembled.as_of, assembled.reason, tables)
    return replace(manifest, snapshot_id=fresh.snapshot_id, created_at=fresh.created_at), made


def _committed(
    levels: Levels,
    manifest: Manifest,
    made: Iterable[Derivation],
    before: Manifest | None,
    *,
    catalogue: dict[str, Any] | None,
    key: bytes | None = None,
) -> Manifest:
    layout = levels.layout
    draft = layout.drafts / manifest.tier
    there = {f.name for f in before.batch.files} if before and before.batch else set()
    for entry in (f for f in (manifest.batch.files if manifest.batch else ()) if f.name not in there):
        (draft / entry.table).mkdir(parents=True, exist_ok=True)
        commit.link(levels.path(entry), draft / entry.table / entry.name)
    draft.mkdir(parents=True, exist_ok=True)
    done = commit.commit(layout, manifest, draft, before, catalogue=catalogue, key=key)
    derivations.write(layout, manifest.tier, made)
    return done


def _drop(layout: Layout, tier: str, made: Iterable[Derivation]) -> None:
    """Delete a draft that equals the current snapshot; keep what it was made from, which a killed commit has not."""
    shutil.rmtree(layout.drafts / tier, ignore_errors=True)
    derivations.write(layout, tier, made)


def _account(assembled: Manifest, *tiers: Manifest) -> None:
    """Check that each tier has as many records of a kind in credit_record as in the kind's own table."""
    for manifest in tiers:
        table = manifest.tables.get(CREDIT_RECORD)
        counted = dict.fromkeys((name for name in assembled.tables if name in kinds()), 0)
        for entry in table.files if table else ():
            counted[entry.part.rpartition("-")[0]] += entry.rows
        for name, rows in counted.items():
            typed = manifest.tables[name].rows if name in manifest.tables else 0
            if typed != rows:
                raise InvariantBroken(f"{manifest.tier} 层 {name}：总表 {rows} 条，明细表 {typed} 条")
