"""How many refused rows of each batch are still open, as its newest answer to the department tells."""

import hashlib
import os
import sqlite3
from pathlib import Path

from chengxin.operations.index.answers import RECEIPT
from chengxin.operations.index.files import folders, read_json, stamp

_MARK = "answered.json"  # written anew when all batches of a data set have their answer; says for which state


def follow(connection: sqlite3.Connection, home: Path) -> set[tuple[str, str]]:
    """Bring the open rows up to date; return the (data set, day) pairs that changed."""
    root, changed = f"{home}/feedback", set[tuple[str, str]]()
    known = {row[0]: (row[1], row[2]) for row in connection.execute("SELECT dataset, stamp, digest FROM answered")}
    for dataset in folders(root):
        mark = f"{root}/{dataset}/{_MARK}"
        now = f"{stamp(mark)} {stamp(f'{root}/{dataset}')}"
        before, digest = known.get(dataset, ("", ""))
        if now == before:
            continue
        told = _digest(mark)
        if not told or told != digest:
            changed |= _read(connection, f"{root}/{dataset}", dataset)
        connection.execute("INSERT OR REPLACE INTO answered VALUES (?, ?, ?)", (dataset, now, told))
    return changed


def _digest(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return ""


def _read(connection: sqlite3.Connection, folder: str, dataset: str) -> set[tuple[str, str]]:
    """Look for newer answers to the batches of a data set that refused rows."""
    changed = set()
    batches = connection.execute(
        "SELECT batch_id, day, answer FROM batch WHERE dataset = ? AND state = 'admitted' AND quarantined > 0",
        (dataset,),
    ).fetchall()
    for batch_id, day, known in batches:
        newest = _newest(f"{folder}/{batch_id}")
        if newest is None or newest == known:
            continue
        body = read_json(f"{folder}/{batch_id}/{newest}/{RECEIPT}")
        refused = (body or {}).get("refused") or {}
        if "open" in refused:
            connection.execute(
                "UPDATE batch SET answered_open = ?, answer = ? WHERE dataset = ? AND batch_id = ?",
                (refused["open"], newest, dataset, batch_id),
            )
            changed.add((dataset, day))
    return changed


def _newest(folder: str) -> str | None:
    try:
        names = os.listdir(folder)  # noqa: PTH208  of as many folders as there are batches
        return max((name for name in names if name.isdigit()), key=int, default=None)
    except OSError:
        return None
