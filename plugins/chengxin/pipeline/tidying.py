"""Remove what killed runs left behind."""

import shutil
from contextlib import suppress
from pathlib import Path

from chengxin.dataset import journal
from chengxin.errors import CommitConflict
from chengxin.settings import Settings
from chengxin.store import atomic, lock, scratch
from chengxin.store.layout import Layout


def tidy(settings: Settings) -> int:
    """Remove what killed runs left: half-written files, spill, links that no account names. Return how many.

    What another process is busy with is left alone: it holds the lock of its data set, or of its scratch folder.
    """
    layout = Layout(settings.home)
    removed = scratch.sweep(layout.work)
    for folder in sorted((layout.home / "batches").glob("*")):
        busy = lock.held(layout, f"dataset-{folder.name}", seconds=0)
        with suppress(CommitConflict), busy, lock.held(layout, "registry"):
            removed += _stray_links(layout, folder) + atomic.sweep(folder)
    with lock.held(layout, "registry"):
        return removed + atomic.sweep(layout.journal)


def _stray_links(layout: Layout, folder: Path) -> int:
    known = {(a.batch_id, a.revision) for a in journal.admissions(layout)}
    stray = [p for p in folder.glob("*/links-*") if (p.parent.name, int(p.name[6:])) not in known]
    for path in stray:
        shutil.rmtree(path)
    return len(stray)
