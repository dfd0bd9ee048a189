"""Bring rows about persons into an order that states nothing: by token and handle, never by the number that they hide.

In the cut of a recipient tokens and handles stand in the columns of the numbers (`publishing.pseudonyms`).

The place of a row in a file sorted by subject number tells that number to whoever knows all of them.
"""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chengxin.publishing.open_tier.rules import HANDLE, TOKEN
from chengxin.store.atomic import BUILDING

BUCKET = 500_000  # rows that are sorted in memory
_DIGITS = 4  # leading hex digits of a token by which rows are spread
_WORD = (1 << 64) - 1


def shuffled(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, most: int, folder: Path, bucket: int = BUCKET
) -> Iterator[pa.RecordBatch]:
    """Give the rows sorted by token and handle. most: how many rows come at most; more than a bucket lie in `folder`.

    Tokens are spread evenly, so that buckets by their first digits are about equal.
    """
    count = max(1, math.ceil(most / bucket))
    if count == 1:
        yield from _sorted(pa.Table.from_batches(batches, schema))
        return
    cuts = np.array([f"{n * 16**_DIGITS // count:0{_DIGITS}x}" for n in range(1, count)])
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=BUILDING) as spilled:
        paths = [str(Path(spilled, f"{n:05d}.arrows")) for n in range(count)]
        writers = [pa.ipc.new_stream(path, schema) for path in paths]
        for batch in batches:
            at = _bucket(batch, cuts)
            for n in np.unique(at):
                writers[n].write_batch(batch.filter(pa.array(at == n)))
        for writer in writers:
            writer.close()
        for path in paths:
            with pa.memory_map(path) as stream:
                yield from _sorted(pa.ipc.open_stream(stream).read_all())


def _bucket(batch: pa.RecordBatch, cuts: npt.NDArray[np.str_]) -> npt.NDArray[np.int64]:
    column = batch.column(_keys(batch.schema.names)[0])
    if pa.types.is_integer(column.type):  # 62 bits above the highest one
        tokens = [f"{number << 2 & _WORD:016x}" for number in column.to_pylist()]
    else:
        tokens = column.to_numpy(zero_copy_only=False)
    heads = np.asarray(tokens, dtype=f"U{_DIGITS}")
    at: npt.NDArray[np.int64] = np.searchsorted(cuts, heads, side="right")
    return at


def _sorted(rows: pa.Table) -> list[pa.RecordBatch]:
    made: list[pa.RecordBatch] = rows.sort_by([(name, "ascending") for name in _keys(rows.column_names)]).to_batches()
    return made


def _keys(names: list[str]) -> list[str]:
    wanted = (TOKEN, HANDLE) if TOKEN in names else ("subject_id", "record_id")
    return [name for name in wanted if name in names]
