"""What a workbook shows otherwise than it is read: true, days as names, hidden and struck rows, merged names."""

import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.styles import Font

from chengxin.contracts.models import FileSpec
from chengxin.errors import DeliveryCorrupt
from chengxin.parsing.reader import plan
from deliveries import Office, penalty, uscc

NAMES = ("subject_name", "uscc", "decision_no", "decision_on", "authority_name", "penalty_content")


def sheet() -> openpyxl.Workbook:
    """Return a workbook of eight penalties."""
    book = openpyxl.Workbook()
    book.active.append(NAMES)
    for n in range(1, 9):
        row = penalty(n, subject_name=f"湖南示例{n}有限公司", uscc=uscc(n))
        book.active.append([row[name] for name in NAMES])
    return book


def taken(tmp_path: Path, book: Any, form: str = "xlsx") -> tuple[list[Any], dict[str, tuple[str, str]]]:
    """Return issues and findings of the workbook's batch."""
    book.save(tmp_path / f"罚.{form}")
    return told_of(tmp_path, tmp_path / f"罚.{form}")


def told_of(tmp_path: Path, path: Path) -> tuple[list[Any], dict[str, tuple[str, str]]]:
    """Return issues and findings of a workbook's batch."""
    office = Office(tmp_path)
    office.contract("test_pen", "penalty", NAMES, file={"format": path.suffix[1:]})
    account = office.ingest("test_pen", path)
    verdict = office.verdict("test_pen", account["batch_id"])
    return office.issues("test_pen"), {f.rule: (f.severity, f.message) for f in verdict.findings}


@pytest.mark.parametrize(
    ("place", "value", "rule", "element"),
    [
        ("E4", True, "value.nested", "authority_name"),
        ("F4", False, "value.nested", "penalty_content"),
        ("E4", date(2026, 1, 14), "value.date", "authority_name"),
        ("C4", date(2026, 1, 14), "value.date", "decision_no"),
        ("A4", date(2026, 1, 14), "value.date", "subject_name"),
        ("F4", date(2026, 1, 14), None, ""),  # a text may be a day
        ("D4", date(2026, 1, 14), None, ""),
        ("E4", "12345热线办", None, ""),
    ],
)
def test_cells_of_another_kind_are_no_names(tmp_path, place, value, rule, element):
    book = sheet()
    book.active[place] = value
    told = [issue for issue in taken(tmp_path, book)[0] if not issue[1].startswith("field.")]
    assert told == ([(4, rule, element)] if rule else [])


def test_a_column_of_numbers_has_numbers_for_names(tmp_path):
    book = sheet()
    for n in range(2, 6):
        book.active[f"E{n}"] = 430100
    assert taken(tmp_path, book)[0] == []


def test_a_name_merged_over_rows_is_reported_and_weighs_nothing(tmp_path):
    book = sheet()
    book.active.merge_cells("E3:E5")
    issues, findings = taken(tmp_path, book)
    assert (issues, findings["rows.merged"][0]) == ([], "info")
    assert "第 4、5 行的单元格与上面的行合并" in findings["rows.merged"][1]


@pytest.mark.slow
def test_an_ordinary_sheet_has_no_surprises(tmp_path):
    book = sheet()
    book.active["A1"].font = Font(strike=True, bold=True)  # of the header
    book.active.row_dimensions[1].hidden = True
    book.active.column_dimensions["B"].hidden = True
    assert taken(tmp_path, book) == ([], {})


@pytest.mark.parametrize(("part", "told"), [("word/document.xml", "Word 文档"), ("data.csv", "压缩包")])
def test_another_document_called_a_workbook_is_named_as_it_is(tmp_path, part, told):
    path = tmp_path / "名单.xlsx"
    with zipfile.ZipFile(path, "w") as package:
        package.writestr(part, "<x/>")
    with pytest.raises(DeliveryCorrupt, match=f"不是 Excel 工作簿，实际是{told}"):
        plan(path, FileSpec(format="xlsx"))
