"""Texts that were cut: they end with three points, or within a sentence where a column of a database ends."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.parsing.buffers import Rows, matches, parts, tails, take, valid

#: How long the columns of databases and the cells of spreadsheets are.
_LENGTHS = pa.array([255, 256, 500, 512, 1000, 1024, 2000, 2048, 3000, 4000, 32767], pa.int32())
_SHORTEST, _POINTED = 255, 3  # bytes
_POINTS = r"(?:\.{3,}|…)$"
_WHOLE = r"[。.！!？?；;”’」』）)】〕》…]$"


def cut_texts(values: pa.StringArray) -> Rows:
    """Return the rows whose text was cut."""
    lengths, last = np.diff(parts(values)[0]), tails(values)
    dotted: Rows = np.flatnonzero(((last == 0x2E) | (last == 0xA6)) & (lengths > _POINTED))
    dotted = dotted[matches(take(values, dotted), _POINTS)] if len(dotted) else dotted
    long: Rows = np.flatnonzero((lengths >= _SHORTEST) & valid(values))
    if len(long):
        texts = take(values, long)
        full = pc.is_in(pc.utf8_length(texts), value_set=_LENGTHS).to_numpy(zero_copy_only=False)
        long = long[full]
        long = long[~matches(take(values, long), _WHOLE)] if len(long) else long
    return np.union1d(dotted, long)
