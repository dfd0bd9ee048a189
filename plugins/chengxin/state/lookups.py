"""What of the state the rows of a batch can touch, as Arrow tables: subjects by codes and names, versions of records.

V = the values that the rows give or are looked up by, K = their names. Touched are the subjects that bear one of V or
of K, or that are asked for. Returned are these subjects with all their names, and the identifiers in V and those USCCs
that touched subjects bear, with every bearer: enough to know which of them names several.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

_INSTANT = pa.timestamp("us", tz="UTC")
_SUBJECTS = pa.schema(
    [
        ("subject_id", pa.int64()),
        ("row_id", pa.int64()),
        ("version_at", _INSTANT),
        ("subject_type", pa.string()),
        ("part", pa.string()),
        ("legal_rep", pa.string()),
        ("name", pa.string()),
    ]
)
_IDENTIFIERS = pa.schema(
    [
        ("subject_id", pa.int64()),
        ("identifier_type", pa.string()),
        ("identifier_value", pa.string()),
        ("own", pa.bool_()),
    ]
)
_NAMES = pa.schema(
    [
        ("subject_id", pa.int64()),
        ("name_key", pa.string()),
        ("valid_from_on", pa.date32()),
        ("valid_to_on", pa.date32()),
        ("own", pa.bool_()),
    ]
)
_VERSIONS = pa.schema(
    [
        ("record_id", pa.string()),
        ("payload", pa.uint64()),
        ("version_at", _INSTANT),
        ("batch_order", pa.int32()),
        ("adm_order", pa.int32()),
        ("row_id", pa.int64()),
        ("subject_id", pa.int64()),
        ("part", pa.string()),
        ("duplicate", pa.bool_()),
        ("twin", pa.uint64()),
        ("near", pa.uint64()),
    ]
)
_REOPENED = pa.schema([("record_id", pa.string()), ("part", pa.string()), ("adm_order", pa.int32())])
_MINE = "EXISTS (SELECT 1 FROM admissions a WHERE a.adm_order = x.adm_order AND a.dataset = ?)"


def touched(
    connection: sqlite3.Connection, dataset: str, *, values: Iterable[str], names: Iterable[str], also: Iterable[int]
) -> dict[str, pa.Table]:
    """Return `subjects`, `identifiers` and `names`. own: the data set itself has added the row."""
    _ask(connection, "asked_values", "TEXT", values)
    _ask(connection, "asked_names", "TEXT", names)
    _ask(connection, "touched", "INTEGER", also)
    connection.execute(
        """INSERT OR IGNORE INTO touched
            SELECT x.subject_id FROM asked_values v CROSS JOIN identifiers x ON x.value = v.value
            UNION ALL SELECT x.subject_id FROM asked_names k CROSS JOIN names x INDEXED BY bearers
                ON x.name_key = k.value AND substr(x.part, 1, 1) <> 'p'"""
    )
    connection.execute(
        """INSERT OR IGNORE INTO asked_values
            SELECT x.value FROM touched t CROSS JOIN identifiers x INDEXED BY identifiers_of
                ON x.subject_id = t.value AND x.type = 'uscc'"""
    )
    return {
        "subjects": _table(
            connection,
            _SUBJECTS,
            """SELECT subject_id, row_id, version_at, subject_type, part, legal_rep, name
                FROM touched t CROSS JOIN subjects x ON x.subject_id = t.value""",
        ),
        "identifiers": _table(
            connection,
            _IDENTIFIERS,
            f"""SELECT subject_id, type, x.value, {_MINE}
                FROM asked_values v CROSS JOIN identifiers x ON x.value = v.value""",
            dataset,
        ),
        "names": _table(
            connection,
            _NAMES,
            f"""SELECT subject_id, name_key, valid_from_on, valid_to_on, {_MINE}
                FROM touched t CROSS JOIN names x ON x.subject_id = t.value""",
            dataset,
        ),
    }


def known(connection: sqlite3.Connection, kind: str, values: Iterable[str]) -> list[str]:
    """Return those of these identifiers of one type that a subject bears."""
    _ask(connection, "asked_values", "TEXT", values)
    found = connection.execute(
        "SELECT DISTINCT v.value FROM asked_values v CROSS JOIN identifiers x ON x.value = v.value AND x.type = ?",
        (kind,),
    )
    return [value for (value,) in found]


def waits(connection: sqlite3.Connection, beginning: str) -> bool:
    """Return whether some row waits by a value that begins so. beginning: one character."""
    found = connection.execute(
        "SELECT 1 FROM waits WHERE value >= ? AND value < ? LIMIT 1", (beginning, chr(ord(beginning) + 1))
    )
    return found.fetchone() is not None


def waiting_for(connection: sqlite3.Connection, subjects: Iterable[int], values: Iterable[str]) -> set[tuple[str, str]]:
    """Return (data set, batch) with rows that wait by one of these values, or by what one of these subjects bears."""
    _ask(connection, "touched", "INTEGER", subjects)
    _ask(connection, "asked_values", "TEXT", values)
    found = connection.execute(
        """SELECT DISTINCT w.dataset, w.batch_id FROM (
                SELECT x.value FROM touched t CROSS JOIN identifiers x INDEXED BY identifiers_of
                    ON x.subject_id = t.value
                UNION SELECT x.name_key FROM touched t CROSS JOIN names x ON x.subject_id = t.value
                UNION SELECT value FROM asked_values) v
            CROSS JOIN waits w ON w.value = v.value"""
    )
    return {(dataset, batch_id) for dataset, batch_id in found}


def stated_by(connection: sqlite3.Connection, subjects: Iterable[int]) -> set[int]:
    """Return the admissions that registered a version, a name or an identifier of one of these subjects."""
    _ask(connection, "touched", "INTEGER", subjects)
    found = connection.execute(
        """SELECT adm_order FROM touched t CROSS JOIN subjects x ON x.subject_id = t.value
            UNION SELECT adm_order FROM touched t CROSS JOIN names x ON x.subject_id = t.value
            UNION SELECT adm_order FROM touched t CROSS JOIN identifiers x INDEXED BY identifiers_of
                ON x.subject_id = t.value"""
    )
    return {order for (order,) in found}


def versions(
    connection: sqlite3.Connection,
    dataset: str,
    *,
    records: Iterable[str],
    twins: Iterable[int] = (),
    nears: Iterable[int] = (),
    subjects: Iterable[int] = (),
    reopened: bool = False,
) -> pa.Table:
    """Return every version of a data set's records: these, with these digests, or of these subjects.

    twins, nears: as unsigned 64-bit numbers. reopened: those, too, that a judgement has reopened since.
    """
    _ask(connection, "asked_records", "BLOB", map(bytes.fromhex, records))
    # Without statistics SQLite takes the primary key for these, which is to read the whole data set for each value.
    for index, column, values in (
        ("twins", "twin", map(_signed, twins)),
        ("nears", "near", map(_signed, nears)),
        ("records_of", "subject_id", subjects),
    ):
        _ask(connection, f"asked_{index}", "INTEGER", values)
        connection.execute(
            f"""INSERT OR IGNORE INTO asked_records SELECT x.record_id FROM asked_{index} q
                CROSS JOIN versions x INDEXED BY {index}
                    ON x.dataset = ? AND x.{column} = q.value AND x.{column} IS NOT NULL
                WHERE x.known_to IS NULL""",
            (dataset,),
        )
    return _table(
        connection,
        _VERSIONS,
        """SELECT lower(hex(record_id)), payload, version_at, batch_order, adm_order, row_id, subject_id, part,
                cause = 1, twin, near
            FROM asked_records q CROSS JOIN versions x ON x.dataset = ? AND x.record_id = q.value
            WHERE x.known_to IS NULL OR ?""",
        dataset,
        reopened,
    )


def reopened(connection: sqlite3.Connection, dataset: str) -> pa.Table:
    """Return the records of a data set that judgements have reopened."""
    query = "SELECT lower(hex(record_id)), part, adm_order FROM reopened WHERE dataset = ?"
    return _table(connection, _REOPENED, query, dataset)


def _ask(connection: sqlite3.Connection, table: str, kind: str, values: Iterable[Any]) -> None:
    connection.execute(f"CREATE TEMP TABLE IF NOT EXISTS {table} (value {kind} PRIMARY KEY) WITHOUT ROWID")
    connection.execute(f"DELETE FROM temp.{table}")
    connection.execute("BEGIN")
    connection.executemany(f"INSERT OR IGNORE INTO {table} VALUES (?)", ((value,) for value in values))
    connection.execute("COMMIT")


def _table(connection: sqlite3.Connection, schema: pa.Schema, query: str, *values: Any) -> pa.Table:
    rows = connection.execute(query, values).fetchall()
    columns: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    return pa.table([_array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if kind == pa.uint64():
        return pa.array(values, pa.int64()).view(pa.uint64())
    if kind == pa.bool_():
        return pa.array([bool(v) for v in values], kind)
    if pa.types.is_temporal(kind):
        return pa.array(values, pa.int32() if kind == pa.date32() else pa.int64()).cast(kind)
    return pa.array(values, kind)


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number
