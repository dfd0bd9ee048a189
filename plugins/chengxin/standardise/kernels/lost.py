"""Words that a program left where a value should stand: formula errors, [object Object], true; the value is lost."""

import numpy as np
import pyarrow as pa

from chengxin.standardise.kernels.buffers import Mask, Rows, heads, matches, parts, take, valid

_LONGEST = 60  # bytes
_WORDS = (
    r"#(?:REF|VALUE|NAME|DIV/0|NUM|NULL|SPILL|CALC|FIELD|BLOCKED|CONNECT|GETTING_DATA)[!?]?|#{3,}|-?1\.#(?:QNAN|IND|INF|J)"
    r"|\[object \w+\]|System(?:\.\w+)+|(?:java|javax|com|org|oracle)(?:\.[\w$]+)+@[0-9a-f]+|<(?:object|function) .*>"
)
_ERRORS = rf"^(?:{_WORDS})$"
_WITH_BOOLEANS = rf"(?i)^(?:{_WORDS}|true|false)$"
_HEADS = np.zeros(256, np.bool_)
_HEADS[[*b"#[-1SjocOJC<tfTF"]] = True


def lost_values(values: pa.StringArray, *, booleans: bool) -> Mask:
    """Mark values that are such a word and nothing else. booleans: whether true and false are none either."""
    found = np.zeros(len(values), np.bool_)
    lengths = np.diff(parts(values)[0])
    rows: Rows = np.flatnonzero(_HEADS[heads(values)] & (lengths > 2) & (lengths <= _LONGEST) & valid(values))
    if len(rows):
        found[rows] = matches(take(values, rows), _WITH_BOOLEANS if booleans else _ERRORS)
    return found
