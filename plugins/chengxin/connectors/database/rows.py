"""Rows of a staging table -> one CSV file: header, then every value as text; NULL is nothing, an empty text is "".

PostgreSQL makes the CSV itself (COPY ... TO STDOUT) and its bytes land as they come: nothing is faster, and text that
is damaged at the source stays as it is. Others are fetched in parts, turned into columns and written.
"""

import csv
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias
from uuid import UUID

import pyarrow as pa
import pyarrow.csv
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Dialect,
    Select,
    String,
    Table,
    collate,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import dialect as postgresql_dialect

from chengxin.connectors.database.types import text_columns
from chengxin.errors import DeliveryMismatch

ROWS = "rows.csv"
Rows: TypeAlias = Select[*tuple[Any, ...]]


def write_rows(
    connection: Connection,
    table: Table,
    order: Sequence[Column[Any]],
    where: ColumnElement[bool] | None,
    target: Path,
    *,
    chunk: int,
) -> None:
    """Write the rows of `table` that fit `where`, in order, to target/rows.csv; `chunk` rows are held at a time."""
    with (target / ROWS).open("wb") as out:
        out.write(_header([column.name for column in table.columns]))
        if connection.dialect.name == "postgresql":
            blocks = _copied(connection, _statement(connection, table, order, where))
            out.writelines(blocks)
        else:
            _write_parts(connection, _statement(connection, table, order, where), len(table.columns), chunk, out)


def _header(names: Sequence[str]) -> bytes:
    line = StringIO()
    # a line break in a name would put the header on two lines; headers are compared without blanks anyway
    csv.writer(line, lineterminator="\n").writerow(" ".join(name.splitlines()) for name in names)
    return line.getvalue().encode()


def _statement(
    connection: Connection,
    table: Table,
    order: Sequence[Column[Any]],
    where: ColumnElement[bool] | None,
) -> Rows:
    columns: list[ColumnElement[Any]] = list(table.columns)
    in_text = connection.dialect.name in ("postgresql", "sqlite")
    if in_text:
        columns = [*text_columns(connection, table)]
    if in_text and len(columns) == 1:
        # NULL alone in its line would be an empty line, which is no record
        columns = [func.coalesce(columns[0], "")]
    statement: Rows = select(*(column.label(f"c{n}") for n, column in enumerate(columns))).select_from(table)
    statement = statement if where is None else statement.where(where)
    return statement.order_by(*(_bytewise(connection, column) for column in order))


def _bytewise(connection: Connection, column: Column[Any]) -> ColumnElement[Any]:
    """Order texts by their bytes: several times as fast on PostgreSQL, and the same in every locale."""
    if connection.dialect.name == "postgresql" and isinstance(column.type, String):
        return collate(column, "C")
    return column


def _copied(connection: Connection, statement: Rows) -> Iterator[bytes]:
    # COPY takes no parameters; `named` leaves percent signs in names alone
    dialect: Dialect = postgresql_dialect(paramstyle="named")  # type: ignore[no-untyped-call]
    query = statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    force = ", FORCE_QUOTE *" if len(statement.selected_columns) == 1 else ""
    driver = connection.connection.driver_connection
    assert driver is not None
    with driver.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT WITH (FORMAT csv{force})") as copy:
        yield from copy


def _write_parts(connection: Connection, statement: Rows, width: int, chunk: int, out: BinaryIO) -> None:
    """Fetch, turn each part into columns, write it. SQLite gives bytes, so that damaged text lands as it is."""
    raw = connection.dialect.name == "sqlite"
    if raw:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.text_factory = bytes
    schema = pa.schema([(f"c{n}", pa.string()) for n in range(width)])
    options = pa.csv.WriteOptions(include_header=False, quoting_style="all_valid")
    result = connection.execution_options(stream_results=True, yield_per=chunk).execute(statement)
    with pa.csv.CSVWriter(out, schema, write_options=options) as writer:
        for rows in result.partitions():
            arrays = [_raw(values) if raw else _texts(values) for values in zip(*rows, strict=True)]
            if width == 1:
                arrays = [arrays[0].fill_null("")]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def _raw(values: Sequence[bytes | None]) -> pa.Array:
    """Take bytes as text without asking whether they are: a view is not validated."""
    return pa.array(values, pa.binary()).view(pa.string())


def _texts(values: Sequence[object]) -> pa.Array:
    return pa.array([_as_text(value) for value in values], pa.string())


def _as_text(value: object) -> str | None:
    """Write a value as PostgreSQL would, as far as other drivers give something else than text.

    Raises DeliveryMismatch for what is no single value, or for bytes, of which nobody says what text they are.
    """
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.isoformat(" ")
        case date() | time():
            return value.isoformat()
        case Decimal():
            return f"{value:f}"
        case int() | float() | UUID():
            return str(value)
        case timedelta():  # a time of day on MySQL
            minutes, seconds = divmod(round(abs(value.total_seconds())), 60)
            return f"{'-' * (value < timedelta())}{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
        case _:
            kind = type(value).__name__
            raise DeliveryMismatch(f"表中有 {kind} 类型的值，不是单个的文字、数字或日期；请提供部门改用视图给出文本")
