"""Failed formulas in an xls workbook: the calamine library shows them as empty cells."""

import struct
from pathlib import Path

from chengxin.standardise.reading.xls_records import FORMULA, Workbook, checked

_WORDS = {0: "#NULL!", 7: "#DIV/0!", 15: "#VALUE!", 23: "#REF!", 29: "#NAME?", 36: "#NUM!", 42: "#N/A"}
_BOOL_OR_ERROR = 0x0205


def failures(path: Path, sheet: int) -> dict[int, dict[int, str]]:
    """Return the failed formulas of the n-th sheet: row -> column -> #REF! and its like, all 0-based.

    Raises DeliveryCorrupt where the file is put together in a way that cannot be checked.
    """
    found: dict[int, dict[int, str]] = {}
    with checked(path):
        book = Workbook.of(path)
        for kind, at, size in book.sheet(sheet):
            code = _error(book.stream, kind, at) if size >= 8 and kind in {FORMULA, _BOOL_OR_ERROR} else None
            if code is not None:
                row, column = struct.unpack_from("<HH", book.stream, at)
                found.setdefault(row, {})[column] = _WORDS.get(code, "#VALUE!")
    return found


def _error(stream: bytes, kind: int, at: int) -> int | None:
    if kind == _BOOL_OR_ERROR:
        return stream[at + 6] if stream[at + 7] else None
    return stream[at + 8] if stream[at + 6] == 2 and stream[at + 12 : at + 14] == b"\xff\xff" else None
