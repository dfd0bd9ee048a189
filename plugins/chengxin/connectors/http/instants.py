"""Paging by time stamp: each page is asked for from the newest stamp that came.

Only order and an inclusive filter rule out a gap, and only an answer that brings nothing newer is the end: a short page
may be all that a server gives at once.
"""

from itertools import pairwise

from chengxin.connectors.http.pages import Facts
from chengxin.connectors.http.paging import USUAL_SIZES
from chengxin.errors import DeliveryCorrupt


class Moments:
    """The walk along the time stamps of one stretch. cursor: the stamp to ask from next, as it is spelled."""

    def __init__(self, label: str, size: int) -> None:
        self.cursor: str | None = None
        self._label, self._size = label, size
        self._last: Facts | None = None
        self._largest = 0  # rows of a page
        self._single = True  # the first page is the only one that brought rows

    def take(self, facts: Facts) -> tuple[bool, bool]:
        """Take note of a page; tell whether it brings anything new, and whether it is the last.

        Raises DeliveryCorrupt where rows may be left out.
        """
        last = self._last
        if not facts.rows and last is None:
            return False, True
        self._check(facts)
        is_new = last is None or facts.times[-1] != self.cursor or not {*facts.rows} <= {*last.rows}
        if last is not None and facts.times[-1] == self.cursor and self._may_be_cut(facts, is_new=is_new):
            raise DeliveryCorrupt(
                f"接口“{self._label}”同一时间戳的记录可能超过一页（{len(facts.rows)} 行）；"
                "请增大 page_size，或在合同中声明 total，或改用其他分页方式"
            )
        is_last = facts.times[-1] == self.cursor
        self._single &= last is None or not is_new
        self._largest = max(self._largest, len(facts.rows))
        self.cursor, self._last = facts.times[-1], facts
        return is_new, is_last

    def _check(self, facts: Facts) -> None:
        order = [_rank(time) for time in facts.times]
        if "" in facts.times or any(a > b for a, b in pairwise(order)):
            raise DeliveryCorrupt(f"接口“{self._label}”的记录没有按时间戳升序排列（或缺少时间戳），无法按时间分页")
        if self._last and (not facts.times or facts.times[0] != self.cursor):
            raise DeliveryCorrupt(
                f"接口“{self._label}”按“晚于”而不是“不早于”筛选时间戳，同一时刻的记录可能遗漏；请改用其他分页方式"
            )

    def _may_be_cut(self, facts: Facts, *, is_new: bool) -> bool:
        """Tell whether a page of one stamp may be as much as the server gives at once."""
        rows = len(facts.rows)
        if self._single and not is_new:
            # The first page came once more: a load of one stamp, unless it is just as long as pages usually are.
            told = {facts.total, facts.hints.total[1] if facts.hints.total else None}
            return rows >= self._size or (rows in USUAL_SIZES and rows not in told and not facts.hints.done)
        return rows >= min(self._size, self._largest)


def _rank(time: str) -> tuple[int, str]:
    """Order epoch numbers as numbers, other spellings as text."""
    return (len(time), time) if time.isdigit() else (0, time)
