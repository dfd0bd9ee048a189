"""Old workbooks (xls) that are torn are refused, never read with empty cells; results of formulas are read."""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xlwt

from chengxin.contracts.models import FileSpec
from chengxin.errors import DeliveryCorrupt
from chengxin.parsing.reader import plan, read

ROWS = [("名称", "金额"), *((f"示例第{n}有限公司", n * 10.5) for n in range(1, 61))]
STYLE = 15


class Raw:
    """A cell whose records are given as they stand in the file."""

    def __init__(self, data: bytes) -> None:
        self.xf_idx, self._data = STYLE, data

    def get_biff_data(self) -> bytes:
        return self._data


def record(kind: int, content: bytes) -> bytes:
    return struct.pack("<HH", kind, len(content)) + content


def number(row: int, column: int, value: float) -> bytes:
    return record(0x203, struct.pack("<HHHd", row, column, STYLE, value))


def formula(row: int, column: int, result: bytes, *, flags: int = 0) -> bytes:
    return record(
        0x06, struct.pack("<HHH", row, column, STYLE) + result + struct.pack("<HIH", flags, 0, 3) + b"\x1e\1\0"
    )


def text(words: str) -> bytes:
    return record(0x207, struct.pack("<HB", len(words), 1) + words.encode("utf-16-le"))


def workbook(change: Callable[[Any], object] = lambda sheet: None) -> bytes:
    book = xlwt.Workbook()
    sheet = book.add_sheet("表", cell_overwrite_ok=True)
    for n, row in enumerate(ROWS):
        for m, value in enumerate(row):
            sheet.write(n, m, value)
    change(sheet)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def put(row: int, column: int, data: bytes) -> Callable[[Any], None]:
    return lambda sheet: sheet.row(row).insert_cell(column, Raw(data))


def rows(folder: Path, body: bytes) -> tuple[list[tuple[Any, ...]], list[str]]:
    """Return the rows of a workbook, and the rules of those that were set aside."""
    path = folder / "f.xls"
    path.write_bytes(body)
    spec = FileSpec(format="xls")
    chunks = [chunk for piece in plan(path, spec) for chunk in read(piece, spec)]
    found = [tuple(row.values()) for chunk in chunks for row in chunk.table.to_pylist()]
    return found, [damaged.rule for chunk in chunks for damaged in chunk.damaged]


def test_a_whole_workbook_is_read(tmp_path: Path) -> None:
    long = workbook(lambda sheet: sheet.write(5, 0, "长abc" * 8_000))  # its text goes over several records
    assert rows(tmp_path, long)[0][4][0] == "长abc" * 8_000
    assert rows(tmp_path, workbook()) == ([(name, str(value).removesuffix(".0")) for name, value in ROWS[1:]], [])


TORN = {
    "a cell beyond the last column": workbook(put(5, 1, number(5, 40_000, 1.0))),
    "a text that is not there": workbook(put(5, 0, record(0xFD, struct.pack("<HHHI", 5, 0, STYLE, 99_999)))),
    "no end of the sheet": workbook().replace(record(0x0A, b""), record(0x0B, b"")),
}
BODY = workbook()
TORN["a formula without its text"] = workbook(put(5, 1, formula(5, 1, bytes(6) + b"\xff\xff")))
PLACE = BODY.index(struct.pack("<HHHH", 0xFD, 10, 30, 0)) // 512 * 512  # the sector that holds row 31
TORN["zeros in the sheet"] = BODY[:PLACE] + bytes(512) + BODY[PLACE + 512 :]
TABLE = (struct.unpack_from("<I", BODY, 76)[0] + 1) * 512
TORN["sectors that lead in circles"] = BODY[:TABLE] + bytes(512) + BODY[TABLE + 512 :]
TORN["cut off"] = BODY[:-1024]


@pytest.mark.parametrize("fault", TORN)
def test_a_torn_workbook_is_refused_before_it_costs_memory(tmp_path: Path, fault: str) -> None:
    assert TORN[fault] != BODY
    with pytest.raises(DeliveryCorrupt, match=r"请.*重新报送"):
        rows(tmp_path, TORN[fault])


def test_cells_that_stand_in_another_order_are_read(tmp_path: Path) -> None:
    moved = workbook(put(60, 1, number(70, 1, 1.5) + number(60, 1, 630.0)))
    assert rows(tmp_path, moved)[0][-2:] == [("示例第60有限公司", "630"), (None, "1.5")]


EMPTY_TEXT = b"\x03\0\0\0\0\0\xff\xff"
A_TEXT = bytes(6) + b"\xff\xff"


def test_formulas_with_results_are_read_empty_texts_among_them(tmp_path: Path) -> None:
    computed = put(4, 1, formula(4, 1, struct.pack("<d", 7.25)))
    shown = put(6, 0, formula(6, 0, A_TEXT) + text("示例算出的名称"))
    nothing = put(5, 1, formula(5, 1, EMPTY_TEXT))
    zero = put(7, 1, formula(7, 1, bytes(8)))
    found, refused = rows(tmp_path, workbook(lambda sheet: [f(sheet) for f in (computed, shown, nothing, zero)]))
    assert refused == []
    assert [found[n][1] for n in (3, 4, 6)] == ["7.25", None, "0"] and found[5][0] == "示例算出的名称"
