"""What is open: one small JSON file for each cause below `<home>/alerts/open/`; what is over lies in `closed/`.

A cause that is open is only counted when it is met again. Whoever writes holds the lock `alerts`. A file leaves `open/`
when the cause is over and every channel that spoke of it has said so.
"""

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from chengxin.operations.alerts.causes import Cause
from chengxin.store import atomic, lock
from chengxin.store.layout import Layout

LOCK = "alerts"
WAIT_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A cause in the book. Instants are ISO 8601. items: the batches concerned. closed_by: a name, or "" for Chengxin.

    told: channel -> what it was told last ("opened", "reminded", "closed") and when.
    """

    id: str
    cause: Cause
    opened_at: str
    seen_at: str
    times: int = 1
    items: tuple[str, ...] = ()
    closed_at: str | None = None
    closed_by: str = ""
    told: dict[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Entry":
        """Rebuild from `as_json`."""
        told = {name: (what, at) for name, (what, at) in data["told"].items()}
        return cls(**{**data, "cause": Cause(**data["cause"]), "items": tuple(data["items"]), "told": told})

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


class Book:
    """The open causes of a home."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._open, self._closed = layout.home / "alerts" / "open", layout.home / "alerts" / "closed"

    def entries(self) -> list[Entry]:
        """Return all causes that are open, or over and not yet told so, the oldest first."""
        found = []
        for path in sorted(self._open.glob("[!.]*.json")) if self._open.is_dir() else ():
            try:
                found.append(Entry.from_json(atomic.read_json(path)))
            except FileNotFoundError:
                continue  # another process has just put it away
        return sorted(found, key=lambda e: (e.opened_at, e.id))

    def open_entries(self) -> list[Entry]:
        """Return the causes that are open."""
        return [e for e in self.entries() if e.closed_at is None]

    def open(self, cause: Cause, now: datetime) -> Entry:
        """Enter a cause, or count it once more where it is open; the text is the newest."""
        with self._locked():
            known, at = self._known(cause.id), now.isoformat()
            items = (*known.items, cause.item) if known else (cause.item,)
            items = tuple(dict.fromkeys(item for item in items if item))
            if known and known.closed_at is None:
                entry = replace(known, cause=cause, seen_at=at, times=known.times + 1, items=items)
            else:
                # over, but not yet said everywhere: to those channels it never was over
                told = {n: t for n, t in known.told.items() if t[0] != "closed"} if known else {}
                entry = Entry(
                    id=cause.id,
                    cause=cause,
                    opened_at=at,
                    seen_at=at,
                    items=tuple(i for i in (cause.item,) if i),
                    told=told,
                )
            self._write(entry)
            return entry

    def close(self, which: Callable[[Entry], bool], now: datetime, by: str = "") -> list[Entry]:
        """Close the open causes that `which` picks."""
        if not any(which(e) for e in self.open_entries()):
            return []
        with self._locked():
            done = [replace(e, closed_at=now.isoformat(), closed_by=by) for e in self.open_entries() if which(e)]
            for entry in done:
                self._write(entry)
            return done

    def settle(self, kind: str, causes: Collection[Cause], now: datetime) -> None:
        """Make the open causes of a kind exactly these: all that there is of it was looked at."""
        for cause in causes:
            self.open(cause, now)
        left = {cause.id for cause in causes}
        self.close(lambda e: e.cause.kind == kind and e.id not in left, now)

    def drop_items(self, kind: str, items: Collection[str], now: datetime, by: str = "") -> None:
        """Take batches off the causes of a kind; close those that concern no other."""
        concerned = [e for e in self.open_entries() if e.cause.kind == kind and set(e.items) & set(items)]
        if not concerned:
            return
        with self._locked():
            for entry in self.open_entries():
                if entry.cause.kind == kind and set(entry.items) & set(items):
                    self._write(replace(entry, items=tuple(i for i in entry.items if i not in items)))
        self.close(lambda e: e.id in {c.id for c in concerned} and not e.items, now, by)

    def record_notice(self, entry_id: str, channel: str, what: str, now: datetime) -> None:
        """Note what a channel was told; put the cause away when it is over and nothing is left to say."""
        with self._locked():
            entry = self._known(entry_id)
            if entry is None:
                return
            entry = replace(entry, told={**entry.told, channel: (what, now.isoformat())})
            self._write(entry)

    def put_away(self, entry_id: str) -> None:
        """Move a cause that is over out of the way."""
        with self._locked():
            entry = self._known(entry_id)
            if entry and entry.closed_at:
                atomic.write_json(self._closed / f"{entry_id}.json", entry.as_json())
                (self._open / f"{entry_id}.json").unlink()

    def _known(self, entry_id: str) -> Entry | None:
        path = self._open / f"{entry_id}.json"
        return Entry.from_json(atomic.read_json(path)) if path.exists() else None

    def _write(self, entry: Entry) -> None:
        atomic.write_json(self._open / f"{entry.id}.json", entry.as_json())

    def _locked(self) -> Any:
        return lock.held(self._layout, LOCK, seconds=WAIT_SECONDS)

    @property
    def folder(self) -> Path:
        """Return where the book lies."""
        return self._open.parent
