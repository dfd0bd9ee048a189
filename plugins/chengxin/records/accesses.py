"""Who was shown personal values: an append-only journal, written before anything is shown."""

from collections.abc import Sequence
from datetime import datetime

from chengxin.errors import CommitConflict
from chengxin.store import journal
from chengxin.store.layout import Layout

_TRIES = 20


def enter(layout: Layout, *, at: datetime, by: str, what: str, subjects: Sequence[int], snapshot: str) -> None:
    """Enter who is shown what: the command, subject ids and snapshot; never a value. Raises OSError when it cannot."""
    entry = {"at": at.isoformat(), "by": by, "what": what, "subjects": list(subjects), "snapshot": snapshot}
    for last in range(_TRIES):
        number = max((int(p.stem) for p in layout.accesses.glob("[0-9]*.json")), default=-1) + 1
        try:
            journal.append(layout.accesses, number, entry)
        except CommitConflict:  # another process took the number
            if last == _TRIES - 1:
                raise
        else:
            return
