"""Keep the index up to date with a home, by looking only at what can have changed.

Journal entries are numbered without gaps, so the next ones are asked for by name. A data set's landing folder changes
its time when a batch arrives. Only batches without an admission are looked at again; admitted ones never change but by
a new entry of the journal, or a new answer to their department. Snapshots are immutable.
"""

import sqlite3
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from chengxin.errors import HomeDamaged, HomeOutdated
from chengxin.home import Home
from chengxin.operations.index import answers_index, batches_index, contracts_index, index, snapshots_index
from chengxin.operations.index.files import folders, read_json, stamp
from chengxin.operations.index.totals_index import sum_up
from chengxin.quality import evidence
from chengxin.records import journal
from chengxin.state.accounts import Accounts
from chengxin.store.layout import Layout

CHUNK = 10_000  # batches between two commits, so that pages fill while a first index is made
SETTLED_NS = 2_000_000_000  # a folder that changed less than this before it was read is read again next time


@dataclass
class Refreshed:
    """What one refresh did: batches that are new or changed, whether another process was at it, seconds it took."""

    changed: int = 0
    busy: bool = False
    seconds: float = 0.0
    touched: set[tuple[str, str]] = field(default_factory=set)


def refresh(home: Home) -> Refreshed:
    """Bring the index up to date; at most one process does it at a time, the others go on with what is there."""
    started = time.perf_counter()
    path = index.path_of(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.with_suffix(".lock"), timeout=0):
            done = _refresh(home, path)
    except Timeout:
        done = Refreshed(busy=True)
    done.seconds = time.perf_counter() - started
    return done


def behind(home: Home, many: int) -> bool:
    """Return whether the index lacks so many admissions."""
    last = -1
    with suppress(sqlite3.DatabaseError), index.reading(index.path_of(home)) as connection:
        last = int(index.meta(connection, "last_order", "-1"))
    accounts = _accounts(home.layout)
    return accounts is not None and accounts.head.order >= last + many


def _refresh(home: Home, path: Path) -> Refreshed:
    layout, accounts = home.layout, _accounts(home.layout)
    try:
        with index.writing(path) as connection:
            sound = _belongs(connection, layout, accounts)
    except sqlite3.DatabaseError:
        sound = False
    if not sound:
        index.remove(path)
    done = Refreshed()
    with index.writing(path) as connection:
        index.remember(connection, home=layout.home)
        contracts_index.follow(connection, home.settings.contracts)
        connection.commit()
        snapshots_index.follow(connection, layout)
        connection.commit()
        if accounts:
            _follow_journal(connection, layout, accounts, done)
        _follow_landing(connection, layout, done)
        _follow_open(connection, layout, done)
        done.touched |= answers_index.follow(connection, layout.home)
        _commit(connection, done)
        if done.changed or not index.meta(connection, "complete"):
            index.remember(connection, complete=1)
            connection.execute("PRAGMA optimize")
    return done


def _commit(connection: sqlite3.Connection, done: Refreshed) -> None:
    sum_up(connection, done.touched)
    connection.commit()
    done.touched.clear()


def _accounts(layout: Layout) -> Accounts | None:
    """Return the accounts; None where the journal is damaged, of which whoever writes gives notice."""
    with suppress(HomeDamaged, HomeOutdated):
        return journal.accounts(layout)
    return None


def _belongs(connection: sqlite3.Connection, layout: Layout, accounts: Accounts | None) -> bool:
    """Tell whether the index is of this home and of its present past (a restored backup may have a shorter journal)."""
    known = index.meta(connection, "home")
    last = int(index.meta(connection, "last_order", "-1"))
    digest = index.meta(connection, "last_digest")
    same = last < 0 or accounts is None or accounts.at(last).digest == digest
    return known in {"", str(layout.home)} and same


def _follow_journal(connection: sqlite3.Connection, layout: Layout, accounts: Accounts, done: Refreshed) -> None:
    home, last = str(layout.home), int(index.meta(connection, "last_order", "-1"))
    if not index.meta(connection, "complete"):
        index.remember(connection, batches=accounts.next_order)
        connection.commit()
    fresh = accounts.since(last)
    while entries := list(islice(fresh, CHUNK)):
        query = "SELECT dataset, batch_id FROM batch WHERE state <> 'admitted'"
        open_ones = {(dataset, batch_id) for dataset, batch_id in connection.execute(query)}
        rows: list[tuple[Any, ...]] = []
        broken: dict[bool, list[tuple[str, str, str, Any]]] = {True: [], False: []}
        for number, entry in entries:
            dataset, batch_id, first = entry["dataset"], entry["batch_id"], entry["revision"] == 0
            receipt = read_json(f"{home}/landing/{dataset}/{batch_id}/receipt.json") if first else None
            row, on = batches_index.admitted(entry, number, receipt)
            rows.append(row)
            if first:
                summary = read_json(f"{home}/batches/{dataset}/{batch_id}/standard/summary.json")
                anew = (dataset, batch_id) not in open_ones
                broken[anew].append((dataset, batch_id, row[3], summary))
                done.touched.add((dataset, on))
            else:
                done.touched |= _day_of(connection, dataset, batch_id) or {(dataset, on)}
        connection.executemany(batches_index.ADMIT, rows)
        for anew, found in broken.items():
            batches_index.rules(connection, found, anew=anew)
        done.changed += len(entries)
        last = entries[-1][0]
        index.remember(connection, last_order=last, last_digest=accounts.at(last).digest)
        _commit(connection, done)


def _day_of(connection: sqlite3.Connection, dataset: str, batch_id: str) -> set[tuple[str, str]]:
    query = "SELECT dataset, day FROM batch WHERE dataset = ? AND batch_id = ?"
    return {(d, on) for d, on in connection.execute(query, (dataset, batch_id))}


def _follow_landing(connection: sqlite3.Connection, layout: Layout, done: Refreshed) -> None:
    known = dict(connection.execute("SELECT dataset, stamp FROM folder").fetchall())
    root = f"{layout.home}/landing"
    for dataset in folders(root):
        told = stamp(f"{root}/{dataset}")
        if known.get(dataset) == told:
            continue
        fresh = int(told.split("-")[0]) > time.time_ns() - SETTLED_NS
        _scan(connection, f"{root}/{dataset}", dataset, done)
        connection.execute("INSERT OR REPLACE INTO folder VALUES (?, ?)", (dataset, "" if fresh else told))
        if len(done.touched) >= CHUNK:
            _commit(connection, done)


def _scan(connection: sqlite3.Connection, folder: str, dataset: str, done: Refreshed) -> None:
    rows = connection.execute("SELECT batch_id, day, first_order FROM batch WHERE dataset = ?", (dataset,)).fetchall()
    known = {batch_id: (on, order) for batch_id, on, order in rows}
    present = set(folders(folder))
    for batch_id in sorted(present - known.keys()):
        receipt = read_json(f"{folder}/{batch_id}/receipt.json")
        if receipt and "as_of" in receipt:
            row = batches_index.received(dataset, batch_id, receipt)
            connection.execute(batches_index.INSERT, row)
            done.touched.add((dataset, row[5]))
            done.changed += 1
    for batch_id in known.keys() - present:
        on, order = known[batch_id]
        if order is None:  # admitted batches stay in the account even when their bytes have expired
            connection.execute("DELETE FROM batch WHERE dataset = ? AND batch_id = ?", (dataset, batch_id))
            connection.execute("DELETE FROM batch_rule WHERE dataset = ? AND batch_id = ?", (dataset, batch_id))
            done.touched.add((dataset, on))


def _follow_open(connection: sqlite3.Connection, layout: Layout, done: Refreshed) -> None:
    """Look again at batches that are not admitted: how far they are, and whether they are held."""
    query = "SELECT dataset, batch_id, day, arrived_at, stamp FROM batch WHERE state <> 'admitted'"
    for dataset, batch_id, on, arrived, before in connection.execute(query).fetchall():
        summary = f"{layout.standard(dataset, batch_id)}/summary.json"
        path = layout.validation(dataset, batch_id)
        tries = str(layout.tries(dataset, batch_id))
        now = f"{stamp(summary)} {stamp(str(path))} {stamp(tries)}"
        if now == (before or "  "):
            continue
        counts, judged, failed = read_json(summary), evidence.readable_verdict(path), read_json(tries)
        status = judged.status if judged else None
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
                (counts.get("mismatch") if counts else None) or (failed["tries"][-1] if failed else None),
                now,
                dataset,
                batch_id,
            ),
        )
        batches_index.rules(connection, [(dataset, batch_id, arrived, counts)], anew=False)
        done.touched.add((dataset, on))
        done.changed += 1
