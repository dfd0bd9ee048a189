"""Codes, divisions, document numbers, and plain numbers."""

from decimal import Decimal
from typing import Any

import pytest
from kernel_cases import cleaned, one

from chengxin.model.codelists import codelists
from chengxin.model.rules import rules


def test_code_name_and_alias_give_the_code() -> None:
    for name, entries in codelists().items():
        for entry in entries.values():
            for text in (entry.code, entry.name):
                value, broken = one("code", text, codelist=name)
                assert (value, broken) == (entry.code, []), (name, text)


def test_contract_codes_go_before_the_list_and_are_folded() -> None:
    assert one("code", " 开 业（正常）", codelist="reg_status", codes={"开业(正常)": "1"}) == ("1", [])
    assert one("code", "1.0", codes={"1": "A"}) == ("A", [])


def test_unknown_code_is_an_error_and_has_no_default() -> None:
    assert one("code", "其他的什么", codelist="reg_status") == (None, ["code.unknown"])
    assert one("code", "无", codelist="reg_status") == (None, [])
    assert one("code", "无", codes={"无": "0"}) == ("0", [])


def test_codes_that_a_contract_translates_are_the_only_codes() -> None:
    # 2 is deleted in our list: a source that counts otherwise and forgot to say what its 2 means must not delete
    own = {"1": "0", "3": "2"}
    assert one("code", "2", codelist="delivery_status", codes=own) == (None, ["code.unknown"])
    assert one("code", "2.0", codelist="delivery_status", codes=own) == (None, ["code.unknown"])
    assert one("code", "3", codelist="delivery_status", codes=own) == ("2", [])
    assert one("code", "删除", codelist="delivery_status", codes=own) == ("2", [])  # a word means what it says
    assert one("code", "2", codelist="delivery_status") == ("2", [])


@pytest.mark.parametrize(
    ("text", "code", "broken"),
    [
        ("永定区", None, ["region.unknown"]),  # of Longyan in Fujian, and of Zhangjiajie
        ("资阳", None, ["region.unknown"]),
        ("湖南省长沙市", "430100", []),
        ("福建省", "350000", []),
        ("430102", "430102", []),
    ],
)
def test_places_of_a_sender_elsewhere_are_not_taken_for_ours(text: str, code: str | None, broken: list[str]) -> None:
    assert one("region", text, at_home=False) == (code, broken)


@pytest.mark.parametrize(
    ("text", "code", "broken"),
    [
        ("430102", "430102", []),
        ("430102001", "430102", []),
        ("430102001002", "430102", []),
        ("４３０１０２", "430102", []),
        ("长沙市", "430100", []),
        ("湖南省长沙市岳麓区", "430104", []),
        ("430124", "430182", ["region.retired"]),
        ("430371", "430300", ["region.zone"]),
        ("430199", None, ["region.unknown"]),
        ("火星", None, ["region.unknown"]),
        ("4301", "430100", []),
        ("110105", "110105", []),
        ("", None, []),
    ],
)
def test_divisions_in_every_shape(text: str, code: str | None, broken: list[str]) -> None:
    assert one("region", text) == (code, broken)


@pytest.mark.parametrize(
    "text",
    [
        "长市监处罚〔2024〕12号",
        "长市监处罚[2024]12号",
        "长市监处罚【2024】12号",
        "长市监处罚（2024）12号",
        "长市监处罚(2024) 12号",
        "长市监处罚〔２０２４〕12号\u3000",
    ],
)
def test_brackets_and_blanks_of_document_numbers_are_made_alike(text: str) -> None:
    assert one("document_no", text) == ("长市监处罚〔2024〕12号", [])


@pytest.mark.parametrize(
    ("kind", "text", "value", "broken"),
    [
        ("integer", "12", 12, []),
        ("integer", "-12.0", -12, []),
        ("integer", "1,200", 1200, []),
        ("integer", "12人", None, ["integer.invalid"]),
        ("integer", "1e3", 1000, []),
        ("integer", "12.5", None, ["integer.invalid"]),
        ("integer", "多", None, ["integer.invalid"]),
        ("decimal", "1.5", Decimal("1.5"), []),
        ("decimal", "-0.000001", Decimal("-0.000001"), []),
        ("decimal", "5e-05", Decimal("0.00005"), []),
        ("decimal", "0.1234565", Decimal("0.123456"), ["decimal.rounded"]),
        ("decimal", "1e-9", Decimal(0), ["decimal.rounded"]),
        ("decimal", "x", None, ["decimal.invalid"]),
        ("decimal", "999999999999999", None, ["decimal.invalid"]),
        ("year", "2017", 2017, []),
        ("year", "2017.0", 2017, []),
        ("year", "2017年", 2017, []),
        ("year", "2017年度", 2017, []),
        ("year", "17", None, ["year.invalid"]),
        ("flag", "是", True, []),
        ("flag", "否", False, []),
        ("flag", "1", True, []),
        ("flag", "0", False, []),
        ("flag", "ｙ", True, []),
        ("flag", "n", False, []),
        ("flag", "也许", None, ["flag.invalid"]),
        ("flag", "/", None, []),
        ("phone", "138 0013 8000", "13800138000", []),
        ("phone", "+86-13800138000", "13800138000", []),
        ("phone", "0731-85012345", "073185012345", []),
        ("phone", "0731-85012345转12", "073185012345-12", []),
        ("phone", "13800138000/0731-85012345", "13800138000", ["phone.several"]),
        ("phone", "12", None, ["phone.invalid"]),
        ("phone", "138****8000", None, ["phone.invalid"]),
    ],
)
def test_plain_kinds(kind: str, text: str, value: Any, broken: list[str]) -> None:
    assert one(kind, text) == (value, broken)


def test_only_the_elements_measure_word_may_follow_a_count() -> None:
    assert one("integer", "12期", measures=("期", "次")) == (12, [])
    assert one("integer", "12(期)", measures=("期", "次")) == (12, [])
    assert one("integer", "90天", measures=("期", "次")) == (None, ["integer.invalid"])  # days are no instalments
    assert one("integer", "8个月", measures=("岁",)) == (None, ["integer.invalid"])
    assert one("decimal", "1.5万", measures=("期",)) == (None, ["decimal.invalid"])


def test_empty_columns_keep_their_types() -> None:
    for kind in ("text", "name", "code", "region", "date", "instant", "integer", "decimal", "year", "flag", "phone"):
        assert cleaned(kind, []) == []
        assert cleaned(kind, [None, ""]) == [(None, []), (None, [])]


def test_every_rule_tells_what_is_wrong_and_what_to_do() -> None:
    for rule in rules().values():
        assert all(len(text) > 4 for text in (rule.zh, rule.en, rule.mend_zh, rule.mend_en)), rule.id
        for text in (rule.zh, rule.mend_zh):
            assert "{" not in text.replace("{title}", ""), rule.id
