"""Files that nobody has seen before: each is read right, or held with the right reason, and never silently wrong."""

import datetime as dt
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import openpyxl
import pyarrow as pa
import pytest
import xlwt

from chengxin.contracts.models import FileSpec
from chengxin.errors import DeliveryCorrupt, DeliveryMismatch
from chengxin.parsing.documents.xml import unwrapped
from chengxin.parsing.fixed_width.reader import pointed
from chengxin.parsing.reader import Damaged, headers, number_formats, plan, read

SHARED = Path(os.environ.get("CHENGXIN_SHARED") or Path(__file__).resolve().parents[2].parent / "shared")
Rows = list[tuple[int, dict[str, str | None]]]
HEADER = "名称,代码,金额\n"
LINES = "".join(f"湖南示例第{n}有限公司,A{n:05d},{n}\n" for n in range(30))


def all_of(path: Path, spec: FileSpec) -> tuple[Rows, list[Damaged]]:
    rows: Rows = []
    damaged: list[Damaged] = []
    for piece in plan(path, spec):
        for chunk in read(piece, spec):
            rows += zip(chunk.rows.to_pylist(), chunk.table.to_pylist(), strict=True)
            damaged += chunk.damaged
    return rows, damaged


def of(tmp_path: Path, body: str | bytes, **spec: object) -> tuple[Rows, list[tuple[int, str]]]:
    path = tmp_path / f"f.{spec.get('format', 'csv')}"
    path.write_bytes(body if isinstance(body, bytes) else body.encode())
    rows, damaged = all_of(path, FileSpec(**spec))
    return rows, [(item.row, item.rule) for item in damaged]


# --- delimited


@pytest.mark.parametrize("delimiter", [";", "|", "\t", "||", "|+|", "@|@", "  ", "｜", "\x01"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_separator_and_line_end(tmp_path, delimiter, end):
    body = (HEADER + LINES).replace(",", delimiter).replace("\n", end)
    rows, damaged = of(tmp_path, body, delimiter=delimiter)
    assert [row["代码"] for _, row in rows] == [f"A{n:05d}" for n in range(30)]
    assert not damaged


@pytest.mark.parametrize("other", [";", "|", "\t"])
def test_another_separator_than_declared_is_named(tmp_path, other):
    with pytest.raises(DeliveryMismatch, match="分隔符"):
        of(tmp_path, (HEADER + LINES).replace(",", other))


@pytest.mark.parametrize(
    "footer",
    [
        "合计,,435",
        "合 计：,,435",
        ",合计,435",
        "总计（万元）,30,435",
        "注：本表按月报送,,",
        "制表人：某某,审核人：某某,",
        "打印日期：2026-10-01,,",
        "　小计,,1",
        "长沙市小计,,1",
        "合计30户,,435",
        "Grand Total,,435",
        "以下空白,,",
        "第 1 页 共 2 页,,",
        "填表人：某某,A1,435",
    ],
)
def test_totals_and_notes_are_no_records(tmp_path, footer):
    rows, damaged = of(tmp_path, HEADER + LINES + footer + "\n")
    assert len(rows) == 30
    assert damaged == [(32, "row.not_a_record")]


@pytest.mark.parametrize("name", ["合计商贸有限公司", "注册会计师协会", "小计算机店", "说明书印刷厂", "总计划", "共计"])
def test_names_that_begin_like_a_total_are_records(tmp_path, name):
    rows, damaged = of(tmp_path, f"代码,数,甲,名称\nA1,2,x,{name}\n{name}店,1,2,3\n")
    assert len(rows) == 2
    assert not damaged


def test_columns_without_name_and_content_are_left_out(tmp_path):
    rows, damaged = of(tmp_path, ",名称,,代码,\n" + "".join(f",甲{n}, ,{n},\n" for n in range(5)))
    assert rows[0] == (2, {"名称": "甲0", "代码": "0"})
    assert not damaged


def test_a_late_stray_value_in_a_nameless_column_is_quarantined(tmp_path):
    body = ",名称\n" + "".join(f",甲{n}\n" for n in range(200_000)) + "注意,乙\n,丙\n"
    rows, damaged = of(tmp_path, body)
    assert len(rows) == 200_001
    assert damaged == [(200_002, "row.width")]


def test_a_filled_column_without_a_name_is_named_by_position(tmp_path):
    assert headers_of(tmp_path, "名称,,代码\n甲,3,1\n") == ("名称", "2", "代码")


def headers_of(tmp_path: Path, body: str, **spec: object) -> tuple[str, ...]:
    (tmp_path / "h.csv").write_text(body)
    return headers(tmp_path / "h.csv", FileSpec(**spec))


def test_a_header_over_two_rows_joins_group_and_name(tmp_path):
    body = "处罚信息表,,,\n主体,,处罚信息,,备注\n名称,代码,文号,金额,\n甲,1,文1,5,无\n"
    spec = {"header": 2, "header_rows": 2}
    assert headers_of(tmp_path, body, **spec) == ("主体_名称", "主体_代码", "处罚信息_文号", "处罚信息_金额", "备注")
    rows, _ = of(tmp_path, body, **spec)
    assert [(number, list(row.values())) for number, row in rows] == [(4, ["甲", "1", "文1", "5", "无"])]


def test_invisible_characters_in_the_header_do_not_count(tmp_path):
    assert headers_of(tmp_path, "\ufeff\ufeff名称\u200b,\xa0代码 ,代码\n甲,1,2\n") == ("名称", "代码", "代码_2")


def test_backslash_quotes_are_read_only_where_declared(tmp_path):
    body = '名称,代码\n"甲 \\"某\\" 公司",1\n"乙,丙",2\n"路径 C:\\\\x",3\n'
    rows, damaged = of(tmp_path, body, escape="\\")
    assert [row["名称"] for _, row in rows] == ['甲 "某" 公司', "乙,丙", "路径 C:\\x"]
    assert not damaged
    rows, damaged = of(tmp_path, body)
    assert [row["名称"] for _, row in rows] == ["乙,丙", "路径 C:\\\\x"]
    assert damaged == [(2, "row.quote_unclosed")]


# --- encodings


@pytest.mark.parametrize(
    ("declared", "codec", "text"),
    [
        ("utf-8", "big5", "臺灣銀行股份有限公司臺灣銀行股份有限公司"),
        ("utf-8", "gb18030", "湖南示例科技有限公司湖南示例分公司"),
        ("big5", "latin-1", "é è " * 12),
    ],
)
def test_a_file_that_does_not_decode_as_declared_is_held(tmp_path, declared, codec, text):
    with pytest.raises(DeliveryMismatch, match=f"不能按 {declared} 解码"):
        of(tmp_path, f"name,n\n{text},1\n".encode(codec), encoding=declared)


@pytest.mark.parametrize("declared", ["gb18030", "big5", "utf-16"])
def test_utf8_under_another_declaration_is_held_and_named(tmp_path, declared):
    with pytest.raises(DeliveryMismatch, match=f"声明的编码是 {declared}，实际很可能是 utf-8"):
        of(tmp_path, (HEADER + LINES).encode(), encoding=declared)


@pytest.mark.parametrize("codec", ["utf-8", "gb18030"])
def test_auto_is_utf8_where_the_lines_are_and_else_gb18030(tmp_path, codec):
    body = (HEADER + LINES).encode(codec) + b"\xff\xff,1,2\n"
    rows, damaged = of(tmp_path, body, encoding="auto")
    assert rows[0] == (2, {"名称": "湖南示例第0有限公司", "代码": "A00000", "金额": "0"})
    assert damaged == [(32, "row.undecodable")]


@pytest.mark.parametrize(
    "name", ["䶮某", "喆", "堃犇", "臺灣某公司", "長沙縣", "£", "龘靐齉", "ＡＢＣ公司", "湘", "·", "鑫淼"]
)
@pytest.mark.parametrize("declared", ["gb18030", "auto"])
def test_few_or_rare_characters_are_no_reason_to_doubt(tmp_path, name, declared):
    rows, damaged = of(tmp_path, f"name,n\n{name},1\n".encode("gb18030"), encoding=declared)
    assert rows == [(2, {"name": name, "n": "1"})]
    assert not damaged


# --- workbooks


def book(path: Path, *sheets: list[list[object]]) -> Path:
    made = openpyxl.Workbook()
    made.remove(made.active)
    for number, rows in enumerate(sheets, 1):
        sheet = made.create_sheet(f"表{number}")
        for row in rows:
            sheet.append(row)
    made.save(path)
    return path


def test_all_sheets_of_one_kind_are_read_and_numbered_apart(tmp_path):
    path = book(tmp_path / "f.xlsx", [["名称"], ["甲"]], [], [["名称"], ["乙"], ["丙"]])
    rows, _ = all_of(path, FileSpec(format="xlsx", sheet="*"))
    assert rows == [(2, {"名称": "甲"}), (30_000_002, {"名称": "乙"}), (30_000_003, {"名称": "丙"})]
    assert all_of(path, FileSpec(format="xlsx", sheet=["表3"]))[0][0] == (30_000_002, {"名称": "乙"})
    assert all_of(path, FileSpec(format="xlsx", sheet="表3"))[0][0] == (2, {"名称": "乙"})


def test_a_second_sheet_of_the_same_kind_is_reported(tmp_path):
    path = book(tmp_path / "f.xlsx", [["名称"], ["甲"]], [["名称"], ["乙"]])
    with pytest.raises(DeliveryMismatch, match="表1、表2"):
        plan(path, FileSpec(format="xlsx"))
    assert len(all_of(path, FileSpec(format="xlsx", sheet=1))[0]) == 1


def test_sheets_with_other_columns_are_not_mixed(tmp_path):
    path = book(tmp_path / "f.xlsx", [["名称"], ["甲"]], [["说明"], ["填表说明"]])
    with pytest.raises(DeliveryMismatch, match="表2"):
        plan(path, FileSpec(format="xlsx", sheet="*"))
    assert len(all_of(path, FileSpec(format="xlsx"))[0]) == 1


def test_one_cell_in_the_last_corner_is_refused(tmp_path):
    path = book(tmp_path / "f.xlsx", [["名称", "n"], ["甲", 1]])
    made = openpyxl.load_workbook(path)
    made.active["XFD1048576"] = "x"
    made.save(path)
    with pytest.raises(DeliveryCorrupt, match="1048576"):
        plan(path, FileSpec(format="xlsx"))


_PEAK = """
import re, sys
from pathlib import Path
from chengxin.contracts.models import FileSpec
from chengxin.errors import DeliveryCorrupt
from chengxin.parsing.reader import plan
try:
    plan(Path(sys.argv[1]), FileSpec(format="xlsx"))
except DeliveryCorrupt as error:
    # of this program alone: what getrusage tells begins with the process that forked it
    print(int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) >> 10, error)
"""


def test_a_workbook_bomb_is_refused_before_it_is_opened(tmp_path):
    path = book(tmp_path / "f.xlsx", [["名称"], ["甲"]])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as package:
        block = b" " * (64 << 20)
        with package.open("xl/SharedStrings.xml", "w") as texts:
            texts.write(b"<sst><si><t>")
            for _ in range(17):
                texts.write(block)
            texts.write(b"</t></si></sst>")
    done = subprocess.run([sys.executable, "-c", _PEAK, path], capture_output=True, text=True, check=True)
    peak, message = done.stdout.split(" ", 1)
    assert message.strip() == "文件 f.xlsx 的文字部分解开后超过 1 GiB，不予读取；请拆分或改用 csv 报送"
    assert int(peak) < 400  # MiB


def test_failed_formulas_are_seen(tmp_path):
    path = book(tmp_path / "f.xlsx", [["名称", "n"], ["甲", 1], ["乙", 2], ["丙", 3]])
    made = openpyxl.load_workbook(path)
    for cell, text in (("A3", "#REF!"), ("B4", "#N/A")):
        made.active[cell].value, made.active[cell].data_type = text, "e"
    made.save(path)
    rows, damaged = all_of(path, FileSpec(format="xlsx"))
    assert rows == [(2, {"名称": "甲", "n": "1"}), (4, {"名称": "丙", "n": "#N/A"})]
    assert [(d.row, d.rule) for d in damaged] == [(3, "row.formula_error")]


@pytest.mark.parametrize("rows", [3, 3_000])  # a small file keeps its rows elsewhere than a large one
def test_failed_formulas_of_an_xls_sheet_are_seen(tmp_path, rows):
    old = xlwt.Workbook()
    old.add_sheet("说明").write(0, 0, "另一张表")
    sheet = old.add_sheet("s")
    for n, name in enumerate(["名称", "n"]):
        sheet.write(0, n + 1, name)
    for n in range(1, rows + 1):
        sheet.write(n, 1, f"甲{n}")
        sheet.write(n, 2, n)
    sheet.row(rows + 1).set_cell_error(1, "#REF!")
    sheet.row(rows + 1).write(2, 5)
    sheet.row(rows + 2).write(1, "乙")
    sheet.row(rows + 2).set_cell_error(2, 42)
    sheet.row(rows + 3).write(1, "丙")
    sheet.row(rows + 3).write(2, xlwt.Formula("B2/0"))
    path = tmp_path / "f.xls"
    old.save(str(path))
    content = path.read_bytes()
    at = content.index(struct.pack("<HH", rows + 3, 2), content.index("丙".encode("utf-16-le"))) + 6
    path.write_bytes(content[:at] + b"\x02\0\x07\0\0\0\xff\xff" + content[at + 8 :])  # as Excel keeps #DIV/0!
    found, damaged = all_of(path, FileSpec(format="xls", sheet="s"))
    assert found[-1] == (rows + 3, {"名称": "乙", "n": "#N/A"})
    assert len(found) == rows + 1
    assert [(d.row, d.rule, d.raw) for d in damaged] == [
        (rows + 2, "row.formula_error", "\t#REF!\t5"),
        (rows + 4, "row.formula_error", "\t丙\t#DIV/0!"),
    ]


@pytest.mark.parametrize("kind", ["xlsx", "xls"])
def test_both_date_systems_leading_zeros_and_lost_digits(tmp_path, kind):
    day, path = dt.date(2019, 9, 1), tmp_path / f"f.{kind}"
    cells = [day, "00123", 4.30102199001011e17, 123456789012345]
    if kind == "xlsx":
        made = openpyxl.Workbook()
        made.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
        made.active.append(list("abcd"))
        made.active.append(cells)
        made.save(path)
    else:
        old = xlwt.Workbook()
        old.dates_1904 = True
        sheet = old.add_sheet("s")
        for n, value in enumerate(cells):
            sheet.write(0, n, "abcd"[n])
            sheet.write(1, n, value, xlwt.easyxf(num_format_str="yyyy-mm-dd" if n == 0 else "0"))
        old.save(str(path))
    ((_, row),) = all_of(path, FileSpec(format=kind))[0]
    assert (row["a"], row["b"], row["d"]) == ("2019-09-01", "00123", "123456789012345")
    assert "E+17" in str(row["c"])


def test_formats_of_xls_numbers_are_seen_and_those_of_texts_not(tmp_path):
    book = xlwt.Workbook()
    book.add_sheet("别的").write(1, 5, 1, xlwt.easyxf(num_format_str="0%"))
    sheet = book.add_sheet("表")
    values = (0.1, 7, 8, xlwt.Formula("B2"), xlwt.Formula('"a"'), "文字")
    for n, value in enumerate(values):
        style = xlwt.easyxf(num_format_str=f'0"万{"甲乙丙丁戊己"[n]}"')
        sheet.write(0, n, 2020 + n, xlwt.easyxf(num_format_str='0"年"'))
        sheet.write(1, n, value, style)
    path = tmp_path / "f.xls"
    book.save(str(path))
    content = path.read_bytes()
    at = content.index(struct.pack("<HH", 6, 27) + struct.pack("<HH", 1, 3)) + 10
    path.write_bytes(content[:at] + struct.pack("<d", 5) + content[at + 8 :])  # xlwt leaves an empty text as result
    spec = FileSpec(format="xls", sheet="表")
    (piece,) = plan(path, spec)
    found = {name: {form.words for form in forms} for name, forms in number_formats(piece, spec).items()}
    assert found == {"2020": {"万甲"}, "2021": {"万乙"}, "2022": {"万丙"}, "2023": {"万丁"}}


def test_totals_titles_and_empty_rows_of_a_sheet(tmp_path):
    rows = [
        ["处罚清单"],
        ["单位：万元"],
        ["名称", None, "金额"],
        ["甲", None, 1],
        [None, None, None],
        ["合计", None, 1],
    ]
    found, damaged = all_of(book(tmp_path / "f.xlsx", [*rows, [None], [""]]), FileSpec(format="xlsx", header=3))
    assert found == [(4, {"名称": "甲", "金额": "1"})]
    assert [(d.row, d.rule) for d in damaged] == [(6, "row.not_a_record")]


def test_a_web_page_named_xls_is_said_to_be_one(tmp_path):
    with pytest.raises(DeliveryCorrupt, match="HTML"):
        of(tmp_path, "<html><table><tr><td>甲</td></tr></table></html>", format="xls")


# --- messages and records

MESSAGE = "<Message><Header><sn>000123</sn></Header><Deleted><ROW><n>旧</n></ROW></Deleted><Body>{}</Body></Message>"
INNER = "<ROWDATA><ROW><n>甲 &amp; 乙</n></ROW><ROW><n>丙</n></ROW></ROWDATA>"


@pytest.mark.parametrize(
    ("body", "spec"),
    [
        (INNER, {"records": "Message/Body/ROWDATA/ROW"}),
        (f"<![CDATA[<?xml version='1.0'?>{INNER}]]>", {"records": "Message/Body/ROWDATA/ROW", "wrapped": "cdata"}),
        (
            INNER.replace("&", "&amp;").replace("<", "&lt;"),
            {"records": "Message/Body/ROWDATA/ROW", "wrapped": "escaped"},
        ),
    ],
)
def test_rows_of_an_exchange_message_carry_what_its_head_says(tmp_path, body, spec):
    rows, damaged = of(tmp_path, MESSAGE.format(body), format="xml", envelope=["Header/sn"], **spec)
    assert [row for _, row in rows] == [{"Header/sn": "000123", "n": "甲 & 乙"}, {"Header/sn": "000123", "n": "丙"}]
    assert not damaged


def test_a_message_without_what_its_head_must_say_is_held(tmp_path):
    with pytest.raises(DeliveryMismatch, match="Header/flow"):
        of(tmp_path, MESSAGE.format(INNER), format="xml", records="ROWDATA/ROW", envelope=["Header/flow"])


def test_rows_elsewhere_are_named_and_an_empty_message_is_empty(tmp_path):
    with pytest.raises(DeliveryMismatch, match="ROWDATA/ROW"):
        of(tmp_path, INNER, format="xml", records="ROWDATA/RECORD")
    assert of(tmp_path, "<ROWDATA></ROWDATA>", format="xml", records="ROWDATA/RECORD") == ([], [])


@pytest.mark.parametrize("how", ["cdata", "escaped"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_unwrapping_does_not_depend_on_where_blocks_end(how, size):
    text = "<a><![CDATA[<b>1]]</b>]]></a>" if how == "cdata" else "<a>&lt;b&gt;1 &amp;amp; 2&#x20;&lt;/b&gt;</a>"
    whole = "<a><b>1]]</b></a>" if how == "cdata" else "<a><b>1 &amp; 2 </b></a>"
    assert "".join(unwrapped((text[n : n + size] for n in range(0, len(text), size)), how)) == whole


def test_parts_of_parts_are_columns_of_their_own(tmp_path):
    rows, _ = of(tmp_path, "<r><x><地址><省>湖南</省><市>长沙</市></地址></x><x/></r>", format="xml", records="r/x")
    assert rows[0] == (1, {"地址/省": "湖南", "地址/市": "长沙"})


def test_a_doctype_inside_the_root_is_refused(tmp_path):
    with pytest.raises(DeliveryCorrupt):
        of(tmp_path, '<a><!DOCTYPE x [<!ENTITY e "e">]><r><b>&e;</b></r></a>', format="xml")


def test_a_key_given_twice_with_two_values_is_refused(tmp_path):
    body = '[{"a":"1","a":"2"},{"a":"3","a":"3"},{"a":NaN,"b":1.10}]'
    rows, damaged = of(tmp_path, body, format="json")
    assert [row for _, row in rows] == [{"a": "3", "b": None}, {"a": None, "b": "1.10"}]
    assert damaged == [(1, "row.key_twice")]


def test_implied_decimals_of_fixed_fields(tmp_path):
    fields = [{"source": "名称", "start": 1, "length": 4}, {"source": "金额", "start": 5, "length": 6, "decimals": 2}]
    body = "甲乙000012\n丙丁  1234\n戊己   12-\n庚辛      \n壬癸 12.50\n".encode("gb18030")
    rows, damaged = of(tmp_path, body, format="fixed", encoding="gb18030", fields=fields)
    assert [row["金额"] for _, row in rows] == ["0000.12", "12.34", "-00.12", "", "12.50"]
    assert not damaged
    assert pointed(pa.array(["7", None, "x1."]), 2).to_pylist() == ["0.07", None, "x1."]
