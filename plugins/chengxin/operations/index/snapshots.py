"""Versions of the published data set: what is in each, and what changed since the one before."""

import json
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chengxin.errors import SnapshotDamaged
from chengxin.operations.index import lists
from chengxin.store import manifest, pointer
from chengxin.store.layout import Layout


@dataclass(frozen=True)
class Change:
    """One table of a snapshot beside the same table of the one before."""

    name: str
    rows: int
    before: int
    files: int
    bytes: int
    files_added: int
    files_removed: int


def versions(connection: sqlite3.Connection, tier: str, limit: int = 400) -> list[sqlite3.Row]:
    """Return the snapshots of a tier, newest first."""
    query = "SELECT * FROM snapshot WHERE tier = ? ORDER BY sequence DESC, id DESC LIMIT ?"
    return connection.execute(query, (tier, limit)).fetchall()


def version(connection: sqlite3.Connection, tier: str, name: str) -> sqlite3.Row | None:
    """Return one snapshot."""
    query = "SELECT * FROM snapshot WHERE tier = ? AND id = ?"
    return connection.execute(query, (tier, name)).fetchone()  # type: ignore[no-any-return]


def current(layout: Layout, tier: str) -> str | None:
    """Return the id that the tier's pointer names; None when there is none or it is damaged."""
    try:
        named = pointer.load(layout, tier)
    except ValueError:
        return None
    return named.snapshot_id if named else None


def changes(connection: sqlite3.Connection, tier: str, name: str, previous: str | None) -> list[Change]:
    """Return every table of a snapshot and of the one before, by name, with the difference."""
    now, before = _tables(connection, tier, name), _tables(connection, tier, previous or "")
    found = []
    for table in sorted(now.keys() | before.keys()):
        here, there = now.get(table), before.get(table)
        names, earlier = _names(here), _names(there)
        found.append(
            Change(
                table,
                here["rows"] if here else 0,
                there["rows"] if there else 0,
                len(names),
                here["bytes"] if here else 0,
                len(names - earlier),
                len(earlier - names),
            )
        )
    return found


def _tables(connection: sqlite3.Connection, tier: str, name: str) -> dict[str, sqlite3.Row]:
    rows = connection.execute("SELECT * FROM snapshot_table WHERE tier = ? AND id = ?", (tier, name))
    return {row["name"]: row for row in rows}


def _names(row: sqlite3.Row | None) -> set[str]:
    return set(json.loads(row["names"])) if row else set()


def history(connection: sqlite3.Connection, tier: str, most: int = 8) -> dict[str, Any]:
    """Return rows over time for the largest tables: created_at instants and, per table, the rows at each."""
    rows = connection.execute(
        """SELECT s.created_at, t.name, t.rows FROM snapshot s JOIN snapshot_table t USING (tier, id)
           WHERE s.tier = ? ORDER BY s.sequence, t.name""",
        (tier,),
    ).fetchall()
    instants = list(dict.fromkeys(r["created_at"] for r in rows))
    place = {at: n for n, at in enumerate(instants)}
    series: dict[str, list[int | None]] = {}
    for r in rows:
        series.setdefault(r["name"], [None] * len(instants))[place[r["created_at"]]] = r["rows"]
    largest = sorted(series, key=lambda name: -(series[name][-1] or 0))[:most]
    return {"instants": instants, "series": {name: series[name] for name in largest}}


def entered(connection: sqlite3.Connection, row: sqlite3.Row, limit: int = 200) -> list[Any]:
    """Return the batches that readers have for the first time with this snapshot, in order.

    None of a sealed data set, nor of one that was left out; those that the snapshots before left out are among them.
    """
    if row["last_order"] is None:
        return []
    new, bound = _new_since(version(connection, row["tier"], row["previous"] or ""))
    hidden = json.dumps(sorted(stated(row, "left_out") | stated(row, "sealed")))
    return connection.execute(
        f"""SELECT b.*, d.title, d.department_name FROM batch b LEFT JOIN dataset d USING (dataset)
            WHERE {new} AND b.first_order <= ? AND b.dataset NOT IN (SELECT value FROM json_each(?))
            ORDER BY b.first_order LIMIT ?""",
        [*bound, row["last_order"], hidden, limit],
    ).fetchall()


def unpublished(connection: sqlite3.Connection, last: sqlite3.Row | None, only: Collection[str] | None = None) -> int:
    """Return how many admitted batches readers do not have with this snapshot, the last; None = there is none."""
    new, bound = _new_since(last)
    permitted, names = lists.allowed(only, "b.dataset")
    return int(
        connection.execute(
            f"""SELECT count(*) FROM batch b LEFT JOIN dataset d USING (dataset)
                WHERE {new} AND b.dataset NOT IN (SELECT value FROM json_each(?))
                  AND coalesce(d.share, '') <> '不予' {permitted}""",
            [*bound, json.dumps(sorted(stated(last, "sealed"))), *names],
        ).fetchone()[0]
    )


def refusal(layout: Layout, last: sqlite3.Row | None) -> dict[str, Any] | None:
    """Return why something is not published: the newest rejection since the last snapshot, or what it leaves out."""
    newest = max(layout.rejections.glob("[0-9]*.json"), default=None)
    if newest and (found := json.loads(newest.read_bytes())) and (not last or found["at"] > last["created_at"]):
        return dict(found)
    return json.loads(last["said"]).get("approval") if last and stated(last, "left_out") else None


def _new_since(before: sqlite3.Row | None) -> tuple[str, list[Any]]:
    """Return the SQL condition, with its values, for batches that a snapshot does not have, nor those before it.

    A data set that it leaves out is new from the last snapshot on that had it.
    """
    first, late = _upto(before), _left_behind(before)
    own = "coalesce((SELECT value FROM json_each(?) WHERE key = b.dataset), ?)"
    return f"b.first_order > ? AND b.first_order > {own}", [min([first, *late.values()]), json.dumps(late), first]


def _left_behind(row: sqlite3.Row | None) -> dict[str, int]:
    """Return for each data set that a snapshot leaves out the last admission that readers have of it."""
    return dict(json.loads(row["said"]).get("left_out", {})) if row else {}


def upto(row: sqlite3.Row, dataset: str) -> int:
    """Return the last admission that readers of a snapshot may have of a data set; -1 = none."""
    return _left_behind(row).get(dataset, _upto(row))


def table(connection: sqlite3.Connection, row: sqlite3.Row, name: str) -> sqlite3.Row | None:
    """Return what the index knows of one table of a snapshot."""
    query = "SELECT * FROM snapshot_table WHERE tier = ? AND id = ? AND name = ?"
    return connection.execute(query, (row["tier"], row["id"], name)).fetchone()  # type: ignore[no-any-return]


def _upto(row: sqlite3.Row | None) -> int:
    """Return the last admission in a snapshot; -1 where there is no snapshot, or none that can be read."""
    return -1 if row is None or row["last_order"] is None else int(row["last_order"])


def stated(row: sqlite3.Row | None, key: str) -> set[str]:
    """Return the data sets that a manifest names under a key (left_out, sealed); none where there is no snapshot."""
    return set(json.loads(row["said"]).get(key, ())) if row else set()


def manifest_path(layout: Layout, tier: str, name: str) -> Path:
    """Return the manifest file of a snapshot that exists. Raise SnapshotDamaged for any other name."""
    if tier not in {"government", "open"} or name not in pointer.snapshot_ids(layout, tier):
        raise SnapshotDamaged(f"没有快照 {name}")
    return layout.snapshot(tier, name) / manifest.NAME


def drafts(layout: Layout) -> list[str]:
    """Return the drafts that lie below the home: under construction, or kept as evidence of a red check."""
    return (
        sorted(p.name for p in layout.drafts.iterdir() if not p.name.startswith(".")) if layout.drafts.is_dir() else []
    )
