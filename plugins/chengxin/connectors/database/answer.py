"""Write an answer (反馈) into a table of a department's staging database: whole or not at all, and once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

from sqlalchemy import Column, Connection, MetaData, String, Table, Text, and_, insert, inspect, select, text
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.exc import NoSuchTableError

from chengxin.connectors.database.session import Limits, writing
from chengxin.errors import ContractError

AnswerRow: TypeAlias = Sequence[str | None]
_KEY_LENGTH = 190  # characters; longer keys cannot be indexed by every database
_ROWS = 500


@dataclass(frozen=True)
class AnswerTable:
    """A feedback table: its name, its columns (all text) and those that name a row, e.g. batch id and row key.

    create: make the table where it is missing; else a missing table is an error of the contract.
    """

    name: str
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    schema: str | None = None
    create: bool = True


def write_answer(
    connection_name: str,
    table: AnswerTable,
    rows: Iterable[AnswerRow],
    limits: Limits | None = None,
) -> int:
    """Add the rows that the table does not hold yet, in one transaction, and return how many were added.

    rows: values in the order of `table.columns`. A row whose keys stand there is left as it is, so the same answer may
    be sent again. On PostgreSQL the right to INSERT is enough where the table has a unique key over `keys`.
    Raises SourceUnavailable, and ContractError where the table is missing or lacks columns.
    """
    stray = [key for key in table.keys if key not in table.columns]
    if stray or not table.keys:
        raise ContractError(f"反馈表“{table.name}”的主键列不在其列中：{'、'.join(stray)}")
    with writing(connection_name, table.name, limits or Limits()) as connection:
        target = _target(connection, table)
        readable = _is_readable(connection, table)
        added = 0
        for chunk in _chunks(rows):
            fresh = _fresh(connection, target, table, chunk) if readable else _distinct(table, chunk)
            added += _insert(connection, target, fresh)
        return added


def _target(connection: Connection, table: AnswerTable) -> Table:
    """Describe the table by what we write, whatever else the department keeps in it; make it where allowed."""
    target = Table(
        table.name,
        MetaData(),
        *(
            Column(
                name,
                String(_KEY_LENGTH) if name in table.keys else Text(),
                # names in Chinese, with brackets or percent signs are no names of parameters
                key=f"c{number}",
                primary_key=name in table.keys,
                autoincrement=False,
            )
            for number, name in enumerate(table.columns)
        ),
        schema=table.schema,
    )
    try:
        present = {column["name"] for column in inspect(connection).get_columns(table.name, schema=table.schema)}
    except NoSuchTableError:
        if not table.create:
            raise ContractError(f"反馈表“{table.name}”不存在：请提供部门建表，或允许自动建表") from None
        target.create(connection)
        return target
    missing = [name for name in table.columns if name not in present]
    if missing:
        raise ContractError(f"反馈表“{table.name}”缺少列：{'、'.join(missing)}")
    return target


def _is_readable(connection: Connection, table: AnswerTable) -> bool:
    if connection.dialect.name != "postgresql":
        return True
    quoted = connection.dialect.identifier_preparer
    name = f"{quoted.quote(table.schema)}.{quoted.quote(table.name)}" if table.schema else quoted.quote(table.name)
    return bool(connection.scalar(text("SELECT has_table_privilege(:name, 'SELECT')"), {"name": name}))


def _chunks(rows: Iterable[AnswerRow]) -> Iterator[list[AnswerRow]]:
    source = iter(rows)
    while chunk := list(islice(source, _ROWS)):
        yield chunk


def _distinct(table: AnswerTable, rows: Iterable[AnswerRow]) -> dict[tuple[str | None, ...], AnswerRow]:
    places = [table.columns.index(key) for key in table.keys]
    return {tuple(row[place] for place in places): row for row in rows}


def _fresh(
    connection: Connection, target: Table, table: AnswerTable, rows: Sequence[AnswerRow]
) -> dict[tuple[str | None, ...], AnswerRow]:
    """Return the rows whose keys the table does not hold."""
    asked = _distinct(table, rows)
    columns = [target.c[f"c{table.columns.index(key)}"] for key in table.keys]
    near = and_(*(column.in_({key[n] for key in asked}) for n, column in enumerate(columns)))
    held = {tuple(row) for row in connection.execute(select(*columns).where(near))}
    return {key: row for key, row in asked.items() if key not in held}


def _insert(connection: Connection, target: Table, rows: dict[tuple[str | None, ...], AnswerRow]) -> int:
    if not rows:
        return 0
    values: list[dict[str, Any]] = [{f"c{n}": value for n, value in enumerate(row)} for row in rows.values()]
    if connection.dialect.name != "postgresql":
        connection.execute(insert(target), values)
        return len(values)
    # Without a named constraint this needs no right to read, and another writer of the same answer does no harm.
    statement = insert_postgresql(target).values(values).on_conflict_do_nothing()
    return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount
