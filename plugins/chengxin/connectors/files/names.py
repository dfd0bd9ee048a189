"""What a file's name states: which delivery it belongs to, for which period, and which one in the sequence it is."""

import calendar
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fnmatch import translate
from typing import Literal

from chengxin.clock import SHANGHAI

#: The fields that a pattern may hold, and the text that each matches.
FIELDS = {
    "date": r"\d{8}|\d{4}-\d{2}-\d{2}",
    "month": r"\d{6}|\d{4}-\d{2}",
    "quarter": r"\d{4}Q[1-4]",
    "year": r"\d{4}",
    "time": r"\d{6}|\d{4}",
    "seq": r"\d{1,9}",
    "part": r"[^/]+?",
}
PERIODS = ("date", "month", "quarter", "year")
_FIRST_YEAR = 1900  # a year before it is mistyped; the first day of year 1 has no instant in UTC
_FIELD = re.compile(r"\{(\w*)\}")

Sequence = Literal["per_date", "running"]


@dataclass(frozen=True)
class Named:
    """A name as its pattern reads it. values: field -> text. group: the name with `*` in the place of its part."""

    values: dict[str, str]
    group: str

    @property
    def key(self) -> tuple[tuple[str, str], ...]:
        """Return what the files of one delivery have in common."""
        return tuple((k, v) for k, v in sorted(self.values.items()) if k != "part")

    @property
    def seq(self) -> int | None:
        """Return the number in the sequence."""
        return int(self.values["seq"]) if "seq" in self.values else None

    @property
    def day(self) -> date | None:
        """Return the last day of the period; None where the name has none, or a day that does not exist."""
        for field in PERIODS:
            if field in self.values:
                return _last_day(field, self.values[field].replace("-", ""))
        return None

    def counts_as_of(self, arrived: datetime) -> datetime:
        """Return the instant that orders this delivery among those of its data set.

        It is the period in the name, so that a late or re-sent file never overtakes a newer period; a period that is
        not over yet counts as the day of arrival. Within a day the time in the name decides, then the sequence (one
        millisecond a number). A name without a period counts as of its arrival.
        """
        day = self.day
        if day is None:
            return arrived
        day = min(day, arrived.astimezone(SHANGHAI).date())
        instant = datetime.combine(day, _time(self.values.get("time", "")), SHANGHAI).astimezone(UTC)
        return min(instant, arrived) + timedelta(milliseconds=self.seq or 0)


class Pattern:
    """A glob on names that may hold fields: `处罚_{date}_{seq}.csv`. Raises ValueError on an unknown field."""

    def __init__(self, text: str) -> None:
        self.fields = tuple(_FIELD.findall(text))
        unknown = sorted(set(self.fields) - set(FIELDS))
        if unknown or len(set(self.fields)) < len(self.fields):
            raise ValueError(f"pattern 里的占位符只能是 {'、'.join(f'{{{n}}}' for n in FIELDS)}，且各至多一次")
        # Stand-ins from the private use area pass through the translation of the glob untouched.
        marked = text
        for n, name in enumerate(self.fields):
            marked = marked.replace(f"{{{name}}}", chr(0xF000 + n))
        regex = translate(marked)
        for n, name in enumerate(self.fields):
            regex = regex.replace(chr(0xF000 + n), f"(?P<{name}>{FIELDS[name]})")
        self._regex = re.compile(regex)

    def read(self, name: str) -> Named | None:
        """Return what a name states, or None where it does not match."""
        found = self._regex.match(name)
        if not found:
            return None
        group = name
        if "part" in self.fields:
            start, end = found.span("part")
            group = f"{name[:start]}*{name[end:]}"
        return Named(found.groupdict(), group)


def fill(template: str, name: str, named: Named) -> str:
    """Return a companion's name: `{name}.ok` (the file's own), `{stem}.ok` (without its suffix), `{date}.ok`."""
    values = {**named.values, "name": name, "stem": name.rpartition(".")[0] or name}
    return _FIELD.sub(lambda m: values.get(m[1], m[0]), template)


def gaps(numbers: Iterable[tuple[str, int]], sequence: Sequence) -> list[str]:
    """Return in Chinese which numbers are missing. numbers: (period, number in the sequence) of what arrived.

    per_date: numbers begin at 1 in each period; running: they go on, so the lowest that arrived is the first.
    """
    arrived: dict[str, set[int]] = {}
    for period, number in numbers:
        arrived.setdefault(period if sequence == "per_date" else "", set()).add(number)
    found = []
    for period, present in sorted(arrived.items()):
        first = min(present) if sequence == "running" else min(1, *present)
        missing = _ranges(first, sorted(present))
        if missing:
            found.append(f"{period + ' ' if period else ''}缺第 {'、'.join(missing)} 号")
    return found


def _ranges(first: int, present: list[int]) -> list[str]:
    """Return the holes below the highest number as `3` or `5-9`."""
    holes = []
    expected = first
    for number in present:
        if number > expected:
            holes.append(str(expected) if number == expected + 1 else f"{expected}-{number - 1}")
        expected = number + 1
    return holes


def _last_day(field: str, text: str) -> date | None:
    year = int(text[:4])
    if year < _FIRST_YEAR:
        return None
    try:
        if field == "date":
            return date(year, int(text[4:6]), int(text[6:]))
        month = {"month": text[4:], "quarter": str(3 * int(text[-1])), "year": "12"}[field]
        return date(year, int(month), calendar.monthrange(year, int(month))[1])
    except ValueError:
        return None


def _time(text: str) -> time:
    try:
        return time(int(text[:2] or 0), int(text[2:4] or 0), int(text[4:] or 0))
    except ValueError:
        return time()
