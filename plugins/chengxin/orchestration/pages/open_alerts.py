"""The open alerts of the book, for the overview."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from chengxin.operations.alerts.book import Book, Entry
from chengxin.orchestration.paths import PREFIX
from chengxin.store.layout import Layout


@dataclass(frozen=True)
class Open:
    """One open alert. href: where to look, below Airflow's address; ours: that page is one of ours."""

    id: str
    kind: str
    about: str
    title: str
    department: str
    text: str
    since: str
    times: int
    items: tuple[str, ...]
    href: str

    @property
    def ours(self) -> bool:
        """Return whether the page to look at is one of ours, and not Airflow's."""
        return self.href.startswith(f"{PREFIX}/")


def open_alerts(layout: Layout, only: Collection[str] | None = None) -> list[Open]:
    """Return what is open. only: the data sets that the reader may see; alerts about others are left out."""
    folder = layout.home / "alerts" / "open"
    try:
        changed = folder.stat().st_mtime_ns
    except FileNotFoundError:
        return []
    return [one for one in _read(layout.home, changed) if only is None or one.about in only]


@lru_cache(maxsize=4)
def _read(home: Path, _changed: int) -> tuple[Open, ...]:
    """Read the book once for each state of its folder: every change of it renames a file."""
    return tuple(_shown(entry) for entry in Book(Layout(home)).open_entries())


def _shown(entry: Entry) -> Open:
    cause = entry.cause
    return Open(
        entry.id, cause.kind, cause.about, cause.title or cause.about, cause.department, cause.text,
        entry.opened_at, entry.times, entry.items, cause.page,
    )  # fmt: skip
