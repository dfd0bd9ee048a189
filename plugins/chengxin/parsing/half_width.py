"""Columns in half width (NFKC), but for the marks of footnotes: 50① is not 501."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.model.identifiers import NOTE_MARKS, narrow
from chengxin.parsing.buffers import Rows, matches, replaced, take

_MARKED = f"[{NOTE_MARKS}]"


def narrowed(values: pa.StringArray) -> pa.StringArray:
    """Return what `model.identifiers.narrow` makes of each value."""
    plain = pc.utf8_normalize(values, form="NFKC")
    rows: Rows = np.flatnonzero(matches(values, _MARKED))
    if len(rows) == 0:
        return plain
    kept = [None if text is None else narrow(text) for text in take(values, rows).to_pylist()]
    return replaced(plain, rows, pa.array(kept, pa.string()))
