"""What a JSON or XML file says beside its rows that makes it no whole list: a page of one, or an answer that failed.

Somebody saved one answer of an interface, and dropped it. A pull knows its pages by itself; see connectors.http_hints.
"""

import re
from collections.abc import Iterable

from chengxin.standardise.reading.record_count import fold

_YES = frozenset({"true", "yes", "y", "是"})
_NO = frozenset({"false", "no", "n", "否"})
_MORE = frozenset(
    {"hasmore", "hasnext", "hasnextpage", "truncated", "istruncated", "partial", "ispartial", "incomplete"}
)
_ALL = frozenset({"islast", "islastpage", "lastpage", "complete", "iscomplete", "finished", "success", "是否末页"})
_NEXT = frozenset({"next", "nextpage", "nextlink", "nexturl", "nextcursor", "nexttoken", "nextpagetoken", "nexthref"})
_CODE = frozenset({"code", "status", "statuscode", "errcode", "errorcode", "retcode", "returncode", "resultcode"})
_NOTHING = frozenset({"", "0", "-1", "null", "none", *_NO})


def unfinished(values: Iterable[tuple[str, str, bool]]) -> tuple[str, ...]:
    """Return the names of such values, with what they say where that is a word. values: as `count_beside` takes."""
    found = []
    for name, value, _ in values:
        plain, text = fold(name), value.strip().lower()
        is_failure = plain in _CODE and re.fullmatch("[45][0-9]{2}", text)
        if is_failure or (plain in _MORE and text in _YES) or (plain in _ALL and text in _NO):
            found.append(f"{name}={text}")
        elif plain in _NEXT and text not in _NOTHING:
            found.append(name)  # its value may hold a number that names somebody
    return tuple(found)
