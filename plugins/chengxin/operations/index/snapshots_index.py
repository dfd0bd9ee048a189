"""The published snapshots in the index: a manifest is read once, when its folder appears."""

import json
import sqlite3
from typing import Any

from chengxin.store import manifest, pointer
from chengxin.store.layout import ASSEMBLY, Layout

TIERS = ("government", "authorised", "open", ASSEMBLY)
#: What of a manifest tells what people let out, and why; and the snapshot that an open one was made from.
SAID = ("approval", "rejected", "left_out", "sealed", "government", "released", "anonymity")


def follow(connection: sqlite3.Connection, layout: Layout) -> None:
    """Bring the snapshots of the index up to date with the published folders."""
    for tier in TIERS:
        known = {row[0]: row[1] for row in connection.execute("SELECT id, stamp FROM snapshot WHERE tier = ?", (tier,))}
        present = set(pointer.snapshot_ids(layout, tier))
        for gone in known.keys() - present:
            connection.execute("DELETE FROM snapshot WHERE tier = ? AND id = ?", (tier, gone))
            connection.execute("DELETE FROM snapshot_table WHERE tier = ? AND id = ?", (tier, gone))
        for name in sorted(present):
            mark = "damaged" if (layout.snapshot(tier, name) / pointer.MARK).exists() else "sound"
            if known.get(name) != mark:
                _read(connection, layout, tier, name, mark)
                connection.commit()


def _opinions(body: dict[str, Any]) -> dict[str, Any]:
    """Return what people said: SAID of a manifest."""
    return {k: body["basis"][k] for k in SAID if k in body["basis"]}


def _read(connection: sqlite3.Connection, layout: Layout, tier: str, name: str, mark: str) -> None:
    try:
        body = json.loads((layout.snapshot(tier, name) / manifest.NAME).read_bytes())
        tables = [
            (
                tier,
                name,
                table,
                entry["rows"],
                sum(f["size"] for f in entry["files"]),
                len(entry["files"]),
                json.dumps(sorted(f["name"] for f in entry["files"])),
            )
            for table, entry in body["tables"].items()
        ]
        row = (
            tier,
            name,
            body["sequence"],
            body["previous"],
            body["created_at"],
            body["as_of"],
            body["reason"],
            sum(t[3] for t in tables),
            sum(t[3] for t in tables if t[2] == "credit_record"),
            sum(t[4] for t in tables),
            body["journal"]["order"] if body["journal"] else None,
            json.dumps(body["sources"], ensure_ascii=False),
            json.dumps(body["versions"], ensure_ascii=False),
            json.dumps(_opinions(body), ensure_ascii=False),
            mark,
        )
    except (OSError, ValueError, KeyError, TypeError):
        tables = []
        row = (tier, name, 0, None, None, None, None, 0, 0, 0, None, "{}", "{}", "{}", mark)
    connection.execute("INSERT OR REPLACE INTO snapshot VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.executemany("INSERT OR REPLACE INTO snapshot_table VALUES (?, ?, ?, ?, ?, ?, ?)", tables)
