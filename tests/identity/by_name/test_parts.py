"""A name taken apart: region, core, form, note. All names are invented."""

import pytest

from chengxin.identity.by_name.hashes import matrix, prefixes, substrings, text_hash
from chengxin.identity.by_name.parts import Parts, normal_form, parse, shorten
from chengxin.identity.by_name.words import FORMS, may_be_person


def one(name: str) -> Parts:
    return parse([name])


@pytest.mark.parametrize(
    ("name", "core", "form"),
    [
        ("长沙市望城区凯岳建材有限责任公司", "凯岳建材", "limited"),
        ("岳阳市君山区老李便利店", "老李便利", "shop"),
        ("宏远物资(长沙)有限公司", "宏远物资", "limited"),
        ("长沙市凯岳面粉加工厂", "凯岳面粉加工", "factory"),
        ("凯岳银行股份有限公司湘江支行", "凯岳银行湘江", "branch"),
        ("凯岳（普通合伙）", "凯岳", "partnership"),
        ("长沙凯岳公司有限公司", "凯岳", "limited"),
    ],
)
def test_the_core_is_what_region_and_form_leave(name: str, core: str, form: str) -> None:
    parts = one(name)
    assert (parts.text(0), FORMS[parts.form[0]]) == (core, form)


def test_a_region_is_told_by_its_words_and_in_brackets() -> None:
    parts = parse(["长沙市望城区凯岳建材厂", "湖南凯岳建材厂", "凯岳建材(长沙)厂", "凯岳建材厂"])
    assert parts.province.tolist() == [43, 43, 43, 0]
    assert parts.prefecture.tolist() == [4301, 0, 4301, 0]
    assert (parts.county > 0).tolist() == [True, False, False, False]


def test_full_width_traditional_and_marks_make_no_difference() -> None:
    assert normal_form("凱岳 Ａ－再生資源【長沙】") == "凯岳A再生资源(长沙)"
    assert normal_form("乾元") == "乾元"


def test_what_else_stands_in_brackets_is_a_note() -> None:
    parts = parse(["凯岳建材厂(冈山工业园)", "凯岳建材厂(东线工地)", "凯岳建材厂", "凯岳建材厂(冈山工业园"])
    assert parts.note[2] == 0
    assert parts.note[0] == parts.note[3] != parts.note[1] != 0


def test_a_core_stands_where_start_and_end_say() -> None:
    name = "湖南省長沙市凯岳建材有限公司"
    parts = one(name)
    assert shorten(name)[parts.start[0] : parts.end[0]] == parts.text(0) == "凯岳建材"


@pytest.mark.parametrize("name", ["", "厂", "有限公司", "长沙市", "()", "a" * 90, "甲\n乙建材厂"])
def test_any_text_has_parts(name: str) -> None:
    parts = parse([name, "长沙凯岳建材厂"])
    assert len(parts) == 2
    assert parts.text(1) == "凯岳建材"


def test_a_hash_of_a_substring_is_that_of_the_text() -> None:
    codes, length = matrix(["长沙凯岳建材", "凯岳"], 8)
    found = substrings(prefixes(codes), length * 0 + [0, 1], length * 0 + [2, 0], length * 0 + [4, 2])
    assert found.tolist() == [text_hash("凯岳")] * 2


def test_short_names_of_no_organisation_may_be_a_persons() -> None:
    assert [may_be_person(n) for n in ("王某某", "欧阳某某", "阿卜杜勒·某某", "凯岳厂", "凯岳建材供应")] == [
        True,
        True,
        True,
        False,
        False,
    ]
