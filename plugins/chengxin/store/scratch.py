"""Scratch folders that live as long as their process: a lock on the folder tells a live one from what a kill left."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch(work: Path) -> Iterator[Path]:
    """Give a fresh folder below `work`, locked while in use and deleted afterwards."""
    while True:
        work.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=work))
        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():  # else it was swept before it was locked
            break
        os.close(lock)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def sweep(work: Path) -> int:
    """Delete the scratch folders of processes that are gone. Return how many."""
    removed = 0
    for folder in sorted(work.iterdir()) if work.is_dir() else ():
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(folder) if folder.is_dir() else folder.unlink(missing_ok=True)
            removed += 1
        finally:
            os.close(lock)
    return removed
