"""A delivery that cannot be read is held and answered: the department hears why, and no run fails on it again."""

import io
import json
import zipfile
from pathlib import Path

import openpyxl
import pytest

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.home import Home
from deliveries import REGISTRATION, START, Office


def workbook_with(damage: bytes, part: str) -> bytes:
    """Return a workbook in which `damage` stands where the packed bytes of a part should begin."""
    book, packed = openpyxl.Workbook(), io.BytesIO()
    for n in range(200):
        book.active.append([*REGISTRATION] if not n else [f"示例{n}"] * len(REGISTRATION))
    book.save(packed)
    data = bytearray(packed.getvalue())
    with zipfile.ZipFile(packed) as package:
        info = package.getinfo(part)
    start = info.header_offset + 30 + len(info.filename)
    data[start : start + len(damage)] = damage
    return bytes(data)


CASES = {
    "sheet.xlsx": (workbook_with(b"\xff" * 40, "xl/worksheets/sheet1.xml"), {"format": "xlsx"}, "已损坏"),
    "book.xlsx": (workbook_with(b"\xff" * 40, "xl/workbook.xml"), {"format": "xlsx"}, "已损坏"),
    "styles.xlsx": (workbook_with(b"\xff" * 40, "xl/styles.xml"), {"format": "xlsx"}, "已损坏"),
    "cut.xlsx": (b"PK\x03\x04" + b"0" * 200, {"format": "xlsx"}, "已损坏"),
    "page.xls": (b"<html><table><tr><td>1</td></tr></table></html>", {"format": "xls"}, "网页"),
    "table.xlsx": (b"subject_name,uscc\n", {"format": "xlsx"}, "不是 Excel 工作簿"),
    "dtd.xml": (b"<!DOCTYPE a [<!ENTITY x 'y'>]><D><R>&x;</R></D>", {"format": "xml", "records": "D/R"}, "DTD"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_delivery_that_cannot_be_read_is_held_and_answered(tmp_path: Path, name: str) -> None:
    content, file, reason = CASES[name]
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION, file=file)
    path = tmp_path / name
    path.write_bytes(content)
    assert office.ingest("test_reg", path)["verdict"] == "hold"
    contract = office.contracts["test_reg"]
    assert pipeline.pending(Home(office.settings), contract) == []
    (answered,) = pipeline.answer(Home(office.settings, Clock(START)), contract)
    assert reason in json.dumps(answered.receipt["findings"], ensure_ascii=False)
