"""How an interface is paged, and what may be wrong with pages that came."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

#: How many rows servers give at once where nobody tells them, or where they do not listen.
USUAL_SIZES = frozenset({10, 20, 30, 50, 100, 200, 300, 500, 1000, 2000, 5000, 10_000})

PagingStyle = Literal["page", "offset", "cursor", "link", "time", "none"]


@dataclass(frozen=True)
class Paging:
    """How an interface is walked through; see HttpApiOptions for each.

    path: of the first page, which the link to the next one may be relative to. next: where a page tells of the next.
    checks_start: ask once for the page before the first, which is not there if the contract counts as the server does.
    has_key: rows are told apart by their key; else rows with equal content may be two.
    since, until: of the whole pull, aware; window: length of the stretches that it is cut into; overlap: how far
    before `since` to ask again.
    """

    label: str
    path: str
    style: PagingStyle
    size: int
    page_param: str
    size_param: str | None
    offset_param: str
    cursor_param: str
    since_param: str | None
    until_param: str | None
    since_format: str
    first_page: int
    overlap_rows: int
    max_pages: int
    has_key: bool
    next: str | None = None
    checks_start: bool = False
    since: datetime | None = None
    until: datetime | None = None
    window: timedelta | None = None
    overlap: timedelta = timedelta()

    @property
    def is_single(self) -> bool:
        """Tell whether one answer is all, as the contract says."""
        return self.style == "none" or (self.style in ("page", "offset") and not self.size)

    @property
    def asks_beyond(self) -> bool:
        """Tell whether pages are asked for until nothing new comes, whatever the answers say of a next page."""
        return self.style in ("page", "offset", "time") and not self.is_single

    def windows(self) -> list[tuple[datetime | None, datetime | None]]:
        """Return the stretches of time to ask for, in order; one without bounds where none are given."""
        start = self.since - self.overlap if self.since else None
        if not (self.window and start and self.until):
            return [(start, self.until)]
        bounds = [start]
        while bounds[-1] + self.window < self.until:
            bounds.append(bounds[-1] + self.window)
        return list(zip(bounds, [*bounds[1:], self.until], strict=True))


@dataclass(frozen=True)
class Trouble:
    """Why a pass cannot be relied on. forgiven: it can, when a second pass shows the very same rows."""

    message: str
    forgiven: bool
