"""Texts that still wear what a program wrote around them: marks of a web page, JSON, Base64.

A reader sees `<p>` and `&nbsp;` between the words, or no words at all. Words in angle brackets (<合同>) are none of it.
"""

import numpy as np
import pyarrow as pa

from chengxin.parsing.buffers import Rows, heads, matches, parts, take, valid

_TAGS = (
    r"</?(?:p|br|div|span|font|img|table|tbody|tr|t[dh]|strong|em|ul|ol|li|hr|h[1-6]|html|body|style|script|o:p|a\s+href)"
    r"(?:[\s=][^<>]*)?/?>"
)
_ENTITIES = r"&(?:nbsp|amp|lt|gt|quot|apos|[lr]dquo|mdash|middot|ensp|emsp|#[0-9]{2,6}|#x[0-9a-f]{2,5});"
_JSON = r"^(?:\{\s*\"[^\"]*\"\s*:.*\}|\[\s*[\{\"\[].*\])$"
_BASE64 = r"^data:[a-z]+/[a-z0-9.+-]+[;,]|^(?:[A-Za-z0-9+/]{4}[\r\n]*){50,}[A-Za-z0-9+/]{0,4}={0,2}$"
_LONG = 200  # bytes
_STARTS = np.zeros(256, np.bool_)
_STARTS[[*b"{["]] = True


def coded(values: pa.StringArray, angled: Rows, escaped: Rows) -> Rows:
    """Return the rows that hold such marks. angled, escaped: the rows in which a `<`, and in which a `&` stands."""
    first = heads(values)
    plain = (first < 0x7B) & (first > 0x2A) & (np.diff(parts(values)[0]) >= _LONG) | (first == 0x64)
    found = [
        rows[matches(take(values, rows), rf"(?is){pattern}")]
        for rows, pattern in (
            (angled, _TAGS),
            (escaped, _ENTITIES),
            (np.flatnonzero(_STARTS[first] & valid(values)), _JSON),
            (np.flatnonzero(plain & valid(values)), _BASE64),
        )
        if len(rows)
    ]
    return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)
