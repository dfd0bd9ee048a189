"""A never-seen file described from its beginning: what is proposed must read the file right when it is pinned."""

import openpyxl
import pytest

from chengxin.contracts.models import FileSpec
from chengxin.errors import DeliveryCorrupt
from chengxin.parsing.formats import describe, find_header
from chengxin.parsing.reader import headers, plan, read

NAMES = ("序号", "企业名称", "统一社会信用代码", "处罚金额（万元）：", "处罚日期")
ROWS = [(str(n), f"湖南示例{n}号有限公司", f"91430102MA4L{n:06d}", f"{n}.50", "2024-01-11") for n in range(20)]


def table(delimiter: str = ",", quote: str = "", before: str = "", end: str = "\n") -> str:
    lines = (delimiter.join(quote + cell + quote for cell in row) for row in (NAMES, *ROWS))
    return before + end.join(lines) + end


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t", "||", "|+|", "  ", "｜", "^", "\x01"])
@pytest.mark.parametrize("quote", ["", '"', "'"])
@pytest.mark.parametrize("before", ["", "处罚信息公示表\n单位：某局\n\n"])
def test_a_dialect_is_found_and_reads_the_file_when_it_is_pinned(tmp_path, delimiter, quote, before):
    path = tmp_path / "f.txt"
    path.write_text(table(delimiter, quote, before))
    found = describe(path)
    spec = FileSpec(**found.spec())
    assert headers(path, spec) == found.columns == NAMES
    assert [tuple(r.values()) for p in plan(path, spec) for c in read(p, spec) for r in c.table.to_pylist()] == ROWS
    assert found.rows[0] == ROWS[0]


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be"])
def test_the_encoding_is_found(tmp_path, codec):
    path = tmp_path / "f.csv"
    path.write_bytes(table().encode(codec))
    found = describe(path)
    assert found.encoding == codec.removesuffix("-sig").removesuffix("-le").removesuffix("-be")
    assert (found.columns, found.confidence > 0.9) == (NAMES, True)


def test_a_file_without_names_and_one_with_names_in_two_rows(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("\n".join(",".join(row) for row in ROWS))
    assert (describe(path).header, describe(path).columns) == (0, ("1", "2", "3", "4", "5"))
    path.write_text(",主体,,处罚,\n序号,名称,代码,金额,日期\n" + "\n".join(",".join(row) for row in ROWS))
    assert describe(path).columns == ("序号", "主体_名称", "主体_代码", "处罚_金额", "处罚_日期")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"code":0,"data":{"rows":[{"a":"1"},{"a":"2"}]}}', {"format": "json", "records": "data.rows"}),
        ('[{"a":"1"},{"a":"2"}]', {"format": "json"}),
        ('{"a":"1"}\n{"a":"2"}\n', {"format": "jsonl"}),
        ("<R><ROW><a>1</a></ROW><ROW><a>2</a></ROW></R>", {"format": "xml", "records": "R/ROW"}),
        (
            "<M><H><sn>1</sn></H><B><![CDATA[<R><ROW><a>1</a></ROW><ROW><a>2</a></ROW></R>]]></B></M>",
            {"format": "xml", "records": "R/ROW", "wrapped": "cdata"},
        ),
    ],
)
def test_the_place_of_the_records_is_found(tmp_path, body, expected):
    path = tmp_path / "f.txt"
    path.write_text(body)
    found = describe(path)
    assert found.spec() == {"encoding": "utf-8"} | expected
    assert (found.columns, found.rows) == (("a",), (("1",), ("2",)))


def test_the_sheet_with_data_and_its_header_row_are_found(tmp_path):
    book = openpyxl.Workbook()
    data = book.create_sheet("数据")
    for row in (["处罚清单"], ["单位：万元"], ["名称", "代码", "金额"], ["甲", "A1", 1.5], ["乙", "A2", 2]):
        data.append(row)
    book.save(tmp_path / "f.xlsx")
    found = describe(tmp_path / "f.xlsx")
    assert found.spec() == {"format": "xlsx", "header": 3, "sheet": "数据"}
    assert (found.columns, found.rows[0]) == (("名称", "代码", "金额"), ("甲", "A1", "1.5"))


@pytest.mark.parametrize(
    "body", [b"", b"\xef\xbb\xbf\n", b"%PDF-1.7 ...", b"<!DOCTYPE html><html></html>", b"Rar!\x1a\x07\x00"]
)
def test_what_no_reader_takes_is_said(tmp_path, body):
    (tmp_path / "f").write_bytes(body)
    with pytest.raises(DeliveryCorrupt):
        describe(tmp_path / "f")


@pytest.mark.parametrize(
    "body", [b"x" * (1 << 20), b"<a><b>" + b"x" * (1 << 20), b"[" + b'"' * (1 << 20), b"," * (1 << 20)]
)
def test_a_degenerate_sample_takes_no_time(tmp_path, body):
    (tmp_path / "f").write_bytes(body)
    describe(tmp_path / "f")


_ABOVE = [["行政处罚信息公示表", "", "", "", "", ""], ["填报单位：示例厅", "", "", "填报日期：2026-10-08", "", ""]]
_DATA = [[str(n), f"示例{n}公司", f"示罚〔2026〕{n}号", "2026-09-01", "100", "示例局"] for n in range(1, 9)]


@pytest.mark.parametrize(
    ("header", "depth"),
    [
        ([["序号", "名称", "文书号", "决定日期", "金额（单位：元）", "机关"]], 1),
        ([["序号", "相对人", "处罚决定", "", "", "机关"], ["", "名称", "文书号", "决定日期", "金额", ""]], 2),
        ([["序号", "相对人", "", "", "处罚", ""], ["", "名称", "文书号", "决定日期", "金额", "机关"]], 2),
    ],
)
def test_what_is_said_above_a_table_is_no_part_of_its_header(header, depth):
    assert find_header([*_ABOVE, *header, *_DATA]) == (2, depth)
