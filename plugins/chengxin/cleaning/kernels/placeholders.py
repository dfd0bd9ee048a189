"""Words in the place of a value that is lost: formula errors, [object Object], true, 同上 (as above), 测试 (a test)."""

import numpy as np
import pyarrow as pa

from chengxin.model.vocabularies import Placeholders, one_of, vocabulary
from chengxin.parsing.buffers import Mask, Rows, heads, matches, parts, take, valid

_LONGEST = 60  # bytes
_WORDS = (
    r"#(?:REF|VALUE|NAME|DIV/0|NUM|NULL|SPILL|CALC|FIELD|BLOCKED|CONNECT|GETTING_DATA)[!?]?|#{3,}|-?1\.#(?:QNAN|IND|INF|J)"
    r"|\[object \w+\]|System(?:\.\w+)+|(?:java|javax|com|org|oracle)(?:\.[\w$]+)+@[0-9a-f]+|<(?:object|function) .*>"
    r"|[?？□■]+|=[A-Z]+\(.*\)"
)
_VOCABULARY = vocabulary(Placeholders)
_DITTO = (_VOCABULARY.ditto, rf"(?i:{one_of(_VOCABULARY.tests)})(?:{one_of(_VOCABULARY.tested)})?[0-9]{{0,4}}")
_HEADS = np.zeros(256, np.bool_)
_HEADS[[*b"#[-1SjocOJC<tfTF=?"]] = True
_SHORT = 18  # bytes of the longest of those words in Chinese
_CODES = np.array([int.from_bytes(c.encode()[:2]) for c in "同〃见详测＂″□■"], np.int32)


def lost_values(values: pa.StringArray, *, booleans: bool, ditto: bool, elsewhere: bool) -> Mask:
    """Mark values that are such a word and nothing else.

    booleans: true and false are none either; ditto: nor 同上 and 测试; elsewhere: nor 见附件.
    """
    found = np.zeros(len(values), np.bool_)
    offsets, data = parts(values)
    lengths = np.diff(offsets)
    first = heads(values)
    hits = _HEADS[first] & ((lengths > 1) | (first == 0x3F)) & (lengths <= _LONGEST)
    if ditto:
        short = np.flatnonzero((first >= 0xE2) & (lengths <= _SHORT) & (lengths > 2))
        begins = (data[offsets[short]].astype(np.int32) << 8) | data[offsets[short] + 1] if len(short) else short
        hits[short[np.isin(begins, _CODES)]] = True
    rows: Rows = np.flatnonzero(hits & valid(values))
    if len(rows):
        words = [_WORDS, *(("true|false",) if booleans else ()), *(_DITTO if ditto else ())]
        words += _VOCABULARY.elsewhere if elsewhere else ()
        found[rows] = matches(take(values, rows), rf"(?i)^(?:{'|'.join(words)})$")
    return found
