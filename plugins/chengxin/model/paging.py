"""Names by which an interface speaks of its pages beside the rows: `totalCount: 57`, `hasNext: true`, `pageNo: 1`.

One table for pulls and for answers of interfaces that somebody saved and dropped. All are compared folded.
"""

import re
import unicodedata

#: How many rows there are in all (of some interfaces: on this page).
TOTAL = frozenset(
    {
        "total", "totalcount", "totalnum", "totalnumber", "totalrow", "totalrows", "totalrecord", "totalrecords",
        "totalrecordcount", "totalelements", "totalitems", "totalitem", "totalsize", "totalhits", "totalcnt",
        "recordcount", "recordtotal", "recordstotal", "recordsfiltered", "rowcount", "rowtotal", "allcount", "count",
        "总数", "总条数", "总记录数", "总行数", "记录总数", "数据总数",
    }
)  # fmt: skip
#: How many pages there are.
PAGES = frozenset({"pages", "totalpage", "totalpages", "totalpagecount", "pagetotal", "lastpage", "总页数"})
#: True where more follows.
MORE = frozenset({"hasnext", "hasmore", "hasnextpage", "more", "truncated", "istruncated"})
#: True where the answer itself is only a part of what was asked for.
PART = frozenset({"partial", "ispartial", "partialresult", "incomplete", "timedout", "部分数据"})
#: Lists and objects that are empty unless something failed, in spite of the rows (GraphQL's `errors`).
FAULTS = frozenset({"errors", "error", "failures", "exceptions", "错误"})
#: Texts for people that an answer bears beside its rows, and what they say of rows that are not all.
MESSAGES = frozenset({"msg", "message", "warning", "warnings", "notice", "remark", "提示", "说明", "备注", "警告"})
CUT_SHORT = re.compile(
    r"(?i)(?:仅|只|最多)[能可]?(?:返回|显示|导出|展示|查询|取)[了出]?(?:前|最近)?\s*[0-9]+\s*[条行笔]|(?:返回|加载)了?部分"
    r"|部分(?:数据|记录|结果)(?:超时|失败|丢失|缺失|未)|(?:数据|结果|记录)(?:已?被?截断|不完整)"
    r"|partial (?:result|data)|results? (?:was |were )?truncated"
)
#: True where nothing follows.
LAST = frozenset({"last", "islast", "islastpage", "lastpage", "isend", "end", "是否末页"})
#: Where more is to be had; empty at the end.
NEXT = frozenset(
    {
        "next", "nextpage", "nextcursor", "nexttoken", "nextpagetoken", "nexturl", "nextlink", "nexthref",
        "nextpageurl", "odatanextlink", "nextid", "nextoffset", "nextmarker", "continuationtoken",
    }
)  # fmt: skip
#: Objects and elements in which such names stand, beside those around the rows.
AROUND = frozenset({"page", "pages", "pageinfo", "pagination", "paging", "pager", "meta", "links"})
#: Values of NEXT that say that there is nothing.
NOTHING = frozenset({"", "false", "0", "-1", "null", "none"})
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
