"""Excel sheets (xlsx, xls) -> columns as text.

An xlsx sheet is read in pieces (xlsx_stream.py). An xls sheet is the one thing held in memory as a whole (xls.py); it
has at most 65,536 rows.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chengxin.contracts.models import FileSpec
from chengxin.errors import DeliveryCorrupt, DeliveryMismatch
from chengxin.model.vocabularies import Notes, one_of, vocabulary
from chengxin.parsing.notes import inner_headers, not_records
from chengxin.parsing.shapes import (
    CHUNK_BYTES,
    OVERSIZE,
    Damaged,
    Dated,
    Nested,
    Partial,
    Piece,
    RawChunk,
    Statements,
    joined_header,
    kept,
    row_numbers,
    unique_names,
)
from chengxin.parsing.workbooks import xls, xlsx_package, xlsx_stream
from chengxin.parsing.workbooks.cell_text import cell_text, column_name
from chengxin.parsing.workbooks.doubts import Merged, refuse_alike, refuse_hidden
from chengxin.parsing.workbooks.number_formats import FormatRows, formats_of
from chengxin.parsing.workbooks.xlsx_stream import Rows

#: What a failed formula leaves; #N/A is left out, because it is the word for "nothing found" and read as null.
_FAILED = frozenset({"#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!"})
_SAMPLE = 1_000  # rows below the header that show whether a column without a name is empty
_HEAD_ROWS = 10
_SAMPLE_SHEET = re.compile(one_of(vocabulary(Notes).sample_sheets))
_ROWS = 20_000
_NAMED = 10  # rows
_BLANKS = " \t\r\n\u3000\xa0\ufeff"
#: Rows of the n-th sheet (n > 1) are numbered from n times this on, so that no two rows of a file have one number.
ROWS_PER_SHEET = 10_000_000


def plan_sheet(path: Path, spec: FileSpec) -> list[Piece]:
    """Return one piece a sheet; `line` is the sheet row after the header.

    Raises DeliveryMismatch where sheets that are read together differ in their headers, or where the contract names no
    sheet and several have the same header: nobody said which are meant.
    """
    size = path.stat().st_size
    if not size:
        return [Piece(str(path), 0, 0, 0, _body(spec), "", ())]
    opened = _book(path, spec.format)
    names = opened.names
    chosen = _chosen(path, spec, names)
    refuse_hidden(path, spec, opened.hidden, [names[n - 1] for n in chosen])
    heads = {n: _head(path, spec, names[n - 1]) for n in chosen}
    filled = {n: head for n, head in heads.items() if head[0]} or dict(list(heads.items())[:1])
    (first, expected), *others = filled.items()
    for n, head in others:
        if head[0] != expected[0]:
            raise DeliveryMismatch(
                f"文件 {path.name} 的工作表 {names[n - 1]!r} 与 {names[first - 1]!r} 列名不同，不能合在一起读；"
                "请在合同 file.sheet 中写明要读的工作表"
            )
    if spec.sheet is None:
        _only_one(path, spec, names, expected)
    old = (xlsx_package if _is_package(path) else xls).counts_from_1904(path)
    return [
        Piece(str(path), index, 0, size, _body(spec), "", head[0], head[1], n, old)
        for index, (n, head) in enumerate(filled.items())
    ]


def sheet_header(path: Path, spec: FileSpec) -> tuple[str, ...]:
    """Return the column names of the first sheet that is read."""
    names = sheet_names(path, spec.format)
    return _head(path, spec, names[_chosen(path, spec, names)[0] - 1])[0] if names else ()


def rows_above(path: Path, spec: FileSpec) -> list[str]:
    """Return the names of the sheets that are read and the rows above the header of the first, each as one text."""
    names = sheet_names(path, spec.format)
    chosen = [names[n - 1] for n in _chosen(path, spec, names)] if names else []
    found = (islice(sheet_rows(path, spec.format, name), max(spec.header - 1, 0)) for name in chosen[:1])
    return [*chosen, *(_shown(cells) for rows in found for _, cells in rows)]


def rows_below(path: Path, spec: FileSpec) -> int:
    """Count the filled rows below the header of the sheets that are read. Raises DeliveryMismatch, DeliveryCorrupt."""
    names = sheet_names(path, spec.format)
    chosen = [names[n - 1] for n in _chosen(path, spec, names)] if names else []
    rows = (row for name in chosen for row in sheet_rows(path, spec.format, name))
    return sum(number >= _body(spec) and any(cell is not None for cell in cells) for number, cells in rows)


def number_formats(piece: Piece, spec: FileSpec) -> dict[str, FormatRows]:
    """Return column name -> what the number formats of its cells say beside the values."""
    path = Path(piece.path)
    if not piece.end:
        return {}
    columns = [n for n in range(piece.width) if n not in piece.blank]
    if _is_package(path):
        found = formats_of(path, sheet_names(path, spec.format)[piece.sheet - 1], piece.line)
    else:
        found = xls.formats_of(path, piece.sheet - 1, piece.line)
    return {name: found[n] for name, n in zip(piece.names, columns, strict=True) if n in found}


def _body(spec: FileSpec) -> int:
    return spec.header + (spec.header_rows if spec.header else 1)


def _chosen(path: Path, spec: FileSpec, names: tuple[str, ...]) -> list[int]:
    """Return the 1-based numbers of the sheets to read, in the order of the workbook."""
    if spec.sheet == "*":
        return list(range(1, len(names) + 1))
    wanted = spec.sheet if isinstance(spec.sheet, tuple) else (1 if spec.sheet is None else spec.sheet,)
    found = set()
    for sheet in wanted:
        if isinstance(sheet, int) and 1 <= sheet <= len(names):
            found.add(sheet)
        elif sheet in names:
            found.add(names.index(str(sheet)) + 1)
        else:
            raise DeliveryMismatch(f"文件 {path.name} 里没有约定的工作表 {sheet!r}；现有工作表：{'、'.join(names)}")
    return sorted(found)


def _only_one(path: Path, spec: FileSpec, names: tuple[str, ...], expected: tuple[tuple[str, ...], Any]) -> None:
    """Refuse to read the first sheet and be silent about others of the same kind."""
    if not expected[0] or not spec.header:
        return
    others = {}
    for name in names[1:]:
        rows = list(islice(sheet_rows(path, spec.format, name), spec.header + _HEAD_ROWS))
        top = next((cells for row, cells in rows if row >= spec.header), [])
        below = () if _SAMPLE_SHEET.search(name) else rows  # a title may stand above the same header
        heads = [_head(path, spec, name)[0], *([cell for cell in cells if cell] for _, cells in below)]
        others[name] = (heads, top)
    refuse_alike(path, names[0], expected[0], others)


def sheet_names(path: Path, kind: str) -> tuple[str, ...]:
    """Return the names of all sheets. Raises DeliveryCorrupt where the file is no workbook."""
    return _book(path, kind).names if path.stat().st_size else ()


def seen_sheets(path: Path, kind: str) -> tuple[str, ...]:
    """Return the names of the sheets that are not hidden. Raises DeliveryCorrupt where the file is no workbook."""
    opened = _book(path, kind)
    return tuple(name for name in opened.names if name not in opened.hidden)


def sheet_rows(path: Path, kind: str, name: str, shown: Collection[int] = ()) -> Iterator[tuple[int, list[str | None]]]:
    """Yield (sheet row, cells as text) of one sheet, from row 1 on; blank cells behind the last may be missing.

    Blank cells are null; a failed formula is its error text (#N/A).
    shown: columns (from 0) whose cells are read as the sheet shows them. Raises DeliveryMismatch where one cannot be.
    """
    end = 0
    for part in _parts(path, kind, name, shown):
        margin: list[str | None] = [None] * part.left
        texts = part.texts
        gap = ((row, ()) for row in range(end, part.top))
        for row, found in chain(gap, enumerate(part.cells, part.top)):
            if texts is None:
                cells = margin + [cell if type(cell) is str and cell else cell_text(cell) for cell in found]
            else:
                cells = margin + [texts[cell] if type(cell) is str else cell_text(cell) for cell in found]
            end = row + 1
            for column, (form, is_text) in part.shown.get(end, {}).items():
                place = f"文件 {path.name} 第 {end} 行{column_name(column)}"
                cells[column] = form.written(cells[column], is_text=is_text, place=place)
            yield end, cells


def _parts(path: Path, kind: str, name: str, shown: Collection[int]) -> Iterator[Rows]:
    if _is_package(path):
        yield from xlsx_stream.sheet_pieces(path, name, shown=shown)
    else:
        yield xls.rows_of(path, sheet_names(path, kind).index(name), shown)


def _is_package(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


class _Book(NamedTuple):
    """The names of a workbook's sheets, and of those that are hidden."""

    names: tuple[str, ...]
    hidden: frozenset[str]


def _book(path: Path, kind: str) -> _Book:
    with path.open("rb") as file:
        magic = file.read(512)
    if not magic.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        actual = "，实际是网页（HTML）" if re.match(rb"(?i)\s*<(!doctype html|html|head|meta|table)", magic) else ""
        raise DeliveryCorrupt(f"文件 {path.name} 声明为 {kind}，内容却不是 Excel 工作簿{actual}；请按约定格式重新报送")
    if magic.startswith(b"PK"):
        opened = xlsx_stream.book(path)
        return _Book(tuple(opened.sheet_names), frozenset(xlsx_stream.hidden_sheets(opened)))
    return _Book(tuple(xls.open_book(path).sheet_names()), frozenset(xls.hidden_sheets(path)))


def _merged(path: Path, spec: FileSpec, name: str, piece: Piece) -> Merged:
    if _is_package(path):
        ranges = xlsx_stream.merged_ranges(path, name)
    else:
        ranges = xls.merged_ranges(path, sheet_names(path, spec.format).index(name))
    return Merged.of(ranges, piece.line, piece.width, piece.blank)


def _head(path: Path, spec: FileSpec, name: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the column names of a sheet, and its columns without name and content."""
    block: list[list[str | None]] = []
    unnamed: set[int] = set()
    names: list[str] = []
    widest = 0
    for number, cells in islice(sheet_rows(path, spec.format, name), spec.header + spec.header_rows + _SAMPLE):
        if not spec.header:
            widest = max(widest, _filled(cells))
        elif spec.header <= number < spec.header + spec.header_rows:
            block.append(cells)
            if len(block) == spec.header_rows:
                names = joined_header(block) if len(block) > 1 else [cell or "" for cell in cells]
                names = names[: max(_filled(row) for row in block)]
                unnamed = {n for n, text in enumerate(names) if not text.strip()}
        elif block:
            unnamed = {n for n in unnamed if n >= len(cells) or cells[n] is None}
    if not spec.header:
        return tuple(str(n) for n in range(1, widest + 1)), ()
    kept_names = [text for n, text in enumerate(unique_names(names)) if n not in unnamed]
    return (tuple(kept_names), tuple(sorted(unnamed))) if kept_names else ((), ())


def _filled(cells: list[str | None]) -> int:
    return len(cells) - next((n for n, cell in enumerate(reversed(cells)) if cell is not None), len(cells))


def read_sheet(piece: Piece, spec: FileSpec) -> Iterator[RawChunk]:
    """Yield the rows below the header. Blank rows are passed; a cell without a column name makes the row damaged."""
    is_one_of_several = piece.sheet > 1 and (spec.sheet == "*" or isinstance(spec.sheet, tuple))
    offset = piece.sheet * ROWS_PER_SHEET if is_one_of_several else 0
    columns = [n for n in range(piece.width) if n not in piece.blank]
    rows: list[int] = []
    kept_cells: list[list[str | None]] = []
    damaged: list[Damaged] = []
    size = 0
    path = Path(piece.path)
    name = sheet_names(path, spec.format)[piece.sheet - 1] if piece.end else ""
    merged = _merged(path, spec, name, piece) if piece.end else Merged()
    shown = {n for n, head in zip(columns, piece.names, strict=True) if head in piece.shown}
    for number, cells in sheet_rows(path, spec.format, name, shown) if piece.end else ():
        if number < piece.line or all(cell is None or not cell.strip(_BLANKS) for cell in cells):
            continue
        rule = "row.merged" if merged.fill(number, cells) else _fault(cells, piece)
        if rule:
            note = _unnamed(cells, piece) if rule == "row.width" else ""
            damaged.append(Damaged(number + offset, rule, _shown(cells), note=note))
            continue
        rows.append(number + offset)
        kept_cells.append(cells)
        size += sum(map(len, filter(None, cells)))
        if len(rows) >= _ROWS or size >= CHUNK_BYTES:
            yield _chunk(piece.names, columns, rows, kept_cells, damaged)
            rows, kept_cells, damaged, size = [], [], [], 0
    yield replace(
        _chunk(piece.names, columns, rows, kept_cells, damaged),
        statements=Statements(merged=_merged_rows(name, merged.filled)),
    )
    xls.forget()
    xlsx_stream.forget()


def _merged_rows(sheet: str, numbers: Iterable[int]) -> tuple[str, ...]:
    """Name rows that were read with what stands in a merged cell above; nothing where there are none."""
    found = sorted(numbers)
    shown = "、".join(map(str, found[:_NAMED])) + (f" 等 {len(found)}" if len(found) > _NAMED else "")
    return (f"工作表“{sheet}”第 {shown} 行的单元格与上面的行合并，按同一内容读取",) if found else ()


def _shown(cells: list[str | None]) -> str:
    return kept("\t".join(cell or "" for cell in cells).rstrip("\t"))


def _unnamed(cells: list[str | None], piece: Piece) -> str:
    """Describe which cell has content though its column has no name: 第 28 列（AB）."""
    at = next(
        n
        for n, cell in enumerate(cells)
        if (n >= piece.width and cell is not None) or (n in piece.blank and (cell or "").strip())
    )
    return f"{column_name(at)}没有列名却有内容"


def _fault(cells: list[str | None], piece: Piece) -> str | None:
    if len(cells) > piece.width and any(cell is not None for cell in cells[piece.width :]):
        return "row.width"
    if piece.blank and any(n < len(cells) and (cells[n] or "").strip() for n in piece.blank):
        return "row.width"
    text = "".join([cell for cell in cells if cell])
    if "\ufffd" in text:
        return "row.undecodable"
    if "#" in text and not _FAILED.isdisjoint(cells):
        return "row.formula_error"
    if len(text) > OVERSIZE // 3 and any(len(cell) > OVERSIZE // 3 for cell in cells if cell):
        return "row.oversize"
    return None


def _chunk(
    names: tuple[str, ...],
    columns: list[int],
    rows: list[int],
    cells: list[list[str | None]],
    damaged: list[Damaged],
) -> RawChunk:
    """Turn rows into columns; notes and totals are set aside."""
    values = {name: [row[n] if n < len(row) else None for row in cells] for name, n in zip(names, columns, strict=True)}
    table = pa.table({name: pa.array(column, pa.string()) for name, column in values.items()})
    numbers = np.array(rows, np.int64)
    out = not_records(table) | inner_headers(table, names, numbers % ROWS_PER_SHEET)
    if out.any():
        noted = [Damaged(rows[n], "row.not_a_record", _shown(cells[n])) for n in np.flatnonzero(out).tolist()]
        damaged = sorted([*damaged, *noted], key=lambda item: item.row)
        table, numbers = table.filter(pa.array(~out)).combine_chunks(), numbers[~out]
    nested, dated, partial = (_places(values, out, kind) for kind in (Nested, Dated, Partial))
    return RawChunk(table, row_numbers(numbers), tuple(damaged), nested=nested, dated=dated, partial=partial)


def _places(values: dict[str, list[str | None]], out: npt.NDArray[np.bool_], kind: type[str]) -> dict[str, list[int]]:
    """Return column -> places of values of a kind, counted without the rows that are left out."""
    found: dict[str, list[int]] = {}
    kept_rows = np.cumsum(~out) - 1
    for name, column in values.items():
        if kind in set(map(type, column)):
            rows = [n for n, value in enumerate(column) if type(value) is kind and not out[n]]
            found[name] = kept_rows[rows].tolist()
    return found
