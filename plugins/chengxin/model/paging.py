"""Names by which an interface speaks of its pages beside the rows: `totalCount: 57`, `hasNext: true`, `pageNo: 1`.

One table (paging.yaml) for pulls and for answers of interfaces that somebody saved and dropped; compared folded.
"""

import re
import unicodedata
from pathlib import Path

from chengxin.model.declarations import read_yaml

_NAMES: dict[str, list[str]] = read_yaml(Path(__file__).with_name("paging.yaml"))

#: How many rows there are in all (of some interfaces: on this page).
TOTAL = frozenset(_NAMES["total"])
#: How many pages there are.
PAGES = frozenset(_NAMES["pages"])
#: True where more follows.
MORE = frozenset(_NAMES["more"])
#: True where the answer itself is only a part of what was asked for.
PART = frozenset(_NAMES["part"])
#: Lists and objects that are empty unless something failed, in spite of the rows (GraphQL's `errors`).
FAULTS = frozenset(_NAMES["faults"])
#: Texts for people that an answer bears beside its rows, and what they say of rows that are not all.
MESSAGES = frozenset(_NAMES["messages"])
CUT_SHORT = re.compile(
    r"(?i)(?:仅|只|最多)[能可]?(?:返回|显示|导出|展示|查询|取)[了出]?(?:前|最近)?\s*[0-9]+\s*[条行笔]|(?:返回|加载)了?部分"
    r"|部分(?:数据|记录|结果)(?:超时|失败|丢失|缺失|未)|(?:数据|结果|记录)(?:已?被?截断|不完整)"
    r"|partial (?:result|data)|results? (?:was |were )?truncated"
)
#: True where nothing follows.
LAST = frozenset(_NAMES["last"])
#: Where more is to be had; empty at the end.
NEXT = frozenset(_NAMES["next"])
#: Objects and elements in which such names stand, beside those around the rows.
AROUND = frozenset(_NAMES["around"])
#: Values of NEXT that say that there is nothing.
NOTHING = frozenset(_NAMES["nothing"])
_SIZE = re.compile(r"(?:page)?size|limit|(?:rows?)?perpage|pagerows|每页(?:条数|记录数)|页大小")
_PLACE = re.compile(
    r"(?:cur|current|this|start)?page(?:no|num|number|index)?|current|offset|skip|start|(?:当前|起始)?页(?:码|号|数)?"
)
_NUMBER = re.compile(r"[0-9]{1,10}")
_TRUTH = frozenset({"true", "false", "yes", "no", "y", "n", "是", "否"})


def fold(name: str) -> str:
    """Return a name in small letters without signs and namespace: {urn:x}Total_Count is totalcount."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name.rpartition("}")[2])).lower()


def is_size(folded: str, value: str) -> bool:
    """Tell whether a value says how many rows a page has."""
    return _NUMBER.fullmatch(value) is not None and _SIZE.fullmatch(folded) is not None


def is_place(folded: str, value: str) -> bool:
    """Tell whether a value says which page this is, or with which row it begins."""
    return _NUMBER.fullmatch(value) is not None and _PLACE.fullmatch(folded) is not None


def is_paging(folded: str, value: str) -> bool:
    """Tell whether a value is about pages: start=0 is, start=2026-01-01 is not."""
    if _NUMBER.fullmatch(value) and (folded in PAGES or folded == "pagecount" or is_size(folded, value)):
        return True
    return is_place(folded, value) or (folded in MORE | LAST and value.lower() in _TRUTH) or folded in NEXT
