"""How far a staging table reaches: rows placed in time by a watermark column of any type, in any usual spelling.

A row is *placed* when its watermark reads as a time between 1990 and tomorrow. All others (empty, unreadable,
0000-00-00, 1900-01-01, 9999-12-31) could hide behind the watermark or push it ahead of everything that follows, so
they never move it and are asked for in every pull.
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
    FromClause,
    Integer,
    LargeBinary,
    Numeric,
    String,
    Table,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    true,
)

from chengxin.clock import SHANGHAI

FLOOR = datetime(1990, 1, 1, tzinfo=SHANGHAI)
#: How far a source's clock may be ahead of ours.
AHEAD = timedelta(days=1)
_SQLITE_MOMENT = "chengxin_moment"
_DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})(?!\d)(?:\D*(\d{1,2})(?:\D+(\d{1,2})(?:\D+(\d{1,2}))?)?)?")
_COMPACT = re.compile(r"(?:19|20)\d{6}(?:\d{4}|\d{6,})?")
#: Hours of a clock that begins anew at noon; which half is meant stands beside them in many ways.
_HALF_DAY = "[ap]\\.?m\\.?|[上下中]午|晚|凌晨|早"
#: Behind a time of day. What is written in Shanghai's own is as good as none.
_OFFSET = re.compile(r":\d\d(?:[.,]\d+)?\s*(?:Z|([+-])(\d\d)(?::?(\d\d))?)$", re.IGNORECASE)
_WITH_OFFSET = "^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}([.,][0-9]+)? ?(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"
_EPOCH = re.compile(r"(\d{10}|\d{13})(?:\.\d*)?")
_MODULUS = 1 << 256

Bound = datetime | Decimal


@dataclass(frozen=True)
class Scale:
    """A watermark column as something that grows.

    kind: time (the column is a time), digits (texts made YYYYMMDDHHMMSS), text (ISO dates as they are, by the day),
        number (a counter or an epoch: no limits of plausibility).
    source: what to select from where `value` is used.
    """

    kind: Literal["time", "digits", "text", "number"]
    value: ColumnElement[Any]
    column: Column[Any]
    source: FromClause

    def bound(self, at: Bound) -> ColumnElement[Any]:
        """Return a literal that compares with `value`."""
        if isinstance(at, Decimal):
            return literal(at, Numeric())
        local = at.astimezone(SHANGHAI)
        match self.kind:
            case "digits":
                return literal(local.strftime("%Y%m%d%H%M%S"), String())
            case "text":
                return literal(local.strftime("%Y-%m-%d"), String())
            case _:
                if not isinstance(self.column.type, DateTime):
                    return literal(local.date(), Date())
                aware = self.column.type.timezone
                return literal(local if aware else local.replace(tzinfo=None), DateTime(timezone=aware))

    def placed(self, now: datetime) -> ColumnElement[bool]:
        """Tell of each row whether its watermark can be relied on."""
        if self.kind == "number":
            return self.value.is_not(None)
        inside = and_(self.value >= self.bound(FLOOR), self.value < self.bound(now + AHEAD))
        return and_(inside, self.value.like("____-__-__%")) if self.kind == "text" else inside

    def unplaced(self, now: datetime) -> ColumnElement[bool]:
        """Tell of each row whether its watermark says nothing."""
        return case((self.placed(now), 0), else_=1) == 1

    def window(self, since: Bound, now: datetime) -> ColumnElement[bool]:
        """Return the rows placed at or after an instant, and all rows that have no place.

        A text that reads as midnight may be a day without its time: it counts as any time of that day.
        """
        after = self.value >= self.bound(since)
        if self.kind == "digits" and isinstance(since, datetime):
            midnight = since.astimezone(SHANGHAI).replace(hour=0, minute=0, second=0, microsecond=0)
            after = and_(self.value >= self.bound(midnight), or_(after, self.value.like("%000000")))
        return or_(and_(self.placed(now), after), self.unplaced(now))


@dataclass(frozen=True)
class Edge:
    """How far a table reaches: the newest watermark and a digest of the rows that may still change there."""

    watermark: Bound | None
    seen: str


def measure(connection: Connection, scale: Scale, now: datetime) -> tuple[int, Bound | None]:
    """Return the number of rows and the newest watermark of those that are placed."""
    newest = func.max(case((scale.placed(now), scale.value)))
    rows, found = connection.execute(select(func.count(), newest).select_from(scale.source)).one()
    return int(rows), _read(scale, found)


def digest(
    connection: Connection, source: FromClause, columns: Sequence[ColumnElement[Any]], where: ColumnElement[bool]
) -> tuple[int, str]:
    """Return how many rows lie in a window and a digest of them that does not depend on their order."""
    statement = select(*(cast(column, Text) for column in columns)).select_from(source).where(where)
    count = total = 0
    for rows in connection.execution_options(stream_results=True, yield_per=5_000).execute(statement).partitions():
        count += len(rows)
        total += sum(_number(row) for row in rows)
    return count, _digest(count, total)


def _number(row: Sequence[Any]) -> int:
    return int.from_bytes(hashlib.sha256(repr(tuple(row)).encode("utf-8", "surrogatepass")).digest(), "big")


def _digest(count: int, total: int) -> str:
    return f"{count}-{total % _MODULUS:064x}"


def edge_of(
    connection: Connection, scale: Scale, columns: Sequence[ColumnElement[Any]], now: datetime, since: Bound
) -> tuple[Edge, int]:
    """Return how far a table reaches and how many rows its window has, in one pass: measuring first is another.

    since: where the window begins.
    """
    places = select(*(cast(column, Text) for column in columns), case((scale.placed(now), scale.value)))
    statement = places.select_from(scale.source).where(scale.window(since, now))
    count = total = 0
    newest: Any = None
    for rows in connection.execution_options(stream_results=True, yield_per=5_000).execute(statement).partitions():
        count += len(rows)
        for *row, place in rows:
            total += _number(row)
            if place is not None and (newest is None or place > newest):
                newest = place
    return Edge(_read(scale, newest), _digest(count, total)), count


def before(watermark: Bound, minutes: int) -> Bound:
    """Return where a pull begins that must find rows committed late; a counter that is no time stays as it is."""
    if isinstance(watermark, datetime):
        return watermark - timedelta(minutes=minutes)
    if instant_of(str(watermark)) is None:
        return watermark
    return watermark - minutes * (60_000 if watermark >= 10**11 else 60)


def shown(watermark: Bound | None) -> str | None:
    """Write a watermark for locators and names: Shanghai time or digits."""
    if isinstance(watermark, datetime):
        return watermark.astimezone(SHANGHAI).replace(tzinfo=None).isoformat(" ")
    return None if watermark is None else f"{watermark.normalize():f}"


def kept(text: str | None, scale: Scale) -> Bound | None:
    """Read a watermark from a locator, also from one that an earlier version left; None = begin anew."""
    if not text:
        return None
    if scale.kind == "number":
        try:
            return Decimal(text)
        except InvalidOperation:
            return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return instant_of(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI)


def instant_of(text: str | None) -> datetime | None:
    """Read a watermark as an instant, to the second: any spelling of a Shanghai time, or an epoch in s or ms."""
    digits = moment_of(text) or ""
    # an hour or a day that does not exist is taken for one before it: a pull may begin early, never late
    for candidate in (digits, f"{digits[:8]}000000", f"{digits[:6]}28000000"):
        with suppress(ValueError):
            return datetime.strptime(candidate, "%Y%m%d%H%M%S").replace(tzinfo=SHANGHAI).astimezone(UTC)
    return None


def moment_of(value: object) -> str | None:
    """Write any usual spelling of a date or time as YYYYMMDDHHMMSS, so that texts sort by time; None = unreadable."""
    if value is None:
        return None
    text = (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).strip()
    if re.search(_HALF_DAY, text, re.IGNORECASE):
        return None
    if day := _DAY.match(text):
        year, *rest = day.groups("0")
        if offset := _OFFSET.search(text):
            sign, hours, minutes = offset.groups("0")
            east = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
            month, dom, hour, minute, second = map(int, rest)
            with suppress(ValueError):
                moment = datetime(int(year), month, dom, hour, minute, second, tzinfo=UTC) - east
                return moment.astimezone(SHANGHAI).strftime("%Y%m%d%H%M%S")
        return year + "".join(part.zfill(2) for part in rest)
    if _COMPACT.fullmatch(text):
        return text[:14].ljust(14, "0")
    if epoch := _EPOCH.fullmatch(text):
        seconds = int(epoch[1]) / (1000 if len(epoch[1]) == 13 else 1)
        return datetime.fromtimestamp(int(seconds), SHANGHAI).strftime("%Y%m%d%H%M%S")
    return None


def scale_of(connection: Connection, table: Table, column: Column[Any], now: datetime) -> Scale:
    """Find out how a watermark column grows."""
    dialect = connection.dialect.name
    if dialect == "sqlite":
        # SQLite keeps times as texts or numbers whatever the column is declared as
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.create_function(_SQLITE_MOMENT, 1, moment_of, deterministic=True)
        digits = Scale("digits", _moment_sqlite(column), column, table)
    elif isinstance(column.type, DateTime | Date):
        return Scale("time", column, column, table)
    elif dialect == "postgresql":
        moment, source = _moment_postgresql(table, column)
        digits = Scale("digits", moment, column, source)
    else:
        return Scale("number" if isinstance(column.type, Numeric | Integer) else "text", column, column, table)
    if isinstance(column.type, Numeric | Integer) and measure(connection, digits, now)[1] is None:
        return Scale("number", column, column, table)
    return digits


def _moment_sqlite(column: Column[Any]) -> ColumnElement[str]:
    """Put the common shape in order without leaving SQLite; a call of Python for each of the others."""
    text = cast(column, Text)
    iso = text.op("GLOB")("[12][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][ T][0-9][0-9]:[0-9][0-9]:[0-9][0-9]*")
    parts = [func.substr(text, at, size) for at, size in ((1, 4), (6, 2), (9, 2), (12, 2), (15, 2), (18, 2))]
    offsets = (text.op("NOT GLOB")(f"*[+-][0-9][0-9]{more}") for more in ("", "[0-9][0-9]", ":[0-9][0-9]"))
    is_whole = and_(iso, text.op("GLOB")("*[0-9]"), *offsets)  # no AM, PM or Z behind it
    other = getattr(func, _SQLITE_MOMENT)(cast(text, LargeBinary), type_=String())
    return case((is_whole, _joined(parts)), else_=other)


def _moment_postgresql(table: Table, column: Column[Any]) -> tuple[ColumnElement[str], FromClause]:
    """Say `moment_of` in SQL: the value, and the table joined with it (by an offset, so that it is made once a row).

    The common shape is told without a regular expression, which would take most of the time of a poll. Nonsense of
    that shape can become the newest watermark; it reads as no time, and then the pull begins anew.
    """
    text = func.btrim(cast(column, Text), " \t\r\n\u3000", type_=String())
    numbers = func.regexp_replace(text, "[^0-9]+", "-", "g", type_=String())
    padded = (func.lpad(func.split_part(numbers, "-", n), 2, "0") for n in range(2, 7))
    parts = [func.split_part(numbers, "-", 1, type_=String()), *(func.left(p, 2, type_=String()) for p in padded)]

    def like(pattern: str) -> ColumnElement[bool]:
        return text.op("~", is_comparison=True)(pattern)

    def epoch(unit: int) -> ColumnElement[str]:
        moment = func.timezone("Asia/Shanghai", func.to_timestamp(cast(text, Numeric) / unit))
        return func.to_char(moment, "YYYYMMDDHH24MISS", type_=String())

    usual = cast(column, Text).like("____-__-__ __:__:__%")
    ends_in_digit = func.ascii(func.right(cast(column, Text), 1)).between(48, 57)  # and not in AM, PM or Z
    has_offset = func.strpos(func.translate(func.right(cast(column, Text), 6), "-", "+"), "+") > 0
    moment: ColumnElement[str] = case(
        (and_(usual, ends_in_digit, ~has_offset), func.translate(func.left(cast(column, Text), 19), "- :", "")),
        (text.op("~*", is_comparison=True)(_HALF_DAY), None),
        (text.op("~*", is_comparison=True)(_WITH_OFFSET), _moved(text)),
        (like("^[0-9]{4}[-/.年][0-9]{1,2}[-/.月][0-9]{1,2}([^0-9]|$)"), _joined(parts)),
        (like("^(19|20)[0-9]{6}([0-9]{4}|[0-9]{6,})?$"), func.rpad(func.left(text, 14), 14, "0")),
        (like("^[0-9]{13}([.][0-9]*)?$"), epoch(1000)),
        (like("^[0-9]{10}([.][0-9]*)?$"), epoch(1)),
    )
    # of this table, not of all its rows once more
    made = select(cast(moment, Text).label("moment")).offset(0).correlate(table).lateral("chengxin")
    return made.c.moment, table.join(made, true())


def _moved(text: ColumnElement[str]) -> ColumnElement[str]:
    """Write a time with an offset from UTC as Shanghai time. No date is refused: February 30 is March 2."""

    def number(pattern: str) -> ColumnElement[int]:
        return func.coalesce(cast(func.substring(text, pattern), Integer), 0)

    year, month, day, hour, minute, second = (
        cast(func.substr(text, at, size), Integer) for at, size in ((1, 4), (6, 2), (9, 2), (12, 2), (15, 2), (18, 2))
    )
    # hours carry their sign, the minutes behind them do not
    hours = number("([+-][0-9]{2}):?[0-9]{0,2}$")
    minutes = number("[+][0-9]{2}:?([0-9]{2})$") - number("-[0-9]{2}:?([0-9]{2})$")
    since = func.make_interval(year - 2000, month - 1, 0, day - 1, hour + 8 - hours, minute - minutes, second)
    return func.to_char(cast(literal("2000-01-01"), DateTime) + since, "YYYYMMDDHH24MISS", type_=String())


def _joined(parts: Sequence[ColumnElement[str]]) -> ColumnElement[str]:
    first, *rest = parts
    for part in rest:
        first = first.concat(part)
    return first


def _read(scale: Scale, found: Any) -> Bound | None:
    """Read what the database gave as its newest watermark."""
    match found:
        case None:
            return None
        case datetime():
            return found if found.tzinfo else found.replace(tzinfo=SHANGHAI)
        case date():
            return datetime(found.year, found.month, found.day, tzinfo=SHANGHAI)
        case _ if scale.kind == "number":
            return Decimal(str(found))
        case _:
            return instant_of(str(found))
