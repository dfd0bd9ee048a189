"""Which page to ask for next and where the pages end, as the contract declares it: by number, offset, cursor or link.

A walk is a function of the pages alone: given the same pages again it asks for the same ones, so a pull that was cut
short goes on from the pages that it kept.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Literal
from urllib.parse import urljoin

import numpy as np

from chengxin.connectors.completeness import Received, Trouble, pages_trouble
from chengxin.connectors.http.auth import spelled_instant
from chengxin.connectors.http.pages import Page
from chengxin.errors import DeliveryCorrupt

PagingStyle = Literal["page", "offset", "cursor", "link", "none"]
Window = tuple[datetime | None, datetime | None]


@dataclass(frozen=True, kw_only=True)
class Paging:
    """How an interface is paged; see HttpApiOptions for each.

    path: of the first page, which the link to the next one may be relative to. since, until: of the whole pull, aware;
    window: length of the stretches that it is cut into; overlap: how far before `since` to ask again.
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
    has_total: bool
    next: str | None
    next_omitted: bool
    since: datetime | None = None
    until: datetime | None = None
    window: timedelta | None = None
    overlap: timedelta = timedelta()

    @property
    def is_single(self) -> bool:
        """Return whether one answer is all, as the contract states."""
        return self.style == "none" or (self.style in ("page", "offset") and not self.size)

    def windows(self) -> list[Window]:
        """Return the stretches of time to ask for, in order; one without bounds where none are given."""
        start = self.since - self.overlap if self.since else None
        if not (self.window and start and self.until):
            return [(start, self.until)]
        bounds = [start]
        while bounds[-1] + self.window < self.until:
            bounds.append(bounds[-1] + self.window)
        return list(zip(bounds, [*bounds[1:], self.until], strict=True))


class Stretch:
    """The pages of one stretch of time, as they come."""

    def __init__(self, paging: Paging, since: datetime | None, until: datetime | None) -> None:
        self._paging = paging
        self._since = spelled_instant(since, paging.since_format) if since else None
        self._until = spelled_instant(until, paging.since_format) if until else None
        self._rows = array("Q")
        self._breaks: list[int] = []  # where each page ends
        self._totals: list[int] = []
        self._digests: set[bytes] = set()
        self._cursor: str | None = None
        self._cursors: set[str] = set()
        self._moved = self._more = False

    def parameters(self) -> dict[str, str | int]:
        """Return the paging parameters of the next request; numbers are numbers."""
        paging = self._paging
        made: dict[str, str | int | None] = {}
        match "none" if paging.is_single else paging.style:
            case "page":
                made[paging.page_param] = paging.first_page + len(self._breaks)
            case "offset":
                made[paging.offset_param] = len(self._rows) - self._overlap()
            case "cursor":
                made[paging.cursor_param] = self._cursor
        if paging.style != "none" and paging.size and paging.size_param:
            made[paging.size_param] = paging.size
        bounds = ((paging.since_param, self._since), (paging.until_param, self._until))
        made |= {name: instant for name, instant in bounds if name}
        return {name: value for name, value in made.items() if value is not None}

    def link(self) -> str | None:
        """Return the address of the next page, None where parameters name it."""
        return self._cursor if self._paging.style == "link" else None

    @property
    def ends_with_any_refusal(self) -> bool:
        """Return whether all announced rows came, so that whatever the server answers without rows is the end."""
        return self._has_all() and bool(self._breaks)

    def add(self, page: Page) -> tuple[bool, bool]:
        """Take the page that was asked for; return whether it brings rows, and whether it was the last.

        Raises DeliveryCorrupt where going on makes no sense.
        """
        if self.ends_with_any_refusal:
            # The page behind the announced rows: servers may refuse it, give none or repeat one, but no other rows.
            self._more = not {*page.rows} <= {*self._rows}
            return False, True
        return bool(page.rows), self._take(page)

    def _take(self, page: Page) -> bool:
        overlap = self._overlap() if self._breaks else 0
        known, new = page.rows[:overlap], page.rows[overlap:]
        self._moved = known != self._rows[len(self._rows) - overlap :]
        self._note(page)
        self._rows.extend(page.rows if self._moved else new)
        self._breaks.append(len(self._rows))
        if page.is_end or self._moved or self._paging.is_single:
            return True
        if self._paging.style in ("cursor", "link"):
            return self._turns_to_next(page)
        # A total that is no more than the rows of the first page may count that page only: one page more shows it.
        return not new or (self._has_all() and len(self._breaks) > 1)

    def _note(self, page: Page) -> None:
        label = self._paging.label
        if page.rows:
            digest = blake2b(np.sort(_numbers(page.rows)).tobytes(), digest_size=16).digest()
            if digest in self._digests:
                raise DeliveryCorrupt(
                    f"接口“{label}”重复返回同样的一页（第 {len(self._breaks) + 1} 页），分页参数可能无效；"
                    "若对方在末页之后重复末页，请在合同中声明 total；若一页就是全部，请改用 paging: none"
                )
            self._digests.add(digest)
            if page.total is None and self._paging.has_total and not self._totals:
                raise DeliveryCorrupt(f"接口“{label}”的第一页没有合同声明的总行数；请核对合同中的 total")
        if page.total is not None and (page.rows or not self._breaks):  # beyond the end a page may state anything
            self._totals.append(page.total)

    def _turns_to_next(self, page: Page) -> bool:
        paging, following = self._paging, page.next
        if following is None and not page.has_next and not paging.next_omitted and not paging.has_total:
            raise DeliveryCorrupt(
                f"接口“{paging.label}”的第 {len(self._breaks)} 页没有“{paging.next}”，不能断定这是末页；"
                "请核对合同中的 next；若对方在末页省去它，请声明 next_omitted: true 或 total"
            )
        if following and paging.style == "link":
            following = urljoin(self._cursor or paging.path, following)
        if following in self._cursors:
            raise DeliveryCorrupt(f"接口“{paging.label}”的第 {len(self._breaks)} 页又指向前面的一页；已停止")
        self._cursors |= {following} if following else set()
        self._cursor = following
        return following is None

    def _has_all(self) -> bool:
        paging = self._paging
        if paging.is_single or paging.style in ("cursor", "link") or not self._totals:
            return False
        return len(self._rows) >= self._totals[-1] and self._distinct() >= self._totals[-1]

    def _overlap(self) -> int:
        asked = self._paging.overlap_rows if self._paging.style == "offset" else 0
        return asked if asked < len(self._rows) else 0

    def _distinct(self) -> int:
        """Count the rows, those that stand on several pages once; with a key, equal keys once."""
        pages = np.split(_numbers(self._rows), self._breaks[:-1])
        distinct = int(np.unique(np.concatenate(pages)).size)
        if self._paging.has_key:
            return distinct
        return len(self._rows) - sum(int(np.unique(page).size) for page in pages) + distinct

    def received(self) -> Received:
        """Return what the pages brought."""
        return Received(
            rows=len(self._rows),
            distinct=self._distinct(),
            totals=tuple(self._totals) if self._paging.has_total else None,
            has_key=self._paging.has_key,
            moved=self._moved,
            more=self._more,
        )

    def seen(self) -> tuple[bytes, tuple[int, ...], tuple[int, ...]]:
        """Return what a second pass is compared by."""
        return self._rows.tobytes(), tuple(self._breaks), tuple(self._totals)


class Walk:
    """One pass over all pages of a pull."""

    def __init__(self, paging: Paging) -> None:
        self._paging = paging
        self._windows: Iterator[Window] = iter(paging.windows())
        self._past: list[Stretch] = []
        self.stretch = Stretch(paging, *next(self._windows))
        self.pages = 0
        self.rows = 0
        self.is_done = False

    def advance(self, page: Page) -> bool:
        """Take the page that was asked for; return whether it brings rows.

        Raises DeliveryCorrupt where going on makes no sense.
        """
        self.pages += 1
        is_new, is_last = self.stretch.add(page)
        self.rows += len(page.rows) if is_new else 0
        if is_last:
            self._past.append(self.stretch)
            following = next(self._windows, None)
            self.is_done = following is None
            if following:
                self.stretch = Stretch(self._paging, *following)
        if not self.is_done and self.pages >= self._paging.max_pages:
            raise DeliveryCorrupt(f"接口“{self._paging.label}”超过 {self._paging.max_pages} 页仍未结束")
        return is_new

    def trouble(self) -> Trouble | None:
        """Return why a finished pass is not proved complete; what no second pass can settle goes first."""
        label = self._paging.label
        found = [trouble for stretch in self._past if (trouble := pages_trouble(label, stretch.received()))]
        return min(found, key=lambda trouble: trouble.settled, default=None)

    def same_pages(self, other: "Walk") -> bool:
        """Return whether two finished passes saw the very same rows on the same pages."""
        return [s.seen() for s in self._past] == [s.seen() for s in other._past]


def _numbers(rows: "array[int]") -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    # A copy: an array that numpy looks at cannot grow.
    return np.frombuffer(rows.tobytes(), dtype=np.uint64)
