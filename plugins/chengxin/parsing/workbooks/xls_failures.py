"""Failed formulas in an xls workbook, and those that nobody computed: the calamine library shows no sign of either."""

import struct
from pathlib import Path

from chengxin.parsing.workbooks.xls_records import FORMULA, Workbook, checked

_WORDS = {0: "#NULL!", 7: "#DIV/0!", 15: "#VALUE!", 23: "#REF!", 29: "#NAME?", 36: "#NUM!", 42: "#N/A"}
_BOOL_OR_ERROR, _TEXT, _COMPUTED = 0x0205, 0x0207, 0x01C1
_BETWEEN = frozenset({0x0221, 0x0236, 0x04BC})  # what may stand between a formula and the text that came out of it
_NOT_COMPUTED = "#CALC!"
_ON_LOAD = 2


def failures(path: Path, sheet: int) -> dict[int, dict[int, str]]:
    """Return the failed formulas of the n-th sheet: row -> column -> #REF! and its like, all 0-based.

    Formulas without a result are #CALC!. Programs that write formulas and compute none leave zeros marked for the first
    opening, or empty texts throughout in a book that no office program ever computed.
    Raises DeliveryCorrupt where the file is put together in a way that cannot be checked.
    """
    found: dict[int, dict[int, str]] = {}
    empty: list[tuple[int, int]] = []
    with checked(path):
        book = Workbook.of(path)
        formulas = 0
        awaited: tuple[int, int] | None = None  # a formula whose text must follow
        for kind, at, size in book.sheet(sheet):
            if awaited and kind not in _BETWEEN:
                if kind != _TEXT:
                    found.setdefault(awaited[0], {})[awaited[1]] = _NOT_COMPUTED
                awaited = None
            if size < 8 or kind not in {FORMULA, _BOOL_OR_ERROR}:
                continue
            place = struct.unpack_from("<HH", book.stream, at)
            formulas += kind == FORMULA
            if word := _word(book.stream, kind, at):
                found.setdefault(place[0], {})[place[1]] = word
            elif kind == FORMULA and (result := _result(book.stream, at)) is not None:
                awaited = place if result == 0 else None
                empty += [place] if result == 3 else []
        if empty and len(empty) == formulas and all(kind != _COMPUTED for kind, _, _ in book.records()):
            for row, column in empty:
                found.setdefault(row, {})[column] = _NOT_COMPUTED
    return found


def _word(stream: bytes, kind: int, at: int) -> str | None:
    """Return what stands for a cell without a value, None where it has one."""
    code = _error(stream, kind, at)
    if code is not None:
        return _WORDS.get(code, "#VALUE!")
    if kind != FORMULA or not struct.unpack_from("<H", stream, at + 14)[0] & _ON_LOAD:
        return None
    return _NOT_COMPUTED if _result(stream, at) == 3 or not any(stream[at + 6 : at + 14]) else None


def _result(stream: bytes, at: int) -> int | None:
    """Return the kind of a formula's result: 0 text, 1 yes or no, 2 error, 3 empty text; None = a number."""
    return stream[at + 6] if stream[at + 12 : at + 14] == b"\xff\xff" else None


def _error(stream: bytes, kind: int, at: int) -> int | None:
    if kind == _BOOL_OR_ERROR:
        return stream[at + 6] if stream[at + 7] else None
    return stream[at + 8] if _result(stream, at) == 2 else None
