"""Whether an xls workbook is whole, asked before a library opens it that trusts the numbers in it.

The calamine library follows sectors that lead in circles until no memory is left, makes room for cells in any column,
and leaves a cell empty whose text or place it cannot find. A file with flipped or missing bytes would lose values so.
"""

import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from chengxin.parsing.workbooks.xls_records import FORMULA, Record, Workbook, checked

_BLANK, _NUMBER, _LABEL, _BOOL_OR_ERROR, _RK, _RICH, _SHARED = 0x201, 0x203, 0x204, 0x205, 0x27E, 0xD6, 0xFD
_MANY_NUMBERS, _MANY_BLANKS = 0xBD, 0xBE
_ONE = frozenset({FORMULA, _BLANK, _NUMBER, _LABEL, _BOOL_OR_ERROR, _RK, _RICH, _SHARED})
_TEXTS, _CONTINUED = 0xFC, 0x3C
_COLUMNS = 256


def refuse_torn(path: Path) -> None:
    """Raise DeliveryCorrupt where a workbook is damaged in a way that would lose or move values."""
    state = path.stat()
    _check(str(path), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)
def _check(path: str, _changed: int, _size: int) -> None:
    with checked(Path(path)):
        book = Workbook.of(Path(path))
        texts = _count_texts(book)
        for number, (_, has_cells) in enumerate(book.sheets()):
            if has_cells:
                _check_cells(book.stream, book.sheet(number), texts)


def _check_cells(stream: bytes, records: Iterator[Record], texts: int) -> None:
    """Raise ValueError for a cell beyond the last column, one that stands twice, and one whose text is not there."""
    before = -1
    places: list[int] = []
    in_order = True
    for kind, at, size in records:
        if kind in _ONE:
            row, column = struct.unpack_from("<HH", stream, at)
            last = column
        elif kind in {_MANY_NUMBERS, _MANY_BLANKS}:
            row, column = struct.unpack_from("<HH", stream, at)
            last = struct.unpack_from("<H", stream, at + size - 2)[0]
        else:
            continue
        if not column <= last < _COLUMNS:
            raise ValueError("a cell beyond the last column")
        if kind == _SHARED and struct.unpack_from("<I", stream, at + 6)[0] >= texts:
            raise ValueError("a cell without its text")
        place = row * _COLUMNS + column
        in_order &= place > before
        before = row * _COLUMNS + last
        places += range(place, before + 1)
    if not in_order and len(set(places)) < len(places):
        raise ValueError("two cells in one place")


def _count_texts(book: Workbook) -> int:
    """Count the shared texts by reading each; raise ValueError or struct.error where they do not come out."""
    blocks: list[bytes] = []
    stated = 0
    for kind, at, size in book.records():
        if kind == _TEXTS and not blocks:
            stated = struct.unpack_from("<I", book.stream, at + 4)[0]
            blocks.append(book.stream[at + 8 : at + size])
        elif kind == _CONTINUED and blocks:
            blocks.append(book.stream[at : at + size])
        elif blocks:
            break
    return _Texts(blocks).count(stated) if blocks else 0


class _Texts:
    """The blocks of the table of shared texts; a text may go on in the next block, which then says its width anew."""

    def __init__(self, blocks: list[bytes]) -> None:
        self._blocks, self._block, self._at = blocks, 0, 0

    def count(self, stated: int) -> int:
        """Read as many texts as are stated, or as there are, and return their number."""
        number = 0
        while number < stated and not self._at_end():
            length, flags = struct.unpack_from("<HB", self._blocks[self._block], self._at)
            self._at += 3
            runs = struct.unpack_from("<H", self._blocks[self._block], self._at)[0] if flags & 8 else 0
            self._at += 2 if flags & 8 else 0
            more = struct.unpack_from("<I", self._blocks[self._block], self._at)[0] if flags & 4 else 0
            self._at += 4 if flags & 4 else 0
            self._pass_letters(length, 2 if flags & 1 else 1)
            self._pass(4 * runs + more)
            number += 1
        return number

    def _at_end(self) -> bool:
        while self._block < len(self._blocks) and self._at >= len(self._blocks[self._block]):
            self._block, self._at = self._block + 1, 0
        return self._block >= len(self._blocks)

    def _pass_letters(self, letters: int, width: int) -> None:
        while letters:
            here = min(letters, (len(self._blocks[self._block]) - self._at) // width)
            self._at += here * width
            letters -= here
            if letters:
                self._block, self._at = self._block + 1, 1
                width = 2 if self._blocks[self._block][0] & 1 else 1

    def _pass(self, size: int) -> None:
        while size:
            here = min(size, len(self._blocks[self._block]) - self._at)
            self._at, size = self._at + here, size - here
            if size:
                self._block, self._at = self._block + 1, 0
