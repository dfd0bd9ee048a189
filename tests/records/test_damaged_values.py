"""The values that can still be read of a damaged row: whole ones only."""

import pytest

from chengxin.contracts.models import FileSpec
from chengxin.records.damage.values import values_of

FIELDS = [("no", 1, 3), ("day", 4, 4), ("name", 8, 8), ("code", 16, 2)]


def read(raw: str, form: str, **more):
    return values_of(raw, FileSpec.model_validate({"format": form, **more}))


def fixed(raw: str, encoding: str = "gb18030") -> set:
    fields = [{"source": n, "start": s, "length": w} for n, s, w in FIELDS]
    return {value for _, value in read(raw, "fixed", encoding=encoding, fields=fields)}


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ('{"a": "甲", "b": 12', {"a": "甲", "b": None}),  # a number may go on where the text ends
        ('{"a": "甲", "b": 12}}', {"a": "甲", "b": "12"}),
        ('{"a": 012, "b": "乙"', {"a": "012", "b": "乙"}),
        ('{"a": "甲" "b": "乙"}', {"a": "甲", "b": "乙"}),
        ('{"a": "甲", b": "乙"}', {"a": "甲", "b": "乙"}),
        ('{"a": "甲", "b: "乙"}', {"a": "甲", "b": "乙"}),
        ('{"a": "甲"乙", "b": 1,}', {"a": None, "b": "1"}),  # a quote within a value: where it ends is not known
        ('{"a": "甲", 乙", "b": 1}', {"a": None, "b": "1"}),
        ('{"a": 甲, "b": 1 2}', {"a": "甲", "b": None}),
        ('{"a": "x\\u4e59\\"\\n", "b": tru', {"a": 'x乙"\n', "b": None}),
        ('{"a": "时间 b: 12", "b": x y}', {"a": "时间 b: 12", "b": None}),
    ],
)
def test_values_of_json_stand_whole_behind_their_names(raw, found):
    assert dict(read(raw, "json")) == found


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ("<r><a>甲&乙</a><b>1&lt;2</b>", {"r": None, "a": "甲&乙", "b": "1<2"}),
        ("<r><a>12<3</a><b>1</c></r>", {"r": None, "a": None, "3": None, "b": "1"}),
        ("<r><a>12<b>3</b></r>", {"r": None, "a": None, "b": "3"}),
        ("<n:r><n:a><![CDATA[甲<乙]]></n:a><b>12", {"r": None, "a": "甲<乙", "b": None}),
        ("<r no=\"7\" as='8'><COL name=\"b\"> 5 </COL><COL name='c' value=\"6\"/>",
         {"r": None, "no": "7", "as": "8", "b": "5", "c": "6"}),
    ],
)  # fmt: skip
def test_values_of_xml_stand_whole_between_their_tags(raw, found):
    assert dict(read(raw, "xml")) == found


def test_values_of_a_fixed_line_are_whole_between_blanks():
    assert {"湖南甲", "AB"} <= fixed("1230115湖南甲   AB")
    assert "湖南甲" in fixed("1230115湖南甲  A")  # lost within what follows the name
    assert fixed("1230115湖南甲  A").isdisjoint(
        {"12", "123", "230", "0115"}
    )  # digits beside digits: which, nobody knows
    assert {"12", "湖南甲"} <= fixed("12 0115湖南甲  A")
    assert "湖南" not in fixed("12 0115湖南甲乙丙AB")
    assert fixed("1230115湖南甲  AB1230116湖南乙  AB") == set()  # two lines in one
    assert {"甲", "AB"} <= fixed("12 0115甲       AB ", "auto")
