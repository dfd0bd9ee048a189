"""What one admission adds to the state: its account, what it registered, and the versions of records it brought.

A version has two times. World: since when its content holds (`version_at`, microseconds since 1970). Knowledge: from
the admission that brought it (`adm_order`) until the one that reopened its record (`known_to`; NULL = it stands); their
instants are `known_from` of the admissions.
`cause` is why it exists: an index into CAUSES.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.facts import Admission
from chengxin.model.kinds import kinds
from chengxin.state import seals
from chengxin.store.layout import Layout

#: repeated: says what already held; corrected: a waiting row whose record came again, corrected; ended: the row itself
#: says that its record is deleted at its source, or settled; withdrawn: a full delivery lacks the record.
CAUSES = ("stated", "repeated", "corrected", "ended", "withdrawn")
_STATED, _REPEATED, _CORRECTED, _ENDED, _WITHDRAWN = range(len(CAUSES))
NO_ROW = -1  # row_id of a version that no row of a delivery brought

TABLES = ("meta", "admissions", "subjects", "identifiers", "names", "versions", "reopened", "waits")
SCHEMA = (
    """CREATE TABLE admissions (adm_order INTEGER PRIMARY KEY, dataset TEXT NOT NULL, batch_id TEXT NOT NULL,
        known_from TEXT NOT NULL)""",
    """CREATE TABLE subjects (subject_id INTEGER, adm_order INTEGER, row_id INTEGER, version_at INTEGER,
        subject_type TEXT, part TEXT, legal_rep TEXT, name TEXT,
        PRIMARY KEY (subject_id, adm_order, row_id)) WITHOUT ROWID""",
    """CREATE TABLE identifiers (value TEXT, type TEXT, subject_id INTEGER, adm_order INTEGER, row_id INTEGER,
        part TEXT,
        PRIMARY KEY (value, type, subject_id, adm_order)) WITHOUT ROWID""",
    "CREATE INDEX identifiers_of ON identifiers (subject_id)",
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
    # Of the newest revision of each batch: the identifiers and name keys that its waiting rows give.
    """CREATE TABLE waits (value TEXT, dataset TEXT, batch_id TEXT,
        PRIMARY KEY (value, dataset, batch_id)) WITHOUT ROWID""",
    "CREATE INDEX waits_of ON waits (dataset, batch_id)",
    """CREATE TABLE reopened (dataset TEXT, record_id BLOB, adm_order INTEGER, part TEXT,
        PRIMARY KEY (dataset, record_id, adm_order, part)) WITHOUT ROWID""",
)
_VERSION = (
    "dataset", "record_id", "batch_order", "adm_order", "row_id", "version_at", "payload", "subject_id", "part",
    "cause", "known_to", "twin", "near",
)  # fmt: skip
_NOTED = {"corrected": _CORRECTED, "duplicates": _REPEATED}  # files whose rows have a cause of their own
_AT_ONCE = 50_000  # rows
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
    account = (admission.order, admission.dataset, admission.batch_id, admission.known_from)
    connection.execute("INSERT INTO admissions VALUES (?, ?, ?, ?)", account)
    if kinds()[admission.kind].registers != "none":
        for table, columns in _REGISTERED.items():
            for rows in _read(folder / f"{table}.parquet"):
                own = {**_columns(rows), "adm_order": [admission.order] * len(rows)}
                _insert(connection, table, [own[c] for c in columns])
    _reopen(connection, folder, admission)
    _versions(connection, folder, admission)
    _wait(connection, folder, admission)


def _reopen(connection: sqlite3.Connection, folder: Path, admission: Admission) -> None:
    order, dataset = admission.order, admission.dataset
    for rows in _read(folder / "reopened.parquet"):
        found = pa.table(rows).select(["record_id", "part"]).group_by(["record_id", "part"]).aggregate([])
        records, parts = _bytes(found["record_id"].to_pylist()), found["part"].to_pylist()
        columns = ([dataset] * len(records), records, [order] * len(records), parts)
        _insert(connection, "reopened", columns, "OR IGNORE")
        connection.executemany(
            f"""UPDATE versions SET known_to = {order}
                WHERE dataset = ? AND record_id = ? AND adm_order < {order} AND known_to IS NULL""",
            ((dataset, record) for record in records),
        )


def _wait(connection: sqlite3.Connection, folder: Path, admission: Admission) -> None:
    batch = (admission.dataset, admission.batch_id)
    connection.execute("DELETE FROM waits WHERE dataset = ? AND batch_id = ?", batch)
    for rows in _read(folder / "waiting.parquet"):
        values = rows["value"].to_pylist()
        _insert(connection, "waits", [values, *([text] * len(values) for text in batch)])


def _versions(connection: sqlite3.Connection, folder: Path, admission: Admission) -> None:
    noted = [(code, _row_ids(folder / f"{name}.parquet")) for name, code in _NOTED.items()]
    for rows in _read(folder / "linked.parquet"):
        settled = rows.filter(pc.invert(rows["waiting"]))
        cause = pc.if_else(pc.is_null(settled["payload"]), _ENDED, _STATED)
        for code, row_ids in noted:
            if len(row_ids):
                cause = pc.if_else(pc.is_in(settled["row_id"], value_set=row_ids), code, cause)
        _insert_versions(connection, admission, _columns(settled) | {"cause": cause.to_pylist()})
    for rows in _read(folder / "withdrawn.parquet"):
        bare = {"row_id": [NO_ROW] * len(rows), "cause": [_WITHDRAWN] * len(rows)}
        _insert_versions(connection, admission, _columns(rows) | bare)


def _insert_versions(connection: sqlite3.Connection, admission: Admission, rows: dict[str, list[Any]]) -> None:
    absent = [None] * len(rows["record_id"])
    own = {**rows, "dataset": [admission.dataset] * len(absent), "record_id": _bytes(rows["record_id"])}
    _insert(connection, "versions", [own.get(column, absent) for column in _VERSION])


def _insert(connection: sqlite3.Connection, table: str, columns: Iterable[list[Any]], clash: str = "") -> None:
    columns = list(columns)
    places = ", ".join("?" * len(columns))
    connection.executemany(f"INSERT {clash} INTO {table} VALUES ({places})", zip(*columns, strict=True))


def _read(path: Path) -> Iterator[pa.RecordBatch]:
    """Give the rows of a file, a bounded number at a time; nothing where there is no file."""
    if path.exists():
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(_AT_ONCE)


def _row_ids(path: Path) -> pa.Array:
    return pq.read_table(path, columns=["row_id"])["row_id"].combine_chunks() if path.exists() else pa.array([])


def _columns(rows: pa.RecordBatch) -> dict[str, list[Any]]:
    return {name: _plain(rows[name]) for name in rows.schema.names}


def _plain(column: pa.Array) -> list[Any]:
    """Return values as SQLite keeps them: instants as microseconds, days as days since 1970, 64-bit digests signed."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())
    elif pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    elif column.type == pa.uint64():
        column = column.view(pa.int64())
    return list(column.to_pylist())


def _bytes(texts: Iterable[str]) -> list[bytes]:
    return [bytes.fromhex(text) for text in texts]
