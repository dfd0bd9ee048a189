"""Numbers that name something, in cells whose format adds to them: they are read as the sheet shows them."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow.parquet as pq
import pytest
import xlwt

from chengxin.parsing.workbooks.cell_text import Shown
from deliveries import Office, penalty, uscc

NAMES = ("subject_name", "uscc", "decision_no", "decision_on", "authority_name", "fine", "source_record_id", "remark")


def sheet(form: str, column: str, value: Any, code: str) -> Any:
    """Return a workbook of four penalties; in one column of the third a value under a number format."""
    book: Any = openpyxl.Workbook() if form == "xlsx" else xlwt.Workbook()
    page = book.active if form == "xlsx" else book.add_sheet("表")
    rows = [
        penalty(
            n, subject_name=f"湖南示例{n}有限公司", uscc=uscc(n), fine=f"{n}000", source_record_id=f"R{n}", remark=""
        )
        for n in range(4)
    ]
    rows[2][column] = value
    for n, cells in enumerate([NAMES, *([row[name] for name in NAMES] for row in rows)]):
        for m, cell in enumerate(cells):
            told = code if n == 3 and NAMES[m] == column else "General"
            if form == "xlsx":
                made = page.cell(n + 1, m + 1, cell)
                made.number_format = told
            else:
                page.write(n, m, cell, xlwt.easyxf(num_format_str=told))
    return book


def read(tmp_path: Path, form: str, column: str, value: Any, code: str) -> Any:
    """Return what the third row has in a column, or why the delivery is held."""
    office = Office(tmp_path)
    office.contract("shown", "penalty", NAMES, file={"format": form}, quality={})
    sheet(form, column, value, code).save(tmp_path / f"罚.{form}")
    account = office.ingest("shown", tmp_path / f"罚.{form}")
    folder = office.layout.standard("shown", account["batch_id"])
    found = [row for path in sorted(folder.glob("standard-*.parquet")) for row in pq.read_table(path).to_pylist()]
    if not found:
        return (folder / "summary.json").read_text("utf-8")
    return next(row for row in found if row["source_row"] == 4)[column if column != "fine" else "fine_yuan"]


@pytest.mark.parametrize("form", ["xlsx", "xls"])
@pytest.mark.parametrize(
    ("column", "value", "code", "shown"),
    [
        ("source_record_id", 1, "00000000", "00000001"),
        ("source_record_id", 123456789, "00000000", "123456789"),
        ("source_record_id", 0, "000", "000"),
        ("source_record_id", 20140812, "0000-00-00", "2014-08-12"),
        ("source_record_id", 73118888, '0000"-"00000', "0731-18888"),
        ("decision_no", 7, '"湘罚〔2024〕"000"号"', "湘罚〔2024〕007号"),
        ("decision_no", 7, '"湘罚〔2024〕"G/通用格式"号"', "湘罚〔2024〕7号"),
        ("authority_name", "长沙市监局", '"湖南"@', "湖南长沙市监局"),
        ("authority_name", "长沙市监局", '0;-0;0;@"（派出）"', "长沙市监局（派出）"),
        ("source_record_id", "7", "00000000", "7"),  # a text is shown as it is
        ("source_record_id", 7, "General", "7"),
        ("source_record_id", 1234567, "#,##0", "1234567"),
        ("fine", 500, "00000000", 500),
        ("remark", 500, '"¥"#,##0.00', "500"),
    ],
)
def test_numbers_that_name_something_are_read_as_shown(*, tmp_path, form, column, value, code, shown):
    assert read(tmp_path, form, column, value, code) == shown


@pytest.mark.parametrize("form", ["xlsx", "xls"])
@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("source_record_id", 1.5, '"湘"00'),
        ("remark", 5, '[DBNum2]General"元"'),
        ("source_record_id", -1, "000"),
        ("source_record_id", 5, "00.0"),
        ("authority_name", 1, '[=1]"示例一局";"示例二局"'),
    ],
)
def test_what_cannot_be_written_as_it_is_shown_holds_the_delivery(tmp_path, form, column, value, code):
    assert "设为“文本”格式、写全内容后重报" in read(tmp_path, form, column, value, code)


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [
        ('"第"#"号"', "0", "第号"),
        ("0!.0", "12", "1.2"),
        ("000-0000-0000", "13900000000", "139-0000-0000"),
        ("[Red]000;[Blue]-000", "5", "005"),
        ('000;-000;"无"', "0", "无"),
        ("000", "9.1E+17", "9.1E+17"),
    ],
)
def test_digits_fill_their_places_from_the_right(code, value, shown):
    form = Shown.of(code)
    assert form and form.written(value, is_text=False, place="") == shown


@pytest.mark.parametrize("code", ["General", "0", "0.00", "#,##0.00", "yyyy-mm-dd", "@", "0_ ", "[$-804]0", "0.00E+00"])
def test_ordinary_formats_show_what_is_written(code):
    assert Shown.of(code) is None


@pytest.mark.parametrize("form", ["xlsx", "xls"])
@pytest.mark.parametrize(
    ("day", "code", "told"),
    [
        (date(2026, 1, 1), 'yyyy"年"m"月"', True),
        (date(2026, 1, 14), 'yyyy"年"m"月"', False),  # whoever typed that gave the day
        (date(2026, 1, 14), 'm"月"d"日"', True),
        (date(2026, 1, 1), "yyyy", True),
        (date(2026, 1, 1), 'yyyy"年"m"月"d"日"', False),
        (date(2026, 1, 1), "yy-m-d", False),
        (datetime(2026, 1, 1, 8), "yyyy/m/d h:mm", False),  # noqa: DTZ001 - workbooks know no zones
    ],
)
def test_days_that_the_sheet_shows_in_part_are_told(tmp_path, form, day, code, told):
    assert read(tmp_path, form, "decision_on", day, code) == date(2026, 1, day.day)
    assert Office(tmp_path).issues("shown") == ([(4, "date.unshown", "decision_on")] if told else [])
