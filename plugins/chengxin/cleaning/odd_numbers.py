"""Numbers where others have something else: a day as the number of a spreadsheet, 0 as a name.

The number of a day counts from 1900 or, out of old Macintosh workbooks, from 1904: in a text nothing shows from which.
"""

import numpy as np
import pyarrow as pa

from chengxin.parsing.buffers import Mask, Rows, heads, matches, parts, take, valid

_DIGITS = r"^[0-9][0-9 .,:/年月日时分秒TZ+-]*$|^[0-9][0-9A-Z]{14,17}$"
_FEW = 5  # one in so many at most; else they may be the numbers that the source has for names


def numbers_among_names(values: pa.StringArray) -> Mask:
    """Mark the few values that are nothing but a number, a code, a day or a time."""
    hits = np.zeros(len(values), np.bool_)
    rows = np.flatnonzero((heads(values) - np.uint8(0x30) < 10) & valid(values))
    if len(rows) and _FEW * len(rows) <= len(values):
        hits[rows] = matches(take(values, rows), _DIGITS)
    return hits


def serial_days(raw: pa.StringArray, days: pa.Array) -> Mask:
    """Mark day numbers in a column in which other days are written out. days: as they were read (date32)."""
    found = np.zeros(len(raw), np.bool_)
    offsets, _ = parts(raw)
    rows: Rows = np.flatnonzero((np.diff(offsets) == 5) & (heads(raw) - np.uint8(0x30) < 10) & valid(raw))
    if len(rows):
        found[rows] = matches(take(raw, rows), "^[0-9]{5}$")
    return found if (valid(days) & ~found).any() else np.zeros(len(raw), np.bool_)
