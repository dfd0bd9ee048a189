"""Nothing of a JSON or XML file stays unread without a word."""

import json

import pytest

from chengxin.contracts.models import FileSpec
from chengxin.errors import DeliveryMismatch
from chengxin.parsing.reader import plan, read
from deliveries import Office, penalty, uscc


@pytest.mark.parametrize(
    ("body", "records", "words"),
    [
        ('{"rows":[{"a":1}]}\n{"rows":[{"a":2}]}', "rows", "几个 JSON 文档"),
        ('{"data":{"rows":[{"a":1}],"total":1},"code":0}\n{"x":1}', "data.rows", "几个 JSON 文档"),
        ('{"data":{"rows":[{"a":1}],"rows":[{"a":2}]}}', "data.rows", "data.rows 出现两次"),
        ('{"data":{"rows":[{"a":1}]},"data":{"rows":[{"a":2}]}}', "data.rows", "data.rows 出现两次"),
        ('{"企业":[{"a":1}],"个体户":[{"a":2}]}', "", "后面还有 个体户"),
        ('{"rows":[{"a":1,"b":1}],"rows2":[{"a":2,"b":2}]}', "rows", "除了 rows 还有 rows2"),
        ('{"rows":[{"a":1,"b":1}],"data":{"more":{"list":[{"a":2,"b":2}]}}}', "rows", "除了 rows 还有 data"),
        ('{"old":[{"a":2,"b":2}],"rows":[{"a":1,"b":1}]}', "rows", "除了 rows 还有 old"),
        ('{"old":{"d":[{"a":"2026","b":2}]},"new":{"d":[{"a":1,"b":1}]}}', "new.d", "除了 new.d 还有 old"),
        ('{"new":{"d":[{"a":1,"b":1}]},"old":{"d":[{"a":"2026","b":2}]}}', "new.d", "除了 new.d 还有 old"),
        ('{"rows":[{"a":1,"b":1}],"x":{"d":[{"a":"2026","b":2}]}}', "", "除了 记录数组 还有 x"),
        ('{"rows":[{"a":1,"b":1}],"last":{"a":"2026","b":2}}', "rows", "除了 rows 还有 last"),
        ('{"rows":[{"a":1,"b":1}],"more":{"7":{"a":"2026","b":2}}}', "rows", "除了 rows 还有 more"),
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
        ("<D><R><a>1</a></R><组><R><a>2</a></R></组></D>", "D/R", "另有一处记录 D/组/R"),
        ("<D><组><R><a>2</a></R></组><R><a>1</a></R></D>", "D/R", "另有一处记录 D/组/R"),
        ("<m><D><R><a>1</a></R></D><R><a>2</a></R></m>", "D/R", "还有 m/R，"),
        ("<m><R><a>2</a></R><D><R><a>1</a></R></D></m>", "D/R", "还有 m/R，"),
        ("<m><D><R><a>1</a></R></D><R><a>2</a></R></m>", "m/D/R", "还有 m/R，"),
        ("<m><D/><R><a>2</a><b>2</b></R></m>", "D/R", "还有 m/R，"),
        ("<m><D><R><a>1</a></R></D><E><R><a>2</a></R></E></m>", "D/R", "还有 m/E/R，"),
        ('<m><D><R a="1"/></D><E><R a="2"/></E></m>', "D/R", "还有 m/E/R，"),
        (
            "<m><D><R><a>1</a><b>1</b><c>1</c></R></D><E><S><a>2</a><b>2026-01-01</b><c>2</c></S></E></m>",
            "D/R",
            "还有 m/E/S，",
        ),
        (
            "<m><E><S><a>名称</a><b>代码_1</b><c>日期</c></S></E><head><R><a>1</a></R></head><R>1</R>"
            "<D><R><a>1</a><b>1</b><c>1</c></R></D></m>",
            "D/R",
            [{"a": "1", "b": "1", "c": "1"}],
        ),
        ("<D><R><a>1</a></R><R><a>2</a></R></D>", "E/R", "实际记录很可能是 D/R"),
        ("<m><企业><a>1</a></企业><个体户><a>2</a></个体户></m>", "", "还有 个体户"),
        ("<m><R><a>1</a></R><r><a>2</a></r></m>", "m/R", "还有 r"),
        ("<m><r><a>2</a></r><R><a>1</a></R></m>", "m/R", "还有 r"),
        ("<m><ROW><a>1</a></ROW><ROW2><b>2</b></ROW2></m>", "m/ROW", "还有 ROW2"),
        ("<m><row><a>1</a><b>1</b></row><record><a>2</a><c>3</c></record></m>", "m/row", "还有 record"),
        ("<m><企业><a>1</a><b>1</b></企业><个体户><a>2</a><b>2</b></个体户></m>", "m/企业", "还有 个体户"),
        ('<m><R a="1" b="1"/><S a="2" b="2"/></m>', "m/R", "还有 S"),
        ('<m><R><COL name="a">1</COL></R><S><COL name="a">2</COL></S></m>', "m/R", "还有 S"),
        ("<m><R><a>1</a></R></m><m><R><a>2</a></R></m>", "m/R", "几个 XML 文档"),
        ("<m><R><a>1</a></R></m><?xml version='1.0'?><n/>", "m/R", "几个 XML 文档"),
        ("<m/><m><R><a>2</a></R></m>", "m/R", "其后还有内容"),
        (
            "<m><head><a>1</a><b>2</b></head><total>1</total><R><a>1</a><b>2</b></R><注>说明</注></m>",
            "m/R",
            [{"a": "1", "b": "2"}],
        ),
        (
            "<m><sender><a>9</a><b>9</b></sender><R><a>1</a><b>2</b><c>3</c><d>4</d><e>5</e></R></m>",
            "m/R",
            [{"a": "1", "b": "2", "c": "3", "d": "4", "e": "5"}],
        ),
        ("<m><R><a>1</a><b>2</b></R><total><a>1</a><b>9</b></total></m>", "m/R", [{"a": "1", "b": "2"}]),
        ("<m><统计><a>1</a><时间>2</时间></统计><R><a>1</a><b>2</b></R></m>", "m/R", [{"a": "1", "b": "2"}]),
        ('<m><R><罚款 unit="万元">5</罚款></R></m>', "R", [{"罚款": "5", "罚款@unit": "万元"}]),
        ("<m><R><罚款>5<单位>万元</单位></罚款></R></m>", "R", [{"罚款": "5", "罚款/单位": "万元"}]),
        ('<m><R><COL name="a" value="1"/><COL name="b">2</COL></R></m>', "R", [{"a": "1", "b": "2"}]),
    ],
)
def test_nothing_of_an_xml_file_is_left_out_unsaid(tmp_path, body, records, expected):
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
@pytest.mark.parametrize(
    ("inner", "damaged"),
    [
        ("<D><R><a>1</a></R></D>", []),
        ("<D><R><a>1</a></R>", [(2, "row.cut_off")]),
        ("<D><R><a>1</a></R><R><a>2", [(2, "row.cut_off")]),
    ],
)
def test_a_wrapped_message_that_was_cut_off_says_so_though_the_outer_one_is_whole(tmp_path, wrapped, inner, damaged):
    inside = f"<![CDATA[{inner}]]>" if wrapped == "cdata" else inner.replace("<", "&lt;").replace(">", "&gt;")
    path = tmp_path / "f.xml"
    path.write_text(f"<m><Body>{inside}</Body></m>", "utf-8")
    spec = FileSpec(format="xml", records="D/R", wrapped=wrapped)
    chunks = list(read(plan(path, spec)[0], spec))
    assert [row for chunk in chunks for row in chunk.table.to_pylist()] == [{"a": "1"}]
    assert [(item.row, item.rule) for chunk in chunks for item in chunk.damaged] == damaged


@pytest.mark.parametrize("size", [1 << 20, 7])
@pytest.mark.parametrize(
    ("body", "damaged"),
    [
        ("<D>\n<R><a>1</a></R>甲公司,2\n<R><a>3</a></R></D>\n", [(2, "甲公司,2")]),
        ("<D>甲公司<R><a>1</a></R><R><a>3</a></R><!-- 完 --></D>", [(1, "甲公司")]),
        ("<D><R><a>1</a></R><![CDATA[<R>2]]><R><a>3</a></R></D>", [(2, "<R>2")]),
        ("<D><R><a>1</a></R><R><a>3</a></R></D>\n甲公司,2", [(3, "甲公司,2")]),
        ("<D><n>说 明</n><R><a>1</a></R><R><a>3</a></R>\u3000<t>2</t></D>\n\x1a", []),
    ],
)
def test_text_between_the_rows_of_an_xml_file_is_set_aside(tmp_path, monkeypatch, body, damaged, size):
    monkeypatch.setattr("chengxin.parsing.encoding.decoder._BLOCK", size)
    path = tmp_path / "f.xml"
    path.write_text(body, "utf-8")
    spec = FileSpec(format="xml", records="D/R")
    chunks = list(read(plan(path, spec)[0], spec))
    assert [row["a"] for chunk in chunks for row in chunk.table.to_pylist()] == ["1", "3"]
    assert [(item.row, item.raw) for chunk in chunks for item in chunk.damaged] == damaged
    assert all(item.rule == "row.not_a_record" for chunk in chunks for item in chunk.damaged)


@pytest.mark.parametrize(
    ("body", "damaged"),
    [
        ('{"rows":[{"a":"1"}]} 完', [(2, "row.not_a_record", "完")]),
        ('{"rows":[{"a":"1"}],"t":x}', [(2, "row.not_a_record", "x}")]),
        ('{"rows":[{"a":"1"}]', [(2, "row.cut_off", "（文件在此中断，最外层的对象没有结束）")]),
        ('{"rows":[{"a":"1"}],"to', [(2, "row.not_a_record", '"to')]),
        ('{"rows":[{"a":"1"}]}\n\x1a', []),
    ],
)
def test_what_follows_the_records_of_a_json_file_and_is_none_is_told(tmp_path, body, damaged):
    path = tmp_path / "f.json"
    path.write_text(body, "utf-8")
    spec = FileSpec(format="json", records="rows")
    chunks = list(read(plan(path, spec)[0], spec))
    assert [row for chunk in chunks for row in chunk.table.to_pylist()] == [{"a": "1"}]
    assert [(item.row, item.rule, item.raw) for chunk in chunks for item in chunk.damaged] == damaged


def test_rows_that_a_whole_path_leaves_out_are_told(tmp_path):
    names = ("subject_name", "uscc", "decision_no", "decision_on", "authority_name")
    office = Office(tmp_path)
    office.contract("list", "penalty", names, file={"format": "xml", "records": "m/D/R"})
    rows = [
        "".join(
            f"<{name}>{penalty(n, subject_name=f'湖南示例{n}有限公司', uscc=uscc(n))[name]}</{name}>" for name in names
        )
        for n in range(2)
    ]
    path = tmp_path / "list.xml"
    path.write_text(f"<m><D><R>{rows[0]}</R></D><Deleted><R>{rows[1]}</R></Deleted></m>", "utf-8")
    account = office.ingest("list", path)
    verdict = json.loads((office.layout.validation("list", account["batch_id"]) / "verdict.json").read_text("utf-8"))
    told = {f["rule"]: (f["severity"], f["message"]) for f in verdict["findings"]}
    assert account["received"] == 1
    assert told["rows.left_out"][0] == "warning"
    assert "m/Deleted/R" in told["rows.left_out"][1]
