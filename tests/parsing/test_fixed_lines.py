"""Fixed-width lines that have the right width and wrong fields, names cut at a field's end, totals around the rows."""

from pathlib import Path
from typing import Any

import pytest

from chengxin.contracts.models import FileSpec
from chengxin.parsing.reader import Damaged, plan, read
from deliveries import uscc

FIELDS = (("名称", 20), ("代码", 18), ("日期", 8), ("金额", 10), ("地址", 16), ("备注", 8))
WIDTH = sum(length for _, length in FIELDS)


def spec(**more: Any) -> FileSpec:
    starts = [1 + sum(length for _, length in FIELDS[:n]) for n in range(len(FIELDS))]
    fields = [{"source": name, "start": at, "length": n} for (name, n), at in zip(FIELDS, starts, strict=True)]
    return FileSpec.model_validate({"format": "fixed", "encoding": "gb18030", "fields": fields, **more})


def line(n: int, **changed: str) -> bytes:
    values = {"名称": f"示例{n}公司", "代码": uscc(n), "日期": f"202401{n:02d}", "金额": f"{n * 150:010d}"}
    values |= {"地址": "长沙市芙蓉区", "备注": "无误"} | changed
    return b"".join(values[name].encode("gb18030").ljust(size) for name, size in FIELDS)


def lines(count: int = 6) -> list[bytes]:
    return [line(n) for n in range(1, count + 1)]


def of(tmp_path: Path, body: list[bytes] | bytes) -> tuple[list[int], list[Damaged], tuple[int, ...]]:
    path = tmp_path / "f.txt"
    path.write_bytes(body if isinstance(body, bytes) else b"".join(row + b"\n" for row in body))
    chunks = [chunk for piece in plan(path, spec()) for chunk in read(piece, spec())]
    rows = [row for chunk in chunks for row in chunk.rows.to_pylist()]
    return rows, [d for c in chunks for d in c.damaged], tuple(n for c in chunks for n in c.statements.stated)


@pytest.mark.parametrize("at", [4, 9, 19, 25, 40, 60, 75])
def test_a_line_longer_than_the_others_by_blanks_is_refused(tmp_path, at):
    good = line(4, 备注="")
    rows, damaged, _ = of(tmp_path, [*lines(3), good[:at] + b"1" + good[at:], *lines(6)[4:]])
    assert (rows, [(d.row, d.rule) for d in damaged]) == ([1, 2, 3, 5, 6], [(4, "row.width")])


@pytest.mark.parametrize(
    "changed",
    [
        {"日期": "长期"},
        {"日期": ""},
        {"日期": "202401"},
        {"代码": "430102600123455"},
        {"代码": "", "日期": "", "金额": ""},
        {"代码": "无", "日期": "无", "金额": "/"},
        {"金额": "      1200"},
        {"金额": "120.50"},
        {"金额": "   -120.50"},
        {"名称": "  示例公司"},
        {"备注": "    无误"},
        {"地址": " 长沙市"},
        {"地址": "", "备注": ""},
        {"地址": "12345678", "备注": "1"},
    ],
)
def test_values_of_another_form_shift_nothing(tmp_path, changed):
    rows, damaged, _ = of(tmp_path, [*lines(3), line(4, **changed)])
    assert (rows, damaged) == ([1, 2, 3, 4], [])


def test_lines_that_all_end_in_blanks_are_taken(tmp_path):
    assert of(tmp_path, [row + b"   " for row in lines()])[0] == [1, 2, 3, 4, 5, 6]


def test_lines_of_blanks_are_no_rows(tmp_path):
    assert of(tmp_path, [*lines(3), b" " * WIDTH, line(5), b"\0" * WIDTH])[:2] == ([1, 2, 3, 5], [])


def test_a_text_may_fill_its_field(tmp_path):
    rows, damaged, _ = of(tmp_path, [*lines(3), line(4, 名称="示例第四有限责任公司"), *lines(6)[4:]])
    assert (rows, damaged) == ([1, 2, 3, 4, 5, 6], [])


def test_a_name_cut_within_a_character_costs_its_line(tmp_path):
    name = "x示例第四有限责任公司".encode("gb18030")[:20]
    rows, damaged, _ = of(tmp_path, [*lines(3), name + line(4)[20:]])
    assert (rows, [d.rule for d in damaged]) == ([1, 2, 3], ["row.undecodable"])


@pytest.mark.parametrize("kept", [1, 10, 20, 47, WIDTH - 9])
def test_a_torn_last_line_is_cut_off(tmp_path, kept):
    body = b"".join(row + b"\n" for row in lines(3))
    torn = line(4)[:kept]
    rows, damaged, _ = of(tmp_path, body + torn)
    assert (rows, [(d.row, d.rule) for d in damaged]) == ([1, 2, 3], [(4, "row.cut_off")])
    assert [d.rule for d in of(tmp_path, body + torn + b"\n")[1]] == ["row.width"]
    assert of(tmp_path, body + line(4))[1] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("T00000006", (6,)),
        ("TRAILER 6", (6,)),
        ("END|0006", (6,)),
        ("RECORD_COUNT=6", (6,)),
        ("记录数：6", (6,)),
        ("合计 6 条", (6,)),
        ("共6条记录", (6,)),
        ("T020240301", (20240301,)),
        ("合计 6 户", ()),
        ("TRAILER 20240301", ()),
    ],
)
@pytest.mark.parametrize("is_padded", [False, True])
@pytest.mark.parametrize("is_first", [False, True])
def test_a_line_that_counts_the_rows_is_no_row(tmp_path, text, expected, is_padded, is_first):
    total = text.encode("gb18030").ljust(WIDTH if is_padded else 0)
    body = [total, *lines()] if is_first else [*lines(), total]
    rows, damaged, stated = of(tmp_path, body)
    assert len(rows) == 6
    assert ([d.rule for d in damaged], stated) == (["row.not_a_record"], expected)


@pytest.mark.parametrize("text", ["H20240301", "0001", "XT06", "EOF"])
def test_other_lines_of_another_width_state_no_number(tmp_path, text):
    rows, damaged, stated = of(tmp_path, [*lines(), text.encode()])
    assert (len(rows), [d.rule for d in damaged], stated) == (6, ["row.width"], ())
