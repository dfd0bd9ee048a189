"""Where rows come from: one number for each (batch, file), so that sorting carries a number and not five texts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.engine.session import Session
from chengxin.facts import Admission

_SPELLED = (
    ("department_code", pa.string()),
    ("dataset", pa.string()),
    ("batch_id", pa.string()),
    ("source_file", pa.string()),
    ("received_at", pa.timestamp("us", "UTC")),
)
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

    def attach(self, session: Session) -> None:
        """Take as the input `origins` (origin, batch_id, source_file): batch ids are unique over data sets."""
        given = pa.table(
            {
                "origin": pa.array(range(len(self.rows)), pa.int64()),
                "batch_id": pa.array([r[2] for r in self.rows], pa.string()),
                "source_file": pa.array([r[3] for r in self.rows], pa.string()),
            }
        )
        session.rows("origins", given)

    def columns(self, origin: pa.Array) -> dict[str, pa.Array]:
        """Spell out origins: department_code, dataset, batch_id, source_file, received_at."""
        bounds = pc.min_max(origin).as_py()
        if bounds["min"] is not None and bounds["min"] == bounds["max"]:
            row = self.rows[bounds["min"]]
            return {n: pa.repeat(pa.scalar(v, t), len(origin)) for (n, t), v in zip(_SPELLED, row, strict=True)}
        index = origin.cast(pa.int64())
        return {n: pa.array([r[i] for r in self.rows], t).take(index) for i, (n, t) in enumerate(_SPELLED)}


def split_by_part(batch: pa.RecordBatch) -> list[tuple[str, pa.RecordBatch]]:
    """Cut a batch that is sorted by its `part` column (text, or coded as by an ENUM) at the borders of parts."""
    part = batch.column("part")
    encoded = part if pa.types.is_dictionary(part.type) else part.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    borders = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    return [
        (str(part[start].as_py()), batch.slice(start, stop - start))
        for start, stop in pairwise(borders)
        if stop > start
    ]
