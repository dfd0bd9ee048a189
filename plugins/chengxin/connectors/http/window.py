"""The pages of one stretch of time: what to ask for next, when they are at their end, and what is wrong with them.

The end needs two witnesses, since servers give fewer rows than they are asked for, count the rows of a page as the
total, and ignore parameters: a total and a page that is not full, or one page more that brings nothing new.
"""

from array import array
from collections.abc import Iterator
from datetime import datetime
from hashlib import blake2b
from itertools import groupby
from urllib.parse import urljoin

import numpy as np

from chengxin.connectors.http.auth import spelled_instant
from chengxin.connectors.http.hints import Hints, merged
from chengxin.connectors.http.instants import Moments
from chengxin.connectors.http.pages import Facts
from chengxin.connectors.http.paging import USUAL_SIZES, Paging, Trouble
from chengxin.errors import DeliveryCorrupt

#: Answers that repeat a page, or refuse one, which end a pull: one alone may be a mistake, of a cache or a program.
_REPEATS = 2
#: Search engines count so far and no further, and refuse what lies beyond.
_COUNTED_TO = 10_000


class Window:
    """The pages of one stretch of time, as they come."""

    def __init__(self, paging: Paging, since: datetime | None, until: datetime | None) -> None:
        self._paging = paging
        self._since = spelled_instant(since, paging.since_format) if since else None
        self._until = spelled_instant(until, paging.since_format) if until else None
        self._moments = Moments(paging.label, paging.size)
        self._rows = array("Q")
        self._breaks: list[int] = []
        self._totals: list[int] = []
        self._hints = Hints()
        self._last: Facts | None = None
        self._cursor: str | None = None
        self._came_by: str | None = None  # the cursor, or link, of the last page
        self._told_next = False  # a page told where the next one is
        self._cursors: set[str] = set()
        self._shifted = False
        self._filled = 0  # pages with rows
        self._largest = 0  # rows of a page
        self._prints: set[bytes] = set()  # of the pages so far
        self._ends = (b"", b"")  # prints of the first and the last page with rows
        self._again = False  # a page had the rows of another one
        self._repeated: list[int] = []  # rows of the answers that repeated a page, since the last new one
        self._refusals = 0  # in a row, the last answers
        self._own = True  # every total so far was the number of rows on its page
        self._running = True  # or that of all rows up to it

    def before(self) -> dict[str, str | int] | None:
        """Return the parameters of the page before the first; None where it need not be asked for."""
        if not self._paging.checks_start or self._totals or self._hints.total or self._hints.pages:
            return None
        return self.parameters() | {self._paging.page_param: self._paging.first_page - 1}

    def after(self) -> Iterator[tuple[dict[str, str | int], str | None]]:
        """Yield how to ask again for a page that alone ended the pages, and for the one behind it: parameters, link.

        That is an empty one, or by cursor one that is full, or lacks the place of the next page, which others had.
        """
        last, paging, asked = self._last, self._paging, self.parameters()
        if last is None or last.is_end or paging.is_single or self._repeated or self._refusals or self._is_told():
            return
        if paging.style == "page" and self._filled and not last.rows:
            yield asked | {paging.page_param: int(asked[paging.page_param]) - 1}, None
            yield asked, None
        elif paging.style == "offset" and self._filled and not last.rows:
            yield asked, None
            yield asked | {paging.offset_param: int(asked[paging.offset_param]) + paging.size}, None
        elif paging.style in ("cursor", "link") and self._ends_oddly(last):
            if self._came_by and paging.style == "cursor":
                asked[paging.cursor_param] = self._came_by
            yield asked, self._came_by if paging.style == "link" else None

    def _ends_oddly(self, last: Facts) -> bool:
        if self._came_by is None:  # the only page
            return bool(self._paging.size_param) and len(last.rows) >= self._paging.size > 0
        return len(last.rows) in (0, self._largest) or (self._told_next and not last.has_next)

    def _is_told(self) -> bool:
        """Tell whether anything but the end of the pages says that these are all."""
        total, pages = self._hints.total, self._hints.pages
        return bool(
            self._totals or (total and total[1] >= len(self._rows)) or (pages and pages[1] >= max(1, self._filled))
        )

    def was_not_the_end(self, facts: Facts) -> bool:
        """Tell whether an answer to what `after` asks shows that more rows are there."""
        if self._last and self._last.rows:
            return len(facts.rows) > len(self._last.rows) or facts.next is not None
        return self.lacks(facts)

    def lacks(self, facts: Facts) -> bool:
        """Tell whether these rows are others than all that came."""
        return bool(facts.rows) and not {*facts.rows} & {*self._rows}

    def parameters(self) -> dict[str, str | int]:
        """Return the paging parameters of the next request."""
        paging, made = self._paging, {}
        parameters: dict[str, str | int] = {}
        match "none" if paging.is_single else paging.style:
            case "page":
                made = {paging.page_param: paging.first_page + len(self._breaks) + len(self._repeated) + self._refusals}
            case "offset":
                made = {
                    paging.offset_param: len(self._rows)
                    + sum(self._repeated)
                    - self._overlap()
                    + self._refusals * paging.size
                }
            case "cursor" if self._cursor:
                parameters[paging.cursor_param] = self._cursor
            case _:
                pass
        parameters.update(made)
        if paging.size and paging.style != "none" and paging.size_param:
            parameters[paging.size_param] = paging.size
        since = self._moments.cursor or self._since
        if since and paging.since_param:
            parameters[paging.since_param] = since
        if self._until and paging.until_param:
            parameters[paging.until_param] = self._until
        return parameters

    def link(self) -> str | None:
        """Return the address of the next page, None where it is told by parameters."""
        return self._cursor if self._paging.style == "link" else None

    def add(self, facts: Facts) -> tuple[bool, bool]:
        """Add the page that was asked for; tell whether it brings rows, and whether it is the last.

        Raises DeliveryCorrupt where going on makes no sense.
        """
        if facts.refused and self._paging.style in ("page", "offset") and not self.is_satisfied():
            # One page that the server fails at is not the end.
            self._refusals += 1
            return False, self._refusals == _REPEATS
        if self._refusals and facts.rows:
            raise DeliveryCorrupt(
                f"接口“{self._paging.label}”拒绝了一页，其后的页却还有记录；声明为 status_end 的是故障，请向对方核实"
            )
        if self._repeats(facts):
            return False, self._stands_still(facts)
        if self._paging.style == "time":
            is_new, is_last = self._moments.take(facts)
            if is_new or self._last is None:
                self._take(facts)
            return is_new, is_last
        return bool(facts.rows), self._take(facts)

    def is_satisfied(self) -> bool:
        """Tell whether all rows that were announced came."""
        if not self._totals or self._totals[-1] == _COUNTED_TO:
            return False
        return len(self._rows) >= self._totals[-1] and self._counted() >= self._totals[-1]

    def _repeats(self, facts: Facts) -> bool:
        """Tell whether an answer shows a page once more although it was asked for what follows.

        Some servers give their last page, or the first, for any page beyond the end. Where a total says that more is
        to come, that is no such place.
        """
        if self._paging.style not in ("page", "offset") or not self._looks_beyond(facts):
            return False
        return _print(facts) in self._prints

    def _looks_beyond(self, facts: Facts) -> bool:
        """Tell whether nothing said that the page just asked for has to bring rows."""
        if not facts.rows or self._last is None:
            return False
        return len(self._rows) >= self._totals[-1] if self._totals else facts.total is None

    def _stands_still(self, facts: Facts) -> bool:
        """Take note of an answer that repeats a page; tell whether it ends the pull."""
        if self._totals:
            return True
        rows = len(facts.rows)
        if len(self._breaks) == 1 and rows == self._paging.size:
            raise self._standstill()  # as many rows as asked for, and the next ones cannot be asked for
        if len(self._breaks) == 1 and rows in USUAL_SIZES and not self._confirms(rows):
            raise DeliveryCorrupt(
                f"接口“{self._paging.label}”重复返回同样的 {rows} 行，可能每次只给 {rows} 行而不理会分页参数；"
                "请核对分页参数，若这就是全部记录请改用 paging: none"
            )
        if not self._repeated and _print(facts) not in self._ends:
            raise self._standstill()  # what lies beyond the end is the first page, or the last: this is neither
        self._repeated.append(rows)
        return len(self._repeated) == _REPEATS

    def _standstill(self) -> DeliveryCorrupt:
        number = len(self._breaks) + len(self._repeated) + 1
        return DeliveryCorrupt(f"接口“{self._paging.label}”重复返回第 {number} 页，分页参数可能无效")

    def _take(self, facts: Facts) -> bool:
        """Keep a page; tell whether it was the last."""
        is_timed = self._paging.style == "time"
        if facts.rows and not is_timed and (self._repeated or (self._last and facts.rows == self._last.rows)):
            raise self._standstill()
        overlap = self._overlap() if self._last and not self._repeated else 0
        known, new = facts.rows[:overlap], facts.rows[overlap:]
        self._shifted |= known != self._rows[len(self._rows) - overlap :]
        ended = self._is_last(facts, new)
        self._last = facts
        self._hints = merged([self._hints, facts.hints])
        self._rows.extend(facts.rows if self._shifted else new)
        self._breaks.append(len(self._rows))
        self._filled += bool(facts.rows)
        self._largest = max(self._largest, len(facts.rows))
        self._note_print(facts, is_timed=is_timed)
        # A page without rows beyond the end may say anything.
        if facts.total is not None and (facts.rows or not self._totals):
            self._note_total(facts.total, len(facts.rows))
        return ended

    def _note_print(self, facts: Facts, *, is_timed: bool) -> None:
        made = _print(facts)
        self._again |= made in self._prints and len({*facts.rows}) > 1 and not is_timed
        self._prints.add(made)
        self._ends = (self._ends[0] or made, made) if facts.rows else self._ends

    def _note_total(self, total: int, rows: int) -> None:
        self._totals.append(total)
        self._own &= total == rows
        self._running &= total == len(self._rows)
        if self._own and len(self._totals) > 1 and self._paging.style != "time":
            raise DeliveryCorrupt(
                f"接口“{self._paging.label}”的总行数总是等于本页的行数，不能作为全部记录的行数；请核对合同中的 total"
            )

    def _overlap(self) -> int:
        return min(self._paging.overlap_rows, len(self._rows)) if self._paging.style == "offset" else 0

    def _is_last(self, facts: Facts, new: "array[int]") -> bool:
        style = self._paging.style
        if style == "cursor":
            return self._cursor_ends(facts, facts.next)
        if style == "link":
            following = urljoin(self._cursor or self._paging.path, facts.next) if facts.next else None
            return self._cursor_ends(facts, following)
        if self._paging.is_single or not new or self._shifted:
            return True
        # Without a total an empty page is the end: a short one may be all that the server gives at once, or have lost
        # rows to a filter. Rows that came twice do not count.
        if facts.total is None or len(facts.rows) >= self._largest or facts.hints.more:
            return False
        return len(self._rows) + len(new) >= facts.total and self._counted(new) >= facts.total

    def _cursor_ends(self, facts: Facts, following: str | None) -> bool:
        paging = self._paging
        what = "链接" if paging.style == "link" else "游标"
        if following in self._cursors:
            raise DeliveryCorrupt(f"接口“{paging.label}”的下一页{what}没有前进；已停止")
        is_full = paging.size_param and len(facts.rows) >= paging.size > 0
        if is_full and not facts.has_next and not self._breaks and not self._confirms(len(facts.rows), facts):
            raise DeliveryCorrupt(
                f"接口“{paging.label}”的第一页已满 {len(facts.rows)} 行，回答中却没有下一页{what}“{paging.next}”；"
                "请核对合同中的 next；若对方在最后一页省去它，请声明 total"
            )
        self._came_by, self._told_next = self._cursor, self._told_next or following is not None
        self._cursors |= {following} if following else set()
        self._cursor = following
        return following is None

    def _confirms(self, rows: int, facts: Facts | None = None) -> bool:
        """Tell whether what stands beside the rows says that so many are all."""
        hints = facts.hints if facts else self._hints
        total = facts.total if facts else None
        return hints.done or rows in (total, hints.total[1] if hints.total else None)

    def _counted(self, more: "array[int] | None" = None) -> int:
        """Count the rows, those that came on more than one page once (with a key: equal keys once)."""
        pages = np.split(_numbers(self._rows), self._breaks)[: len(self._breaks)]
        pages += [_numbers(more)] if more is not None else []
        if not pages:
            return 0
        distinct = int(np.unique(np.concatenate(pages)).size)
        if self._paging.has_key:
            return distinct
        return sum(page.size for page in pages) - sum(int(np.unique(page).size) for page in pages) + distinct

    def trouble(self) -> Trouble | None:
        """Say why the rows may not be all, or not those of one moment."""
        label, received, counted = self._paging.label, len(self._rows), self._counted()
        if part := self._hints.part:
            said = (
                f"接口“{label}”的回答带有 {part}，说明没有给全；请稍后重试或向对方核实，若它另有所指，请列入 not_paging"
            )
            return Trouble(said, False)
        if self._shifted:
            return Trouble(f"接口“{label}”的记录在拉取过程中移位，前后页接不上", False)
        if self._paging.style == "time":
            return self._short(max(self._totals, default=0), counted) or self._contradicted(counted)
        if len(set(self._totals)) > 1:
            changes = [str(total) for total, _ in groupby(self._totals)]
            steps = "由 " + " 变为 ".join(changes if len(changes) < 5 else [*changes[:2], "…", changes[-1]])
            if self._running:
                return Trouble(f"接口“{label}”的总行数{steps}，总是等于已收到的行数；请核对合同中的 total", False)
            return Trouble(f"接口“{label}”的总行数在拉取过程中{steps}，数据一直在变化", False)
        if self._repeated and self._last and not self._last.rows and not self._paging.overlap_rows:
            return Trouble(f"接口“{label}”重复了前面的一页，其后的一页却是空的，可能来自缓存，缺的记录没有收到", False)
        if self._again and counted not in self._totals[-1:]:
            return Trouble(f"接口“{label}”有两页的记录完全相同，可能来自缓存，缺的记录没有收到", False)
        twice = received - counted
        if not self._totals:
            again = Trouble(f"接口“{label}”有 {twice} 行在不同页重复出现，可能另有遗漏", True) if twice else None
            return self._contradicted(received) or again
        announced = self._totals[-1]
        if announced == counted:
            return (
                None if self._paging.style in ("page", "offset") and self._paging.size else self._contradicted(received)
            )
        short = f"接口“{label}”声明共 {announced} 行，实际收到 {received} 行"
        if twice:
            short += f"（其中 {twice} 行重复）"
        forgiven = received == announced and not self._paging.has_key
        return Trouble(f"{short}；数据可能在拉取过程中变化，请重试", forgiven)

    def _short(self, announced: int, counted: int) -> Trouble | None:
        said = f"接口“{self._paging.label}”声明共 {announced} 行，实际收到 {counted} 行"
        return Trouble(f"{said}；数据可能在拉取过程中变化，请重试", False) if announced > counted else None

    def _contradicted(self, received: int) -> Trouble | None:
        """Say what beside the rows tells of more than came."""
        paging, hints = self._paging, self._hints
        pages = hints.pages if paging.style != "time" else None
        said = None
        if hints.total and hints.total[1] > received:
            said = f"{hints.total[0]}={hints.total[1]}"
        elif hints.more and not (paging.asks_beyond and self._last and self._last.rows):
            said = hints.more
        elif pages and pages[1] > max(1, self._filled) and not (paging.asks_beyond and self._confirms(received)):
            said = f"{pages[0]}={pages[1]}"
        if said is None:
            return None
        return Trouble(
            f"接口“{paging.label}”的回答带有 {said}，而只收到 {self._filled} 页、{received} 行，可能没有取完；"
            "请核对合同中的 paging、first_page、total 与 next，若它与分页无关，请列入 not_paging",
            False,
        )

    def seen(self) -> tuple[bytes, tuple[int, ...], tuple[int, ...]]:
        """Return what a second pass is compared by."""
        return self._rows.tobytes(), tuple(self._breaks), tuple(self._totals)


def _print(facts: Facts) -> bytes:
    """Digest a page whatever the order of its rows: asked for beyond the end, it may be given in another."""
    return blake2b(np.sort(_numbers(facts.rows)).tobytes(), digest_size=16).digest()


def _numbers(rows: "array[int]") -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    # A copy: an array that numpy looks at cannot grow.
    return np.frombuffer(rows.tobytes(), dtype=np.uint64)
