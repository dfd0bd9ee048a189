"""The snapshots that are served: opened once, looked at again, damage noticed; which of them may be read at all."""

import threading
import time
from collections import OrderedDict
from pathlib import Path

from chengxin.errors import SnapshotDamaged
from chengxin.publishing.reader import Snapshot, open_snapshot
from chengxin.publishing.suppression import reissued
from chengxin.store import pointer
from chengxin.store.layout import Layout

TIERS = ("government", "open")
AGAIN = 30.0  # seconds after which a snapshot that did not change is checked again
KEPT = 8


class Unknown(Exception):
    """There is no such snapshot for this reader."""


class Superseded(Exception):
    """A snapshot was issued anew without records that legal acts took out. by: the one in its place."""

    def __init__(self, snapshot: str, by: Snapshot) -> None:
        super().__init__(snapshot)
        self.snapshot, self.by = snapshot, by


class Opened:
    """Opens snapshots of one home, for many threads. The home may be mounted for reading only."""

    def __init__(self, home: Path) -> None:
        self._layout = Layout(home)
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str | None], tuple[float, object, Snapshot]] = OrderedDict()

    def current(self, tier: str) -> Snapshot:
        """Return what readers are to have now: the newest intact one. Raise SnapshotDamaged when there is none."""
        return self._open(tier, None)

    def current_id(self, tier: str, subject_id: int) -> int:
        """Return the id that a subject has now; of the open tier, which lacks that table, by the government's."""
        try:
            return self.current("government" if tier == "open" else tier).current_id(subject_id)
        except SnapshotDamaged:
            return subject_id

    def named(self, tier: str, snapshot: str) -> Snapshot:
        """Return a named snapshot; raise Unknown, Superseded or SnapshotDamaged.

        Of the open tier only the current one: an older one still has records whose time of publicity is over.
        """
        now = self.current(tier)
        if snapshot == now.id:
            return now
        known = [now.id] if tier == "open" else pointer.snapshot_ids(self._layout, tier)
        if snapshot not in known:
            raise self._missing(tier, snapshot, known)
        return self._open(tier, snapshot)

    def _missing(self, tier: str, snapshot: str, known: list[str]) -> Exception:
        for name in (n for n in known if reissued.stem(n) == reissued.stem(snapshot)):
            by = self._open(tier, name)
            if snapshot in reissued.superseded(by.manifest):
                return Superseded(snapshot, by)
        return Unknown(snapshot)

    def ids(self, tier: str) -> list[str]:
        """Return the snapshots that may be read, newest first."""
        now = self.current(tier).id
        return [now] if tier == "open" else pointer.snapshot_ids(self._layout, tier)[::-1]

    def _open(self, tier: str, name: str | None) -> Snapshot:
        with self._lock:
            at, stamp, known = self._known.get((tier, name), (0.0, None, None))
            seen = self._stamp(tier) if name is None else None
            if known is not None and stamp == seen and time.monotonic() - at < AGAIN:
                self._known.move_to_end((tier, name))
                return known
            self._known.pop((tier, name), None)
            found = open_snapshot(self._layout.home, tier, name, mark=False)
            if known is not None and known.manifest == found.manifest and known.warnings == found.warnings:
                found = known  # keeps what it has read of its files
            self._known[tier, name] = (time.monotonic(), seen, found)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
            return found

    def _stamp(self, tier: str) -> object:
        try:
            seen = self._layout.pointer(tier).stat()
        except OSError as error:
            raise SnapshotDamaged(f"{tier} 层尚未发布任何快照") from error
        return seen.st_ino, seen.st_mtime_ns
