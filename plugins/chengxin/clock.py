"""The only place that asks the time. All instants are UTC and aware; calendar days are Asia/Shanghai days."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")


@dataclass(frozen=True)
class Clock:
    """Answers `now`; a fixed instant makes whole runs reproducible."""

    fixed: datetime | None = None

    def now(self) -> datetime:
        """Return the current instant in UTC, to the second."""
        return (self.fixed or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)

    def today(self) -> date:
        """Return today's calendar day in China."""
        return self.now().astimezone(SHANGHAI).date()


def instant_of_timestamp(seconds: float) -> datetime:
    """Turn a POSIX timestamp (a file's mtime) into an aware UTC instant, to the second."""
    return datetime.fromtimestamp(int(seconds), UTC)
