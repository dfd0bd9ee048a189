"""The rows of an XLSX sheet, a piece at a time, so that memory does not depend on how many there are.

The calamine library unpacks a whole sheet, 2.5 KiB a row of ten cells. So the sheet's XML is cut between rows, and the
library is given each piece as a small workbook of its own, made in memory of the same styles. The shared texts are read
once, in the same way; a cell that points to one carries its number behind a mark. Where no cut is possible (rows
without a number, comments), the piece is the whole sheet. See docs/decisions/20261125-workbooks-in-pieces.md.
"""

import io
import re
import secrets
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

import pyarrow as pa
import python_calamine as calamine

from chengxin.parsing.workbooks.cell_text import Places, Shown, gathered
from chengxin.parsing.workbooks.number_formats import codes, placed, styled_cells
from chengxin.parsing.workbooks.xlsx_package import (
    BROKEN,
    bounded,
    damaged,
    failures_as_texts,
    irregular,
    refuse_far_cells,
    sheet_member,
    small_parts,
    texts_member,
)

_BLOCK = 1 << 20
_BLOCKS = 8  # a piece but the first holds so many
_WHOLE = 256 << 20  # what cannot be cut may be this large
_BEGIN = re.compile(rb"<((?:\w+:)?)sheetData\s*(/?)>")
_TEXTS_BEGIN = re.compile(rb"<((?:\w+:)?)sst\b[^>]*>")
#: A cell that points to a shared text, as nearly all programs write it, and in every other way.
_POINTER = b't="s"><v>'
_OTHER_POINTER = re.compile(
    rb"""\bt=(["'])s\1([^<>]*>\s*(?:<(?:\w+:)?f\b[^<>]*(?:/>|>[^<]*</(?:\w+:)?f>)\s*)?<(?:\w+:)?v>)"""
)
#: Stands before the number of a shared text; nobody who writes a file can know it.
_MARK = "\ufffe" + secrets.token_hex(4)
Book = Any
Row = list[Any]
_Bytes = TypeVar("_Bytes", bytes, bytearray)


@dataclass(frozen=True)
class Rows:
    """Consecutive rows of a sheet.

    top, left: 0-based place of the first cell. texts: what the strings among the cells stand for; None: for themselves.
    shown: cells that are read as the sheet shows them.
    """

    top: int
    left: int
    cells: Iterable[Row]
    texts: Mapping[str, str | None] | None = None
    shown: Places = field(default_factory=dict)


class _Uncuttable(ValueError):
    """A part that would have to be held as a whole, and is too large for that."""


def book(path: Path) -> Book:
    """Return the workbook without its rows: the names of its sheets and which are hidden. Raises DeliveryCorrupt."""
    bounded(path)
    try:
        with zipfile.ZipFile(path) as package:
            return _small_book(small_parts(package))
    except (*BROKEN, calamine.CalamineError) as fault:
        raise damaged(path) from fault


def hidden_sheets(book: Book) -> set[str]:
    """Return the names of the sheets that are hidden."""
    return {sheet.name for sheet in book.sheets_metadata if sheet.visible != calamine.SheetVisibleEnum.Visible}


def merged_ranges(path: Path, sheet: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return the merged cells of a sheet, which stand behind its rows."""
    try:
        with _Opened(path, sheet) as opened, opened.package.open(opened.member) as file:
            return opened.sheet(_without_rows(file)).merged_cell_ranges or []
    except _Uncuttable as fault:
        raise irregular(path) from fault
    except (*BROKEN, calamine.CalamineError) as fault:
        raise damaged(path) from fault


def sheet_pieces(path: Path, sheet: str, block: int = _BLOCK, shown: Collection[int] = ()) -> Iterator[Rows]:
    """Yield all rows of a sheet that hold anything, in order. Raises DeliveryCorrupt.

    shown: columns (from 0) whose cells are also given as the sheet shows them.
    """
    end = 0
    try:
        with _Opened(path, sheet) as opened, opened.package.open(opened.member) as file:
            styles = {n: form for n, code in codes(opened.package).items() if (form := Shown.of(code))} if shown else {}
            for xml in _cut(file, block):
                refuse_far_cells(xml, path, sheet)
                plain = failures_as_texts(xml)
                marked = _marked(plain)
                found = opened.sheet(marked)
                if found.start is None:
                    continue
                if found.start[0] < end:
                    raise irregular(path)
                end = found.end[0] + 1
                texts = None if marked is plain else _Meant(path)
                top, left = found.start
                yield Rows(
                    *(top, left, found.to_python(), texts),
                    shown=_shown(xml, styles, shown) if styles else {},
                )
    except _Uncuttable as fault:
        raise irregular(path) from fault
    except (*BROKEN, calamine.CalamineError) as fault:
        raise damaged(path) from fault


def _shown(xml: bytes, styles: Mapping[int, Shown], columns: Collection[int]) -> Places:
    cells = styled_cells(xml, styles)
    return gathered(placed([xml], styles) if cells is None else cells, styles, columns)


class _Opened:
    """An open package, one sheet of it, and the parts that go into every small workbook."""

    def __init__(self, path: Path, sheet: str) -> None:
        self.name = sheet
        self.package = zipfile.ZipFile(path)
        member = sheet_member(self.package, sheet)
        if member is None:
            raise irregular(path)
        self.member = member
        self.parts = small_parts(self.package)

    def __enter__(self) -> "_Opened":
        return self

    def __exit__(self, *_: object) -> None:
        self.package.close()

    def sheet(self, xml: bytes, texts: tuple[str, bytes] | None = None) -> Any:
        """Return what the library makes of a sheet's XML."""
        parts = self.parts | {self.member: xml} | dict([texts] if texts else [])
        return _small_book(parts).get_sheet_by_name(self.name)


def _small_book(parts: Mapping[str, bytes]) -> Book:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as package:
        for name, content in parts.items():
            package.writestr(name, content)
    file.seek(0)
    return calamine.load_workbook(file)


def _cut(file: IO[bytes], size: int) -> Iterator[bytes]:
    """Cut a sheet before rows that say their number; each piece is a whole document. The first is small."""
    read = bytearray(file.read(size))
    begin = _BEGIN.search(read)
    if begin is None or begin[2]:
        yield bytes(_grown(read, file.read(_WHOLE)))
        return
    head, row = bytes(read[: begin.end()]), b"<" + begin[1] + b"row "
    close = b"</" + begin[1] + b"sheetData></" + begin[1] + b"worksheet>"
    del read[: begin.end()]
    odd, wanted = b"<!" in head or b"<!" in read, 0
    while block := file.read(size):
        if not odd and len(read) >= wanted:
            at = _last_row(read, row)
            wanted = _BLOCKS * size if at else 2 * len(read)
            if at:
                yield head + bytes(read[:at]) + close
                del read[:at]
        odd = odd or b"<!" in block or (read.endswith(b"<") and block.startswith(b"!"))
        read = _grown(read, block)
    yield head + bytes(read)


def _grown(read: _Bytes, block: bytes) -> _Bytes:
    if len(read) + len(block) > _WHOLE:
        raise _Uncuttable
    read += block
    return read


def _last_row(read: bytearray, row: bytes) -> int | None:
    """Return where the last row begins that bears its number, if it is not the first."""
    at = len(read)
    for _ in range(2):  # the last may be cut off in its tag
        at = read.rfind(row, 0, at)
        if at <= 0:
            return None
        if re.match(rb'[^>]*\br="\d+"[^>]*>', read[at : at + 1000]):
            return at
    return None


def _without_rows(file: IO[bytes]) -> bytes:
    """Return a sheet's XML from which all rows are gone."""
    read = file.read(_BLOCK)
    begin = _BEGIN.search(read)
    if begin is None or begin[2]:
        return _grown(read, file.read(_WHOLE))
    head, close = read[: begin.end()], b"</" + begin[1] + b"sheetData>"
    rest = read[begin.end() :]
    while (at := rest.find(close)) < 0:
        block = file.read(_BLOCK)
        if not block:
            raise EOFError
        rest = rest[-len(close) :] + block
    return _grown(head + rest[at:], file.read(_WHOLE))


def _marked(xml: bytes) -> bytes:
    """Turn pointers to shared texts into texts that hold the mark and the number; the same object if there are none."""
    if b'"s"' not in xml and b"'s'" not in xml:
        return xml
    mark = _MARK.encode()
    found = xml.replace(_POINTER, b't="str"><v>' + mark)
    if b't="s"' in found or b"t='s'" in found:
        found = _OTHER_POINTER.sub(rb't="str"\2' + mark, found)
    return found if mark in found else xml


class _Meant(dict[str, str | None]):
    """What the strings of a piece stand for: those without a mark for themselves. Raises DeliveryCorrupt."""

    def __init__(self, path: Path) -> None:
        self.path, self.texts = path, _shared_texts(path)

    def __missing__(self, text: str) -> str | None:
        if not text.startswith(_MARK):
            return text or None
        number = text[len(_MARK) :].strip()
        if number and not (number.isdecimal() and int(number) < len(self.texts)):
            raise damaged(self.path)
        self[text] = (self.texts[int(number)].as_py() or None) if number else None
        return self[text]


_last_texts: dict[tuple[str, int, int], pa.ChunkedArray] = {}


def _shared_texts(path: Path) -> pa.ChunkedArray:
    """Return all shared texts of a workbook; those of the last one are kept until `forget`."""
    state = path.stat()
    key = (str(path), state.st_mtime_ns, state.st_size)
    if key not in _last_texts:
        forget()
        _last_texts[key] = pa.chunked_array(_texts(path), pa.string())
    return _last_texts[key]


def forget() -> None:
    """Let the shared texts go."""
    _last_texts.clear()


def _texts(path: Path) -> Iterator[pa.Array]:
    first = book(path).sheet_names[0]
    with _Opened(path, first) as opened:
        member = texts_member(opened.package)
        if member is None:
            return
        with opened.package.open(member) as file:
            for xml, count in _cut_texts(file):
                cells = b"".join([b'<row><c t="s"><v>%d</v></c></row>' % n for n in range(count)])
                found = opened.sheet(b"<worksheet><sheetData>" + cells + b"</sheetData></worksheet>", (member, xml))
                rows = [row[0] for row in found.to_python(skip_empty_area=False)]
                yield pa.array(rows + [""] * (count - len(rows)), pa.string())


def _cut_texts(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Cut the table of texts between them; each piece is a whole document, with how many it holds."""
    read = bytearray(file.read(_BLOCK))
    begin = _TEXTS_BEGIN.search(read)
    if begin is None:
        raise ValueError("no table of texts")
    head, item, close = bytes(read[: begin.end()]), b"</" + begin[1] + b"si>", b"</" + begin[1] + b"sst>"
    one = re.compile(rb"<" + begin[1] + rb"si\b")
    del read[: begin.end()]
    odd = b"<!" in head or b"<!" in read
    while block := file.read(_BLOCK):
        at = -1 if odd else read.rfind(item)
        if at > 0:
            at += len(item)
            yield head + bytes(read[:at]) + close, len(one.findall(read, 0, at))
            del read[:at]
        odd = odd or b"<!" in block or (read.endswith(b"<") and block.startswith(b"!"))
        read = _grown(read, block)
    yield head + bytes(read), len(one.findall(read))
