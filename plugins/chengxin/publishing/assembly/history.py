"""Write the versions that a publication replaces: what differs between the assembly before and the draft.

Only files that are not in both are read, of most rows nothing but what names them; a file of history without a new
version is kept. A row is the same where it comes from the same row of the same batch and is about the same subjects.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.engine.session import Session, session
from chengxin.engine.step import Schema, Step, identifier
from chengxin.facts import Resources
from chengxin.model.kinds import Kind, kinds
from chengxin.publishing.assembly.tables import table_schema, titles
from chengxin.publishing.history import table as tables
from chengxin.store.layout import Layout
from chengxin.store.manifest import ColumnEntry, FileEntry, Manifest, TableEntry
from chengxin.store.parquet import column_entries, write_parquet

_NAMED = Schema(
    {
        "record_id": "VARCHAR",
        "subject_id": "BIGINT",
        "dataset": "VARCHAR",
        "batch_id": "VARCHAR",
        "source_file": "VARCHAR",
        "source_row": "BIGINT",
        "related_subject_id": "BIGINT",
        "ends_on": "DATE",
        "filename": "VARCHAR",
    }
)
_ORDER = ("subject_id", "batch_id", "source_file", "source_row", "record_id", tables.TO)


@dataclass(frozen=True)
class History:
    """The history of one publication. now: its instant. sealed: data sets of which nothing is kept.

    draft: the tables of the draft, whose new files lie in `folder`, the others in the snapshot before.
    """

    layout: Layout
    before: Manifest
    draft: Mapping[str, TableEntry]
    folder: Path
    sealed: Collection[str]
    now: datetime
    resources: Resources

    def run(self) -> dict[str, TableEntry]:
        """Write the files that changed; return the history of all kinds."""
        made: dict[str, TableEntry] = {}
        with session(self.layout.work, self.resources) as opened:
            opened.rows("published", self._published())
            for kind in (k for k in kinds().values() if not k.sealed):
                name = tables.table_of(kind.id)
                fresh: dict[str, pa.Table] = {}
                for part, rows in self._fresh(opened, kind):  # of one part there may be replaced rows and late ones
                    fresh[part] = pa.concat_tables([fresh[part], rows]) if part in fresh else rows
                files = [f for f in self._kind(kind, fresh) if f]
                made |= {name: TableEntry.of(_described(kind), files)} if files else {}
        return made

    def _kind(self, kind: Kind, fresh: Mapping[str, pa.Table]) -> Iterator[FileEntry | None]:
        held = self.before.history.get(tables.table_of(kind.id))
        schema = _schema(kind)
        kept = {f.part: f for f in held.files} if held else {}
        renewed = bool(held and held.schema != _described(kind)) or self._unseals
        for part in sorted({*kept, *fresh}):
            if part not in fresh and not renewed:
                yield kept[part]
                continue
            older = self._older(kept.get(part), schema)
            rows = pa.concat_tables([older, _since(fresh[part], older)]) if part in fresh else older
            sealed = pc.is_in(rows["dataset"], value_set=pa.array(sorted(self.sealed), pa.string()))
            yield write_parquet(
                rows.filter(pc.invert(sealed)).sort_by([(name, "ascending") for name in _ORDER]),
                self.folder / tables.table_of(kind.id),
                table=tables.table_of(kind.id),
                part=part,
                schema=schema,
            )

    @property
    def _unseals(self) -> bool:
        """Return whether other data sets are sealed than before."""
        return bool(self.before.basis.sealed != sorted(self.sealed))

    def _older(self, entry: FileEntry | None, schema: pa.Schema) -> pa.Table:
        if entry is None:
            return schema.empty_table()
        read = pq.read_table(self._path(entry), partitioning=None)
        given = [
            read[f.name].cast(f.type) if f.name in read.column_names else pa.nulls(len(read), f.type) for f in schema
        ]
        return pa.table(given, schema=schema)

    def _path(self, entry: FileEntry) -> Path:
        fresh = self.folder / entry.table / entry.name
        before = self.layout.snapshot(self.before.tier, self.before.snapshot_id)
        return fresh if fresh.exists() else before / entry.table / entry.name

    def _published(self) -> pa.Table:
        """Return the batches of the snapshot before, each with the instant at which it was first in one."""
        paths = [self._path(f) for f in self.before.batch.files] if self.before.batch else []
        read = [pq.read_table(p, columns=["batch_id", "published_at"], partitioning=None) for p in paths]
        empty = pa.schema([("batch_id", pa.string()), ("published_at", pa.timestamp("us", "UTC"))]).empty_table()
        rows = pa.concat_tables([empty, *read]).group_by("batch_id").aggregate([("published_at", "min")])
        return rows.rename_columns(["batch_id", "published_at"])

    def _fresh(self, opened: Session, kind: Kind) -> Iterator[tuple[str, pa.Table]]:
        """Give what is new in the history of a kind, part by part: in the order of columns, unsorted."""
        sides = [side.get(kind.id) for side in (self.before.tables, self.draft)]
        was, now = ({f.sha256: f for f in side.files} if side else {} for side in sides)
        gone = {self._path(f): f for digest, f in was.items() if digest not in now}
        come = {self._path(f): f for digest, f in now.items() if digest not in was}
        if not gone and not come:
            return
        _name(opened, kind, gone, come)
        places = {str(p): f"{kind.id}-{f.part}" for p, f in (gone | come).items()}
        for path in gone:
            if opened.count("closed", f"filename = '{path}'"):
                yield places[str(path)], self._rows(opened, kind, path)
        for path in come:
            if opened.count("late", f"filename = '{path}'"):
                yield places[str(path)], self._late(opened, kind, path)

    def _rows(self, opened: Session, kind: Kind, path: Path) -> pa.Table:
        """Return the replaced rows of a file."""
        opened.files("old", [path])
        sql = f"""SELECT o.*, p.published_at AS {tables.FROM}, CAST($now AS TIMESTAMPTZ) AS {tables.TO}, {tables.CHANGE}
            FROM old o JOIN closed c USING (record_id) LEFT JOIN published p ON p.batch_id = o.batch_id"""
        step = Step("replaced_rows", ("old", "closed", "published"), sql, {"now": self.now})
        schema = _schema(kind)
        return opened.table(step).select(schema.names).cast(schema)

    def _late(self, opened: Session, kind: Kind, path: Path) -> pa.Table:
        """Return one row for each record of a file that came later than its batch."""
        sql = f"""SELECT record_id, subject_id, dataset, batch_id, source_file, source_row,
                published_at AS {tables.FROM}, CAST($now AS TIMESTAMPTZ) AS {tables.TO},
                '{tables.WAITED}' AS {tables.CHANGE}
            FROM late WHERE filename = $path"""
        found = opened.table(Step("late_rows", ("late",), sql, {"now": self.now, "path": str(path)}))
        schema = _schema(kind)
        given = [found[f.name].cast(f.type) if f.name in found.column_names else _none(found, f) for f in schema]
        return pa.table(given, schema=schema)


def _name(opened: Session, kind: Kind, gone: Mapping[Path, FileEntry], come: Mapping[Path, FileEntry]) -> None:
    """Leave `closed` (replaced records, with why) and `late` (records that were not in it, of batches that were)."""
    ends = identifier(kind.effective_to_on) if kind.effective_to_on else "CAST(NULL AS DATE)"
    related = "related_subject_id" if "related" in kind.roles else "CAST(NULL AS BIGINT) AS related_subject_id"
    named = ", ".join(n for n in _NAMED.columns if n not in {"related_subject_id", "ends_on", "filename"})
    for side, files in (("rows_before", gone), ("rows_after", come)):
        if files:
            opened.files(f"{side}_files", list(files), filename=True)
            sql = f"SELECT {named}, {related}, {ends} AS ends_on, filename FROM {side}_files"
            opened.leave(Step(side, (f"{side}_files",), sql), _NAMED)
        else:
            opened.leave(Step(side, (), _NAMED.empty), _NAMED)
    other = "(n.subject_id <> w.subject_id OR n.related_subject_id IS DISTINCT FROM w.related_subject_id)"
    sql = f"""SELECT w.record_id, w.filename, CASE WHEN n.record_id IS NULL THEN '{tables.WITHDRAWN}'
            WHEN {other} THEN '{tables.MOVED}'
            WHEN w.ends_on IS NULL AND n.ends_on IS NOT NULL THEN '{tables.ENDED}'
            ELSE '{tables.CORRECTED}' END AS {tables.CHANGE}
        FROM rows_before w LEFT JOIN rows_after n USING (record_id)
        WHERE n.record_id IS NULL OR {other} OR n.batch_id <> w.batch_id
            OR n.source_file <> w.source_file OR n.source_row <> w.source_row"""
    opened.leave(Step("closed", ("rows_before", "rows_after"), sql))
    # One that stays in its part begins where the version in the same file of history ended.
    sql = f"""SELECT n.*, p.published_at FROM rows_after n JOIN published p USING (batch_id)
        LEFT JOIN rows_before w ON w.record_id = n.record_id
        WHERE w.record_id IS NULL OR (w.subject_id <> n.subject_id AND {_part("w")} <> {_part("n")})"""
    opened.leave(Step("late", ("rows_before", "rows_after", "published"), sql))


def _part(row: str) -> str:
    return f"regexp_extract({row}.filename, '([^/]+)-[0-9a-f]{{12}}[.]parquet$', 1)"


def _schema(kind: Kind) -> pa.Schema:
    return tables.schema(table_schema(kind.id))


def _described(kind: Kind) -> tuple[ColumnEntry, ...]:
    return column_entries(_schema(kind), titles(kind.id) | {c.name: c.title for c in tables.SPECS})


def _none(rows: pa.Table, field: pa.Field) -> pa.Array:
    return pa.nulls(rows.num_rows, field.type)


def _since(fresh: pa.Table, older: pa.Table) -> pa.Table:
    """Let a version begin where the one before it of the same record ended, if that is later than its batch."""
    ended = older.group_by("record_id").aggregate([(tables.TO, "max")])
    place = pc.index_in(fresh["record_id"], value_set=ended["record_id"])
    begins = tables.later(fresh[tables.FROM], ended[f"{tables.TO}_max"].take(place))
    return fresh.set_column(fresh.schema.get_field_index(tables.FROM), fresh.schema.field(tables.FROM), begins)
