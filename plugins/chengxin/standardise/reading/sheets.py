"""Excel sheets (xlsx, xls) -> columns as text.

The one reader that holds a whole sheet in memory: the calamine library unpacks it at once. A sheet has at most
1,048,576 rows (65,536 in xls), so that is bounded, though not small (about 1 KiB a row of ten cells).
"""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import python_calamine as calamine

from chengxin.contracts.models import FileSpec
from chengxin.errors import DeliveryCorrupt, DeliveryMismatch
from chengxin.standardise.reading.shapes import CHUNK_BYTES, OVERSIZE, Damaged, Piece, RawChunk, kept, unique_names

_ROWS = 50_000
_EXACT = 10**15  # a double holds whole numbers of 15 digits for sure


def plan_sheet(path: Path, spec: FileSpec) -> list[Piece]:
    """Return the one piece of a workbook; `line` is the sheet row after the header."""
    return [Piece(str(path), 0, 0, path.stat().st_size, spec.header + 1, "", _names(path, spec))]


def sheet_names(path: Path, kind: str) -> tuple[str, ...]:
    """Return the names of all sheets. Raises DeliveryCorrupt where the file is no workbook."""
    return tuple(_book(path, kind).sheet_names) if path.stat().st_size else ()


def sheet_rows(path: Path, spec: FileSpec) -> Iterator[tuple[int, list[str | None]]]:
    """Yield (sheet row, cells as text) of one sheet, from sheet row 1 on."""
    if not path.stat().st_size:
        return
    sheet = _sheet(path, spec)
    if sheet.start is None:
        return
    for number, cells in enumerate(sheet.to_python(skip_empty_area=False), 1):
        yield number, [cell_text(cell) for cell in cells]


def _book(path: Path, kind: str) -> Any:
    with path.open("rb") as file:
        magic = file.read(8)
    if not magic.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise DeliveryCorrupt(f"文件 {path.name} 声明为 {kind}，内容却不是 Excel 工作簿；请按约定格式重新报送")
    try:
        return calamine.load_workbook(str(path))
    except calamine.PasswordError:
        raise DeliveryCorrupt(f"文件 {path.name} 带有密码，无法读取；请去掉密码后重新报送") from None
    except Exception as fault:  # the library raises its own, OSError and ValueError for broken books
        raise DeliveryCorrupt(f"文件 {path.name} 已损坏，无法作为 {kind} 打开；请重新报送") from fault


def _sheet(path: Path, spec: FileSpec) -> Any:
    book = _book(path, spec.format)
    wanted = spec.sheet if spec.sheet is not None else 1
    names = book.sheet_names
    if isinstance(wanted, int) and 1 <= wanted <= len(names):
        wanted = names[wanted - 1]
    if wanted not in names:
        raise DeliveryMismatch(f"文件 {path.name} 里没有约定的工作表 {wanted!r}；现有工作表：{'、'.join(names)}")
    try:
        return book.get_sheet_by_name(wanted)
    except Exception as fault:
        raise DeliveryCorrupt(f"文件 {path.name} 的工作表 {wanted!r} 已损坏；请重新报送") from fault


def cell_text(value: object) -> str | None:
    """Return a cell as text; blank and error cells are null.

    Whole numbers have no .0; above 15 digits a cell has already lost its last digits, so it stays in scientific form
    and is seen as destroyed. Dates are ISO, with the time only where there is one.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return _number_text(value)
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(" ", "seconds")
    return value.isoformat() if isinstance(value, (dt.date, dt.time)) else str(value)


def _number_text(value: float) -> str | None:
    if value != value or value in (float("inf"), float("-inf")):
        return None
    if abs(value) >= _EXACT:
        return f"{Decimal(repr(value)):E}"
    if value == int(value):
        return str(int(value))
    return f"{Decimal(repr(value)):f}"


def _names(path: Path, spec: FileSpec) -> tuple[str, ...]:
    widest = 0
    for number, cells in sheet_rows(path, spec):
        filled = len(cells) - next((n for n, cell in enumerate(reversed(cells)) if cell is not None), len(cells))
        if number == spec.header:
            return unique_names([cell or "" for cell in cells[:filled]])
        widest = max(widest, filled)
    return () if spec.header else tuple(str(n) for n in range(1, widest + 1))


def read_sheet(piece: Piece, spec: FileSpec) -> Iterator[RawChunk]:
    """Yield the rows below the header. Blank rows are passed; a cell right of the last header makes the row damaged."""
    width = len(piece.names)
    rows: list[int] = []
    kept_cells: list[list[str | None]] = []
    damaged: list[Damaged] = []
    size = 0
    for number, cells in sheet_rows(Path(piece.path), spec):
        if number < piece.line or all(cell is None for cell in cells):
            continue
        rule = _fault(cells, width)
        if rule:
            damaged.append(Damaged(number, rule, kept("\t".join(cell or "" for cell in cells).rstrip("\t"))))
            continue
        rows.append(number)
        kept_cells.append(cells)
        size += sum(len(cell) for cell in cells if cell)
        if len(rows) >= _ROWS or size >= CHUNK_BYTES:
            yield _chunk(piece.names, rows, kept_cells, damaged)
            rows, kept_cells, damaged, size = [], [], [], 0
    yield _chunk(piece.names, rows, kept_cells, damaged)


def _fault(cells: list[str | None], width: int) -> str | None:
    if any(cell is not None for cell in cells[width:]):
        return "row.width"
    if any(cell is not None and "\ufffd" in cell for cell in cells):
        return "row.undecodable"
    return "row.oversize" if any(cell is not None and len(cell) > OVERSIZE // 3 for cell in cells) else None


def _chunk(names: tuple[str, ...], rows: list[int], cells: list[list[str | None]], damaged: list[Damaged]) -> RawChunk:
    columns = {
        name: pa.array([row[n] if n < len(row) else None for row in cells], pa.string()) for n, name in enumerate(names)
    }
    return RawChunk(pa.table(columns), pa.array(rows, pa.int64()), tuple(damaged))
