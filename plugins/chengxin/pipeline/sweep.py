"""Remove what killed runs left behind."""

import os
import shutil
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from chengxin.errors import CommitConflict
from chengxin.home import Home
from chengxin.pipeline import at_home
from chengxin.records import journal
from chengxin.store import atomic, lock, privacy, scratch


@at_home.linking
def tidy(home: Home) -> int:
    """Remove what killed runs left: half-written files, spill, links that no account names. Return how many.

    What another process is busy with is left alone: it holds the lock of its data set, or of its scratch folder.
    """
    layout = home.layout
    privacy.close(layout.home)
    removed = scratch.sweep(layout.work)
    for folder in sorted((layout.home / "batches").glob("*")):
        busy = lock.held(layout, f"dataset-{folder.name}", seconds=0)
        with suppress(CommitConflict), busy, lock.held(layout, "registry"):
            removed += _sweep(folder, {(a.batch_id, a.revision) for a in journal.accounts(layout).of(folder.name)})
    with lock.held(layout, "registry"):
        return removed + atomic.sweep(layout.journal)


def _sweep(folder: Path, known: Collection[tuple[str, int]]) -> int:
    """Delete what is half-written below a data set's batches, and links that no account names. Return how many.

    known: batch and revision of all accounts. Inside the folders of an admitted batch nobody writes any more, so only
    what lies beside them is looked at.
    """
    removed = atomic.sweep(folder, deep=False)
    for batch in [e for e in os.scandir(folder) if e.is_dir()]:
        inside = os.listdir(batch)  # noqa: PTH208  of as many folders as there are batches
        stray = [n for n in inside if n.startswith("links-") and (batch.name, int(n[6:])) not in known]
        for name in stray:
            shutil.rmtree(folder / batch.name / name)
        deep = (batch.name, 0) not in known
        if deep or any(name.startswith(atomic.BUILDING) for name in inside):
            removed += atomic.sweep(folder / batch.name, deep=deep)
        removed += len(stray)
    return removed
