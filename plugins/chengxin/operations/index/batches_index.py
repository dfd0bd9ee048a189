"""What the index knows of a batch, from its receipt, its summary and its entries in the journal."""

import sqlite3
from collections.abc import Iterable
from typing import Any

from chengxin.contracts.derivation import REPLAY
from chengxin.facts import COUNTS
from chengxin.operations.index.files import day, instant

_COUNTED = (*COUNTS, "withdrawn", "new_subjects")
_RECEIPT = (
    "dataset", "batch_id", "as_of", "arrived_at", "received_at", "day", "delivery", "origin", "replay_of", "mode",
    "files", "bytes",
)  # fmt: skip
_ACCOUNT = (*_COUNTED, "verdict", "revision", "first_order", "last_order", "admitted_at", "state")
_MARKS = ", ".join("?" * len(_RECEIPT))
INSERT = f"INSERT OR IGNORE INTO batch ({', '.join(_RECEIPT)}, state) VALUES ({_MARKS}, 'open')"
ADMIT = f"""INSERT INTO batch ({", ".join((*_RECEIPT, *_ACCOUNT))}) VALUES ({_MARKS}, {", ".join("?" * len(_ACCOUNT))})
    ON CONFLICT (dataset, batch_id) DO UPDATE SET
      {", ".join(f"{n} = excluded.{n}" for n in (*_COUNTED, "verdict", "revision", "last_order", "state"))},
      first_order = coalesce(first_order, excluded.first_order), mismatch = NULL,
      admitted_at = coalesce(admitted_at, excluded.admitted_at)"""
_FORGET = "DELETE FROM batch_rule WHERE dataset = ? AND batch_id = ?"
_RULES = "INSERT OR REPLACE INTO batch_rule VALUES (?, ?, ?, ?, ?, ?)"


def received(dataset: str, batch_id: str, receipt: dict[str, Any]) -> tuple[Any, ...]:
    """Return the values of INSERT. arrived_at: when it lay at the source; as_of: the period that its name states."""
    files = [f for f in receipt.get("files") or [] if isinstance(f, dict)]
    arrived = (receipt.get("locator") or {}).get("arrived") or receipt["received_at"]
    origin = str(receipt.get("origin", ""))
    return (
        dataset,
        batch_id,
        instant(receipt["as_of"]),
        instant(arrived),
        instant(receipt["received_at"]),
        day(arrived),
        receipt.get("delivery", ""),
        origin,
        origin.removeprefix(REPLAY) if origin.startswith(REPLAY) else "",
        receipt.get("mode", ""),
        len(files),
        sum(f["size"] for f in files),
    )


def admitted(entry: dict[str, Any], number: int, receipt: dict[str, Any] | None) -> tuple[tuple[Any, ...], str]:
    """Return the values of ADMIT and the day of arrival. receipt: if kept."""
    told = (
        receipt
        if receipt and "as_of" in receipt
        else {**{k: entry[k] for k in ("received_at", "as_of", "mode")}, "delivery": "，".join(entry["files"])}
    )
    known = received(entry["dataset"], entry["batch_id"], told)
    counts = [entry[name] for name in _COUNTED]
    account = (*counts, entry["verdict"], entry["revision"], number, number, instant(entry["known_from"]), "admitted")
    return (*known, *account), known[_RECEIPT.index("day")]


def rules(connection: sqlite3.Connection, found: Iterable[tuple[str, str, str, Any]], *, anew: bool) -> None:
    """Note what rules the rows of batches broke. found: data set, batch, arrived_at, summary; anew: all are new."""
    rows, batches = [], []
    for dataset, batch_id, arrived, summary in found:
        batches.append((dataset, batch_id))
        told: dict[str, tuple[str, int]] = {}
        for name, count in ((summary or {}).get("rules") or {}).items():
            level, rule = name.split(":", 1)
            before = told.get(rule, (level, 0))
            told[rule] = (min(level, before[0]), count + before[1])
        rows += [(dataset, batch_id, rule, level, count, arrived) for rule, (level, count) in told.items()]
    if not anew:
        connection.executemany(_FORGET, batches)
    connection.executemany(_RULES, rows)
