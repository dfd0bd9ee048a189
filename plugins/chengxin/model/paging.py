"""Names by which an interface speaks of its pages beside the rows: `totalCount: 57`, `hasNext: true`, `pageNo: 1`.

One table (vocabularies/paging.yaml) for pulls and for saved answers of interfaces; names are compared folded.
"""

import re
import unicodedata

from chengxin.model.vocabularies import Documents, Paging, vocabulary

_NAMES = vocabulary(Paging)

#: How many rows there are in all (of some interfaces: on this page).
TOTAL = _NAMES.total
#: How many pages there are.
PAGES = _NAMES.pages
#: True where more follows.
MORE = _NAMES.more
#: True where the answer itself is only a part of what was asked for.
PART = _NAMES.part
#: Lists and objects that are empty unless something failed, in spite of the rows (GraphQL's `errors`).
FAULTS = _NAMES.faults
#: Texts for people that an answer bears beside its rows, and what they say of rows that are not all.
MESSAGES = _NAMES.messages
CUT_SHORT = re.compile(_NAMES.cut_short)
#: True where nothing follows.
LAST = _NAMES.last
#: Where more is to be had; empty at the end.
NEXT = _NAMES.next_
#: Objects and elements in which such names stand, beside those around the rows.
AROUND = _NAMES.around
#: Values of NEXT that say that there is nothing.
NOTHING = _NAMES.nothing
_SIZE = re.compile(_NAMES.size)
_PLACE = re.compile(_NAMES.place)
_NUMBER = re.compile(r"[0-9]{1,10}")
_TRUTH = vocabulary(Documents).yes | vocabulary(Documents).no


def fold(name: str) -> str:
    """Return a name in small letters without signs and namespace: {urn:x}Total_Count is totalcount."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name.rpartition("}")[2])).lower()


def is_size(folded: str, value: str) -> bool:
    """Return whether a value is the number of rows of a page."""
    return _NUMBER.fullmatch(value) is not None and _SIZE.fullmatch(folded) is not None


def is_place(folded: str, value: str) -> bool:
    """Return whether a value is the number of this page, or of its first row."""
    return _NUMBER.fullmatch(value) is not None and _PLACE.fullmatch(folded) is not None


def is_paging(folded: str, value: str) -> bool:
    """Return whether a value is about pages: start=0 is, start=2026-01-01 is not."""
    if _NUMBER.fullmatch(value) and (folded in PAGES or folded == "pagecount" or is_size(folded, value)):
        return True
    return is_place(folded, value) or (folded in MORE | LAST and value.lower() in _TRUTH) or folded in NEXT
