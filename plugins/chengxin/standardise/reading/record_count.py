"""How many records a file says it holds: in a total or note, in a value beside the rows of JSON and XML; units too.

Only where the meaning is sure: `total` and its like near the rows, and not in one page of a longer list.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from chengxin.standardise.reading.outline import HEADS

_COUNT = re.compile(
    r"total(?:count|num|number|rows?|records?|size|items?)?|allcount"
    r"|(?:records?|rows?|data|items?|lines?|list)(?:count|total|number|cnt)|(?:record|data)s?num|count|cnt|num"
    r"|(?:本次|本批|本文件|文件|报送|上报|上传|传输|发送|推送|数据|记录|明细|信息|总)*(?:总数|条数|笔数|行数|记录数|总记录数)"
)
_PAGE = re.compile(
    r"(?:cur|current|this|start)?page(?:no|num|number|index|count|s|size|rows|total|info)?|pages|total(?:page|pages)|per_?page"
    r"|size|limit|offset|skip|start|rows?perpage|hasnext(?:page)?|hasmore|nextpage|next|cursor|islastpage|last|current"
    r"|(?:当前|起始|每)?页(?:码|号|数|大小|条数)|总页数|每页(?:条数|记录数)|是否末页"
)
_SIZE = re.compile(r"(?:page)?size|limit|(?:rows?)?perpage|pagerows|每页(?:条数|记录数)|页大小")
_UNSURE = frozenset({"num", "cnt"})  # said of much else: only right beside the rows, where nothing is paged
_NUMBER = re.compile(r"(\d{1,3}(?:,\d{3})+|\d{1,10})(?:\.0)?\s*(?:条|笔|行)?")
_LINE = re.compile(
    r"(?:(?:TRAILER|TRAIL|TRL|TAIL|FOOTER|FOOT|END|EOF|RECORDS|RECORD_?COUNT|COUNT|TOTAL|ROWS)[\s:：=|,_-]*"
    r"(\d{1,10})|[TZ]\s*(0\d{2,9}))",
    re.I,
)

_TOLD = re.compile(
    r"(?:合计|总计|共计|共有|总数|记录数|共)[^0-9条笔行小]{0,20}?(\d{1,3}(?:[,，]\d{3})+|\d+)[\s\"”]*(?:条|笔|行)"
    r"|(?:记录数|条数|总行数)[\s:：,，\"“]{1,4}(\d{1,3}(?:[,，]\d{3})+|\d+)(?![\d.])"
)
_UNIT_NAME = re.compile(r"(?:money|amount|amt|currency|je|jl|jldw|jedw)?(?:unit|dw)|(?:金额|计量|货币)?单位")
_LONGEST = 200  # characters; a note that is longer tells of more than its number


def totals(lines: Iterable[str]) -> list[int]:
    """Return the numbers of records that totals and notes of a table state: 合计 120 条, 共120条记录, 记录数：120."""
    said = (_TOLD.search(line) for line in lines if len(line) <= _LONGEST)
    return [int(re.sub("[,，]", "", match[1] or match[2])) for match in said if match]


def fold(name: str) -> str:
    """Return a name in lower case without signs: Total_Count is totalcount."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name)).lower()


def count_beside(values: Iterable[tuple[str, str, bool]], read: int) -> tuple[int, ...]:
    """Return the number of records that the values near the rows state; nothing where none does for sure.

    values: name, text, and whether it stands right beside the rows. read: what was read; of several numbers that
    differ, one that agrees is believed (a total of the list beside the count of the file).
    """
    found: list[int] = []
    unsure: list[int] = []
    sizes: list[int] = []
    is_paged = False
    for name, text, beside in values:
        plain, number = fold(name), _NUMBER.fullmatch(text.strip())
        value = int(number[1].replace(",", "")) if number else -1
        is_paged |= _PAGE.fullmatch(plain) is not None
        if number and _SIZE.fullmatch(plain):
            sizes.append(value)
        elif number and _COUNT.fullmatch(plain) and (beside or plain not in _UNSURE):
            (unsure if plain in _UNSURE else found).append(value)
    found += unsure if not is_paged and not found else []
    if not found or (is_paged and not (sizes and max(found) <= min(sizes))):
        return ()
    return (read,) if read in found else (max(found),)


def units_beside(values: Iterable[tuple[str, str, bool]]) -> tuple[str, ...]:
    """Return what the values near the rows say of the unit of amounts, as notes: 单位：万元."""
    notes = []
    for name, text, _ in values:
        if _UNIT_NAME.fullmatch(fold(name)) and text.strip().endswith("元"):
            notes.append(f"单位：{text.strip()}")
        elif "单位" in text and len(text) <= _LONGEST:
            notes.append(text)
    return tuple(notes)


def members(found: Mapping[str, Any], *, beside: bool) -> Iterator[tuple[str, str, bool]]:
    """Yield the plain values of a JSON object, and those of a head or of paging within it, as `count_beside` takes."""
    for name, value in found.items():
        if isinstance(value, str):
            yield name, value, beside
        elif isinstance(value, bool):
            yield name, str(value).lower(), beside
        elif isinstance(value, dict) and (name.lower() in HEADS or "page" in name.lower() or "paging" in name.lower()):
            yield from members({n: v for n, v in value.items() if not isinstance(v, dict)}, beside=False)


def count_line(line: str) -> tuple[int, ...] | None:
    """Return what a line before or behind fixed-width rows states (T00000012, TRAILER 12); None where it is none."""
    match = _LINE.fullmatch(line.strip())
    if match is None:
        return None
    digits = match[1] or match[2]
    is_day = re.fullmatch(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d\d)?", digits)
    return () if is_day else (int(digits),)
