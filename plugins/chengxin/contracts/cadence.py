"""When deliveries are expected, from `cadence` and `late_after`; days are Shanghai's, counted in working days.

A data set is late from the day after `last arrival + one period + late_after working days` until it arrives. One that
never arrived, or delivers irregularly, is never late.
"""

from calendar import monthrange
from datetime import date, datetime, timedelta

from chengxin.clock import SHANGHAI
from chengxin.contracts.models import DeliverySpec
from chengxin.model.working_days import WorkingDays

# calendar days in which the next delivery is expected; the longest month, quarter and year
PERIODS = {"hourly": 1, "daily": 1, "weekly": 7, "monthly": 31, "quarterly": 92, "yearly": 366}
_MONTHS = {"monthly": 1, "quarterly": 3, "yearly": 12}
# the hours at which a source is looked at; slower cadences daily, too: a late delivery must not wait for the next month
_LOOKS = {"hourly": tuple(range(24)), "daily": (5, 17)}
_LOOK_OF_OTHERS = (5,)
WORDS = {
    "hourly": "每小时", "daily": "每日", "weekly": "每周", "monthly": "每月", "quarterly": "每季度", "yearly": "每年",
    "irregular": "不定期",
}  # fmt: skip


def is_look_due(cadence: str, looked: datetime | None, now: datetime) -> bool:
    """Return whether a source is to be looked at. looked: when that was done last, None = never."""
    local = now.astimezone(SHANGHAI)
    hours = _LOOKS.get(cadence, _LOOK_OF_OTHERS)
    today = [local.replace(hour=hour, minute=0, second=0, microsecond=0) for hour in hours]
    last = max((at for at in today if at <= local), default=today[-1] - timedelta(days=1))
    return looked is None or looked < last


def due_after(last: date, delivery: DeliverySpec, days: WorkingDays) -> date | None:
    """Return the last day on which the delivery that follows one of `last` is in time; None when none is expected."""
    period = PERIODS.get(delivery.cadence)
    return days.after(last + timedelta(days=period), delivery.late_after) if period else None


def periods(cadence: str, first: date, last: date, days: WorkingDays) -> list[tuple[date, date]]:
    """Return the periods that end between `first` and `last`, as first and last day; in each a delivery is expected.

    Daily (and hourly) sources are expected on working days; what comes on a day off counts for the next working day.
    """
    if cadence in {"hourly", "daily"}:
        return [(days.after(day, -1) + timedelta(days=1), day) for day in days.within(first, last)]
    if cadence == "weekly":
        sunday = first + timedelta(days=6 - first.weekday())
        ends = [sunday + timedelta(days=n) for n in range(0, max((last - sunday).days + 1, 0), 7)]
        weeks = [(end - timedelta(days=6), end) for end in ends]
        return [week for week in weeks if days.within(*week)]
    months = _MONTHS.get(cadence)
    if months is None:
        return []
    found = []
    year, month = first.year, first.month
    while (start := date(year, month, 1)) <= last:
        end = date(year, month, monthrange(year, month)[1])
        if month % months == 0 and first <= end <= last:
            found.append((start.replace(month=month - months + 1), end))
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return found
