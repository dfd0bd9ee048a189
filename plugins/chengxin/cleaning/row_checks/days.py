"""Days that cannot be meant: before there were such records, or one a row where a spreadsheet filled a column down."""

from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from chengxin.parsing.buffers import Mask, as_mask

#: Nobody registered or decided anything under the laws in force before this day.
FIRST = date(1949, 10, 1)


def ancient(days: pa.Array) -> Mask | None:
    """Mark the days before the first; None where there is none."""
    least = pc.min(days).as_py()
    return as_mask(pc.less(days, pa.scalar(FIRST, pa.date32()))) if least and least < FIRST else None
