"""How far a staging table reaches, by a watermark column whose form the contract declares.

A row is *placed* when its watermark has that form and is a time between 1990 and tomorrow. All others (empty, of
another form, 0000-00-00, 9999-12-31) could hide behind the watermark or push it ahead of everything that follows, so
they never move it and come with every pull.
"""

import hashlib
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Date,
    DateTime,
    Integer,
    Numeric,
    String,
    Table,
    Text,
    and_,
    case,
    cast,
    collate,
    func,
    literal,
    or_,
    select,
)

from chengxin.clock import SHANGHAI
from chengxin.errors import ContractError

FLOOR = datetime(1990, 1, 1, tzinfo=SHANGHAI)
#: How far a source's clock may be ahead of ours.
AHEAD = timedelta(days=1)

Form = Literal["time", "date", "digits", "epoch_s", "epoch_ms", "counter"]
#: Of texts: how an instant is written, and its shape; # stands for a digit, a blank for a blank or a T.
_TEXTS = {
    "time": ("%Y-%m-%d %H:%M:%S", "####-##-## ##:##:##"),
    "date": ("%Y-%m-%d", "####-##-##"),
    "digits": ("%Y%m%d%H%M%S", "#" * 14),
    "epoch_s": ("", "#" * 10),
    "epoch_ms": ("", "#" * 13),
}
_MODULUS = 1 << 256

Bound = datetime | Decimal


@dataclass(frozen=True)
class Watermark:
    """A watermark column as something that grows. kind: of the column's type."""

    table: Table
    column: Column[Any]
    form: Form
    kind: Literal["time", "number", "text"]
    dialect: str

    @property
    def value(self) -> ColumnElement[Any]:
        """Return what is compared; texts by their bytes, whatever the database's language is."""
        if self.kind != "text":
            return self.column
        text: ColumnElement[Any] = cast(self.column, Text)
        text = func.replace(text, "T", " ", type_=Text()) if self.form == "time" else text
        return collate(text, "C") if self.dialect == "postgresql" else text

    def bound(self, at: Bound) -> ColumnElement[Any]:
        """Return a literal that compares with `value`."""
        if isinstance(at, Decimal):
            return literal(at, Numeric())
        local = at.astimezone(SHANGHAI)
        if self.kind == "time":
            if not isinstance(self.column.type, DateTime):
                return literal(local.date(), Date())
            aware = self.column.type.timezone
            return literal(local if aware else local.replace(tzinfo=None), DateTime(timezone=aware))
        shown = _written(local, self.form)
        return literal(shown, String()) if self.kind == "text" else literal(Decimal(shown), Numeric())

    def placed(self, now: datetime) -> ColumnElement[bool]:
        """Return of each row whether its watermark can be relied on."""
        if self.form == "counter":
            return self.column.is_not(None)
        inside = and_(self.value >= self.bound(FLOOR), self.value < self.bound(now + AHEAD))
        return and_(self._shaped(), inside) if self.kind == "text" else inside

    def unplaced(self, now: datetime) -> ColumnElement[bool]:
        """Return of each row whether its watermark states nothing."""
        return case((self.placed(now), 0), else_=1) == 1

    def window(self, since: Bound, now: datetime) -> ColumnElement[bool]:
        """Return the rows placed at or after an instant, and all rows that have no place."""
        return or_(and_(self.placed(now), self.value >= self.bound(since)), self.unplaced(now))

    def _shaped(self) -> ColumnElement[bool]:
        text, shape = cast(self.column, Text), _TEXTS[self.form][1]
        if self.dialect == "sqlite":  # its regular expressions would be calls of Python, which fail at broken text
            glob = shape.replace("#", "[0-9]").replace(" ", "[ T]")
            rest = func.substr(text, len(shape) + 1, type_=String())
            fraction = and_(rest.op("GLOB")(".[0-9]*"), func.substr(rest, 2).op("NOT GLOB")("*[^0-9]*"))
            tail = or_(rest == "", fraction) if self.form == "time" else rest == ""
            return and_(text.op("GLOB")(f"{glob}*"), tail)
        pattern = shape.replace("#", "[0-9]").replace(" ", "[ T]")
        return text.regexp_match(f"^{pattern}{'([.][0-9]+)?' if self.form == 'time' else ''}$")


@dataclass(frozen=True)
class Edge:
    """How far a table reaches: the newest watermark and a digest of the rows that may still change there."""

    watermark: Bound | None
    seen: str


def watermark_of(connection: Connection, table: Table, column: Column[Any], form: Form) -> Watermark:
    """Return the watermark as declared; raise ContractError where the column cannot have that form."""
    dialect = connection.dialect.name
    kind: Literal["time", "number", "text"] = "text"
    # SQLite keeps times as texts, whatever the column is declared as.
    if isinstance(column.type, DateTime | Date) and dialect != "sqlite":
        kind = "time"
    elif isinstance(column.type, Numeric | Integer):
        kind = "number"
    fits = {"time": form in ("time", "date"), "number": form not in ("time", "date"), "text": form != "counter"}
    if not fits[kind]:
        raise ContractError(
            f"列“{column.name}”（{column.type}）不能按 watermark_form: {form} 读；请按该列的写法声明 watermark_form"
        )
    return Watermark(table, column, form, kind, dialect)


def measure(connection: Connection, mark: Watermark, now: datetime) -> tuple[int, Bound | None]:
    """Return the number of rows and the newest watermark of those that are placed."""
    newest = func.max(case((mark.placed(now), mark.value)))
    rows, found = connection.execute(select(func.count(), newest).select_from(mark.table)).one()
    return int(rows), _read(mark, found)


def edge_of(
    connection: Connection,
    mark: Watermark,
    columns: Sequence[ColumnElement[Any]],
    now: datetime,
    where: ColumnElement[bool],
) -> tuple[Edge, int]:
    """Return how far the rows of a window reach and how many they are, in one pass.

    The digest does not depend on their order.
    """
    places = select(*(cast(column, Text) for column in columns), case((mark.placed(now), mark.value)))
    statement = places.select_from(mark.table).where(where)
    count = total = 0
    newest: Any = None
    for rows in connection.execution_options(stream_results=True, yield_per=5_000).execute(statement).partitions():
        count += len(rows)
        for *row, place in rows:
            text = repr(tuple(row)).encode("utf-8", "surrogatepass")
            total += int.from_bytes(hashlib.sha256(text).digest(), "big")
            if place is not None and (newest is None or place > newest):
                newest = place
    return Edge(_read(mark, newest), f"{count}-{total % _MODULUS:064x}"), count


def before(watermark: Bound, minutes: int) -> Bound:
    """Return where a pull begins that must find rows committed late; a counter stays as it is."""
    return watermark - timedelta(minutes=minutes) if isinstance(watermark, datetime) else watermark


def shown(watermark: Bound | None) -> str | None:
    """Write a watermark for locators and names: Shanghai time or digits."""
    if isinstance(watermark, datetime):
        return watermark.astimezone(SHANGHAI).replace(tzinfo=None).isoformat(" ")
    return None if watermark is None else f"{watermark.normalize():f}"


def kept(text: str | None, form: Form) -> Bound | None:
    """Read a watermark from a locator; None = begin anew."""
    with suppress(InvalidOperation, ValueError):
        if text and form == "counter":
            return Decimal(text)
        if text:
            moment = datetime.fromisoformat(text)
            return moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI)
    return None


def _written(local: datetime, form: Form) -> str:
    if form in ("epoch_s", "epoch_ms"):
        return str(int(local.timestamp()) * (1 if form == "epoch_s" else 1000)).zfill(len(_TEXTS[form][1]))
    return local.strftime(_TEXTS[form][0])


def _read(mark: Watermark, found: Any) -> Bound | None:
    """Read what the database gave as its newest watermark, to the second."""
    match found:
        case None:
            return None
        case datetime():
            return found if found.tzinfo else found.replace(tzinfo=SHANGHAI)
        case date():
            return datetime(found.year, found.month, found.day, tzinfo=SHANGHAI)
    if mark.form == "counter":
        with suppress(InvalidOperation):
            return Decimal(str(found))
        return None
    digits = re.sub(r"\D", "", str(found).partition(".")[0])
    if mark.form in ("epoch_s", "epoch_ms"):
        return datetime.fromtimestamp(int(digits) // (1 if mark.form == "epoch_s" else 1000), UTC)
    # A day that does not exist is taken for one before it: a pull may begin early, never late.
    for candidate in (digits.ljust(14, "0"), f"{digits[:6]}28000000", f"{digits[:4]}0101000000"):
        with suppress(ValueError):
            return datetime.strptime(candidate[:14], "%Y%m%d%H%M%S").replace(tzinfo=SHANGHAI)
    return None
