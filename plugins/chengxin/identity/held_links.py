"""What a data set, and the others of its group of routes, had linked before one batch: admissions and their files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from chengxin.facts import Admission, Batch
from chengxin.identity.conflicts.near_duplicates import Route
from chengxin.state.accounts import Accounts
from chengxin.store.layout import Layout


def link_files(layout: Layout, admissions: Sequence[Admission], name: str) -> list[Path]:
    """Return the existing `<name>.parquet` of these admissions' links folders."""
    files = (layout.links(a.dataset, a.batch_id, a.revision) / f"{name}.parquet" for a in admissions)
    return [f for f in files if f.exists()]


@dataclass(frozen=True)
class HeldLinks:
    """The links that stand before `batch` takes the place `order` in the journal.

    group: the name of the group of routes; None where the data set is in none.
    """

    layout: Layout
    accounts: Accounts
    batch: Batch
    order: int
    group: str | None

    @cached_property
    def batch_order(self) -> int:
        """The place of the batch's first admission in the journal."""
        return next((a.order for a in self._mine if a.batch_id == self.batch.batch_id), self.order)

    @cached_property
    def batches(self) -> dict[int, str]:
        """The batches by their place in the journal."""
        known = {a.order: a.batch_id for a in (*self._mine, *self._by_routes) if a.revision == 0}
        return known | {self.batch_order: self.batch.batch_id}

    def rows(self) -> int:
        """Return how many rows the data set's batches brought, counted without opening a file."""
        return sum(a.accepted + a.duplicate for a in {a.batch_id: a for a in self._mine}.values())

    def files(self, name: str, batch_id: str | None = None) -> list[Path]:
        """Return the existing `<name>.parquet` of all revisions of the data set's batches, or of one batch."""
        if name not in self._found:
            paths = (
                (a.batch_id, self.layout.links(a.dataset, a.batch_id, a.revision) / f"{name}.parquet")
                for a in self._mine
            )
            self._found[name] = [(batch, path) for batch, path in paths if path.exists()]
        return [path for batch, path in self._found[name] if batch_id in {None, batch}]

    def standard(self, batch_id: str) -> list[Path]:
        """Return the standard files of a batch of the data set or of its group."""
        by_routes = {a.batch_id: a.dataset for a in self._by_routes}
        dataset = by_routes.get(batch_id, self.batch.dataset)
        return sorted(self.layout.standard(dataset, batch_id).glob("standard-*.parquet"))

    def routes(self) -> list[Route]:
        """Return what the other data sets of the group hold."""

        def files(of: str, name: str) -> list[Path]:
            return link_files(self.layout, [a for a in self._by_routes if a.dataset == of], name)

        return [
            Route(linked=files(of, "linked"), withdrawn=files(of, "withdrawn"), reopened=files(of, "reopened"))
            for of in sorted({a.dataset for a in self._by_routes})
        ]

    def newer_full(self) -> Admission | None:
        """Return the newest full delivery of the data set if it is newer than this batch."""
        place: dict[str, tuple[datetime, int, Admission]] = {}
        for a in self._mine:
            if a.mode == "full" and a.batch_id != self.batch.batch_id:
                place.setdefault(a.batch_id, (datetime.fromisoformat(a.as_of), a.order, a))
        newest = max(place.values(), key=lambda p: p[:2], default=None)
        return newest[2] if newest and newest[:2] > (self.batch.as_of, self.batch_order) else None

    @property
    def _mine(self) -> Sequence[Admission]:
        return self.accounts.of(self.batch.dataset)

    @cached_property
    def _by_routes(self) -> list[Admission]:
        if self.group is None:
            return []
        return [a for a in self.accounts.by_route(self.group) if a.dataset != self.batch.dataset]

    @cached_property
    def _found(self) -> dict[str, list[tuple[str, Path]]]:
        return {}
