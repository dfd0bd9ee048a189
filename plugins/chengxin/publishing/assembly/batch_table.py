"""The table `batch` of a snapshot: one row an admission that it was made of, as the journal has it.

It stands beside the content: a snapshot with the same records is the same whatever was admitted. A file holds the
admissions of CHUNK numbers; one that is full never changes and is taken from the snapshot before, as are the rows of
the last one.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chengxin.facts import COUNTS, Admission
from chengxin.model.schema import ColumnSpec, arrow_type
from chengxin.store.atomic import sha256_file
from chengxin.store.layout import Layout
from chengxin.store.manifest import BATCH, FileEntry, Manifest, TableEntry
from chengxin.store.parquet import column_entries, write_parquet

CHUNK = 8_192
_COUNT_TITLES = ("收到", "入库", "疑问", "重复", "未关联")
COLUMNS = [
    ColumnSpec("admission_order", "int64", title="入库次序"),
    ColumnSpec("dataset", "string", title="数据集"),
    ColumnSpec("batch_id", "string", title="批次"),
    ColumnSpec("revision", "int32", title="第几次补关联"),
    ColumnSpec("department_code", "string", title="部门代码"),
    ColumnSpec("known_from_at", "timestamp", title="入库时间"),
    ColumnSpec("published_at", "timestamp", title="首次发布时间"),
    ColumnSpec("received_at", "timestamp", title="接收时间"),
    ColumnSpec("as_of_at", "timestamp", title="计入的时间"),
    ColumnSpec("verdict", "string", title="校验结论"),
    *(ColumnSpec(name, "int64", title=title) for name, title in zip(COUNTS, _COUNT_TITLES, strict=True)),
    ColumnSpec("withdrawn", "int64", title="撤回"),
    ColumnSpec("released_by", "string", title="放行人"),
    ColumnSpec("released_reason", "string", title="放行理由"),
    ColumnSpec("versions", "string", title="版本（JSON）"),
]
SCHEMA = pa.schema([(c.name, arrow_type(c.type)) for c in COLUMNS])


def write(
    layout: Layout, admissions: Sequence[Admission], previous: Manifest | None, folder: Path, now: datetime
) -> TableEntry:
    """Write the files that the snapshot before lacks below `folder`; return the table. now: of this publication."""
    before = {f.part: f for f in previous.batch.files} if previous and previous.batch else {}
    files = []
    for number, group in groupby(admissions, lambda a: a.order // CHUNK):
        here, part = list(group), f"{number * CHUNK:08d}"
        kept = before.get(part)
        if kept and kept.rows == len(here) == CHUNK:
            files.append(kept)
            continue
        before_here = _rows_before(layout, previous, kept) if previous and kept else SCHEMA.empty_table()
        orders = before_here["admission_order"].to_pylist()
        rows = before_here if orders == [a.order for a in here[: len(orders)]] else SCHEMA.empty_table()
        published = dict(zip(orders, before_here["published_at"].to_pylist(), strict=True))
        late = here[rows.num_rows :]
        fresh = pa.Table.from_pylist([_row(a) | {"published_at": published.get(a.order, now)} for a in late], SCHEMA)
        written = write_parquet(pa.concat_tables([rows, fresh]), folder / BATCH, table=BATCH, part=part)
        files += [written] if written else []
    return TableEntry.of(column_entries(SCHEMA, {c.name: c.title for c in COLUMNS}), files)


def _rows_before(layout: Layout, previous: Manifest, kept: FileEntry) -> pa.Table:
    """Return the rows of a file of the snapshot before; none where it is damaged."""
    path = layout.snapshot(previous.tier, previous.snapshot_id) / BATCH / kept.name
    whole = sha256_file(path) == kept.sha256
    return pq.read_table(path, partitioning=None).cast(SCHEMA) if whole else SCHEMA.empty_table()


def _row(a: Admission) -> dict[str, Any]:
    return {
        "admission_order": a.order,
        "dataset": a.dataset,
        "batch_id": a.batch_id,
        "revision": a.revision,
        "department_code": a.department,
        "known_from_at": datetime.fromisoformat(a.known_from),
        "received_at": datetime.fromisoformat(a.received_at),
        "as_of_at": datetime.fromisoformat(a.as_of),
        "verdict": a.verdict,
        **a.counts.as_dict(),
        "withdrawn": a.withdrawn,
        "released_by": a.released.by if a.released else None,
        "released_reason": a.released.reason if a.released else None,
        "versions": json.dumps(a.versions, sort_keys=True),
    }
