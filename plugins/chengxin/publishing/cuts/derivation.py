"""Derive the tiers of cuts from a committed government snapshot, file by file.

A file of a cut is a pure function of (government file, records that are given of its part, cut, key). A file of which
all is given is the very file, but where it is about persons: these bear pseudonyms (`pseudonyms`). A cut has its
current snapshot only: an older one may hold what must not be shared any more.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.home import Home
from chengxin.model.kinds import IdentityPart
from chengxin.publishing import commit, pseudonyms, retention
from chengxin.publishing.assembly.tables import CREDIT_RECORD
from chengxin.publishing.cuts.cut import OF_PERSONS, REGISTRY, Cut
from chengxin.publishing.key import key_id
from chengxin.publishing.merges import SUPERSESSION
from chengxin.publishing.open_tier import order
from chengxin.store import pointer
from chengxin.store.layout import Layout
from chengxin.store.manifest import Basis, FileEntry, Manifest, TableEntry
from chengxin.store.parquet import arrow_schema, column_entries, write_parquet

log = logging.getLogger(__name__)

MADE_FROM = "made_from"  # in the extra of a file: the digest of all that it is a function of
_BATCH = 122_880  # rows
_IN_SUBJECT: dict[str, IdentityPart] = {"name": "name", "born_on": "person_doc"}  # column -> what it gives of persons


@dataclass(frozen=True)
class Keys:
    """The keys of a cut with persons. own: None = no master key, persons are left out. before: of the epoch before.

    `before` is given as long as the recipient may translate its numbers.
    """

    own: bytes | None = None
    before: bytes | None = None

    @property
    def digest(self) -> list[str | None]:
        """Return what tells these keys from others and gives none away."""
        return [key_id(self.own), key_id(self.before)]


def publish(home: Home, government: Manifest, cuts: Mapping[str, tuple[Cut, Keys]]) -> list[str]:
    """Bring the tier of each cut up to the government snapshot; take away those that nobody is granted any more.

    cuts: by tier, each with its keys. Return the tiers that changed.
    """
    layout = home.layout
    changed = []
    for tier in pointer.cut_tiers(layout):
        if tier not in cuts:
            pointer.remove(layout, tier)
            shutil.rmtree(layout.tier(tier))
            changed.append(tier)
    for tier, (cut, keys) in sorted(cuts.items()):
        for message in commit.resume(layout, tier).messages:
            log.warning("%s", message)
        if _publish(home, government, cut, keys):
            changed.append(tier)
        _keep_current(layout, tier)
    return changed


def _publish(home: Home, government: Manifest, cut: Cut, keys: Keys) -> bool:
    layout, tier = home.layout, cut.tier
    previous = commit.current(layout, tier)
    made_of = _digest([government.to_json()["digest"], *keys.digest])
    if previous and previous.basis.made_of == made_of:
        return False
    draft = layout.drafts / tier
    shutil.rmtree(draft, ignore_errors=True)
    source = layout.snapshot(government.tier, government.snapshot_id)
    tables = Derivation(source, government, cut, keys, previous, draft).run()
    own = key_id(keys.own) or ""
    basis = Basis(government=government.snapshot_id, made_of=made_of, cut=cut.digest, key_id=own)
    reason = f"由政务层快照 {government.snapshot_id} 按授权裁剪"
    now, today = home.clock.now(), home.clock.today()
    manifest = Manifest.new(tier, now, today, reason, tables, versions=government.versions, basis=basis)
    if previous and manifest.same_content(previous):
        shutil.rmtree(draft, ignore_errors=True)
        return False
    commit.commit(layout, manifest, draft, previous)
    return True


def _digest(body: list[Any]) -> str:
    return hashlib.sha256(json.dumps(body).encode()).hexdigest()


def _of_persons(entry: FileEntry) -> bool:
    return entry.part.rpartition("-")[2].startswith("p")


def _keep_current(layout: Layout, tier: str) -> None:
    """Take away the snapshots that the pointer does not name: those before, also of a run that was killed."""
    now = pointer.load(layout, tier)
    for name in pointer.snapshot_ids(layout, tier):
        if now and name != now.snapshot_id:
            retention.remove(layout.snapshot(tier, name))


@dataclass
class Derivation:
    """Cuts the files of one government snapshot. folder: of the snapshot; draft: where changed files are written."""

    folder: Path
    government: Manifest
    cut: Cut
    keys: Keys
    previous: Manifest | None
    draft: Path
    _given: dict[str, tuple[pa.Array, pa.Array]] = field(default_factory=dict)

    def run(self) -> dict[str, TableEntry]:
        """Return the tables of the cut; their new files are in the draft."""
        self.draft.mkdir(parents=True, exist_ok=True)
        known = {}
        if self.previous:
            known = {(f.table, f.extra[MADE_FROM]): f for f in self.previous.files() if MADE_FROM in f.extra}
        tables = {}
        for name, table in self.government.tables.items():
            names = [c.name for c in table.schema]
            kept = self.cut.columns(name, names)
            schema = [c for c in table.schema if c.name in kept]
            files = []
            for entry in table.files:
                if not self.cut.gives(name, entry.part) or (_of_persons(entry) and self.keys.own is None):
                    continue
                if kept == names and not self._judges(entry) and not _of_persons(entry):
                    files.append(self._whole(entry))
                    continue
                made_from = self._made_from(entry, kept)
                found = known.get((name, made_from)) or self._written(entry, arrow_schema(schema), made_from)
                files += [found] if found else []
            if files:
                tables[name] = TableEntry.of(schema, files)
        return tables | self._translations(tables, known)

    def _translations(
        self, tables: Mapping[str, TableEntry], known: Mapping[tuple[str, str], FileEntry]
    ) -> dict[str, TableEntry]:
        """Return the tables that lead from the numbers of the epoch before to those of now, of what is given."""
        if self.keys.own is None or self.keys.before is None:
            return {}
        found = {}
        for name, source, column in pseudonyms.TRANSLATIONS:
            schema = pseudonyms.translation_schema(column)
            files = []
            for entry in self.government.tables[source].files if source in tables else ():
                if not _of_persons(entry) or not self.cut.gives(source, entry.part):
                    continue
                made_from = self._made_from(entry, schema.names)
                made = known.get((name, made_from))
                if made is None:
                    plain = pa.schema([schema.field(column)])
                    both = (column, self.keys.before, self.keys.own)
                    rows = (pseudonyms.translate(b.column(0), *both) for b in self._rows(entry, plain))
                    ordered = order.shuffled(rows, schema, entry.rows, self.draft)
                    made = self._file(entry, name, ordered, schema, made_from)
                files += [made] if made else []
            if files:
                titles = {column: "现编号", f"previous_{column}": "上一期编号"}
                found[name] = TableEntry.of(column_entries(schema, titles), files)
        return found

    def _judges(self, entry: FileEntry) -> bool:
        """Return whether some rows of a file may be left out."""
        kind = self._kind(entry)
        return not self.cut.is_whole(kind) if kind else entry.table != SUPERSESSION

    def _kind(self, entry: FileEntry) -> str | None:
        if entry.table in (*REGISTRY, SUPERSESSION):
            return None
        return entry.part.rpartition("-")[0] or entry.table

    def _made_from(self, entry: FileEntry, columns: list[str]) -> str:
        depends = sorted(f.sha256 for f in self._records(entry)) if self._judges(entry) else []
        return _digest(
            [self.cut.digest, self.keys.digest if _of_persons(entry) else [], entry.sha256, columns, depends]
        )

    def _records(self, entry: FileEntry, of: IdentityPart | None = None) -> list[FileEntry]:
        """Return the files of credit_record that decide about rows of a file. of: what they give of persons."""
        part, kind = entry.part.rpartition("-")[2], self._kind(entry)
        persons = self.cut.with_persons(of or OF_PERSONS.get(entry.table))
        names = [kind] if kind else persons if _of_persons(entry) else self.cut.kinds
        wanted = {f"{name}-{part}" for name in names}
        return [f for f in self.government.tables[CREDIT_RECORD].files if f.part in wanted]

    def _whole(self, entry: FileEntry) -> FileEntry:
        target = self.draft / entry.table
        target.mkdir(exist_ok=True)
        os.link(self.folder / entry.table / entry.name, target / entry.name)
        return entry

    def _written(self, entry: FileEntry, schema: pa.Schema, made_from: str) -> FileEntry | None:
        rows = self._rows(entry, schema)
        if _of_persons(entry):
            assert self.keys.own is not None
            own = self.keys.own
            given = (self._withhold(entry, batch) for batch in rows) if entry.table == "subject" else rows
            rows = order.shuffled((pseudonyms.replace(b, own) for b in given), schema, entry.rows, self.draft)
            rows = pseudonyms.distinct(rows) if entry.table == "subject" else rows
        return self._file(entry, entry.table, rows, schema, made_from)

    def _withhold(self, entry: FileEntry, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return rows of the subject table without names and birth days of persons of whom no given record has them."""
        for place, field_ in enumerate(rows.schema):
            if part := _IN_SUBJECT.get(field_.name):
                given = pc.is_in(rows.column("subject_id"), value_set=self._given_of(entry, part)[1])
                column = pc.if_else(given, rows.column(place), pa.scalar(None, field_.type))
                rows = rows.set_column(place, field_, column)
        return rows

    def _file(
        self, entry: FileEntry, table: str, rows: Iterable[pa.RecordBatch], schema: pa.Schema, made_from: str
    ) -> FileEntry | None:
        """Write what comes of a government file."""
        folder, extra = self.draft / table, {MADE_FROM: made_from}
        return write_parquet(rows, folder, table=table, part=entry.part, schema=schema, extra=extra)

    def _rows(self, entry: FileEntry, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        judges = self._judges(entry)
        column, place = ("subject_id", 1) if entry.table in REGISTRY else ("record_id", 0)
        given = self._given_of(entry)[place] if judges else None
        names = [*schema.names, *([] if column in schema.names else [column])]
        with pq.ParquetFile(self.folder / entry.table / entry.name) as file:
            for batch in file.iter_batches(_BATCH, columns=names):
                rows = batch.filter(pc.is_in(batch.column(column), value_set=given)) if judges else batch
                yield rows.select(schema.names)

    def _given_of(self, entry: FileEntry, of: IdentityPart | None = None) -> tuple[pa.Array, pa.Array]:
        """Return the records, and the subjects with such a record, that are given of what a file belongs to."""
        records, subjects = [pa.array([], pa.string())], [pa.array([], pa.int64())]
        for file in self._records(entry, of):
            if file.name not in self._given:
                self._given[file.name] = self._given_in(file)
            one, two = self._given[file.name]
            records.append(one)
            subjects.append(two)
        return pa.concat_arrays(records), pa.concat_arrays(subjects)

    def _given_in(self, file: FileEntry) -> tuple[pa.Array, pa.Array]:
        columns = ["record_id", "subject_id", "home_region_code"]
        rows = pq.read_table(self.folder / CREDIT_RECORD / file.name, columns=columns, partitioning=None)
        kind = file.part.rpartition("-")[0]
        if not self.cut.is_whole(kind):
            rows = rows.filter(self.cut.kinds[kind].rows(rows["home_region_code"]))
        return rows["record_id"].combine_chunks(), pc.unique(rows["subject_id"])
