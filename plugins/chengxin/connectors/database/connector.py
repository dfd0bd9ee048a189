"""Staging tables of departments (前置机), read through SQLAlchemy: PostgreSQL, SQLite, and whatever has a dialect."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

from sqlalchemy import Column, Connection, MetaData, Table, func, select
from sqlalchemy.exc import NoSuchTableError, SAWarning

from chengxin.connectors.base import NOWHERE, read_options
from chengxin.connectors.completeness import has_late_rows
from chengxin.connectors.database.options import DatabaseOptions
from chengxin.connectors.database.rows import write_rows
from chengxin.connectors.database.session import reading
from chengxin.connectors.database.types import refuse_nested
from chengxin.connectors.database.watermark import (
    Bound,
    Edge,
    Watermark,
    before,
    edge_of,
    kept,
    measure,
    shown,
    watermark_of,
)
from chengxin.connectors.locators import DatabaseLocator
from chengxin.contracts.headers import fold_header
from chengxin.contracts.models import Contract
from chengxin.errors import ContractError, SourceUnavailable
from chengxin.facts import Delivery, Locator
from chengxin.home import Home

__all__ = ["Database", "DatabaseOptions"]


class Database:
    """Pulls a table; one pull is one delivery."""

    def options(self, contract: Contract) -> DatabaseOptions:
        """Read the options."""
        return read_options(DatabaseOptions, contract)

    def discover(self, home: Home, contract: Contract, cursor: Locator = NOWHERE) -> list[Delivery]:
        """Offer one pull: the whole table (mode full, or no watermark), or what lies beyond the last watermark.

        The pull begins `overlap` minutes before that watermark, and is offered whenever anything changed since then.
        offered_at is the newest watermark when it reads as a time.
        """
        options, now = self.options(contract), home.clock.now()
        with reading(options.connection, options.table, options.limits) as connection:
            source = _Source(connection, contract, options, now)
            if source.mark is None or contract.delivery.mode == "full":
                return [source.whole()]
            return source.beyond(cursor if isinstance(cursor, DatabaseLocator) else DatabaseLocator(), source.mark)

    def fetch(self, home: Home, delivery: Delivery, contract: Contract, target: Path) -> None:
        """Write the rows of the pull to rows.csv: columns as named, all values text or null, one state of the table."""
        options, now = self.options(contract), home.clock.now()
        with reading(options.connection, options.table, options.limits) as connection:
            source = _Source(connection, contract, options, now)
            assert isinstance(delivery.locator, DatabaseLocator)
            begin = kept(delivery.locator.since, options.watermark_form)
            where = source.mark.window(begin, now) if source.mark and begin is not None else None
            write_rows(connection, source.table, source.order, where, target, chunk=options.chunk)


class _Source:
    """A table within one transaction, with the columns that the contract names found in it."""

    def __init__(self, connection: Connection, contract: Contract, options: DatabaseOptions, now: datetime) -> None:
        self._connection, self._contract, self._options, self._now = connection, contract, options, now
        self.table = _table(connection, options)
        refuse_nested(connection, self.table, contract)
        wanted = (*filter(None, (options.watermark,)), *options.keys)
        found = {name: _column(self.table, contract, name) for name in wanted}
        missing = [name for name, column in found.items() if column is None]
        if missing:
            raise ContractError(f"表“{options.table}”没有合同所写的列：{'、'.join(missing)}")
        #: watermark first, then the keys
        self.order: list[Column[Any]] = [column for column in found.values() if column is not None]
        watermark = found[options.watermark] if options.watermark else None
        form = options.watermark_form
        self.mark = None if watermark is None else watermark_of(connection, self.table, watermark, form)

    def whole(self) -> Delivery:
        """Offer the whole table."""
        if self.mark is None:
            return self._delivery(f"全量-{self._rows()}", None, DatabaseLocator())
        rows, watermark = measure(self._connection, self.mark, self._now)
        return self._delivery(
            f"全量-{shown(watermark) or rows}", watermark, DatabaseLocator(watermark=shown(watermark))
        )

    def beyond(self, cursor: DatabaseLocator, mark: Watermark) -> list[Delivery]:
        """Offer what lies beyond the watermark in `cursor`; nothing when nothing has changed there.

        All is offered once more where rows have appeared before the beginning of the last pull: they were committed
        later than the overlap allows, or are dated back. No count proves that none did, since others may have left;
        so all is offered as well when the last pull of all is `whole_days` old.
        """
        last, is_late = kept(cursor.watermark, mark.form), False
        begin = None if last is None else before(last, self._options.overlap)
        if begin is not None and cursor.seen:
            edge, seen_now = self._edge(mark, begin)
            is_late = cursor.behind is not None and has_late_rows(cursor.behind, self._rows() - seen_now)
            if edge == Edge(last, cursor.seen) and not is_late:
                return []
        rows, watermark = measure(self._connection, mark, self._now)
        if rows == 0:
            return []
        edge, count = self._edge(mark, None if watermark is None else before(watermark, self._options.overlap))
        seen = edge.seen
        if (shown(watermark), seen) == (cursor.watermark, cursor.seen) and not is_late:
            return []
        if last is not None and not is_late and _went_back(watermark, last) and not self._edge(mark, last)[1]:
            return []  # what was newest is gone, and nothing has taken its place
        since = None if is_late or self._is_whole_due(cursor) else begin
        behind = rows - count
        window = (
            f"{(shown(last) if since is not None else None) or '最初'}至{shown(watermark) or self._now.isoformat()}"
        )
        # of two with one watermark the one with more counts as the later one
        window += f"，补收迟到（{behind:010d}）" if is_late else ""
        now = self._now.isoformat()
        locator = DatabaseLocator(
            since=shown(since),
            watermark=shown(watermark),
            seen=seen,
            behind=behind,
            whole=now if since is None else cursor.whole or now,
        )
        return [self._delivery(window, watermark, locator)]

    def _is_whole_due(self, cursor: DatabaseLocator) -> bool:
        at = cursor.whole
        return at is not None and self._now - datetime.fromisoformat(at) >= timedelta(days=self._options.whole_days)

    def _rows(self) -> int:
        return self._connection.scalar(select(func.count()).select_from(self.table)) or 0

    def _edge(self, mark: Watermark, begin: Bound | None) -> tuple[Edge, int]:
        """Return how far the rows reach that a pull from `begin` on brings (None: those without a place)."""
        where = mark.unplaced(self._now) if begin is None else mark.window(begin, self._now)
        return edge_of(self._connection, mark, self._compared_columns(), self._now, where)

    def _compared_columns(self) -> list[Column[Any]]:
        """Return the columns by which a change is seen: all but those that the contract ignores.

        A row may change again within the second of its watermark, or without one.
        """
        ignored = {fold_header(header) for header in self._contract.ignored} if self._options.keys else set()
        ordering = {column.name for column in self.order}
        return [c for c in self.table.columns if c.name in ordering or fold_header(c.name) not in ignored]

    def _delivery(self, name: str, watermark: Bound | None, locator: DatabaseLocator) -> Delivery:
        options = self._options
        at = watermark if isinstance(watermark, datetime) else None
        locator = replace(locator, live=True, undated=at is None)
        origin = f"database:{options.connection}/{options.schema_name or ''}.{options.table}".replace("/.", "/")
        offered = at.replace(microsecond=0) if at else self._now
        return Delivery(self._contract.id, f"{options.table}@{name}", origin, offered, locator)


def _went_back(watermark: Bound | None, last: Bound) -> bool:
    match watermark, last:
        case (datetime() as now, datetime() as then):
            return now < then
        case (Decimal() as now, Decimal() as then):
            return now < then
        case _:
            return False


def _table(connection: Connection, options: DatabaseOptions) -> Table:
    try:
        with catch_warnings():
            # a type that SQLAlchemy does not know is judged by `database_types`
            simplefilter("ignore", SAWarning)
            return Table(
                options.table, MetaData(), schema=options.schema_name, autoload_with=connection, resolve_fks=False
            )
    except NoSuchTableError:
        raise SourceUnavailable(f"连接“{options.connection}”中没有表“{options.table}”") from None


def _column(table: Table, contract: Contract, name: str) -> Column[Any] | None:
    """Find a column by its name, or by any header that the contract knows for it: it may be renamed overnight."""
    if name in table.c:
        return table.c[name]
    folded = {fold_header(name)}
    for column in contract.columns:
        headers = {fold_header(header) for header in (column.source, *column.aliases)}
        folded |= headers if headers & folded else set()
    found = [column for column in table.columns if fold_header(column.name) in folded]
    return found[0] if len(found) == 1 else None
