"""Which page to ask for next, when a pull is at its end, and whether what came can be complete.

A walk is a function of the pages alone: given the same pages again it asks for the same ones, so a pull that was cut
short goes on from the pages that it kept.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import pairwise
from typing import Literal
from urllib.parse import urljoin

import numpy as np

from chengxin.connectors.http_auth import spelled_instant
from chengxin.connectors.http_pages import Facts
from chengxin.errors import DeliveryCorrupt

#: Answers that repeat a page which end a pull. One alone may be a cache's mistake; no source stands still twice.
_REPEATS = 2

PagingStyle = Literal["page", "offset", "cursor", "link", "time", "none"]


@dataclass(frozen=True)
class Paging:
    """How an interface is walked through; see HttpApiOptions for each.

    path: of the first page, which the link to the next one may be relative to.
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
    since: datetime | None = None
    until: datetime | None = None
    window: timedelta | None = None
    overlap: timedelta = timedelta()

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


class Walk:
    """One pass over all pages of a pull."""

    def __init__(self, paging: Paging) -> None:
        self._paging = paging
        self._windows: Iterator[tuple[datetime | None, datetime | None]] = iter(paging.windows())
        self._state = _Window(paging, *next(self._windows))
        self._past: list[_Window] = []
        self.pages = 0
        self.rows = 0
        self.is_done = False

    def parameters(self) -> dict[str, str | int]:
        """Return the paging parameters of the next request; numbers are numbers."""
        return self._state.parameters()

    def link(self) -> str | None:
        """Return the address of the next page, None where it is told by parameters."""
        return self._state.link()

    def advance(self, facts: Facts) -> bool:
        """Take note of the page that was asked for; tell whether it brought rows.

        Raises DeliveryCorrupt where going on makes no sense.
        """
        self.pages += 1
        is_new = not self._state.repeats(facts)
        self.rows += len(facts.rows) if is_new else 0
        if self._state.take(facts) if is_new else self._state.stands_still(facts):
            self._past.append(self._state)
            following = next(self._windows, None)
            self.is_done = following is None
            if following:
                self._state = _Window(self._paging, *following)
        if not self.is_done and self.pages >= self._paging.max_pages:
            raise DeliveryCorrupt(f"接口“{self._paging.label}”超过 {self._paging.max_pages} 页仍未结束")
        return bool(facts.rows) and is_new

    def trouble(self) -> Trouble | None:
        """Return what is wrong with a finished pass, the first thing that cannot be forgiven before others."""
        found = [trouble for window in self._past if (trouble := window.trouble())]
        return min(found, key=lambda trouble: trouble.forgiven, default=None)

    def same_rows(self, other: "Walk") -> bool:
        """Tell whether two finished passes saw the very same rows on the same pages."""
        return [w.seen() for w in self._past] == [w.seen() for w in other._past]


class _Window:
    """The pages of one stretch of time."""

    def __init__(self, paging: Paging, since: datetime | None, until: datetime | None) -> None:
        self._paging = paging
        self._since = spelled_instant(since, paging.since_format) if since else None
        self._until = spelled_instant(until, paging.since_format) if until else None
        self._rows = array("Q")
        self._breaks: list[int] = []
        self._totals: list[int] = []
        self._last: Facts | None = None
        self._cursor: str | None = None
        self._cursors: set[str] = set()
        self._shifted = False
        self._prints: set[bytes] = set()  # of the pages so far
        self._repeated: list[int] = []  # rows of the answers that repeated a page, since the last new one
        self._own = True  # every total so far was the number of rows on its page

    def parameters(self) -> dict[str, str | int]:
        paging, made = self._paging, {}
        parameters: dict[str, str | int] = {}
        match paging.style if paging.size else "none":
            case "page":
                made = {paging.page_param: paging.first_page + len(self._breaks) + len(self._repeated)}
            case "offset":
                made = {paging.offset_param: len(self._rows) + sum(self._repeated) - self._overlap()}
            case "cursor" if self._cursor:
                parameters[paging.cursor_param] = self._cursor
            case _:
                pass
        parameters.update(made)
        if paging.size and paging.style != "none" and paging.size_param:
            parameters[paging.size_param] = paging.size
        since = self._cursor if paging.style == "time" and self._cursor else self._since
        if since and paging.since_param:
            parameters[paging.since_param] = since
        if self._until and paging.until_param:
            parameters[paging.until_param] = self._until
        return parameters

    def link(self) -> str | None:
        return self._cursor if self._paging.style == "link" else None

    def repeats(self, facts: Facts) -> bool:
        """Tell whether an answer shows a page once more although it was asked for what follows.

        Some servers give their last page, or the first, for any page beyond the end. Where a total says that more is
        to come, that is no such place.
        """
        if self._paging.style not in ("page", "offset") or not self._looks_beyond(facts):
            return False
        return _print(facts) in self._prints

    def stands_still(self, facts: Facts) -> bool:
        """Take note of an answer that repeats a page; tell whether it ends the pull."""
        if self._totals:
            return True
        if len(self._breaks) == 1 and len(facts.rows) == self._paging.size:
            raise self._standstill()  # as many rows as asked for, and the next ones cannot be asked for
        self._repeated.append(len(facts.rows))
        return len(self._repeated) == _REPEATS

    def _looks_beyond(self, facts: Facts) -> bool:
        """Tell whether nothing said that the page just asked for has to bring rows."""
        if not facts.rows or self._last is None:
            return False
        return len(self._rows) >= self._totals[-1] if self._totals else facts.total is None

    def _standstill(self) -> DeliveryCorrupt:
        number = len(self._breaks) + len(self._repeated) + 1
        return DeliveryCorrupt(f"接口“{self._paging.label}”重复返回第 {number} 页，分页参数可能无效")

    def take(self, facts: Facts) -> bool:
        """Add a page; tell whether it was the last."""
        if facts.rows and (self._repeated or (self._last and facts.rows == self._last.rows)):
            raise self._standstill()
        overlap = self._overlap() if self._last and not self._repeated else 0
        known, new = facts.rows[:overlap], facts.rows[overlap:]
        self._shifted |= known != self._rows[len(self._rows) - overlap :]
        ended = self._is_last(facts, new)
        self._last = facts
        self._rows.extend(facts.rows if self._shifted else new)
        self._breaks.append(len(self._rows))
        self._prints.add(_print(facts))
        # A page without rows beyond the end may say anything.
        if facts.total is not None and (facts.rows or not self._totals):
            self._totals.append(facts.total)
            self._own &= facts.total == len(facts.rows)
        return ended

    def _overlap(self) -> int:
        return min(self._paging.overlap_rows, len(self._rows)) if self._paging.style == "offset" else 0

    def _is_last(self, facts: Facts, new: "array[int]") -> bool:
        style, size = self._paging.style, self._paging.size
        if style == "cursor":
            return self._cursor_ends(facts.next)
        if style == "link":
            return self._cursor_ends(urljoin(self._cursor or self._paging.path, facts.next) if facts.next else None)
        if size == 0 or style == "none" or not new or self._shifted:
            return True
        if style == "time":
            return self._time_ends(facts)
        # A total tells the end; without one an empty page does: a short one may be all that the server gives at once,
        # or have lost rows to a filter. Rows that came twice do not count. A full first page whose total is its own
        # number of rows leaves open what that number counts: the next page shows.
        if facts.total is None or (not self._breaks and facts.total == len(new) >= size):
            return False
        return len(self._rows) + len(new) >= facts.total and self._counted(new) >= facts.total

    def _cursor_ends(self, following: str | None) -> bool:
        if following in self._cursors:
            what = "链接" if self._paging.style == "link" else "游标"
            raise DeliveryCorrupt(f"接口“{self._paging.label}”的下一页{what}没有前进；已停止")
        self._cursors |= {following} if following else set()
        self._cursor = following
        return following is None

    def _time_ends(self, facts: Facts) -> bool:
        """Go on from the newest time stamp of the page. Only order and an inclusive `since` rule out a gap."""
        label = self._paging.label
        order = [_rank(time) for time in facts.times]
        if "" in facts.times or any(a > b for a, b in pairwise(order)):
            raise DeliveryCorrupt(f"接口“{label}”的记录没有按时间戳升序排列（或缺少时间戳），无法按时间分页")
        if self._last and facts.times[0] != self._cursor:
            raise DeliveryCorrupt(
                f"接口“{label}”按“晚于”而不是“不早于”筛选时间戳，同一时刻的记录可能遗漏；请改用其他分页方式"
            )
        if len(facts.rows) < self._paging.size:
            return True
        if facts.times[-1] == (self._cursor or None):
            raise DeliveryCorrupt(f"接口“{label}”同一时间戳的记录超过一页；请增大 page_size")
        self._cursor = facts.times[-1]
        return False

    def _counted(self, more: "array[int] | None" = None) -> int:
        """Count the rows, those that came on more than one page once (with a key: equal keys once)."""
        pages = np.split(_numbers(self._rows), self._breaks)[: len(self._breaks)]
        pages += [_numbers(more)] if more is not None else []
        distinct = int(np.unique(np.concatenate(pages)).size)
        if self._paging.has_key:
            return distinct
        return sum(page.size for page in pages) - sum(int(np.unique(page).size) for page in pages) + distinct

    def trouble(self) -> Trouble | None:
        """Say why the rows may not be all, or not those of one moment."""
        label = self._paging.label
        if self._paging.style == "time":
            return None
        if self._shifted:
            return Trouble(f"接口“{label}”的记录在拉取过程中移位，前后页接不上", False)
        if self._own and len(self._totals) > 1:
            return Trouble(
                f"接口“{label}”的总行数总是等于本页的行数，不能作为全部记录的行数；请核对合同中的 total", False
            )
        if len(set(self._totals)) > 1:
            steps = f"{self._totals[0]} 变为 {self._totals[-1]}"
            return Trouble(f"接口“{label}”的总行数在拉取过程中由 {steps}，数据一直在变化", False)
        received, counted = len(self._rows), self._counted()
        announced = self._totals[-1] if self._totals else None
        twice = received - counted
        if announced is None:
            return Trouble(f"接口“{label}”有 {twice} 行在不同页重复出现，可能另有遗漏", True) if twice else None
        if announced == counted:
            return None
        short = f"接口“{label}”声明共 {announced} 行，实际收到 {received} 行"
        if twice:
            short += f"（其中 {twice} 行重复）"
        forgiven = received == announced and not self._paging.has_key
        return Trouble(f"{short}；数据可能在拉取过程中变化，请重试", forgiven)

    def seen(self) -> tuple[bytes, tuple[int, ...], tuple[int, ...]]:
        """Return what a second pass is compared by."""
        return self._rows.tobytes(), tuple(self._breaks), tuple(self._totals)


def _print(facts: Facts) -> bytes:
    return blake2b(facts.rows.tobytes(), digest_size=16).digest()


def _numbers(rows: "array[int]") -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    # A copy: an array that numpy looks at cannot grow.
    return np.frombuffer(rows.tobytes(), dtype=np.uint64)


def _rank(time: str) -> tuple[int, str]:
    """Order epoch numbers as numbers, other spellings as text."""
    return (len(time), time) if time.isdigit() else (0, time)
