"""Which page to ask for next, when a pull is at its end, and whether what came can be complete.

A walk is a function of the pages alone: given the same pages again it asks for the same ones, so a pull that was cut
short goes on from the pages that it kept.
"""

from collections.abc import Iterator
from datetime import datetime

from chengxin.connectors.http.pages import Facts
from chengxin.connectors.http.paging import Paging, Trouble
from chengxin.connectors.http.window import Window
from chengxin.errors import DeliveryCorrupt


class Walk:
    """One pass over all pages of a pull."""

    def __init__(self, paging: Paging) -> None:
        self._paging = paging
        self._windows: Iterator[tuple[datetime | None, datetime | None]] = iter(paging.windows())
        self._state = Window(paging, *next(self._windows))
        self._past: list[Window] = []
        self.pages = 0
        self.rows = 0
        self.has_list = False  # a page told by a list, be it empty, which rows there are
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
        is_new, is_last = self._state.add(facts)
        self.rows += len(facts.rows) if is_new else 0
        self.has_list |= facts.has_list
        if is_last:
            self._past.append(self._state)
            following = next(self._windows, None)
            self.is_done = following is None
            if following:
                self._state = Window(self._paging, *following)
        if not self.is_done and self.pages >= self._paging.max_pages:
            raise DeliveryCorrupt(f"接口“{self._paging.label}”超过 {self._paging.max_pages} 页仍未结束")
        return is_new

    def before(self) -> dict[str, str | int] | None:
        """Return the parameters of the page before the first one, None where it need not be asked for."""
        return self._past[0].before()

    def after(self) -> Iterator[tuple[Window, dict[str, str | int], str | None]]:
        """Yield how to ask again where nothing but a page itself told that a stretch was at its end."""
        return ((window, *again) for window in self._past for again in window.after())

    def lacks(self, facts: Facts) -> bool:
        """Tell whether the page before the first one brings rows, and none of those that came."""
        return self._past[0].lacks(facts)

    def is_satisfied(self) -> bool:
        """Tell whether all rows that were announced came, so that a refusal of the next page shows the end."""
        return self._state.is_satisfied()

    def trouble(self) -> Trouble | None:
        """Return what is wrong with a finished pass, the first thing that cannot be forgiven before others."""
        found = [trouble for window in self._past if (trouble := window.trouble())]
        return min(found, key=lambda trouble: trouble.forgiven, default=None)

    def same_rows(self, other: "Walk") -> bool:
        """Tell whether two finished passes saw the very same rows on the same pages."""
        return [w.seen() for w in self._past] == [w.seen() for w in other._past]
