"""Lines beside the rows that speak of them: how many there are, or that they are not all.

Only what is sure: an amount or a number of something else than rows is none.
"""

import re
from collections.abc import Sequence

from chengxin.model.vocabularies import Notes, one_of, vocabulary
from chengxin.parsing.shapes import Statements

_WORDS = vocabulary(Notes)
_GROUPED = r"\d{1,3}(?:[,，]\d{3})+"
_COUNTS, _ROWS = one_of(_WORDS.totals, _WORDS.leads), one_of(_WORDS.rows)
_TOLD = re.compile(
    rf"(?:{_COUNTS})[^0-9条笔行小]{{0,20}}?({_GROUPED}|\d+)[\s\"”]*(?:{_ROWS})"
    rf"|(?:{one_of(_WORDS.row_counts)})[\s:：,，\"“]{{1,4}}({_GROUPED}|\d+)(?![\d.])"
)
_TRAILER = re.compile(  # a last line that counts the rows; a day may stand before the number
    rf"(?:(?:{one_of(_WORDS.trailers)})"
    r"[\s:：=|,;^~_-]*|[TZ][\s|,;^~]*[|,;^~]\s*)(?:20\d{6}[\s:|,;^~]+)?(\d{1,10})",
    re.I,
)
_PADDED = re.compile(r"[TZ]\s*(0\d{2,9})", re.I)  # the same in fixed width
_DAY = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d\d)?")
_SCREEN = re.compile(  # what programs of databases write below their rows
    rf"[(（]?\s*(\d{{1,10}})\s*(?:rows?|records?|{_ROWS})\s*(?:{one_of(_WORDS.screen_behind)})?"
    r"\s*(?:[(（][\d.]+\s*s(?:ec)?[)）])?[)）]?[.。]?"
    rf"|[(（]?\s*(?:{one_of(_WORDS.screen_before)})\s*(\d{{1,10}})\s*(?:(?:{_ROWS})(?:记录)?)?[)）]?[.。]?",
    re.I,
)
_SUBJECTS = re.compile(rf"(?:{_COUNTS})\s*[:：]?\s*({_GROUPED}|\d{{1,10}})\s*(?:{one_of(_WORDS.subjects)})")
_BARE = re.compile(rf"(?:{one_of(_WORDS.totals)})[,\t|]?\s*[:：]?\s*({_GROUPED}|\d{{1,10}})")
_UNFINISHED = one_of(_WORDS.unfinished)
_NOT_ALL = re.compile(rf"[(（]?(?:{_UNFINISHED})(?:[,，、]?(?:{_UNFINISHED}))?[)）]?[.。…]*")
_PAGE = re.compile(r"<(?:!doctype\s+html|html|head|body|script)\b.*", re.I | re.S)
_FAILURE = re.compile("|".join(_WORDS.failures), re.S)
#: What shows that the rows were not written to their end: how it is called, and how it looks.
_TORN = (("未完待续", _NOT_ALL), ("网页（HTML）", _PAGE), ("数据库或程序的报错", _FAILURE))
_SUM = re.compile(
    rf"[\s,;|^~\"'（(]{{0,9}}(?:本表|全部|金额|总)*(?:{one_of(_WORDS.totals)})"
)  # of all rows: no 小计, no 本页合计
_DECIMAL = re.compile(r"\d\.\d|\d\s*[万亿]?元")
_LONGEST = 200  # characters; a longer note is about more than its number
_EDGES = " \t\r\n\u3000\xa0\ufeff,;|^~\"'"


def noted(lines: Sequence[str], *, padded: bool = False) -> Statements:
    """Read lines that are no records, above the rows of a table, among or below them.

    合计 120 条, 共120条记录, 记录数：120, (25 rows), TRAILER|25; 共 25 户 is 25 rows at least, 共计：25 is none.
    padded: as in files of fixed width, T00000012.
    """
    stated: list[int] = []
    least: list[int] = []
    sums: list[str] = []
    for line in (line.strip(_EDGES) for line in lines):
        if len(line) > _LONGEST:
            continue
        if match := _TOLD.search(line) or _SCREEN.fullmatch(line):
            stated.append(_number(match))
        elif counted := _count_line(line, padded=padded):
            stated += counted
        elif match := _SUBJECTS.search(line):
            least.append(int(re.sub("[,，]", "", match[1])))
        if _SUM.match(line) and _DECIMAL.search(line):
            sums.append(line)
    return Statements(tuple(stated), tuple(least), torn=torn(lines), sums=tuple(sums))


def torn(lines: Sequence[str]) -> tuple[str, ...]:
    """Return what lines say that cannot be rows: that the file was not written to its end."""
    plain = (line.strip(_EDGES) for line in lines)
    return tuple(word for line in plain for word, pattern in _TORN if pattern.fullmatch(line))


def is_counting(line: str, *, padded: bool = False) -> bool:
    """Return whether a line of a table counts its rows, or states that they are not all."""
    plain = line.strip(_EDGES)
    if len(plain) > _LONGEST:
        return False
    if _count_line(plain, padded=padded) is not None or _SCREEN.fullmatch(plain) or _BARE.fullmatch(plain):
        return True
    return any(pattern.fullmatch(plain) for _, pattern in _TORN)


def _count_line(line: str, *, padded: bool) -> tuple[int, ...] | None:
    """Return what a line before or behind the rows states (T00000012, TRAILER 12); None where it is none."""
    match = _TRAILER.fullmatch(line) or (_PADDED.fullmatch(line) if padded else None)
    if match is None:
        return None
    return () if _DAY.fullmatch(match[1]) else (int(match[1]),)


def _number(match: re.Match[str]) -> int:
    return int(re.sub("[,，]", "", match[1] or match[2]))
