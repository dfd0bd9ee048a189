"""Keep the index up to date with a home, by looking only at what can have changed.

Journal entries are numbered without gaps, so the next ones are asked for by name. A data set's landing folder changes
its time when a batch arrives. Only batches without an admission are looked at again; admitted ones never change but by
a new entry of the journal. Snapshots are immutable.
"""

import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from chengxin.clock import SHANGHAI
from chengxin.serve.operators import contracts_index, index, snapshots_index
from chengxin.settings import Settings
from chengxin.store.layout import Layout

CHUNK = 2000  # batches between two commits, so that pages fill while a first index is made
SETTLED_NS = 2_000_000_000  # a folder that changed less than this before it was read is read again next time
COUNTS = ("received", "accepted", "quarantined", "duplicate", "unlinked", "withdrawn", "new_subjects")


@dataclass
class Refreshed:
    """What one refresh did: batches that are new or changed, whether another process was at it, seconds it took."""

    changed: int = 0
    busy: bool = False
    seconds: float = 0.0
    touched: set[tuple[str, str]] = field(default_factory=set)


def refresh(settings: Settings) -> Refreshed:
    """Bring the index up to date; at most one process does it at a time, the others go on with what is there."""
    started = time.perf_counter()
    path = index.path_of(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.with_suffix(".lock"), timeout=0):
            done = _refresh(settings, path)
    except Timeout:
        done = Refreshed(busy=True)
    done.seconds = time.perf_counter() - started
    return done


def _refresh(settings: Settings, path: Path) -> Refreshed:
    layout = Layout(settings.home)
    try:
        with index.writing(path) as connection:
            sound = _belongs(connection, layout)
    except sqlite3.DatabaseError:
        sound = False
    if not sound:
        index.remove(path)
    done = Refreshed()
    with index.writing(path) as connection:
        index.remember(connection, home=layout.home)
        contracts_index.follow(connection, settings.contracts)
        connection.commit()
        _follow_landing(connection, layout, done)
        _follow_journal(connection, layout, done)
        _follow_open(connection, layout, done)
        _sum_up(connection, done)
        snapshots_index.follow(connection, layout)
        if done.changed or not index.meta(connection, "complete"):
            index.remember(connection, complete=1)
            connection.execute("PRAGMA optimize")
    return done


def _belongs(connection: sqlite3.Connection, layout: Layout) -> bool:
    """Tell whether the index is of this home and of its present past (a restored backup may have a shorter journal)."""
    known = index.meta(connection, "home")
    last = int(index.meta(connection, "last_order", "-1"))
    stamp = index.meta(connection, "last_stamp")
    return known in {"", str(layout.home)} and (last < 0 or _stamp(layout.journal / f"{last:08d}.json") == stamp)


def _stamp(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_mtime_ns}-{found.st_size}"


def _read(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; None when it is not there or cannot be read (the stage that owns it will say so)."""
    try:
        body = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return body if isinstance(body, dict) else None


def _follow_landing(connection: sqlite3.Connection, layout: Layout, done: Refreshed) -> None:
    known = dict(connection.execute("SELECT dataset, stamp FROM folder").fetchall())
    root = layout.home / "landing"
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        stamp = _stamp(folder)
        if not folder.is_dir() or known.get(folder.name) == stamp:
            continue
        fresh = int(stamp.split("-")[0]) > time.time_ns() - SETTLED_NS
        _scan(connection, layout, folder, done)
        connection.execute("INSERT OR REPLACE INTO folder VALUES (?, ?)", (folder.name, "" if fresh else stamp))
        if len(done.touched) >= CHUNK:
            _sum_up(connection, done)


def _scan(connection: sqlite3.Connection, layout: Layout, folder: Path, done: Refreshed) -> None:
    dataset = folder.name
    rows = connection.execute("SELECT batch_id, day, first_order FROM batch WHERE dataset = ?", (dataset,)).fetchall()
    known = {batch_id: (day, order) for batch_id, day, order in rows}
    present = {p.name for p in folder.iterdir() if not p.name.startswith(".") and p.is_dir()}
    for batch_id in sorted(present - known.keys()):
        receipt = _read(folder / batch_id / "receipt.json")
        if receipt and "received_at" in receipt:
            _insert(connection, dataset, batch_id, receipt)
            done.touched.add((dataset, _day(receipt["received_at"])))
            done.changed += 1
    for batch_id in known.keys() - present:
        day, order = known[batch_id]
        if order is None:  # admitted batches stay in the account even when their bytes have expired
            connection.execute("DELETE FROM batch WHERE dataset = ? AND batch_id = ?", (dataset, batch_id))
            connection.execute("DELETE FROM batch_rule WHERE dataset = ? AND batch_id = ?", (dataset, batch_id))
            done.touched.add((dataset, day))


def _insert(connection: sqlite3.Connection, dataset: str, batch_id: str, receipt: dict[str, Any]) -> None:
    files = receipt.get("files") or []
    connection.execute(
        "INSERT OR IGNORE INTO batch (dataset, batch_id, received_at, day, delivery, origin, mode, files, bytes, state)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'open')",
        (
            dataset,
            batch_id,
            _instant(receipt["received_at"]),
            _day(receipt["received_at"]),
            receipt.get("delivery", ""),
            receipt.get("origin", ""),
            receipt.get("mode", ""),
            len(files),
            sum(f["size"] for f in files if isinstance(f, dict)),
        ),
    )


def _instant(text: str) -> str:
    """Return an instant in UTC, in the one form that sorts as text."""
    return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="seconds")


def _day(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(SHANGHAI).date().isoformat()


def _entries(layout: Layout, after: int) -> Iterator[tuple[int, Path]]:
    number = after + 1
    while (path := layout.journal / f"{number:08d}.json").exists():
        yield number, path
        number += 1


def _follow_journal(connection: sqlite3.Connection, layout: Layout, done: Refreshed) -> None:
    for number, path in _entries(layout, int(index.meta(connection, "last_order", "-1"))):
        entry = _read(path)
        if entry is None:
            return  # damaged: whoever publishes will stop and say so
        _admit(connection, layout, entry, number, path)
        done.touched.add((entry["dataset"], _day(entry["received_at"])))
        done.changed += 1
        index.remember(connection, last_order=number, last_stamp=_stamp(path))
        if len(done.touched) >= CHUNK:
            _sum_up(connection, done)


def _admit(connection: sqlite3.Connection, layout: Layout, entry: dict[str, Any], number: int, path: Path) -> None:
    dataset, batch_id = entry["dataset"], entry["batch_id"]
    written = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
    receipt = {"received_at": entry["received_at"], "mode": entry["mode"], "delivery": "，".join(entry["files"])}
    _insert(connection, dataset, batch_id, receipt)
    counts = ", ".join(f"{name} = ?" for name in COUNTS)
    connection.execute(
        f"UPDATE batch SET {counts}, state = 'admitted', verdict = ?, revision = ?, last_order = ?, mismatch = NULL,"
        " first_order = coalesce(first_order, ?), admitted_at = coalesce(admitted_at, ?)"
        " WHERE dataset = ? AND batch_id = ?",
        (
            *[entry[name] for name in COUNTS],
            entry["verdict"],
            entry["revision"],
            number,
            number,
            written,
            dataset,
            batch_id,
        ),
    )
    if entry["revision"] == 0:
        _rules(connection, dataset, batch_id, _read(layout.standard(dataset, batch_id) / "summary.json"))


def _rules(connection: sqlite3.Connection, dataset: str, batch_id: str, summary: dict[str, Any] | None) -> None:
    connection.execute("DELETE FROM batch_rule WHERE dataset = ? AND batch_id = ?", (dataset, batch_id))
    found = [(*name.split(":", 1), n) for name, n in ((summary or {}).get("rules") or {}).items()]
    connection.executemany(
        """INSERT INTO batch_rule SELECT dataset, batch_id, ?, ?, ?, received_at FROM batch
           WHERE dataset = ? AND batch_id = ?
           ON CONFLICT DO UPDATE SET rows = rows + excluded.rows, level = min(level, excluded.level)""",
        [(rule, level, n, dataset, batch_id) for level, rule, n in found],
    )


def _follow_open(connection: sqlite3.Connection, layout: Layout, done: Refreshed) -> None:
    """Look again at batches that are not admitted: how far they are, and whether they are held."""
    found = connection.execute("SELECT dataset, batch_id, day, stamp FROM batch WHERE state <> 'admitted'").fetchall()
    for dataset, batch_id, day, stamp in found:
        summary, verdict = (
            layout.standard(dataset, batch_id) / "summary.json",
            layout.validation(dataset, batch_id) / "verdict.json",
        )
        now = f"{_stamp(summary)} {_stamp(verdict)}"
        if now == (stamp or " "):
            continue
        counts, judged = _read(summary), _read(verdict)
        status = judged["status"] if judged else None
        received = counts["received"] if counts else 0
        held = status == "hold"
        connection.execute(
            "UPDATE batch SET state = ?, verdict = ?, received = ?, quarantined = ?, mismatch = ?, stamp = ?"
            " WHERE dataset = ? AND batch_id = ?",
            (
                "held" if held else "open",
                status,
                received,
                received if held else (counts["quarantined"] if counts else 0),
                counts.get("mismatch") if counts else None,
                now,
                dataset,
                batch_id,
            ),
        )
        _rules(connection, dataset, batch_id, counts)
        done.touched.add((dataset, day))
        done.changed += 1


def _sum_up(connection: sqlite3.Connection, done: Refreshed) -> None:
    """Add up the days and data sets that changed, and commit."""
    days, datasets = sorted(done.touched), sorted({(d,) for d, _ in done.touched})
    for table in ("dataset_day", "rule_day"):
        connection.executemany(f"DELETE FROM {table} WHERE dataset = ? AND day = ?", days)
    connection.executemany(
        """INSERT INTO dataset_day SELECT dataset, day, count(*), sum(state = 'held'), sum(verdict = 'warn'),
             sum(state = 'open'), sum(received), sum(accepted), sum(quarantined), sum(duplicate), sum(unlinked)
           FROM batch WHERE dataset = ? AND day = ? GROUP BY dataset, day""",
        days,
    )
    connection.executemany(
        """INSERT INTO rule_day SELECT r.dataset, b.day, r.rule, r.level, sum(r.rows) FROM batch b
           JOIN batch_rule r USING (dataset, batch_id) WHERE b.dataset = ? AND b.day = ? GROUP BY 1, 2, 3, 4""",
        days,
    )
    connection.executemany(
        """INSERT OR REPLACE INTO dataset_total SELECT dataset, sum(batches), sum(held), sum(open), sum(received),
             sum(accepted), sum(quarantined), sum(duplicate), sum(unlinked),
             (SELECT max(received_at) FROM batch b WHERE b.dataset = d.dataset), max(day)
           FROM dataset_day d WHERE dataset = ? GROUP BY dataset""",
        datasets,
    )
    connection.commit()
    done.touched.clear()
