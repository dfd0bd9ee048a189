"""When the demo's departments deliver: each by the rhythm of its contract, as seen from the moment of the first demo.

Lists with a longer period come about the middle of a month; what comes daily or weekly begins on the last working day
of the month before, so that this month has a scorecard. Two sources have gone silent.
"""

import zlib
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property

from chengxin.clock import SHANGHAI
from chengxin.contracts.cadence import PERIODS, due_after
from chengxin.contracts.models import Contract
from chengxin.model.working_days import working_days

# Their deliveries are overdue: the upload of the first broke off, of the second nothing is there at all.
CUT_OFF_KIND, SILENT_KIND = "dishonest_person", "identity_check"
SILENT_DAYS = 21  # the shortest time after which both are overdue
SHORT = 7  # days: what has no longer period delivers in round 2 again
EARLIEST, SPREAD = 8, 15  # of a month: the day on which the first monthly list comes, and over how many days they do
MORNING, HOURS = time(9), 2  # when a delivery comes, within how many hours
AT_LEAST = timedelta(minutes=10)  # since when the files of today lie there


@dataclass(frozen=True)
class Timetable:
    """The days and moments of the deliveries of a demo. now: the instant of the first look (UTC)."""

    now: datetime

    @property
    def today(self) -> date:
        """Return the day of the first look, on which round 2 delivers."""
        return self.now.astimezone(SHANGHAI).date()

    @cached_property
    def opening(self) -> date:
        """Return the last working day of the month before: daily and weekly sources deliver then for the first time."""
        last = self.today.replace(day=1) - timedelta(days=1)
        return working_days().within(last.replace(day=1), last)[-1]

    @cached_property
    def last_event(self) -> date:
        """Return the last day of the events that records tell of: before every delivery."""
        return self.opening.replace(day=1) - timedelta(days=1)

    def first_days(self, contract: Contract) -> tuple[date, ...]:
        """Return the days on which a source delivers in round 1, ascending; only dropped files come more than once."""
        if self.is_overdue(contract):
            return (min(self.opening, working_days().after(self.today - timedelta(days=SILENT_DAYS), 0)),)
        often = contract.delivery.connector == "file_drop"
        if PERIODS.get(contract.delivery.cadence, SHORT + 1) <= SHORT:
            return self._before(contract) if often else (self.opening,)
        offset = _draw(contract, SPREAD)
        first, again = (
            working_days().after(month.replace(day=EARLIEST + offset), 0) for month in (self.opening, self.today)
        )
        first = min(first, self.opening)
        due = due_after(first, contract.delivery, working_days())
        return (first, again) if often and due and due < self.today else (first,)

    def again(self, contract: Contract) -> bool:
        """Return whether a source delivers in round 2 as well: today, where its period is a week at most."""
        return PERIODS.get(contract.delivery.cadence, SHORT + 1) <= SHORT and not self.is_overdue(contract)

    def is_overdue(self, contract: Contract) -> bool:
        """Return whether the delivery of a source is overdue at the first look."""
        return contract.kind in (CUT_OFF_KIND, SILENT_KIND)

    def moment(self, contract: Contract, day: date) -> datetime:
        """Return when a source delivers on a day: in the morning, today within the last two hours."""
        span = timedelta(hours=HOURS)
        if day < self.today:
            return datetime.combine(day, MORNING, SHANGHAI) + timedelta(
                seconds=_draw(contract, int(span.total_seconds()))
            )
        until = self.now.astimezone(SHANGHAI) - AT_LEAST
        begun = max(datetime.combine(self.today, time(), SHANGHAI), until - span)
        return until - timedelta(seconds=_draw(contract, max(int((until - begun).total_seconds()), 1)))

    def _before(self, contract: Contract) -> tuple[date, ...]:
        """Return the fewest days from the opening to today of which none is late."""
        days, found = working_days(), [self.today]
        while found[0] > self.opening:
            earlier = days.within(self.opening, found[0] - timedelta(days=1))
            intime = [d for d in earlier if (due_after(d, contract.delivery, days) or found[0]) >= found[0]]
            found.insert(0, min(intime, default=earlier[-1]))
        return tuple(found[:-1])


def _draw(contract: Contract, below: int) -> int:
    """Return a number of its own for each contract."""
    return zlib.crc32(contract.id.encode()) % below
