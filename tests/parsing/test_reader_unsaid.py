"""What of a JSON or XML file is read, what the stated path leaves out, and what is held because nobody said which."""

import pytest

from chengxin.contracts.models import FileSpec
from chengxin.errors import DeliveryCorrupt, DeliveryMismatch
from chengxin.parsing.reader import plan, read


@pytest.mark.parametrize(
    ("body", "records", "words"),
    [
        ('{"data":{"rows":[{"a":1}],"rows":[{"a":2}]}}', "data.rows", "data.rows 出现两次"),
        ('{"data":{"rows":[{"a":1}]},"data":{"rows":[{"a":2}]}}', "data.rows", "data.rows 出现两次"),
        ('{"企业":[{"a":1}],"个体户":[{"a":2}]}', "", "后面还有 个体户"),
    ],
)
def test_records_that_would_be_left_unread_are_a_mismatch(tmp_path, body, records, words):
    path = tmp_path / "f.json"
    path.write_text(body, "utf-8")
    spec = FileSpec(format="json", records=records)
    with pytest.raises(DeliveryMismatch, match=words):
        list(read(plan(path, spec)[0], spec))


@pytest.mark.parametrize(
    ("body", "records"),
    [
        ('{"rows":[{"a":"1"}],"total":1,"names":["a","b"]}', ""),
        ('{"rows":[{"a":"1"}],"total":1,"footer":[{"a":"9"}]}', "rows"),
        ('{"code":0,"data":{"rows":[{"a":"1"}],"more":[{"b":2}]},"msg":{"rows":[{"a":3}]}}', "data.rows"),
        ('{"rows":[{"a":"1","b":2}],"labels":{"a":"文号","b":"代码_1"},"asked":{"a":"2026","c":"","d":""}}', "rows"),
        ('{"head":{"a":"2026","b":2},"rows":[{"a":"1","b":2}],"page":{"a":"2026","b":2}}', "rows"),
    ],
)
def test_what_else_an_object_says_beside_the_records_does_not_matter(tmp_path, body, records):
    path = tmp_path / "f.json"
    path.write_text(body, "utf-8")
    spec = FileSpec(format="json", records=records)
    assert [chunk.table["a"].to_pylist() for chunk in read(plan(path, spec)[0], spec)] == [["1"]]


@pytest.mark.parametrize(
    ("body", "records", "expected"),
    [
        (
            "<m><Add><D><R><a>1</a></R></D></Add><Delete><D><R><a>2</a></R></D></Delete></m>",
            "Add/D/R",
            [{"a": "1"}],
        ),
        ("<m><Add><D><R><a>1</a></R></D></Add><Delete><D><R><a>2</a></R></D></Delete></m>", "D/R", "两处记录"),
        ("<D><R><a>1</a></R><组><R><a>2</a></R></组></D>", "D/R", "两处记录：D/R 与 D/组/R"),
        ("<D><组><R><a>2</a></R></组><R><a>1</a></R></D>", "D/R", "两处记录：D/R 与 D/组/R"),
        ("<m><D><R><a>1</a></R></D><D><R><a>2</a></R></D></m>", "m/D/R", [{"a": "1"}, {"a": "2"}]),
        ("<m><R><a>2</a></R><D><R><a>1</a></R></D></m>", "D/R", [{"a": "1"}]),
        ("<m><D><R><a>1</a></R></D><R><a>2</a></R></m>", "m/D/R", [{"a": "1"}]),
        ("<m><D/><R><a>2</a><b>2</b></R></m>", "D/R", "实际记录很可能是 m/R"),
        ("<D><R><a>1</a></R><R><a>2</a></R></D>", "E/R", "实际记录很可能是 D/R"),
        ("<m><企业><a>1</a></企业><个体户><a>2</a></个体户></m>", "", "还有 个体户"),
        ("<m><企业><a>1</a></企业><个体户><a>2</a></个体户></m>", "m/企业", [{"a": "1"}]),
        (
            "<m><head><a>1</a><b>2</b></head><total>1</total><R><a>1</a><b>2</b></R><注>说明</注></m>",
            "m/R",
            [{"a": "1", "b": "2"}],
        ),
        ("<m><R><a>1</a><b>2</b></R><total><a>1</a><b>9</b></total></m>", "m/R", [{"a": "1", "b": "2"}]),
        ('<m><R><罚款 unit="万元">5</罚款></R></m>', "R", [{"罚款": "5", "罚款@unit": "万元"}]),
        ("<m><R><罚款>5<单位>万元</单位></罚款></R></m>", "R", [{"罚款": "5", "罚款/单位": "万元"}]),
        ('<m><R><COL name="a" value="1"/><COL name="b">2</COL></R></m>', "R", [{"a": "1", "b": "2"}]),
        ("<m><R><a>1</a><a>2</a>旁注</R></m>", "R", [{"a": "1", "a_2": "2", "R": "旁注"}]),
    ],
)
@pytest.mark.parametrize("size", [1 << 20, 7])
def test_rows_of_an_xml_file_are_those_of_the_stated_path(*, tmp_path, monkeypatch, body, records, expected, size):
    monkeypatch.setattr("chengxin.parsing.encoding.decoder._BLOCK", size)
    path = tmp_path / "f.xml"
    path.write_text(body, "utf-8")
    spec = FileSpec(format="xml", records=records)
    if isinstance(expected, str):
        with pytest.raises(DeliveryMismatch, match=expected):
            list(read(plan(path, spec)[0], spec))
        return
    found = [row for chunk in read(plan(path, spec)[0], spec) for row in chunk.table.to_pylist()]
    assert [{name: value for name, value in row.items() if value} for row in found] == expected


@pytest.mark.parametrize("wrapped", ["cdata", "escaped"])
@pytest.mark.parametrize("inner", ["<D><R><a>1</a></R>", "<D><R><a>1</a></R><R><a>2"])
def test_a_wrapped_message_that_was_cut_off_is_held_though_the_outer_one_is_whole(tmp_path, wrapped, inner):
    inside = f"<![CDATA[{inner}]]>" if wrapped == "cdata" else inner.replace("<", "&lt;").replace(">", "&gt;")
    path = tmp_path / "f.xml"
    path.write_text(f"<m><Body>{inside}</Body></m>", "utf-8")
    spec = FileSpec(format="xml", records="D/R", wrapped=wrapped)
    with pytest.raises(DeliveryCorrupt, match=r"第 1 行第 \d+ 列不符合 XML 语法"):
        list(read(plan(path, spec)[0], spec))


@pytest.mark.parametrize("wrapped", ["cdata", "escaped"])
def test_only_the_inner_message_is_laid_open(tmp_path, wrapped):
    inner = "<?xml version='1.0'?>\n<D><R><a>甲 &amp; 乙</a></R></D>"
    inside = f"<![CDATA[{inner}]]>" if wrapped == "cdata" else inner.replace("&", "&amp;").replace("<", "&lt;")
    head = "<head><sn>A &amp; B</sn><note><![CDATA[C & D]]></note></head>"
    path = tmp_path / "f.xml"
    path.write_text(f"<?xml version='1.0' encoding='GBK'?><m>{head}<Body>{inside}</Body></m>", "gb18030")
    spec = FileSpec(format="xml", records="D/R", wrapped=wrapped, envelope=["head/sn", "head/note"])
    (chunk,) = read(plan(path, spec)[0], spec)
    assert chunk.table.to_pylist() == [{"head/sn": "A & B", "head/note": "C & D", "a": "甲 & 乙"}]


@pytest.mark.parametrize("size", [1 << 20, 7])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("<D>\n<R><a>1</a></R>甲公司,2\n<R><a>3</a></R></D>\n", "第 2 行起的记录之后"),
        ("<D>甲公司<R><a>1</a></R><R><a>3</a></R><!-- 完 --></D>", "第一条记录之前"),
        ("<D><R><a>1</a></R><![CDATA[<R>2]]><R><a>3</a></R></D>", "第 1 行起的记录之后"),
        ("<D><R><a>1</a></R><R><a>3</a></R></D>\n甲公司,2", "第 2 行第 1 列不符合 XML 语法"),
        ("<D><R><a>1</a></R></D><D><R><a>3</a></R></D>", "第 1 行第 23 列不符合 XML 语法"),
        ("<D><n>说 明</n><R><a>1</a></R><R><a>3</a></R>\u3000<t>2</t></D>\n\x1a", None),
    ],
)
def test_text_between_the_rows_of_an_xml_file_holds_it(tmp_path, monkeypatch, body, words, size):
    monkeypatch.setattr("chengxin.parsing.encoding.decoder._BLOCK", size)
    path = tmp_path / "f.xml"
    path.write_text(body, "utf-8")
    spec = FileSpec(format="xml", records="D/R")
    if words:
        with pytest.raises((DeliveryMismatch, DeliveryCorrupt), match=words):
            list(read(plan(path, spec)[0], spec))
        return
    assert [row["a"] for chunk in read(plan(path, spec)[0], spec) for row in chunk.table.to_pylist()] == ["1", "3"]


def test_what_follows_a_json_text_and_is_nothing_does_not_matter(tmp_path):
    path = tmp_path / "f.json"
    path.write_text('{"rows":[{"a":"1"}]}\n\x1a', "utf-8")
    spec = FileSpec(format="json", records="rows")
    assert [row for chunk in read(plan(path, spec)[0], spec) for row in chunk.table.to_pylist()] == [{"a": "1"}]
