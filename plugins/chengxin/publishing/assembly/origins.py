"""Where rows come from: one number for each (batch, file), so that sorting carries a number and not five texts."""

from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.engine.session import Session
from chengxin.engine.step import Step
from chengxin.facts import Admission

_SPELLED = (
    ("department_code", pa.string()),
    ("dataset", pa.string()),
    ("batch_id", pa.string()),
    ("source_file", pa.string()),
    ("received_at", pa.timestamp("us", "UTC")),
)
FILES_BITS = 40  # row_id = file number << 40 | source row
_FILE_BITS = 20  # of an origin


class Origins:
    """The batches of a home with their files, spelled out when asked. Origins ascend as batches were first admitted.

    The number of an origin: place of the batch's first admission << 20 | number of the file in it.
    """

    def __init__(self, admissions: Iterable[Admission]) -> None:
        self._batches = {a.order: a for a in admissions if a.revision == 0}
        self._orders = {a.batch_id: order for order, a in self._batches.items()}  # unique over data sets
        self._known: dict[int, tuple[str, str, str, str, datetime]] = {}

    def first(self, batch_id: str) -> int:
        """Return the origin of a batch's first file."""
        return self._orders[batch_id] << _FILE_BITS

    def number(self, batch_id: str, file: str) -> int:
        """Return the origin of a file of a batch."""
        order = self._orders[batch_id]
        return (order << _FILE_BITS) + self._batches[order].files.index(file)

    def attach(self, session: Session, table: str) -> None:
        """Take as the input `origins` (origin, batch_id, source_file) those that the rows of a table name."""
        named = session.table(Step("named_origins", (table,), f"SELECT DISTINCT batch_id, source_file FROM {table}"))
        pairs = zip(*(named[name].to_pylist() for name in ("batch_id", "source_file")), strict=True)
        numbers = pa.array([self.number(*pair) for pair in pairs], pa.int64())
        session.rows("origins", named.append_column("origin", numbers))

    def columns(self, origin: pa.Array) -> dict[str, pa.Array]:
        """Spell out origins: department_code, dataset, batch_id, source_file, received_at."""
        numbers = pc.unique(origin)
        rows = [self._known.get(number) or self._spelled(number) for number in numbers.to_pylist()]
        place = pc.index_in(origin, value_set=numbers)
        return {n: pa.array([r[i] for r in rows], t).take(place) for i, (n, t) in enumerate(_SPELLED)}

    def _spelled(self, number: int) -> tuple[str, str, str, str, datetime]:
        a = self._batches[number >> _FILE_BITS]
        file = a.files[number & ((1 << _FILE_BITS) - 1)]
        received = datetime.fromisoformat(a.received_at)
        self._known[number] = (a.department, a.dataset, a.batch_id, file, received)
        return self._known[number]


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
