"""Number formats and hidden rows of an xls sheet, and whether it counts from 1904: the calamine library tells none."""

import struct
from collections.abc import Collection, Iterator
from pathlib import Path

from chengxin.parsing.workbooks.cell_text import Places, Shown, gathered
from chengxin.parsing.workbooks.number_formats import BUILT_IN, Cell, FormatRows, by_column, telling
from chengxin.parsing.workbooks.xls_records import FORMULA, Workbook, checked

_DATEMODE, _MULRK, _XF, _NUMBER, _RK, _FORMAT = 0x22, 0xBD, 0xE0, 0x203, 0x27E, 0x41E
_ROW, _HIDDEN = 0x208, 0x20
_TEXTS = frozenset({0x204, 0xD6, 0xFD})
_FILLED = _TEXTS | {_NUMBER, _RK, _MULRK, FORMULA}
_BIFF8 = b"\x00\x06"


def counts_from_1904(path: Path) -> bool:
    """Tell whether the days of a workbook are counted from 1904. Raises DeliveryCorrupt."""
    with checked(path):
        book = Workbook.of(path)
        return any(kind == _DATEMODE and book.stream[at] == 1 for kind, at, _ in book.records())


def formats_of(path: Path, sheet: int, first: int) -> dict[int, FormatRows]:
    """Return the telling formats of the cells of the n-th sheet from row `first` (1-based) on, by 0-based column."""
    with checked(path):
        book = Workbook.of(path)
        told = {n: forms for n, code in enumerate(_codes(book)) if (forms := telling(code))}
        return by_column(_cells(book, sheet), told, first) if told else {}


def shown(path: Path, sheet: int, columns: Collection[int]) -> Places:
    """Return how cells of some columns of the n-th sheet are shown, where that is not as they are."""
    with checked(path):
        book = Workbook.of(path)
        styles = {n: form for n, code in enumerate(_codes(book)) if (form := Shown.of(code))}
        return gathered(_cells(book, sheet), styles, columns) if styles else {}


def hidden_rows(path: Path, sheet: int) -> set[int]:
    """Return the numbers (from 1) of the rows of the n-th sheet that are hidden, or have no height."""
    with checked(path):
        book = Workbook.of(path)
        rows = (struct.unpack_from("<H10xH", book.stream, at) for kind, at, _ in book.sheet(sheet) if kind == _ROW)
        return {row + 1 for row, options in rows if options & _HIDDEN}


def _codes(book: Workbook) -> list[str]:
    """Return the format code of each style."""
    own: dict[int, str] = {}
    numbers: list[int] = []
    for kind, at, size in book.records():
        if kind == _XF:
            numbers += struct.unpack_from("<H", book.stream, at + 2)
        elif kind == _FORMAT:
            number = struct.unpack_from("<H", book.stream, at)[0]
            own[number] = _text(book.stream[at + 2 : at + size], wide=book.stream[4:6] >= _BIFF8)
    return [own.get(number) or BUILT_IN.get(number, "") for number in numbers]


def _text(raw: bytes, *, wide: bool) -> str:
    """Read the text of a format: UTF-16 or its lower bytes; before Excel 97 the bytes of the writer's code page."""
    if not wide:
        return raw[1 : 1 + raw[0]].decode("gb18030", "replace")
    length = struct.unpack_from("<H", raw)[0]
    return raw[3 : 3 + 2 * length].decode("utf-16-le") if raw[2] & 1 else raw[3 : 3 + length].decode("latin-1")


def _cells(book: Workbook, sheet: int) -> Iterator[Cell]:
    """Yield the cells that hold a number or a text."""
    stream = book.stream
    for kind, at, size in book.sheet(sheet):
        if kind not in _FILLED:
            continue
        row, column, style = struct.unpack_from("<HHH", stream, at)
        if kind == _MULRK:  # several numbers of one row: style and value of each, and the last column
            styles = struct.iter_unpack("<HI", stream[at + 4 : at + size - 2])
            yield from ((row + 1, n, style, False) for n, (style, _) in enumerate(styles, column))
        elif kind != FORMULA or stream[at + 12 : at + 14] != b"\xff\xff":
            yield row + 1, column, style, kind in _TEXTS
        elif not stream[at + 6]:
            yield row + 1, column, style, True
