"""Staging tables of departments (前置机), read through SQLAlchemy: SQLite and PostgreSQL. Rows land as JSON Lines."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import Field
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    MetaData,
    Select,
    String,
    Table,
    Text,
    cast,
    create_engine,
    event,
    func,
    literal,
    select,
    text,
    type_coerce,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchTableError, SQLAlchemyError

from chengxin.clock import SHANGHAI, Clock
from chengxin.connectors.base import Options, connection_url, connection_variable, read_options
from chengxin.contracts.models import Contract
from chengxin.errors import ContractError, SourceUnavailable
from chengxin.handover import Delivery
from chengxin.settings import Settings

ROWS = "rows.jsonl"
Rows: TypeAlias = Select[*tuple[Any, ...]]


class DatabaseOptions(Options):
    """Options of a database table or view.

    connection: its URL is in CHENGXIN_CONN_<NAME>, e.g. sqlite:///path or postgresql+psycopg://user@host/db.
    table, schema: what to read. key: columns that order the rows (and name them). watermark: column that grows with
        every change; a pull (mode incremental) starts at the last value seen, inclusive.
    chunk: rows held in memory at a time. connect_seconds, statement_seconds: limits of PostgreSQL.
    """

    connection: str
    table: str
    schema_name: Annotated[str | None, Field(alias="schema")] = None
    key: str | tuple[str, ...] = ()
    watermark: str | None = None
    chunk: Annotated[int, Field(ge=1)] = 5_000
    connect_seconds: Annotated[int, Field(ge=1)] = 15
    statement_seconds: Annotated[int, Field(ge=1)] = 3_600

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the key columns."""
        return (self.key,) if isinstance(self.key, str) else self.key


@dataclass(frozen=True)
class _Edge:
    """How far a table reaches: rows, newest watermark as text, and how many rows stand exactly there or have none."""

    rows: int
    watermark: str | None
    at_watermark: int


class Database:
    """Pulls a table; one pull is one delivery."""

    def options(self, contract: Contract) -> DatabaseOptions:
        """Read the options."""
        return read_options(DatabaseOptions, contract)

    def discover(self, contract: Contract, settings: Settings, cursor: dict[str, Any]) -> list[Delivery]:
        """Offer one pull: the whole table (mode full), or what lies at and beyond the last watermark.

        The last watermark itself is asked for again, because rows can join it after we looked; that makes duplicates,
        never gaps. offered_at is the newest watermark when it reads as a time.
        """
        options = self.options(contract)
        incremental = contract.delivery.mode == "incremental" and options.watermark is not None
        since = cursor.get("watermark") if incremental else None
        with _connected(options) as connection:
            edge = _edge(connection, _table(connection, options), options)
        if incremental and (edge.rows == 0 or _reached(edge, cursor)):
            return []
        instant = _instant(edge.watermark)
        locator: dict[str, Any] = {"connector": "database", "live": True, "since": since}
        locator |= {"watermark": edge.watermark, "at_watermark": edge.at_watermark}
        if instant is None:
            locator["undated"] = True
        offered = instant or Clock.from_environment().now()
        window = f"{since or '最初'}至{edge.watermark or offered.isoformat()}" if incremental else "全量"
        name = f"{options.table}@{window}" if incremental else f"{options.table}@全量-{edge.watermark or edge.rows}"
        origin = f"database:{options.connection}/{options.schema_name or ''}.{options.table}".replace("/.", "/")
        return [Delivery(contract.id, name, origin, offered, locator)]

    def fetch(self, delivery: Delivery, contract: Contract, settings: Settings, target: Path) -> None:
        """Write the rows of the pull to rows.jsonl: one object a row, columns as named, every value text or null."""
        options = self.options(contract)
        with _connected(options) as connection, (target / ROWS).open("w", encoding="utf-8", newline="\n") as out:
            table = _table(connection, options)
            names = [column.name for column in table.columns]
            statement = _statement(connection, table, options, delivery.locator)
            result = connection.execution_options(stream_results=True, yield_per=options.chunk).execute(statement)
            for rows in result.partitions():
                out.writelines(
                    json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) + "\n" for row in rows
                )


def _statement(connection: Connection, table: Table, options: DatabaseOptions, locator: dict[str, Any]) -> Rows:
    order = [table.c[name] for name in dict.fromkeys((*filter(None, (options.watermark,)), *options.keys))]
    statement: Rows = select(*(cast(column, Text).label(f"c{i}") for i, column in enumerate(table.columns)))
    statement = statement.order_by(*order) if order else statement
    if options.watermark and locator.get("watermark") is not None:
        column = table.c[options.watermark]
        inside = _compared(connection, column, "<=", locator["watermark"])
        if locator.get("since") is not None:
            inside = inside & _compared(connection, column, ">=", locator["since"])
        # Rows without a watermark would never be asked for otherwise.
        statement = statement.where(inside | column.is_(None))
    return statement


def _edge(connection: Connection, table: Table, options: DatabaseOptions) -> _Edge:
    if not options.watermark:
        return _Edge(connection.scalar(select(func.count()).select_from(table)) or 0, None, 0)
    column = table.c[options.watermark]
    newest = select(func.max(column)).scalar_subquery()
    there = func.count().filter((column == newest) | column.is_(None))
    row = connection.execute(select(func.count(), cast(func.max(column), Text), there).select_from(table)).one()
    return _Edge(int(row[0]), row[1], int(row[2]))


def _reached(edge: _Edge, cursor: dict[str, Any]) -> bool:
    """Tell whether the last pull ended here: same watermark, and nobody joined it since."""
    return "watermark" in cursor and (edge.watermark, edge.at_watermark) == (
        cursor["watermark"],
        cursor["at_watermark"],
    )


def _compared(connection: Connection, column: ColumnElement[Any], operator: str, value: str) -> ColumnElement[bool]:
    """Compare a column with a watermark that was kept as text."""
    if connection.dialect.name == "sqlite":
        # SQLite converts to the column's affinity by itself; CAST AS DATETIME would cut '2026-03-01' down to 2026.
        return type_coerce(column, String).bool_op(operator)(value)
    return column.bool_op(operator)(cast(literal(value, String), column.type))


def _table(connection: Connection, options: DatabaseOptions) -> Table:
    try:
        table = Table(
            options.table, MetaData(), schema=options.schema_name, autoload_with=connection, resolve_fks=False
        )
    except NoSuchTableError:
        raise SourceUnavailable(f"连接“{options.connection}”中没有表“{options.table}”") from None
    wanted = (*options.keys, *filter(None, (options.watermark,)))
    missing = [name for name in wanted if name not in table.c]
    if missing:
        raise ContractError(f"表“{options.table}”没有合同所写的列：{'、'.join(missing)}")
    return table


@contextmanager
def _connected(options: DatabaseOptions) -> Iterator[Connection]:
    """Open one read-only transaction that sees one state of the table; put driver errors into our words."""
    engine = _engine(options)
    try:
        with engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
                connection.execute(text("SET LOCAL TimeZone = 'Asia/Shanghai'"))
                connection.execute(text("SET LOCAL DateStyle = 'ISO, YMD'"))
                connection.execute(text(f"SET LOCAL statement_timeout = {options.statement_seconds * 1000}"))
            yield connection
    except (SQLAlchemyError, UnicodeError) as error:
        # The driver's own text may quote a row or a connection string.
        state = getattr(getattr(error, "orig", None), "sqlstate", None)
        kind = type(getattr(error, "orig", None) or error).__name__ + (f" {state}" if state else "")
        raise SourceUnavailable(f"读取连接“{options.connection}”的表“{options.table}”失败（{kind}）") from None
    finally:
        engine.dispose()


def _engine(options: DatabaseOptions) -> Engine:
    variable = connection_variable(options.connection)
    try:
        url = make_url(connection_url(options.connection))
    except ArgumentError:
        raise SourceUnavailable(f"环境变量 {variable} 不是有效的数据库地址") from None
    backend = url.get_backend_name()
    if backend == "sqlite":
        if not url.database or not Path(url.database).is_file():
            # SQLite would make an empty database out of a wrong path.
            raise SourceUnavailable(f"环境变量 {variable} 所指的 SQLite 文件不存在")
        engine = create_engine(url, hide_parameters=True)
        event.listen(engine, "connect", _forgive_broken_text)
        return engine
    if backend == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
        limits = {"connect_timeout": options.connect_seconds}
        return create_engine(url, hide_parameters=True, connect_args=limits)
    raise SourceUnavailable(f"环境变量 {variable}：只支持 sqlite 与 postgresql+psycopg 地址")


def _forgive_broken_text(connection: Any, record: object) -> None:
    """Let a value that is no UTF-8 through with U+FFFD in it: its row is quarantined later, the others are not lost."""
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")


def _instant(watermark: str | None) -> datetime | None:
    """Read a watermark as an instant: ISO 8601 (Shanghai when it has no offset) or epoch seconds or milliseconds."""
    if not watermark:
        return None
    try:
        number = float(watermark)
    except ValueError:
        try:
            moment = datetime.fromisoformat(watermark)
        except ValueError:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI)).astimezone(UTC).replace(microsecond=0)
    seconds = number / 1000 if number >= 1e11 else number
    return datetime.fromtimestamp(int(seconds), UTC) if 5e8 <= seconds < 5e9 else None
