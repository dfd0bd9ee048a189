"""Remove what killed runs left behind."""

import shutil
from contextlib import suppress
from pathlib import Path

from chengxin.dataset import journal
from chengxin.errors import CommitConflict
from chengxin.pipeline import at_home
from chengxin.settings import Settings
from chengxin.store import atomic, lock, privacy, scratch
from chengxin.store.layout import Layout


@at_home.linking
def tidy(settings: Settings) -> int:
    """Remove what killed runs left: half-written files, spill, links that no account names. Return how many.

    What another process is busy with is left alone: it holds the lock of its data set, or of its scratch folder.
    """
    layout = Layout(settings.home)
    privacy.close(layout.home)
    removed = scratch.sweep(layout.work)
    known: set[tuple[str, int]] = set()
    order = 0
    for folder in sorted((layout.home / "batches").glob("*")):
        busy = lock.held(layout, f"dataset-{folder.name}", seconds=0)
        with suppress(CommitConflict), busy, lock.held(layout, "registry"):
            order = _follow(layout, known, order)
            removed += _stray_links(layout, folder, known) + atomic.sweep(folder)
    with lock.held(layout, "registry"):
        return removed + atomic.sweep(layout.journal)


def _follow(layout: Layout, known: set[tuple[str, int]], order: int) -> int:
    """Take the accounts from `order` on into `known` (batch, revision); return the order of the next one."""
    while (path := layout.journal / f"{order:08d}.json").exists():
        entry = atomic.read_json(path)
        known.add((entry["batch_id"], entry["revision"]))
        order += 1
    return order


def _stray_links(layout: Layout, folder: Path, known: set[tuple[str, int]]) -> int:
    """Delete links that no account names. A journal with a gap is no reason to delete: reading it whole raises."""
    stray = [p for p in folder.glob("*/links-*") if (p.parent.name, int(p.name[6:])) not in known]
    if stray:
        journal.admissions(layout)
    for path in stray:
        shutil.rmtree(path)
    return len(stray)
