"""Every delivery of a home as one table: each receipt is read once.

It is kept below `<home>/cache/` and may be deleted: receipts never change, so only new ones are read. A folder that is
gone is dropped.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chengxin.clock import SHANGHAI
from chengxin.connectors.landing import arrived_at
from chengxin.contracts.derivation import REPLAY
from chengxin.store import atomic
from chengxin.store.layout import Layout

# arrived_on: the Shanghai day on which it reached us, whatever period its name says. replay_of: the batch whose refused
# rows it holds, empty for what a department sent. damaged: its receipt cannot be read.
DELIVERIES = pa.schema(
    [
        ("dataset", pa.string()),
        ("batch_id", pa.string()),
        ("arrived_on", pa.date32()),
        ("replay_of", pa.string()),
        ("bytes", pa.int64()),
    ]
)


def deliveries(layout: Layout) -> tuple[pa.Table, list[str]]:
    """Return all landed batches (DELIVERIES, sorted by data set and arrival), and those whose receipt is damaged."""
    kept = _remembered(_cache(layout))
    present = {(d.name, b) for d in _folders(layout.home / "landing") for b in _batches(d)}
    known = list(zip(kept["dataset"].to_pylist(), kept["batch_id"].to_pylist(), strict=True))
    rows: list[dict[str, Any]] = []
    damaged: list[str] = []
    for dataset, batch_id in sorted(present - set(known)):
        try:
            row = _delivery(layout.landing(dataset, batch_id) / "receipt.json")
        except FileNotFoundError:
            continue  # not landed yet
        except (ValueError, KeyError, TypeError, AttributeError):
            damaged.append(f"{dataset}/{batch_id}")
            continue
        rows.append({"dataset": dataset, "batch_id": batch_id, **row})
    here = pa.array([key in present for key in known], pa.bool_())
    found = pa.concat_tables([kept.filter(here), pa.Table.from_pylist(rows, DELIVERIES)])
    if rows or len(found) != len(kept):
        found = found.sort_by([("dataset", "ascending"), ("arrived_on", "ascending"), ("batch_id", "ascending")])
        _remember(_cache(layout), found)
    return found, damaged


def _cache(layout: Layout) -> Path:
    return layout.home / "cache" / "deliveries-1.parquet"


def _remembered(path: Path) -> pa.Table:
    with suppress(OSError, pa.ArrowInvalid):
        found = pq.read_table(path)
        if found.schema.equals(DELIVERIES):
            return found
    return DELIVERIES.empty_table()


def _remember(path: Path, table: pa.Table) -> None:
    """Keep a cache; where that cannot be done (read-only home, two at once) the files are read again next time."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", store_schema=True)
    with suppress(OSError):
        atomic.write_bytes(path, sink.getvalue().to_pybytes())


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")) if root.is_dir() else []


def _batches(folder: Path) -> list[str]:
    return [p.name for p in folder.iterdir() if not p.name.startswith(".") and p.suffix != ".json"]


def _delivery(path: Path) -> dict[str, Any]:
    receipt = atomic.read_json(path)
    origin = str(receipt["origin"])
    return {
        "arrived_on": arrived_at(receipt).astimezone(SHANGHAI).date(),
        "replay_of": origin.removeprefix(REPLAY) if origin.startswith(REPLAY) else "",
        "bytes": sum(int(file["size"]) for file in receipt["files"]),
    }
