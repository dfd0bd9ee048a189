"""Days that cannot be meant: before there were such records, or one a row where a spreadsheet filled a column down."""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.parsing.buffers import Mask, as_mask, valid

#: Nobody registered or decided anything under the laws in force before this day.
FIRST = date(1949, 10, 1)
_DAYS, _YEARS = 20, 8  # rows in a row


def ancient(days: pa.Array) -> Mask | None:
    """Mark the days before the first; None where there is none."""
    least = pc.min(days).as_py()
    return as_mask(pc.less(days, pa.scalar(FIRST, pa.date32()))) if least and least < FIRST else None


def filled_down(days: pa.Array) -> Mask:
    """Mark rows among many of which each is a day, or a year, after the one before."""
    hits = np.zeros(len(days), np.bool_)
    if len(days) < _YEARS:
        return hits
    numbers = pc.fill_null(pc.cast(days, pa.int32()), 0).to_numpy(zero_copy_only=False)
    steps = np.diff(numbers)
    given = valid(days)
    both = given[1:] & given[:-1]
    for step, least in ((steps == 1, _DAYS), ((steps == 365) | (steps == 366), _YEARS)):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], step & both, [0]]).astype(np.int8))).reshape(-1, 2)
        for start, end in edges[edges[:, 1] - edges[:, 0] >= least - 1].tolist():
            hits[start : end + 1] = True
    return hits
