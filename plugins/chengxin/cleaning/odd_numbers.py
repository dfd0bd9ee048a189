"""Days as the number of a spreadsheet, where other days are written out.

The number of a day counts from 1900 or, out of old Macintosh workbooks, from 1904: in a text nothing shows from which.
"""

import numpy as np
import pyarrow as pa

from chengxin.parsing.buffers import Mask, Rows, heads, matches, parts, take, valid


def serial_days(raw: pa.StringArray, days: pa.Array) -> Mask:
    """Mark day numbers in a column in which other days are written out. days: as they were read (date32)."""
    found = np.zeros(len(raw), np.bool_)
    offsets, _ = parts(raw)
    rows: Rows = np.flatnonzero((np.diff(offsets) == 5) & (heads(raw) - np.uint8(0x30) < 10) & valid(raw))
    if len(rows):
        found[rows] = matches(take(raw, rows), "^[0-9]{5}$")
    return found if (valid(days) & ~found).any() else np.zeros(len(raw), np.bool_)
