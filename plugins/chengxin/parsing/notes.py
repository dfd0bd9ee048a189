"""Rows of a table that are no records: totals, notes and further headers below (or between) the data."""

import re
from collections.abc import Iterable
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.errors import DeliveryMismatch
from chengxin.model.elements import elements
from chengxin.model.vocabularies import Notes, one_of, vocabulary
from chengxin.parsing.buffers import as_mask
from chengxin.parsing.trailers import is_counting

#: Formats whose rows that are no records (row.not_a_record) are totals, notes and headers.
TABLES = frozenset({"csv", "tsv", "xlsx", "xls"})
_BLANK = " \t\r\n\u3000\xa0\ufeff"
_WORDS = vocabulary(Notes)
_TOTALS = one_of(_WORDS.totals, _WORDS.subtotals)
_COUNTED = one_of(_WORDS.counted)
_TOTAL = re.compile(
    rf"[^0-9]{{0,10}}(?:{_TOTALS})(?:数|金额)?(?:[(（].{{0,12}}[)）])?[:：]?"
    rf"|(?:{_TOTALS}|{one_of(_WORDS.leads)}|以上)+[:：]?[0-9,，]+(?:{_COUNTED})(?:企业|单位|记录|数据|信息)?[。.]?"
    rf"|(?:{one_of(_WORDS.row_counts)})[:：][0-9,，]+"
    rf"|[^0-9]{{0,10}}(?:{_TOTALS})(?:金额|数)?[:：]?\s*[￥¥]?[0-9,，]+(?:\.[0-9]+)?\s*[万亿]?元?"
    rf"|(?:{one_of(_WORDS.statistics)})(?:值|数)?|其中[:：].{{0,20}}"
    rf"|(?:Grand|Sub)?-?Total[:：]?|[(（]?(?:{one_of(_WORDS.ends)})[)）]?|第[0-9]+页[,，]?共[0-9]+页",
    re.I,
)
_SIGNED = re.compile(rf"(?:{one_of(_WORDS.signed)})(?:[(（].{{0,6}}[)）])?\s*[:：].*", re.S)
_NOTE = re.compile(rf"(?:{one_of(_WORDS.notes, _WORDS.signed)})\s*(?:[:：]|\d+[.、．]).*", re.S)
_FILLING = re.compile(rf"[(（]?(?:{one_of(_WORDS.filling)})[)）]?")
_SAMPLE = re.compile(rf"[(（]?(?:{one_of(_WORDS.samples)})[)）]?[:：]?")
_REMARK = re.compile(  # what stands alone on a line and is no cut-off record
    r"[（(【\[].*[）)】\]]|(?:金额|计量)?单位\s*[:：].*|.{0,12}(?:日期|时间|年度|期间)\s*[:：].*|截[至止].*"
    rf"|[-=*_—－…·#.。~\s]+|EOF|END|.{{0,8}}(?:{one_of(_WORDS.closings)})[。.]?|.{{0,30}}(?:{one_of(_WORDS.imprints)})[。.!！]?"
    r"|(?:以上|本)(?:表|名单|清单|文件|数据|信息)(?:由|为|系|仅|共|来源|截).{0,60}",
    re.I,
)
#: The characters that a note may begin with.
_MARKS = "（(TtGgSs \u3000\xa0\ufeff本全以其第" + "".join(
    {
        word[0]
        for words in (
            *(_WORDS.totals, _WORDS.subtotals, _WORDS.leads, _WORDS.row_counts, _WORDS.statistics, _WORDS.ends),
            *(_WORDS.unfinished, _WORDS.signed, _WORDS.notes, _WORDS.filling, _WORDS.samples),
        )
        for word in words
    }
)
_BOM = "\ufeff"
_LONGEST_LATIN = 30  # bytes of a mark in Latin letters or brackets, and its blanks
_DEEP = 3  # columns in which the mark may stand


def not_records(table: pa.Table) -> npt.NDArray[np.bool_]:
    """Mark rows that begin with 合计 and its like, and rows that hold a note (注：, 制表人：) and nothing else."""
    found = np.zeros(table.num_rows, bool)
    open_rows = np.ones(table.num_rows, bool)  # nothing stands before this column
    if table.num_rows:  # what programs write below their rows begins in many ways
        found[-1] = _is_note(table, table.num_rows - 1)
    for column in table.columns[: min(_DEEP, max(table.num_columns - 1, 1))]:
        if not len(column) or not open_rows.any():
            break
        values = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        marked, empty = _begins(values)
        for word in ("小计", "合计"):  # 罚款合计 begins with any character
            marked |= as_mask(pc.ends_with(values, word))
        for row in np.flatnonzero(marked & open_rows).tolist():
            found[row] = _is_note(table, row)
        open_rows &= empty
    return found


def is_remark(line: str) -> bool:
    """Return whether a line with a single cell is evidently a remark or a rule, not a cut-off record."""
    return _REMARK.fullmatch(line.strip(_BLANK + ",;|\"'")) is not None


def inner_headers(table: pa.Table, names: tuple[str, ...], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Mark rows that repeat the column names: files glued together bring their headers along.

    Raises DeliveryMismatch where a row holds other column names: what follows is another table, whose values would be
    taken for those of this one's columns. rows: their numbers, to say where.
    """
    found = np.zeros(len(table), bool)
    words = pa.array([w for name in _titles() | set(names) for w in (name, _BOM + name)], pa.string())
    hits = np.zeros(len(table), np.int16)
    for column in table.columns[:_DEEP]:
        hits += as_mask(pc.is_in(column, value_set=words).combine_chunks())
    for row in np.flatnonzero(hits).tolist():
        cells = [(column[row].as_py() or "").strip(_BLANK) for column in table.columns]
        filled = [cell for cell in cells if cell]
        known = sum(cell in names or cell in _titles() for cell in filled)
        if tuple(cells) == names:
            found[row] = True
        elif known > 1 and 2 * known >= len(filled):
            raise DeliveryMismatch(
                f"第 {rows[row]} 行又是一行列名，且与文件的列名不同：一个文件里有几张表。"
                "请把它们分成几个文件（或工作表）报送，每个文件只有一张表"
            )
    return found


@cache
def _titles() -> frozenset[str]:
    """Return the titles of all data elements: hardly any value is called like one, a column is."""
    return frozenset(element.title for element in elements().values())


def _begins(column: pa.Array) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return where a value begins with a character that a note may begin with, and where it is empty or null."""
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    buffer = np.frombuffer(data, np.uint8) if data is not None and len(data) else np.zeros(0, np.uint8)
    lengths = np.diff(ends)
    begins = np.zeros(len(column), bool)
    if len(buffer):
        first = buffer[np.minimum(ends[:-1], len(buffer) - 1)]
        some = np.flatnonzero(_FIRST_BYTES[first] & (lengths > 0))
        at = np.minimum(ends[some].astype(np.int64), max(len(buffer) - 3, 0))
        codes = buffer[at].astype(np.int32) << 16
        if len(buffer) >= 3:
            codes |= (buffer[at + 1].astype(np.int32) << 8) | buffer[at + 2]
        is_blank = (first[some] == 0x20) | (first[some] == 0xC2)
        is_short = (first[some] < 0x80) & (lengths[some] <= _LONGEST_LATIN)
        begins[some[np.isin(codes, _CODES) | is_blank | is_short]] = True
    return begins, lengths == 0


_FIRST_BYTES = np.zeros(256, bool)
_FIRST_BYTES[[mark.encode()[0] for mark in _MARKS]] = True
_CODES = np.array([int.from_bytes(m.encode()) for m in _MARKS if len(m.encode()) == 3], np.int32)


def _is_note(table: pa.Table, row: int) -> bool:
    return is_note([column[row].as_py() or "" for column in table.columns])


def is_note(cells: Iterable[str]) -> bool:
    """Return whether the cells of a row are those of a total or a note."""
    given = list(cells)
    filled = [cell for cell in (cell.strip(_BLANK) for cell in given) if cell]
    if not filled:
        return False
    if len(filled) < min(len(given), 4) and is_counting("|".join(filled)):  # T|12 may be all of a narrower table
        return True
    if _TOTAL.fullmatch(re.sub(rf"[{_BLANK}]", "", filled[0])) or _SIGNED.fullmatch(filled[0]):
        return True
    if len(filled) > 1 and _SAMPLE.fullmatch(filled[0]):
        return True
    return all(_NOTE.fullmatch(cell) for cell in filled) or all(_FILLING.fullmatch(cell) for cell in filled)
