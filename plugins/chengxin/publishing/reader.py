"""The public reader of published snapshots: the one way in for people, the serving app and the commit's own proof.

Opening checks pointer, manifest digest and every file's presence and size. A damaged newest snapshot gives way to the
newest earlier intact one; the damaged one is marked, and named in `Snapshot.warnings`.

Records that a legal act took out are in no answer from the moment of the act, also of a snapshot that was opened before
(store.overlay). Only the files themselves may still hold them until they are issued again; those are not given out.
"""

import logging
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.engine.session import Connection, Session, connect, create_table, parquet
from chengxin.engine.step import Step, identifier
from chengxin.errors import ChengxinError, SnapshotDamaged, Withheld
from chengxin.facts import Resources
from chengxin.home import Home
from chengxin.model.kinds import kinds
from chengxin.publishing import key as keys
from chengxin.publishing.history.as_of import Versions
from chengxin.publishing.history.as_of import valid as hold
from chengxin.publishing.history.table import table_of
from chengxin.publishing.merges import SUPERSESSION
from chengxin.store import cipher, overlay, pointer
from chengxin.store.layout import ASSEMBLY, Layout
from chengxin.store.manifest import BATCH, FileEntry, Manifest
from chengxin.store.parquet import arrow_schema
from chengxin.store.remote.scopes import published

log = logging.getLogger(__name__)

_RELATED = "related_subject_id"
_NUMBERS = ("record_id", "record_handle")  # what names a record; the second where the open tier hides the first
_IDENTIFIER_FORM = re.compile(r"^[0-9A-Z]+$")


def open_snapshot(
    home: str | Path,
    tier: str = "government",
    snapshot: str | None = None,
    *,
    mark: bool = True,
    key: bytes | None = None,
) -> "Snapshot":
    """Open the current snapshot of a tier, or the named one.

    home: a folder, or s3://bucket/prefix, of which what is missing here is fetched first.
    mark: leave DAMAGED.json in a damaged snapshot that was met. key: the master key, without which no table of the
    authorised tier is read. Raise SnapshotDamaged when nothing intact is left, when nothing was published yet, or when
    the named snapshot is missing or damaged.
    """
    if "://" in str(home):
        home = Home.from_environment(home=home).here(published(tier)).settings.home
    layout = Layout(Path(home))
    if snapshot is not None:
        found, problems = pointer.check(layout.snapshot(tier, snapshot))
        if found is None or problems:
            raise SnapshotDamaged(f"{tier} 层快照 {snapshot} 不能读：{pointer.summary(problems)}")
        return _governed(Snapshot(found, layout.snapshot(tier, snapshot), key=keys.derive(key, tier)))
    located = pointer.locate(layout, tier)
    for warning in located.warnings:
        log.warning("%s", warning)
    if mark:
        for name, problems in located.damaged.items():
            pointer.mark(layout.snapshot(tier, name), problems)
    if located.manifest is None:
        raise SnapshotDamaged("；".join(located.warnings) or f"{tier} 层尚未发布任何快照")
    folder = layout.snapshot(tier, located.manifest.snapshot_id)
    return _governed(Snapshot(located.manifest, folder, located.warnings, key=keys.derive(key, tier)))


def _governed(snapshot: "Snapshot") -> "Snapshot":
    """Return a snapshot that may be read: one made under legal acts needs the overlay that they gave, or a newer one.

    Who has only a copy of the open tier has no overlay, and needs none: a new copy lacks what was taken out.
    """
    acts, manifest = overlay.load(snapshot.layout), snapshot.manifest
    missing = manifest.basis.acts > acts.epoch
    if missing and (manifest.tier != "open" or acts.epoch):
        raise SnapshotDamaged("overlay.json 缺失或比快照旧，不知哪些记录已撤下；请运行 chengxin acts reissue")
    return snapshot


@dataclass(frozen=True)
class Snapshot:
    """One intact snapshot. warnings: what was found wrong on the way to it, in Chinese. key: of an encrypted tier."""

    manifest: Manifest
    folder: Path
    warnings: tuple[str, ...] = ()
    key: bytes | None = field(default=None, repr=False, compare=False)
    _footers: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _sessions: list[Session] = field(default_factory=list, repr=False, compare=False)
    _holding: dict[tuple[int, str], bool] = field(default_factory=dict, repr=False, compare=False)

    @property
    def layout(self) -> Layout:
        """Return the layout of the home that it lies in."""
        above = self.folder.parents
        return Layout(above[2] if self.manifest.tier == ASSEMBLY else above[3])

    @property
    def id(self) -> str:
        """Return the snapshot id."""
        return self.manifest.snapshot_id

    @property
    def tables(self) -> dict[str, int]:
        """Return rows per table."""
        return self.manifest.rows()

    def files(self, table: str, subject_id: int | None = None) -> list[Path]:
        """Return a table's data files; with a subject only those whose range may hold it.

        Raise Withheld where one of them holds a record that an act took out: `table` and `scan` leave it out.
        """
        found = [f for f in self._entries(table) if subject_id is None or f.may_hold(subject_id)]
        if any(self.withholds(f) for f in found):
            raise Withheld(f"表 {table} 的文件中有已撤下的记录，重新签发之前不提供；请改用 table 或 scan")
        return [self.path(f) for f in found]

    def withholds(self, entry: FileEntry) -> bool:
        """Return whether a file holds a record that its readers are not to see. Looked up once an overlay."""
        acts = overlay.load(self.layout)
        key = (acts.epoch, entry.sha256)
        if key not in self._holding:
            entries = self._entries_in(acts, entry)
            if not entries:
                return self._holding.setdefault(key, False)
            names = [n for n in _NUMBERS if n in self._columns(entry.table)]
            rows = pq.read_table(self.path(entry), columns=names, partitioning=None)
            self._holding[key] = self._without(rows, entries).num_rows < rows.num_rows
        return self._holding[key]

    def _entries_in(self, acts: overlay.Overlay, entry: FileEntry) -> list[overlay.Entry]:
        """Return the entries of the overlay that may be about rows of a file."""
        kind = entry.part.rpartition("-")[0] or entry.table
        found = acts.of(self.manifest.tier).get(kind, ())
        anywhere = entry.min_subject is None or entry.has_pseudonyms
        return [e for e in found if anywhere or entry.may_hold(e.subject_id)]

    def _without(self, rows: pa.Table, entries: Iterable[overlay.Entry]) -> pa.Table:
        """Return rows without those of records that are hidden."""
        numbers = pa.array([n for e in entries for n in e.numbers(self.manifest.basis.key_id)], pa.string())
        for column in [n for n in _NUMBERS if n in rows.column_names] if len(numbers) else ():
            rows = rows.filter(pc.invert(pc.is_in(rows.column(column), value_set=numbers)))
        return rows

    def _hidden(self) -> list[overlay.Entry]:
        return [e for found in overlay.load(self.layout).of(self.manifest.tier).values() for e in found]

    def _columns(self, table: str) -> set[str]:
        return {column.name for column in self.manifest.every_table()[table].schema}

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Read a table into memory."""
        return self._read(name, self.manifest.tables[name].files, columns)

    def versions(self, kind: str, subject_id: int | None = None) -> Versions:
        """Return all versions of the records of a kind, of one subject's where one is given, that readers may have."""
        batch = self.manifest.batch
        if batch is None:
            raise ChengxinError(f"{self.manifest.tier} 层没有批次表，不能按日期查询")
        present, former = (self._of_subject(name, subject_id) for name in (kind, table_of(kind)))
        return Versions.of(kinds()[kind], present, former, self._read(BATCH, batch.files, None))

    def _of_subject(self, table: str, subject_id: int | None) -> pa.Table | None:
        if table not in self.manifest.every_table():
            return None
        entries = [f for f in self._entries(table) if subject_id is None or f.may_hold(subject_id)]
        rows = self._read(table, entries, None)
        return rows if subject_id is None else rows.filter(pc.equal(rows["subject_id"], subject_id))

    def as_of(
        self, *, known: datetime, valid: date | None = None, subject_id: int | None = None
    ) -> dict[str, pa.Table]:
        """Return the tables of the kinds as the snapshot of an instant had them, less what may not be shown today.

        valid: only what holds on that day of the world. subject_id: rows of one subject.
        """
        found = {}
        for kind in (k for k in kinds().values() if k.id in self.tables or table_of(k.id) in self.manifest.history):
            rows = self.versions(kind.id, subject_id).known(known)
            found[kind.id] = hold(rows, kind, valid) if valid else rows
        return found

    def scan(self, name: str) -> str:
        """Return the SQL text that stands for a table in a DuckDB query: `from <scan>`. Not of an encrypted tier."""
        if self._encrypted:
            raise ChengxinError("授权层的文件已加密，不能按文件查询；请用 table() 或 connect()")
        files = [self.path(f) for f in self._entries(name)]
        if files:
            hidden = self._but_hidden(name)
            return f"(SELECT * FROM {parquet(files)}{hidden})" if hidden else parquet(files)
        columns = ", ".join(f'NULL::{_SQL_TYPES[c.type]} AS "{c.name}"' for c in self.manifest.tables[name].schema)
        return f"(SELECT {columns} WHERE false)"

    def _but_hidden(self, table: str) -> str:
        """Return the SQL that leaves out of a table's rows what the overlay hides; "" where that is nothing."""
        tests = []
        for column in [n for n in _NUMBERS if n in self._columns(table)]:
            numbers = sorted({n for e in self._hidden() for n in e.numbers(self.manifest.basis.key_id)})
            if numbers:
                texts = ", ".join(f"'{n}'" for n in numbers)
                tests.append(f"coalesce({column} NOT IN ({texts}), true)")
        return f" WHERE {' AND '.join(tests)}" if tests else ""

    def connect(self, *, memory_limit_mib: int = 1024, threads: int = 2) -> Connection:
        """Open an in-memory DuckDB in which every table is a view."""
        connection = connect(Resources(memory_limit_mib=memory_limit_mib, threads=threads))
        for name in self.manifest.every_table():
            if self._encrypted:
                create_table(connection, identifier(name), self.table(name))
                continue
            connection.execute(f"CREATE VIEW {identifier(name)} AS SELECT * FROM {self.scan(name)}")
        return connection

    def lookup(self, subject_id: int) -> dict[str, pa.Table]:
        """Return all rows of one subject, table by table; tables without a row are left out.

        A subject lies in the same part of every table, so its part is found once and one file a table is read. Rows in
        which it is the related party lie with the other subject and come last; they are looked for in every part. The
        authorised tier has subjects in `subject` only whom no other tier names: there every part is looked through.
        """
        part = next((f.part for f in self._entries("subject") if self._holds(f, subject_id)), None)
        found: dict[str, pa.Table] = {}
        for name in self.manifest.tables:
            # credit_record: <kind>-<part>
            files = [f for f in self._entries(name) if self._encrypted or f.part.rpartition("-")[2] == part]
            pieces = [rows for f in files if (rows := self._rows_of(f, subject_id)) is not None]
            pieces += self._related_rows(name, subject_id)
            if pieces:
                found[name] = pa.concat_tables(pieces)
        return found

    def current_id(self, subject_id: int) -> int:
        """Return the id under which this snapshot has a subject: of one that is superseded, the one that stays."""
        rows = self.table(SUPERSESSION).to_pylist() if SUPERSESSION in self.manifest.tables else []
        return int(next((row["superseded_by"] for row in rows if row["subject_id"] == subject_id), subject_id))

    def _related_rows(self, table: str, subject_id: int) -> list[pa.Table]:
        """Return the rows of a table in which a subject is the related party and not the main one."""
        related = {n for n, t in self.manifest.tables.items() if any(c.name == _RELATED for c in t.schema)}
        if table not in related:
            return []
        # credit_record has the column for all kinds; only those whose own table has it can fill it
        entries = self._entries(table)
        if table == "credit_record":
            entries = tuple(f for f in entries if f.part.rpartition("-")[0] in related)
        if not entries:
            return []
        sql = f"""SELECT * FROM records WHERE {_RELATED} = $subject AND subject_id IS DISTINCT FROM $subject
            ORDER BY subject_id, record_id"""
        steps = self._session()
        self._give(steps, "records", table, entries)
        rows = self._without(
            steps.table(Step("related_rows", ("records",), sql, {"subject": subject_id})), self._hidden()
        )
        return [rows.cast(arrow_schema(self.manifest.tables[table].schema))] if rows.num_rows else []

    def find(self, identifier_or_name: str) -> pa.Table:
        """Return the subjects that bear an identifier or exactly a name (present or former), by subject_id."""
        wanted = [identifier_or_name.strip(), _tidy(identifier_or_name)]
        ids: list[pa.Array] = []
        if _IDENTIFIER_FORM.match(wanted[1]):
            ids.append(self._subjects_where("subject_identifier", ["identifier_value"], wanted))
        else:
            ids.append(self._subjects_where("subject_name", ["name", "name_key"], wanted))
        ids.append(self._subjects_where("subject", ["name", "uscc"], wanted))
        found = pc.unique(pa.concat_arrays(ids))
        pieces = [rows for i in sorted(found.to_pylist()) if (rows := self._subject(i)) is not None]
        return pa.concat_tables(pieces) if pieces else self._empty("subject")

    def _subject(self, subject_id: int) -> pa.Table | None:
        return next((r for f in self._entries("subject") if (r := self._rows_of(f, subject_id)) is not None), None)

    def _subjects_where(self, table: str, columns: Iterable[str], wanted: list[str]) -> pa.Array:
        if not self._entries(table):
            return pa.array([], pa.int64())
        present = {column.name for column in self.manifest.tables[table].schema}
        columns = [column for column in columns if column in present]
        tests = " OR ".join(f"{column} IN ($wanted, $tidy)" for column in columns)
        sql = f"SELECT DISTINCT subject_id FROM subjects WHERE subject_id IS NOT NULL AND ({tests})"
        values = {"wanted": wanted[0], "tidy": wanted[1]}
        with Session.open(Resources(memory_limit_mib=1024, threads=2)) as steps:
            self._give(steps, "subjects", table, self._entries(table))
            answer = steps.table(Step("found_subjects", ("subjects",), sql, values))
        return answer.column("subject_id").combine_chunks()

    def _entries(self, table: str) -> tuple[FileEntry, ...]:
        entry = self.manifest.every_table().get(table)
        return entry.files if entry else ()

    def path(self, entry: FileEntry) -> Path:
        """Return where a file lies, whatever it holds: for those who publish."""
        return self.folder / entry.table / entry.name

    @property
    def _encrypted(self) -> bool:
        return any(cipher.SALT in entry.extra for entry in self.manifest.files())

    def decryption(self, entry: FileEntry) -> Any | None:
        """Return what reads a file. Raise ChengxinError where that needs a key, and it is not there or another one."""
        if cipher.SALT in entry.extra and keys.key_id(self.key) != self.manifest.basis.key_id:
            raise ChengxinError("授权层的文件已加密，须给出发布时所用的主密钥；未经信息主体授权不得查询")
        return cipher.decryption(entry, self.key)

    def _give(self, steps: Session, name: str, table: str, entries: Sequence[FileEntry]) -> None:
        """Take files of a table as an input of steps; encrypted ones are read first."""
        if self._encrypted:
            steps.rows(name, self._read(table, entries, None))
        else:
            steps.files(name, [self.path(f) for f in entries])

    def _holds(self, entry: FileEntry, subject_id: int) -> bool:
        """Return whether a file has rows of a subject: one column of the row group that its statistics point at."""
        if not entry.may_hold(subject_id):
            return False
        metadata, ranges = self._footer(entry)
        groups = [i for i, (low, high) in enumerate(ranges) if low <= subject_id <= high]
        if not groups:
            return False
        with pq.ParquetFile(self.path(entry), metadata=metadata, decryption_properties=self.decryption(entry)) as file:
            ids = file.read_row_groups(groups, columns=["subject_id"], use_threads=False).column(0)
        return bool(pc.any(pc.equal(ids, subject_id)).as_py())

    def _rows_of(self, entry: FileEntry, subject_id: int) -> pa.Table | None:
        """Read one subject's rows of a file; None when it has none."""
        if not self._holds(entry, subject_id):
            return None
        # DuckDB decodes the other columns for the matching rows only; Arrow would decode the whole row group
        steps = self._session()
        self._give(steps, "records", entry.table, [entry])
        sql = "SELECT * FROM records WHERE subject_id = $subject"
        rows = steps.table(Step("rows_of_subject", ("records",), sql, {"subject": subject_id}))
        seen = self._without(rows, self._entries_in(overlay.load(self.layout), entry))
        return seen.cast(arrow_schema(self.manifest.tables[entry.table].schema)) if seen.num_rows else None

    def _session(self) -> Session:
        """Return a session for this call; many threads may read one snapshot."""
        if not self._sessions:
            self._sessions.append(Session.open(Resources(memory_limit_mib=256)))
        return self._sessions[0].branch()

    def _footer(self, entry: FileEntry) -> tuple[Any, list[tuple[int, int]]]:
        known = self._footers.get(entry.sha256)
        if known is None:
            metadata = pq.read_metadata(self.path(entry), decryption_properties=self.decryption(entry))
            known = self._footers[entry.sha256] = (metadata, list(_subject_ranges(metadata)))
        return known

    def _read(self, name: str, entries: Iterable[FileEntry], columns: Sequence[str] | None) -> pa.Table:
        numbers = [n for n in _NUMBERS if n in self._columns(name)] if columns is not None else []
        wanted = None if columns is None else [*columns, *(n for n in numbers if n not in columns)]
        pieces = []
        for entry in entries:
            hidden = self._entries_in(overlay.load(self.layout), entry)
            names, key = wanted if hidden else columns, self.decryption(entry)
            read = pq.read_table(self.path(entry), columns=names, partitioning=None, decryption_properties=key)
            rows = self._without(read, hidden)
            pieces.append(rows if columns is None else rows.select(list(columns)))
        return pa.concat_tables(pieces) if pieces else self._empty(name, columns)

    def _empty(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        empty = arrow_schema(self.manifest.every_table()[name].schema).empty_table()
        return empty if columns is None else empty.select(list(columns))


def _subject_ranges(metadata: Any) -> Iterator[tuple[int, int]]:
    position = metadata.schema.names.index("subject_id")
    for group in range(metadata.num_row_groups):
        statistics = metadata.row_group(group).column(position).statistics
        yield (statistics.min, statistics.max) if statistics and statistics.has_min_max else (1, 0)


def _tidy(text: str) -> str:
    """Give an identifier its machine form: half-width, no blanks or hyphens, upper case."""
    return re.sub(r"[\s\-]", "", unicodedata.normalize("NFKC", text)).upper()


_SQL_TYPES = {
    "string": "VARCHAR", "int64": "BIGINT", "int32": "INTEGER", "bool": "BOOLEAN", "date32[day]": "DATE",
    "timestamp[us, tz=UTC]": "TIMESTAMPTZ", "decimal128(18, 2)": "DECIMAL(18,2)", "decimal128(18, 6)": "DECIMAL(18,6)",
    "binary": "BLOB", "double": "DOUBLE",
}  # fmt: skip
