"""What one admission adds to the state: its account, what it registered, and the versions of records it brought.

A version has two times. World: since when its content holds (`version_at`, microseconds since 1970). Knowledge: from
the admission that brought it (`adm_order`) until the one that reopened its record (`known_to`; NULL = it stands).
`cause` is why it exists: an index into CAUSES.
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.facts import Admission
from chengxin.model.kinds import kinds
from chengxin.state import seals
from chengxin.store.layout import Layout

#: repeated: says what already held; corrected: a waiting row whose record came again, mended; ended: the row itself
#: says that its record is deleted at its source, or settled; withdrawn: a full delivery lacks the record.
CAUSES = ("stated", "repeated", "corrected", "ended", "withdrawn")
_STATED, _REPEATED, _CORRECTED, _ENDED, _WITHDRAWN = range(len(CAUSES))
NO_ROW = -1  # row_id of a version that no row of a delivery brought

TABLES = ("meta", "admissions", "subjects", "identifiers", "names", "versions", "reopened")
SCHEMA = (
    "CREATE TABLE meta (applied INTEGER NOT NULL, digest TEXT NOT NULL)",
    "INSERT INTO meta VALUES (-1, '')",
    "CREATE TABLE admissions (adm_order INTEGER PRIMARY KEY, dataset TEXT NOT NULL, batch_id TEXT NOT NULL)",
    """CREATE TABLE subjects (subject_id INTEGER, adm_order INTEGER, row_id INTEGER, version_at INTEGER,
        subject_type TEXT, part TEXT, legal_rep TEXT, name TEXT,
        PRIMARY KEY (subject_id, adm_order, row_id)) WITHOUT ROWID""",
    """CREATE TABLE identifiers (value TEXT, type TEXT, subject_id INTEGER, adm_order INTEGER, row_id INTEGER,
        part TEXT,
        PRIMARY KEY (value, type, subject_id, adm_order)) WITHOUT ROWID""",
    "CREATE INDEX codes_of ON identifiers (subject_id) WHERE type = 'uscc'",
    """CREATE TABLE names (subject_id INTEGER, name_key TEXT, adm_order INTEGER, row_id INTEGER,
        valid_from_on INTEGER, valid_to_on INTEGER, part TEXT,
        PRIMARY KEY (subject_id, name_key, adm_order)) WITHOUT ROWID""",
    # Nobody is found by a person's name, and sixty million persons share few of them.
    "CREATE INDEX bearers ON names (name_key) WHERE substr(part, 1, 1) <> 'p'",
    """CREATE TABLE versions (dataset TEXT, record_id BLOB, batch_order INTEGER, adm_order INTEGER, row_id INTEGER,
        version_at INTEGER, payload INTEGER, subject_id INTEGER, part TEXT, cause INTEGER, known_to INTEGER,
        twin INTEGER, near INTEGER,
        PRIMARY KEY (dataset, record_id, batch_order, adm_order, row_id)) WITHOUT ROWID""",
    "CREATE INDEX twins ON versions (dataset, twin) WHERE twin IS NOT NULL",
    "CREATE INDEX nears ON versions (dataset, near) WHERE near IS NOT NULL",
    "CREATE INDEX records_of ON versions (subject_id, dataset)",
    """CREATE TABLE reopened (dataset TEXT, record_id BLOB, adm_order INTEGER, part TEXT,
        PRIMARY KEY (dataset, record_id, adm_order, part)) WITHOUT ROWID""",
)
_VERSION = ("batch_order", "adm_order", "row_id", "version_at", "payload", "subject_id", "part")
_REGISTERED = {
    "subjects": (
        "subject_id", "adm_order", "row_id", "version_at", "subject_type", "part", "legal_rep", "name",
    ),
    "identifiers": ("identifier_value", "identifier_type", "subject_id", "adm_order", "row_id", "part"),
    "names": ("subject_id", "name_key", "adm_order", "row_id", "valid_from_on", "valid_to_on", "part"),
}  # fmt: skip


def apply(connection: sqlite3.Connection, layout: Layout, admission: Admission) -> None:
    """Enter an admission from its links folder. Raise InvariantBroken where that is not as it was sealed."""
    seals.check(layout, [admission], seals.LINKS)
    folder = layout.links(admission.dataset, admission.batch_id, admission.revision)
    account = (admission.order, admission.dataset, admission.batch_id)
    connection.execute("INSERT INTO admissions VALUES (?, ?, ?)", account)
    if kinds()[admission.kind].registers != "none":
        for table, columns in _REGISTERED.items():
            if (found := _read(folder / f"{table}.parquet")) is not None:
                rows = found.append_column("adm_order", _same(admission.order, found))
                _insert(connection, table, (plain(rows[c]) for c in columns))
    _reopen(connection, folder, admission)
    _versions(connection, folder, admission)


def _reopen(connection: sqlite3.Connection, folder: Path, admission: Admission) -> None:
    found = _read(folder / "reopened.parquet")
    if found is None:
        return
    found = found.select(["record_id", "part"]).group_by(["record_id", "part"]).aggregate([])
    records = _bytes(found["record_id"])
    order, dataset = admission.order, admission.dataset
    _insert(connection, "reopened", ([dataset] * len(records), records, [order] * len(records), plain(found["part"])))
    connection.executemany(
        f"""UPDATE versions SET known_to = {order}
            WHERE dataset = ? AND record_id = ? AND adm_order < {order} AND known_to IS NULL""",
        ((dataset, record) for record in records),
    )


def _versions(connection: sqlite3.Connection, folder: Path, admission: Admission) -> None:
    linked = _read(folder / "linked.parquet")
    if linked is not None:
        settled = linked.filter(pc.invert(linked["waiting"]))
        _insert_versions(connection, admission, settled, _causes(folder, settled))
    withdrawn = _read(folder / "withdrawn.parquet")
    if withdrawn is not None:
        bare = withdrawn.append_column("row_id", _same(NO_ROW, withdrawn))
        bare = bare.append_column("payload", pa.nulls(len(bare), pa.uint64()))
        _insert_versions(connection, admission, bare, [_WITHDRAWN] * len(bare))


def _causes(folder: Path, settled: pa.Table) -> list[int]:
    """Return the cause of each settled row."""
    cause = pc.if_else(pc.is_null(settled["payload"]), _ENDED, _STATED)
    for name, code in (("corrected", _CORRECTED), ("duplicates", _REPEATED)):
        if (rows := _read(folder / f"{name}.parquet")) is not None and len(rows):
            cause = pc.if_else(pc.is_in(settled["row_id"], value_set=rows["row_id"]), code, cause)
    return plain(cause)


def _insert_versions(connection: sqlite3.Connection, admission: Admission, rows: pa.Table, causes: list[int]) -> None:
    absent = [None] * len(rows)
    columns = [
        [admission.dataset] * len(rows),
        _bytes(rows["record_id"]),
        *(plain(rows[c]) for c in _VERSION),
        causes,
        absent,
        *(plain(rows[c]) if c in rows.column_names else absent for c in ("twin", "near")),
    ]
    _insert(connection, "versions", columns)


def _insert(connection: sqlite3.Connection, table: str, columns: Iterable[list[Any]]) -> None:
    columns = list(columns)
    places = ", ".join("?" * len(columns))
    connection.executemany(f"INSERT INTO {table} VALUES ({places})", zip(*columns, strict=True))


def _read(path: Path) -> pa.Table | None:
    return pq.read_table(path) if path.exists() else None


def _same(value: int, rows: pa.Table) -> pa.Array:
    return pa.array([value], pa.int64()).take(pa.nulls(len(rows), pa.int64()).fill_null(0))


def plain(column: pa.ChunkedArray | pa.Array) -> list[Any]:
    """Return values as SQLite keeps them: instants as microseconds, days as days since 1970, 64-bit digests signed."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())
    elif pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    elif column.type == pa.uint64():
        column = pa.chunked_array([c.view(pa.int64()) for c in _chunks(column)], pa.int64())
    return list(column.to_pylist())


def _chunks(column: pa.ChunkedArray | pa.Array) -> list[pa.Array]:
    return column.chunks if isinstance(column, pa.ChunkedArray) else [column]


def _bytes(column: pa.ChunkedArray) -> list[bytes]:
    return [bytes.fromhex(text) for text in column.to_pylist()]
