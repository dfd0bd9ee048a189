"""Words in the place of a value that is lost: formula errors, [object Object], true, and 同上 (as above)."""

import numpy as np
import pyarrow as pa

from chengxin.standardise.kernels.buffers import Mask, Rows, heads, matches, parts, take, valid

_LONGEST = 60  # bytes
_WORDS = (
    r"#(?:REF|VALUE|NAME|DIV/0|NUM|NULL|SPILL|CALC|FIELD|BLOCKED|CONNECT|GETTING_DATA)[!?]?|#{3,}|-?1\.#(?:QNAN|IND|INF|J)"
    r"|\[object \w+\]|System(?:\.\w+)+|(?:java|javax|com|org|oracle)(?:\.[\w$]+)+@[0-9a-f]+|<(?:object|function) .*>"
    r"|[?？□■]{2,}|=[A-Z]+\(.*\)"
)
_DITTO = "|".join(("同上", "同前", "同左", "〃", "″", "同上。"))
_HEADS = np.zeros(256, np.bool_)
_HEADS[[*b"#[-1SjocOJC<tfTF=?"]] = True
_DITTO_HEADS = np.zeros(256, np.bool_)
_DITTO_HEADS[[0xEF, *(word.encode()[0] for word in _DITTO.split("|"))]] = True


def lost_values(values: pa.StringArray, *, booleans: bool, ditto: bool) -> Mask:
    """Mark values that are such a word and nothing else. booleans: true and false are none either; ditto: nor 同上."""
    found = np.zeros(len(values), np.bool_)
    lengths = np.diff(parts(values)[0])
    first = heads(values)
    hits = _HEADS[first] & (lengths > 1) & (lengths <= _LONGEST)
    if ditto:
        hits |= _DITTO_HEADS[first] & (lengths <= 9)
    rows: Rows = np.flatnonzero(hits & valid(values))
    if len(rows):
        words = "|".join((_WORDS, *(("true|false",) if booleans else ()), *((_DITTO,) if ditto else ())))
        found[rows] = matches(take(values, rows), rf"(?i)^(?:{words})$")
    return found
