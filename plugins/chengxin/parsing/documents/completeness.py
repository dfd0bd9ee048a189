"""What a JSON or XML file states beside its rows that makes it no whole list: a page of one, or an answer that failed.

Somebody saved one answer of an interface, and dropped it. A pull knows its pages by itself; see connectors.http.hints.
"""

import re
from collections.abc import Sequence

from chengxin.model.paging import CUT_SHORT, FAULTS, LAST, MESSAGES, MORE, NEXT, NOTHING, PART
from chengxin.model.vocabularies import Documents, vocabulary

_WORDS = vocabulary(Documents)
_PART = MORE | PART | FAULTS
_ALL = LAST | _WORDS.complete


def unfinished(near: Sequence[tuple[str, str, str, bool]]) -> tuple[str, ...]:
    """Return the names of such values, with what they say where that is a word. near: folded name, name, text."""
    found = []
    for plain, name, value, _ in near:
        text = value.lower()
        is_failure = plain in _WORDS.codes and re.fullmatch("[45][0-9]{2}", text)
        if is_failure or (plain in _PART and text in _WORDS.yes) or (plain in _ALL and text in _WORDS.no):
            found.append(f"{name}={text}")
        elif plain in NEXT and text not in NOTHING | _WORDS.no:
            found.append(name)  # its value may hold a number that names somebody
        elif plain in MESSAGES and (said := CUT_SHORT.search(value)):
            found.append(f"{name}={said[0]}")
    return tuple(found)
