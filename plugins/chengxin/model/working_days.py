"""The working days of China, from working_days.yaml; years it does not hold count Monday to Friday."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path

from chengxin.model.declarations import read_yaml

_SUNDAY = 6
_FIRST, _LAST = date(1970, 1, 1).toordinal(), date(2100, 1, 1).toordinal()
_FILE = Path(__file__).with_suffix(".yaml")


@dataclass(frozen=True)
class WorkingDays:
    """Counts in working days. ordinals: every working day from 1970 to 2099 as `date.toordinal`, ascending.

    known: the years whose holidays are declared. sources: where each year's days were taken from.
    """

    ordinals: tuple[int, ...]
    known: frozenset[int]
    sources: dict[int, str]

    def worked(self, day: date) -> bool:
        """Return whether a day is worked."""
        place = bisect_left(self.ordinals, day.toordinal())
        return place < len(self.ordinals) and self.ordinals[place] == day.toordinal()

    def after(self, day: date, count: int) -> date:
        """Return the day `count` working days after `day`; a day that is not worked stands for the next that is."""
        place = bisect_left(self.ordinals, day.toordinal()) + count
        return date.fromordinal(self.ordinals[min(max(place, 0), len(self.ordinals) - 1)])

    def between(self, first: date, last: date) -> int:
        """Count the working days from `first` on and before `last`; negative where `last` comes first."""
        return bisect_left(self.ordinals, last.toordinal()) - bisect_left(self.ordinals, first.toordinal())

    def within(self, first: date, last: date) -> list[date]:
        """Return the working days of a period, both ends included."""
        start, end = bisect_left(self.ordinals, first.toordinal()), bisect_left(self.ordinals, last.toordinal() + 1)
        return [date.fromordinal(n) for n in self.ordinals[start:end]]

    def unknown_years(self, first: date, last: date) -> list[int]:
        """Return the years of a period whose holidays are not declared."""
        return sorted(set(range(first.year, last.year + 1)) - self.known)


@cache
def working_days(path: Path = _FILE) -> WorkingDays:
    """Read the calendar. Raise ValueError where a declared day cannot be meant (a Tuesday worked in exchange)."""
    years = read_yaml(path)["years"]
    off: set[int] = set()
    extra: set[int] = set()
    for entry in years.values():
        off.update(_days(entry["holidays"]))
        extra.update(_days(entry["worked"]))
    wrong = sorted((extra & off) | {n for n in extra if not _weekend(n)})
    if wrong:
        named = "、".join(date.fromordinal(n).isoformat() for n in wrong)
        raise ValueError(f"{path.name}：{named} 不可能是调休上班日")
    ordinals = tuple(n for n in range(_FIRST, _LAST) if n in extra or not (n in off or _weekend(n)))
    return WorkingDays(ordinals, frozenset(years), {year: entry["source"] for year, entry in years.items()})


def _weekend(ordinal: int) -> bool:
    return (ordinal + _SUNDAY) % 7 > 4


def _days(entries: Iterable[object]) -> set[int]:
    """Spell out dates and ranges `first..last` as ordinals."""
    found: set[int] = set()
    for entry in entries:
        first, _, last = str(entry).partition("..")
        start = date.fromisoformat(first)
        end = date.fromisoformat(last) if last else start
        found |= {(start + timedelta(days=n)).toordinal() for n in range((end - start).days + 1)}
    return found
