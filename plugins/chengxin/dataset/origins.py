"""Where rows come from: one number for each (batch, file), so that sorting carries a number and not five texts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

import duckdb
import numpy as np
import pyarrow as pa

from chengxin.handover import Admission

FILES_BITS = 40  # row_id = file number << 40 | source row


@dataclass
class Origins:
    """All batches of a home with their files. `number` of an origin = first of the batch + file number."""

    admissions: Sequence[Admission]
    first: dict[tuple[str, str], int] = field(default_factory=dict)
    rows: list[tuple[str, str, str, str, datetime]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for a in self.admissions:
            if (a.dataset, a.batch_id) not in self.first:
                self.first[a.dataset, a.batch_id] = len(self.rows)
                received = datetime.fromisoformat(a.received_at)
                self.rows += [(a.department, a.dataset, a.batch_id, name, received) for name in a.files]

    def create(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Create the temp table `origins` (origin, batch_id, source_file): batch ids are unique over data sets."""
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE origins (origin BIGINT, batch_id VARCHAR, source_file VARCHAR)"
        )
        if self.rows:
            connection.executemany(
                "INSERT INTO origins VALUES (?, ?, ?)", [(n, r[2], r[3]) for n, r in enumerate(self.rows)]
            )

    def columns(self, origin: pa.Array) -> dict[str, pa.Array]:
        """Spell out origins: department_code, dataset, batch_id, source_file, received_at."""
        names = ("department_code", "dataset", "batch_id", "source_file")
        index = origin.cast(pa.int64())
        spelled = {n: pa.array([r[i] for r in self.rows], pa.string()).take(index) for i, n in enumerate(names)}
        spelled["received_at"] = pa.array([r[4] for r in self.rows], pa.timestamp("us", "UTC")).take(index)
        return spelled


def split_by_part(batch: pa.RecordBatch) -> list[tuple[str, pa.RecordBatch]]:
    """Cut a batch that is sorted by its `part` column at the borders of parts."""
    part = batch.column("part")
    encoded = part.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    borders = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    return [
        (str(part[start].as_py()), batch.slice(start, stop - start))
        for start, stop in pairwise(borders)
        if stop > start
    ]
