r"""Types of columns in staging tables: which hold single values that can be read as text, and how.

As text a list would be `{甲,乙}`, a composite `(甲,乙)`, JSON `{"a": 1}`, bytes `\xe7bdb0`: plausible, and wrong.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    Column,
    Connection,
    LargeBinary,
    Numeric,
    String,
    Table,
    Text,
    case,
    cast,
    func,
    text,
)
from sqlalchemy.dialects.mysql import BIT, SET
from sqlalchemy.sql import ColumnElement

from chengxin.contracts.headers import fold_header
from chengxin.contracts.models import Contract
from chengxin.errors import DeliveryMismatch

# Texts, numbers, dates and times, booleans, enumerations, intervals, bits, network addresses.
_SINGLE = frozenset("SNDBETVI")
_MONEY = "money"
_LARGE = 10.0**13  # from here on, two decimals make 16 digits
_TYPES = text("""
    WITH RECURSIVE told AS (
        SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS shown,
            t.typname, t.typtype, t.typcategory, t.typbasetype
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        WHERE a.attrelid = CAST(:name AS regclass) AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT d.attname, d.shown, t.typname, t.typtype, t.typcategory, t.typbasetype
        FROM told d JOIN pg_type t ON t.oid = d.typbasetype WHERE d.typtype = 'd')
    SELECT attname, shown, typname, typcategory FROM told WHERE typtype <> 'd'
""")


def refuse_nested(connection: Connection, table: Table, contract: Contract) -> None:
    """Raise DeliveryMismatch where a column that the contract uses holds no single values."""
    used = {fold_header(header) for column in contract.columns for header in (column.source, *column.aliases)}
    for name, shown in _nested(connection, table):
        if fold_header(name) in used:
            raise DeliveryMismatch(
                f"{contract.id}：表“{table.name}”的列“{name}”是 {shown} 类型，不是单个的文字、数字或日期；"
                "请提供部门改用视图给出文本，或在合同中改写（该列不用则移入 ignored）"
            )


def text_columns(connection: Connection, table: Table) -> list[ColumnElement[str]]:
    """Return the columns as text, as the database writes them; money as a number, whatever sign the server puts."""
    money = set()
    if connection.dialect.name == "postgresql":
        money = {name for name, _, kind, _ in _described_columns(connection, table) if kind == _MONEY}
    if connection.dialect.name == "sqlite":
        return [_text_sqlite(column) for column in table.columns]
    return [cast(cast(c, Numeric) if c.name in money else c, Text) for c in table.columns]


def _text_sqlite(column: Column[Any]) -> ColumnElement[str]:
    """Write a column as text; SQLite itself gives 15 digits of a large number, which is an amount without its fen."""
    text_of = cast(column, Text)
    if isinstance(column.type, String):
        return text_of
    is_large = (func.typeof(column) == "real") & (func.abs(column).between(_LARGE, 10 * _LARGE))
    return case((is_large, func.printf("%!.16g", column, type_=String())), else_=text_of)


def _nested(connection: Connection, table: Table) -> Iterator[tuple[str, str]]:
    if connection.dialect.name == "postgresql":
        for name, shown, kind, category in _described_columns(connection, table):
            if category not in _SINGLE and kind != "uuid":
                yield name, shown
        return
    for column in table.columns:
        if isinstance(column.type, ARRAY | JSON | LargeBinary | BIT | SET):
            yield column.name, type(column.type).__name__


def _described_columns(connection: Connection, table: Table) -> list[tuple[str, str, str, str]]:
    """Return name, type as shown, name and category of the base type of each column."""
    # not by the dialect, which doubles percent signs for its driver
    name = ".".join('"{}"'.format(part.replace('"', '""')) for part in (table.schema, table.name) if part)
    return [(str(a), str(b), str(c), str(d)) for a, b, c, d in connection.execute(_TYPES, {"name": name})]
