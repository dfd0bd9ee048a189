"""Expiry of published snapshots: which may go, what that frees, and taking them away.

Kept are those of the last days, because a reader may be at work on one, and the last one of each of the last months;
what older ones had the history of the current one tells. Kept always: the current snapshot and the one before, the
government snapshot from which a kept open one was derived, and those marked as damaged (evidence). Files that a kept
snapshot holds too are hard links of the same bytes: only what nobody holds any more is freed.
"""

import shutil
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from chengxin.clock import SHANGHAI, Clock
from chengxin.settings import Retention
from chengxin.store import atomic, lock, pointer
from chengxin.store.layout import ASSEMBLY, Layout
from chengxin.store.manifest import Manifest

TIERS = ("open", "government", "authorised")  # the open tier says which of the government's must stay


@dataclass(frozen=True)
class Expiry:
    """What expires, or did. snapshots: (tier, id), oldest first; freed: bytes that nobody holds any more."""

    snapshots: tuple[tuple[str, str], ...]
    kept: int
    freed: int
    done: bool


def expire(layout: Layout, retention: Retention, clock: Clock, *, dry_run: bool = True, linked: bool = True) -> Expiry:
    """Find the snapshots that expire; unless `dry_run`, take them away, each at once for every reader.

    linked: snapshots share the bytes of the same file, as on a disk; in an object store each has its own. Waits for a
    publication under way; the publication lock is held while anything is deleted.
    """
    if dry_run:
        return _expire(layout, retention, clock, delete=False, linked=linked)
    with ExitStack() as held:
        for name in ("publish", *(f"publish-{tier}" for tier in TIERS)):
            held.enter_context(lock.held(layout, name))
        return _expire(layout, retention, clock, delete=True, linked=linked)


def forget(layout: Layout) -> None:
    """Take away all assemblies but the current one and the one before: nobody reads older ones, and tiers are kept."""
    now = pointer.load(layout, ASSEMBLY)
    for manifest in _readable(layout, ASSEMBLY) if now else ():
        if now and manifest.sequence < now.sequence and manifest.snapshot_id != now.previous:
            remove(layout.snapshot(ASSEMBLY, manifest.snapshot_id))


def _expire(layout: Layout, retention: Retention, clock: Clock, *, delete: bool, linked: bool) -> Expiry:
    going: list[tuple[str, str]] = []
    needed: set[str] = set()
    kept = 0
    for tier in TIERS:
        present = _readable(layout, tier)
        staying = _staying(layout, tier, present, retention, clock) | (needed & {m.snapshot_id for m in present})
        needed |= {m.basis.government for m in present if m.snapshot_id in staying and m.basis.government}
        going += [(tier, m.snapshot_id) for m in present if m.snapshot_id not in staying]
        kept += len(pointer.snapshot_ids(layout, tier)) - sum(t == tier for t, _ in going)
    freed = _freed([layout.snapshot(tier, name) for tier, name in going], linked)
    if delete:
        for tier, name in going:
            remove(layout.snapshot(tier, name))
    return Expiry(tuple(going), kept, freed, delete)


def _readable(layout: Layout, tier: str) -> list[Manifest]:
    """Return the manifests of a tier, oldest first, without damaged snapshots: those are never touched."""
    found = []
    for name in pointer.snapshot_ids(layout, tier):
        folder = layout.snapshot(tier, name)
        if not (folder / pointer.MARK).exists():
            try:
                found.append(pointer.read_manifest(folder))
            except ValueError:
                continue
    return sorted(found, key=lambda m: (m.sequence, m.snapshot_id))


def _staying(layout: Layout, tier: str, present: list[Manifest], retention: Retention, clock: Clock) -> set[str]:
    try:
        now = pointer.load(layout, tier)
    except ValueError:
        now = None
    if retention.days is None or now is None:
        return {m.snapshot_id for m in present}  # without a sound pointer nothing is certain
    young = clock.now() - timedelta(days=retention.days)
    first = _month(clock.today()) - retention.months + 1
    ends = {_month(m.created_at.astimezone(SHANGHAI).date()): m.snapshot_id for m in present}
    staying = {m.snapshot_id for m in present if m.sequence >= now.sequence or m.created_at > young}
    staying |= {now.snapshot_id, now.previous or ""}
    return staying | {name for month, name in ends.items() if month >= first}


def _month(day: date) -> int:
    return day.year * 12 + day.month


def _freed(folders: list[Path], linked: bool) -> int:
    """Return how many bytes go: of the files all of whose links lie in these folders; of all where none are linked."""
    if not linked:
        return sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())
    links: Counter[tuple[int, int]] = Counter()
    facts: dict[tuple[int, int], tuple[int, int]] = {}
    for folder in folders:
        for path in folder.rglob("*"):
            found = path.stat()
            if path.is_file():
                key = (found.st_dev, found.st_ino)
                links[key] += 1
                facts[key] = (found.st_size, found.st_nlink)
    return sum(size for key, (size, held) in facts.items() if links[key] >= held)


def remove(folder: Path) -> None:
    """Take a snapshot away: at once by its name, then file by file; what a kill leaves the next publication sweeps."""
    going = folder.with_name(f"{atomic.BUILDING}expired-{folder.name}")
    folder.rename(going)
    atomic.fsync_folder(folder.parent)
    shutil.rmtree(going)
