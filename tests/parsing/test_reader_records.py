"""JSON, JSON Lines, XML, workbooks and fixed width: values as text, row numbers, and damage that costs its own row."""

import datetime as dt
import json
import os
import zipfile
from pathlib import Path

import openpyxl
import pytest
import xlwt
from hypothesis import given, settings
from hypothesis import strategies as st

from chengxin.contracts.models import FileSpec
from chengxin.errors import ContractError, DeliveryCorrupt, DeliveryMismatch
from chengxin.parsing.reader import Damaged, headers, plan, read

SHARED = Path(os.environ.get("CHENGXIN_SHARED") or Path(__file__).resolve().parents[2].parent / "shared")
Rows = list[tuple[int, dict[str, str | None]]]


def everything(path: Path, spec: FileSpec, **how: int) -> tuple[Rows, list[Damaged]]:
    rows: Rows = []
    damaged: list[Damaged] = []
    for piece in plan(path, spec, **how):
        chunks = list(read(piece, spec))
        assert chunks
        for chunk in chunks:
            rows += zip(chunk.rows.to_pylist(), chunk.table.to_pylist(), strict=True)
            damaged += chunk.damaged
    assert not any("\ufffd" in item.raw for item in damaged)
    return rows, damaged


def of(body: str | bytes, tmp_path: Path, **spec: object) -> tuple[Rows, list[tuple[int, str]]]:
    path = tmp_path / f"f.{spec['format']}"
    path.write_bytes(body if isinstance(body, bytes) else body.encode())
    rows, damaged = everything(path, FileSpec(**spec))
    return rows, [(item.row, item.rule) for item in damaged]


# --- JSON


def test_json_values_become_text_without_a_float_in_between(tmp_path):
    body = '[{"a":0.10,"b":12345678901234567890,"c":true,"d":null,"e":"x","f":{"k":[1.50,"湖",null,false]}},'
    body += '{"g":1e400}]'
    rows, damaged = of(body, tmp_path, format="json")
    nested = '{"k":[1.50,"湖",null,false]}'
    first = {"a": "0.10", "b": "12345678901234567890", "c": "true", "d": None, "e": "x", "f": nested, "g": None}
    assert rows == [(1, first), (2, dict.fromkeys("abcdef") | {"g": "1e400"})]
    assert not damaged


@pytest.mark.parametrize(
    ("body", "records"),
    [
        ('[{"a":"1"},{"a":"2"}]', ""),
        ('[{"a":"1"},{"a":"2"}]', "data.rows"),
        ('{"code":0,"rows":[{"a":"1"},{"a":"2"}],"total":2}', ""),
        ('{"head":{"n":[1]},"data":{"page":1,"rows":[{"a":"1"},{"a":"2"}],"x":{}},"more":[{"b":1}]}', "data.rows"),
    ],
)
def test_json_records_are_found_wherever_they_lie(tmp_path, body, records):
    assert of(body, tmp_path, format="json", records=records) == ([(1, {"a": "1"}), (2, {"a": "2"})], [])


@pytest.mark.parametrize("body", ["", "\ufeff", "[]", '{"rows":[]}'])
def test_json_without_records_has_no_rows(tmp_path, body):
    assert of(body, tmp_path, format="json") == ([], [])


def test_json_that_is_something_else_is_corrupt_and_a_wrong_path_a_mismatch(tmp_path):
    with pytest.raises(DeliveryCorrupt, match="声明为 json"):
        of("a,b\n1,2\n", tmp_path, format="json")
    with pytest.raises(DeliveryMismatch, match=r"data\.rows"):
        of('{"data":{"list":[]}}', tmp_path, format="json", records="data.rows")


@pytest.mark.parametrize("element", ['"text"', "null", "5", "[1]"])
def test_a_json_element_that_is_no_object_costs_itself_only(tmp_path, element):
    rows, damaged = of('[{"a":"0"},' + element + ',{"a":"1"}]', tmp_path, format="json")
    assert rows == [(1, {"a": "0"}), (3, {"a": "1"})]
    assert damaged == [(2, "row.not_a_record")]


@pytest.mark.parametrize(
    ("broken", "line", "column"),
    [
        ('[{"a":"1"},\n{"a":"2","b":"x"y"}]', 2, 17),
        ('[{"a":"1"},\n{"a":"2","b":}]', 2, 14),
        ('[{"a":"1"},\n{"a":"2" "b":"x"}]', 2, 10),
        ('[{"a":"1"}\n{"a":"2"}]', 2, 1),
        ('[{"a":"1"}]\n[{"a":"2"}]', 2, 1),
        ('[{"a":"1"}],\n{"a":"2"}]', 1, 12),
        ('[{"a":"1"},\n"b":"x"}]', 2, 4),
        ('{"rows":[{"a":"1"}]}\n{"rows":[{"a":"2"}]}', 2, 1),
        ('{"rows":[{"a":"1"}]} 完', 1, 22),
        ('{"rows":[{"a":"1"}],"t":x}', 1, 25),
    ],
)
def test_broken_json_holds_the_file_with_line_and_column(tmp_path, broken, line, column):
    with pytest.raises(DeliveryCorrupt, match=f"第 {line} 行第 {column} 列不符合 JSON 语法"):
        of(broken, tmp_path, format="json")


def test_the_place_of_a_fault_far_down_is_right_though_the_text_is_read_in_blocks(tmp_path):
    good = '{"a":"湖南","b":"x"},\n' * 60_000
    body = "[" + good + '{"a":"1"},  {"b":?}]'
    with pytest.raises(DeliveryCorrupt, match="第 60001 行第 18 列不符合"):
        of(body, tmp_path, format="json")
    with pytest.raises(DeliveryCorrupt, match=f"第 1 行第 {2 + 60_000 * 19 + 17} 列不符合"):
        of(body.replace("\n", ""), tmp_path, format="json")


@pytest.mark.parametrize("cut", range(1, 24))
def test_a_truncated_json_file_is_held(tmp_path, cut):
    whole = '{"rows":[{"a":"0","b":"x"},{"a":"1","b":"x"},{"a":"2","b":"x"}]}'
    with pytest.raises(DeliveryCorrupt, match=r"在第 1 行第 \d+ 列中断"):
        of(whole[:-cut], tmp_path, format="json", records="rows")


def test_json_far_larger_than_its_buffer_streams(tmp_path):
    records = [{"编号": str(n), "文本": "湖南" * 20} for n in range(60_000)]
    path = tmp_path / "f.json"
    path.write_text(json.dumps({"total": 1, "rows": records}, ensure_ascii=False), "gb18030")
    spec = FileSpec(format="json", encoding="gb18030", records="rows")
    assert len(list(read(plan(path, spec)[0], spec))) > 1
    rows, damaged = everything(path, spec)
    assert [values for _, values in rows] == records
    assert not damaged


def test_json_text_that_is_no_unicode_is_set_aside(tmp_path):
    body = b'[{"a":"\\ud83d"},{"a":"x' + b"\xff" + '"},{"a":"\\ufffd"},{"a":"湖"}]'.encode()
    rows, damaged = of(body, tmp_path, format="json")
    assert rows == [(4, {"a": "湖"})]
    assert damaged == [(1, "row.undecodable"), (2, "row.undecodable"), (3, "row.undecodable")]


def test_new_keys_show_up_as_columns_and_old_ones_never_vanish(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text('{"a":1}\n{"b":2,"a":3}\n', "utf-8")
    spec = FileSpec(format="jsonl")
    assert headers(path, spec) == ("a", "b")
    assert everything(path, spec)[0] == [(1, {"a": "1", "b": None}), (2, {"a": "3", "b": "2"})]


def test_json_lines_number_lines_and_lose_only_broken_ones(tmp_path):
    body = b'{"a":"1"}\n\n{"a":"2"\n{"a":"3"}\r\n[1]\n' + b'{"a":"\xff"}\n{"a":"4"}'
    rows, damaged = of(body, tmp_path, format="jsonl")
    assert rows == [(1, {"a": "1"}), (4, {"a": "3"}), (7, {"a": "4"})]
    assert damaged == [(3, "row.not_a_record"), (5, "row.not_a_record"), (6, "row.undecodable")]


def test_json_lines_are_cut_into_pieces(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text("".join(f'{{"n":{n},"t":"湖南"}}\n' for n in range(500)), "gb18030")
    spec = FileSpec(format="jsonl", encoding="gb18030")
    assert len(plan(path, spec, piece_bytes=1000)) > 5
    rows, _ = everything(path, spec, piece_bytes=1000)
    assert rows == [(n + 1, {"n": str(n), "t": "湖南"}) for n in range(500)]


# --- XML


def xml(rows: str, encoding: str = "utf-8", root: str = "ROWDATA") -> bytes:
    return f'<?xml version="1.0" encoding="{encoding}"?>\n<{root}>\n{rows}</{root}>\n'.encode(encoding)


ROW = "<ROW><名称>湖南{0}</名称><金额>{0}</金额></ROW>\n"


@pytest.mark.parametrize(("declared", "encoding"), [("utf-8", "utf-8"), ("gb18030", "gb18030"), ("utf-8", "gb2312")])
@pytest.mark.parametrize("records", ["", "ROWDATA/ROW"])
def test_xml_rows_become_columns_in_the_encoding_the_file_states(tmp_path, declared, encoding, records):
    body = xml("".join(ROW.format(n) for n in range(3)), encoding)
    rows, damaged = of(body, tmp_path, format="xml", encoding=declared, records=records)
    assert rows == [(n + 1, {"名称": f"湖南{n}", "金额": str(n)}) for n in range(3)]
    assert not damaged


def test_xml_attributes_nil_cdata_namespaces_and_named_columns(tmp_path):
    body = (
        '<d:ROWDATA xmlns:d="urn:d" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><!-- <ROW/> -->'
        '<d:ROW id="1" t=">"><d:A><![CDATA[<ROW>&]]></d:A><B xsi:nil="true"/><C/>'
        '<COL name="名称">湖&amp;南</COL></d:ROW><d:ROW id="2"/></d:ROWDATA>'
    )
    rows, damaged = of(body, tmp_path, format="xml", records="ROWDATA/ROW")
    first = {"id": "1", "t": ">", "A": "<ROW>&", "B": None, "C": "", "名称": "湖&南"}
    assert rows == [(1, first), (2, dict.fromkeys(first) | {"id": "2"})]
    assert not damaged


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        ("<ROW><名称>湖</名称><金额>1</ROW>", 4),
        ("<ROW><名称>湖 & 南</名称></ROW>", 4),
        ("<ROW><名称>&unknown;</名称></ROW>", 4),
        ("<ROW><名称>\x01</名称></ROW>", 4),
        ("<d:ROW><名称>湖</名称></d:ROW>", 4),
        ("<ROW><名称>湖</名称>", 5),
        ("<ROW><名称>湖<", 4),
    ],
)
def test_broken_xml_holds_the_file_with_line_and_column(tmp_path, broken, line):
    body = xml(ROW.format(1) + broken + ROW.format(2))
    with pytest.raises(DeliveryCorrupt, match=f"第 {line} 行第 \\d+ 列不符合 XML 语法"):
        of(body, tmp_path, format="xml")


def test_a_truncated_xml_file_is_held(tmp_path):
    body = xml("".join(ROW.format(n) for n in range(3)))
    inside = body[: body.rindex("金额".encode())]
    between = body[: body.index(b"</ROWDATA>")]
    for cut in (inside, between):
        with pytest.raises(DeliveryCorrupt, match=r"在第 5 行第 \d+ 列中断"):
            of(cut, tmp_path, format="xml")


def test_entities_are_not_expanded_however_they_are_declared(tmp_path):
    lines = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    body = f'<?xml version="1.0"?><!-- x --><!DOCTYPE a [<!ENTITY e0 "x">{lines}]><a><r b="&e9;"/></a>'
    with pytest.raises(DeliveryCorrupt, match="DTD"):
        of(body, tmp_path, format="xml")


def test_undecodable_bytes_in_xml_cost_their_row(tmp_path):
    body = xml(ROW.format(1) + "<ROW><名称>@@</名称></ROW>" + ROW.format(2)).replace(b"@@", b"\xff\xfe")
    rows, (damaged,) = everything(_file(tmp_path / "f.xml", body), FileSpec(format="xml"))
    assert [number for number, _ in rows] == [1, 3]
    assert (damaged.row, damaged.rule, damaged.raw) == (2, "row.undecodable", "<ROW><名称>\\xff\\xfe</名称></ROW>")
    assert damaged.raw_bytes == "<ROW><名称>".encode() + b"\xff\xfe" + "</名称></ROW>".encode()


def _file(path: Path, body: bytes) -> Path:
    path.write_bytes(body)
    return path


@pytest.mark.parametrize(
    "body",
    [
        '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a><r><b>&x;</b></r></a>',
        "a,b\n1,2\n",
    ],
)
def test_xml_with_a_dtd_or_that_is_no_xml_is_refused(tmp_path, body):
    with pytest.raises(DeliveryCorrupt):
        of(body, tmp_path, format="xml")


def test_xml_far_larger_than_its_block_streams(tmp_path):
    path = _file(tmp_path / "f.xml", xml("".join(ROW.format(n) for n in range(40_000))))
    rows, damaged = everything(path, FileSpec(format="xml"))
    assert [values["金额"] for _, values in rows] == [str(n) for n in range(40_000)]
    assert not damaged


@pytest.mark.parametrize("body", ["", "<ROWDATA/>", "<ROWDATA></ROWDATA>", "<ROWDATA>\n</ROWDATA>"])
def test_xml_without_rows_has_no_rows(tmp_path, body):
    assert of(body, tmp_path, format="xml", records="ROWDATA/ROW") == ([], [])


# --- workbooks


def workbook(path: Path, rows: list[list[object]]) -> Path:
    if path.suffix == ".xlsx":
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        book.save(path)
    else:
        old = xlwt.Workbook()
        sheet = old.add_sheet("1")
        date = xlwt.easyxf(num_format_str="yyyy-mm-dd hh:mm:ss")
        for r, row in enumerate(rows):
            for c, value in enumerate(row):
                if value is not None:
                    sheet.write(r, c, value, *([date] if isinstance(value, dt.datetime) else []))
        old.save(str(path))
    return path


@pytest.mark.parametrize("kind", ["xlsx", "xls"])
def test_sheet_cells_become_plain_text(tmp_path, kind):
    path = workbook(
        tmp_path / f"f.{kind}",
        [
            ["处罚清单"],
            ["名称 ", "编号", "金额", "日期", None],
            ["湖南甲", 430102199001011, 0.1, dt.datetime.fromisoformat("2024-05-06"), None],
            [None],
            ["乙", 914300001837757060, 12.5, dt.datetime.fromisoformat("2024-05-06 07:08:09")],
            ["丙", True, 1e-7, "2024年5月"],
            ["丁", 1, 2, "x", "多出的格"],
        ],
    )
    spec = FileSpec(format=kind, header=2)
    assert headers(path, spec) == ("名称", "编号", "金额", "日期")
    rows, damaged = everything(path, spec)
    assert [(number, tuple(values.values())) for number, values in rows] == [
        (3, ("湖南甲", "430102199001011", "0.1", "2024-05-06")),
        (5, ("乙", "9.14300001837757E+17", "12.5", "2024-05-06 07:08:09")),
        (6, ("丙", "true", "0.0000001", "2024年5月")),
    ]
    assert [(d.row, d.rule, d.raw) for d in damaged] == [(7, "row.width", "丁\t1\t2\tx\t多出的格")]


def test_sheet_rows_are_numbered_as_in_the_sheet_when_it_begins_further_down(tmp_path):
    book = openpyxl.Workbook()
    book.active["B3"], book.active["C3"], book.active["B5"] = "名称", "n", "甲"
    other = book.create_sheet("二")
    other["A1"], other["A2"] = "x", "y"
    book.save(tmp_path / "f.xlsx")
    rows, _ = everything(tmp_path / "f.xlsx", FileSpec(format="xlsx", header=3))
    assert [(number, values["名称"]) for number, values in rows] == [(5, "甲")]
    assert everything(tmp_path / "f.xlsx", FileSpec(format="xlsx", sheet="二"))[0] == [(2, {"x": "y"})]
    assert everything(tmp_path / "f.xlsx", FileSpec(format="xlsx", sheet=2))[0] == [(2, {"x": "y"})]
    with pytest.raises(DeliveryMismatch, match="二"):
        plan(tmp_path / "f.xlsx", FileSpec(format="xlsx", sheet="三"))


def test_a_sheet_with_only_a_header_or_nothing_has_no_rows(tmp_path):
    assert everything(workbook(tmp_path / "f.xlsx", [["a", "b"]]), FileSpec(format="xlsx")) == ([], [])
    assert everything(workbook(tmp_path / "g.xlsx", []), FileSpec(format="xlsx")) == ([], [])
    assert everything(_file(tmp_path / "h.xlsx", b""), FileSpec(format="xlsx")) == ([], [])


@pytest.mark.parametrize("kind", ["xlsx", "xls"])
def test_what_is_no_workbook_is_corrupt(tmp_path, kind):
    broken = [b"a,b\n1,2\n", b"PK\x03\x04" + bytes(200), b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(700)]
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("x.txt", "x")
    for body in [*broken, (tmp_path / "z.zip").read_bytes()]:
        with pytest.raises(DeliveryCorrupt, match="重新报送"):
            plan(_file(tmp_path / f"f.{kind}", body), FileSpec(format=kind))


# --- fixed width

FIXED = FileSpec.model_validate(
    {
        "format": "fixed",
        "encoding": "gbk",
        "fields": [
            {"source": "名称", "start": 1, "length": 8},
            {"source": "金额", "start": 9, "length": 4},
            {"source": "类", "start": 13, "length": 2},
        ],
    }
)


def fixed_line(name: str, amount: str, kind: str) -> bytes:
    return name.encode("gb18030").ljust(8) + amount.rjust(4, "0").encode() + kind.encode("gb18030").ljust(2)


def test_fixed_width_fields_are_bytes_of_the_encoding(tmp_path):
    lines = [fixed_line("湖南甲", "12", "A"), fixed_line("䶮", "0", "乙"), b"", fixed_line("x", "7", "")]
    path = _file(tmp_path / "f.txt", b"\r\n".join(lines))
    rows, damaged = everything(path, FIXED)
    assert rows == [
        (1, {"名称": "湖南甲", "金额": "0012", "类": "A"}),
        (2, {"名称": "䶮", "金额": "0000", "类": "乙"}),
        (4, {"名称": "x", "金额": "0007", "类": ""}),
    ]
    assert not damaged
    assert headers(path, FIXED) == ("名称", "金额", "类")


@pytest.mark.parametrize("header", ["名称    金额类", "名称 金额 类", "名称\t金额\t类  "])
def test_a_fixed_width_line_of_field_names_is_no_row(tmp_path, header):
    lines = [header.encode("gb18030"), fixed_line("湖南", "1", "A"), fixed_line("湘", "2", "B")]
    rows, damaged = everything(_file(tmp_path / "f.txt", b"\n".join(lines) + b"\n"), FIXED)
    assert ([number for number, _ in rows], damaged) == ([2, 3], [])
    other = "名称    金额乙".encode("gb18030")
    rows, damaged = everything(_file(tmp_path / "g.txt", b"\n".join([other, *lines[1:]]) + b"\n"), FIXED)
    assert [number for number, _ in rows] + [d.row for d in damaged] == [1, 2, 3]


def test_fixed_width_damage_costs_its_line(tmp_path):
    good = fixed_line("湖南", "1", "A")
    cut_character = "湖南甲乙".encode("gb18030")[:7] + b"0" + b"0001" + b"A "
    lines = [good, good[:-3], good + b"xx", b"\xff" * 14, cut_character, good]
    rows, damaged = everything(_file(tmp_path / "f.txt", b"\n".join(lines) + b"\n"), FIXED)
    assert [number for number, _ in rows] == [1, 6]
    rules = ["row.width", "row.width", "row.undecodable", "row.undecodable"]
    assert [(d.row, d.rule) for d in damaged] == list(zip([2, 3, 4, 5], rules, strict=True))


def test_fixed_width_lines_trimmed_at_the_end_are_padded(tmp_path):
    lines = [fixed_line("湖南", "1", ""), fixed_line("湘", "2", "A"), fixed_line("x", "3", "")]
    rows, damaged = everything(_file(tmp_path / "f.txt", b"\n".join(line.rstrip() for line in lines) + b"\n"), FIXED)
    assert [tuple(row.values()) for _, row in rows] == [("湖南", "0001", ""), ("湘", "0002", "A"), ("x", "0003", "")]
    assert not damaged


def test_a_fixed_width_line_that_lost_a_byte_among_padded_ones_is_set_aside(tmp_path):
    lines = [fixed_line("湖南", "1", ""), fixed_line("湘", "2", "A")[1:], fixed_line("x", "3", "B")]
    rows, damaged = everything(_file(tmp_path / "f.txt", b"\n".join(lines) + b"\n"), FIXED)
    assert [number for number, _ in rows] == [1, 3]
    assert [(d.row, d.rule) for d in damaged] == [(2, "row.width")]


def test_a_fixed_width_file_without_a_break_at_its_end_may_be_cut(tmp_path):
    body = fixed_line("湖南", "1", "A") + b"\n" + fixed_line("湘", "2", "A")
    told = [
        [c.unended for p in plan(path, FIXED) for c in read(p, FIXED)]
        for path in (_file(tmp_path / "cut.txt", body), _file(tmp_path / "whole.txt", body + b"\n"))
    ]
    assert told == [[True], [False]]


@settings(max_examples=40, deadline=None)
@given(
    names=st.lists(st.text(st.sampled_from("a湖䶮 "), max_size=2), max_size=40),
    size=st.integers(1, 300),
    codec=st.sampled_from(["utf-8", "gb18030"]),
)
def test_fixed_width_pieces_agree_with_the_whole(tmp_path_factory, names, size, codec):
    fields = [{"source": "n", "start": 1, "length": 8}, {"source": "i", "start": 9, "length": 3}]
    spec = FileSpec.model_validate({"format": "fixed", "encoding": codec, "fields": fields})
    body = b"".join(name.encode(codec).ljust(8) + b"%03d\n" % n for n, name in enumerate(names))
    rows, damaged = everything(_file(tmp_path_factory.mktemp("f") / "f", body), spec, piece_bytes=size)
    assert rows == [(n + 1, {"n": name.strip(" "), "i": f"{n:03d}"}) for n, name in enumerate(names)]
    assert not damaged


def test_fixed_width_in_utf16_is_refused_and_an_empty_file_is_not(tmp_path):
    spec = FIXED.model_copy(update={"encoding": "utf-16"})
    with pytest.raises(ContractError):
        everything(_file(tmp_path / "f", "湖南".encode("utf-16")), spec)
    assert everything(_file(tmp_path / "g", b""), FIXED) == ([], [])


# --- real data

realdata = [pytest.mark.realdata, pytest.mark.skipif(not SHARED.is_dir(), reason="shared data not here")]


class TestRealFiles:
    pytestmark = realdata

    def test_three_formats_of_the_registry_give_the_same_facts(self):
        folder = SHARED / "data/registration-hunan"
        formats = {
            "csv": FileSpec(),
            "json": FileSpec(format="json", records="erDataList"),
            "xls": FileSpec(format="xls"),
        }
        expected = [line.split(",") for line in (folder / "expected-by-year.csv").read_text("utf-8").split()[1:]]
        assert expected
        for year, count, *_ in expected:
            found = {}
            for name, spec in formats.items():
                rows, damaged = everything(next((folder / name).glob(f"{year}-*.{name}")), spec)
                found[name] = [tuple(values.values()) for _, values in rows]
                assert not damaged
            assert len(found["csv"]) == int(count)
            assert found["csv"] == found["json"] == found["xls"]

    def test_broken_json_is_held_where_its_syntax_ends_and_its_repair_is_read(self):
        places = {"1981-云南": (5, 1), "1981-山西": (18, 1), "1994-山东": (583, 225), "1999-四川": None}
        for name, place in places.items():
            broken = SHARED / "data/malformed-json" / f"{name}.broken.json"
            mended = broken.with_name(f"{name}.fixed.json")
            rows, damaged = everything(mended, FileSpec(format="json", records="erDataList"))
            assert rows and not damaged
            if place is None:  # control characters in a value are no fault of the syntax
                assert everything(broken, FileSpec(format="json")) == (rows, [])
                continue
            with pytest.raises(DeliveryCorrupt, match=f"第 {place[0]} 行第 {place[1]} 列不符合 JSON 语法"):
                everything(broken, FileSpec(format="json"))

    def test_real_gbk_bank_and_tax_files_read_whole(self):
        for name, spec, count in (
            ("court/10qualification.csv", FileSpec(encoding="gbk"), None),
            ("court/8breakfaith.csv", FileSpec(), None),
            ("bank/企业信息.csv", FileSpec(delimiter=" "), 123),
            ("tax/tax_info.csv", FileSpec(), 29_195),
        ):
            rows, damaged = everything(SHARED / "data" / name, spec)
            assert rows
            assert count in (None, len(rows))
            assert not damaged

    def test_the_cjk_codec_pairs_decode_to_their_utf8_twins(self):
        for codec, spec in (("gb18030", "gb18030"), ("gbk", "gbk"), ("gb2312", "gb2312"), ("big5", "big5")):
            folder = SHARED / "data/encodings/cjk-python"
            twin = (folder / f"{codec}-utf8.txt").read_text("utf-8").splitlines()
            source = FileSpec(encoding=spec, header=0, quote="", delimiter="\x1e")
            rows, damaged = everything(folder / f"{codec}.txt", source)
            assert [values["1"] for _, values in rows] == [line for line in twin if line]
            assert not damaged
