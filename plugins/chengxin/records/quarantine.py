"""The stored quarantine rows: the one place that reads their raw text, which is a JSON object of header -> text.

Of a row that could not be split into fields it is the text of the row. Earlier writers left control characters of a
header as they were, which is no JSON: that is repaired here.
"""

import json

from chengxin.engine.step import literal

#: SQL: whether a row was split into fields.
SPLIT = "NOT coalesce(list_bool_or(list_transform(reasons, lambda r: r.rule LIKE 'row.%')), false)"


def stored(quarantine: str) -> str:
    """Return SQL for the rows of the table `quarantine`, their raw text repaired."""
    mended = "raw"
    for code in range(0x20):
        mended = f"replace({mended}, chr({code}), {literal(json.dumps(chr(code))[1:-1])})"
    broken = f"regexp_matches(raw, '[\\x00-\\x1f]') AND {SPLIT}"
    return f"SELECT * REPLACE (CASE WHEN {broken} THEN {mended} ELSE raw END AS raw) FROM {quarantine}"


def text_of(header: str) -> str:
    """Return SQL for what stands in `raw` under a header."""
    return text_under(literal(header))


def text_under(header: str) -> str:
    """Return SQL for what stands in `raw` under the header that this SQL gives."""
    return f"json_extract_string(raw, '/' || replace(replace({header}, '~', '~0'), '/', '~1'))"
