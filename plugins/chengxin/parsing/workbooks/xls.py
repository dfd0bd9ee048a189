"""Sheets of old workbooks (xls), by xlrd: cells, number formats, hidden rows, merged cells, both day systems.

A sheet is held in memory as a whole; it has at most 65,536 rows.
"""

import io
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import xlrd
from xlrd.biffh import error_text_from_code
from xlrd.formatting import std_format_strings

from chengxin.errors import DeliveryCorrupt
from chengxin.parsing.workbooks.cell_text import Shown, gathered
from chengxin.parsing.workbooks.number_formats import BUILT_IN, Cell, FormatRows, by_column, telling
from chengxin.parsing.workbooks.xlsx_stream import Rows

_FILLED = {xlrd.XL_CELL_TEXT: True, xlrd.XL_CELL_NUMBER: False, xlrd.XL_CELL_DATE: False}
_EMPTY = frozenset({xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK})
#: The workbook opened last: planning and reading it would each open it.
_last: dict[tuple[str, int, int], xlrd.Book] = {}


def open_book(path: Path) -> xlrd.Book:
    """Open a workbook, its sheets when they are asked for. Raises DeliveryCorrupt."""
    state = path.stat()
    key = (str(path), state.st_mtime_ns, state.st_size)
    if key not in _last:
        forget()
        try:
            _last[key] = xlrd.open_workbook(str(path), logfile=io.StringIO(), on_demand=True, formatting_info=True)
        except Exception as fault:  # a broken book leads to errors of many types
            if "encrypted" in str(fault):
                raise DeliveryCorrupt(f"文件 {path.name} 带有密码，无法读取；请去掉密码后重新报送") from None
            raise DeliveryCorrupt(f"文件 {path.name} 已损坏，无法作为 xls 打开；请重新报送") from fault
    return _last[key]


def open_sheet(path: Path, number: int) -> Any:
    """Return the n-th sheet, from 0 on. Raises DeliveryCorrupt."""
    try:
        return open_book(path).sheet_by_index(number)
    except DeliveryCorrupt:
        raise
    except Exception as fault:
        raise DeliveryCorrupt(f"文件 {path.name} 的第 {number + 1} 张工作表已损坏；请重新报送") from fault


def forget() -> None:
    """Let the workbook opened last go."""
    _last.clear()


def hidden_sheets(path: Path) -> set[str]:
    """Return the names of the sheets that are hidden."""
    names = open_book(path).sheet_names()
    return {name for n, name in enumerate(names) if open_sheet(path, n).visibility}


def counts_from_1904(path: Path) -> bool:
    """Return whether the days of a workbook are counted from 1904."""
    return bool(open_book(path).datemode)


def rows_of(path: Path, number: int, columns: Collection[int]) -> Rows:
    """Return all rows of a sheet. columns: those whose cells are read as the sheet shows them."""
    sheet = open_sheet(path, number)
    styles = {n: form for n, code in enumerate(_codes(path)) if (form := Shown.of(code))} if columns else {}
    places = gathered(_cells(sheet, styles), styles, columns) if styles else {}
    return Rows(0, 0, _values(sheet), shown=places)


def merged_ranges(path: Path, number: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return the merged cells of a sheet: first and last cell of each, 0-based."""
    found = open_sheet(path, number).merged_cells
    return [((top, left), (bottom - 1, right - 1)) for top, bottom, left, right in found]


def formats_of(path: Path, number: int, first: int) -> dict[int, FormatRows]:
    """Return the telling formats of the cells from row `first` (1-based) on, with their rows, by 0-based column."""
    told = {n: forms for n, code in enumerate(_codes(path)) if (forms := telling(code))}
    return by_column(_cells(open_sheet(path, number), told), told, first) if told else {}


def _values(sheet: Any) -> Iterator[list[Any]]:
    mode = sheet.book.datemode
    for row in range(sheet.nrows):
        kinds, values = sheet.row_types(row), sheet.row_values(row)
        yield [
            value if kind in _FILLED and kind != xlrd.XL_CELL_DATE else _value(kind, value, mode)
            for kind, value in zip(kinds, values, strict=True)
        ]


def _value(kind: int, value: Any, mode: int) -> Any:
    if kind in _EMPTY:
        return None
    if kind == xlrd.XL_CELL_BOOLEAN:
        return bool(value)
    if kind == xlrd.XL_CELL_ERROR:
        return error_text_from_code.get(value, "#VALUE!")
    try:
        moment = xlrd.xldate_as_datetime(value, mode)
    except (ValueError, OverflowError):
        return value
    return moment.time() if 0 < value < 1 else moment


def _codes(path: Path) -> list[str]:
    """Return the format code of each style; of the library's own ones those that change the meaning."""
    book = open_book(path)
    found = []
    for style in book.xf_list:
        key = style.format_key
        code = book.format_map[key].format_str if key in book.format_map else ""
        found.append(code if code and code != std_format_strings.get(key) else BUILT_IN.get(key, ""))
    return found


def _cells(sheet: Any, wanted: Collection[int]) -> Iterator[Cell]:
    """Yield the cells of some styles that hold a number or a text."""
    for row in range(sheet.nrows):
        for column, kind in enumerate(sheet.row_types(row)):
            if kind in _FILLED and (style := sheet.cell_xf_index(row, column)) in wanted:
                yield row + 1, column, style, _FILLED[kind]
