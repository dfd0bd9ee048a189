"""Money: exact yuan, currency and the text as sent."""

import csv
import os
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import cleaned, one

from chengxin.cleaning.kernels import CleanOptions, clean
from chengxin.parsing.fixed_width.reader import pointed

SHARED = Path(os.environ.get("CHENGXIN_SHARED") or Path(__file__).resolve().parents[2].parent / "shared")


@pytest.mark.parametrize(
    ("text", "unit", "yuan"),
    [
        ("0.57", "万元", "5700.00"),
        ("1000", "元", "1000.00"),
        ("1000", None, "1000.00"),
        ("2", "亿元", "200000000.00"),
        ("5万", "元", "50000.00"),
        ("50000元", "万元", "50000.00"),
        ("1,000.00", "元", "1000.00"),
        ("￥1,000.50", "元", "1000.50"),
        ("人民币伍万元整", "元", "50000.00"),
        ("5,118(万元人民币)", "元", "51180000.00"),
        ("5,118（万元人民币）", "元", "51180000.00"),
        ("13.6万人民币", "元", "136000.00"),
        ("9()", "万元", "90000.00"),
        ("22万人民币元", "元", "220000.00"),
        ("63(万)", "元", "630000.00"),
        ("5e-05", "万元", "0.50"),
        ("-12.5", "元", "-12.50"),
        ("(1,000.00)", "元", "-1000.00"),
        ("５万元", "元", "50000.00"),
        ("1 000", "元", "1000.00"),
        ("CNY 5", "元", "5.00"),
        ("叁佰贰拾元伍角", "万元", "320.50"),
        ("伍万叁仟元整", "元", "53000.00"),
        ("一亿零二百万元", "元", "102000000.00"),
        ("32588万元人民币", "元", "325880000.00"),
        ("0", "元", "0.00"),
        ("-0", "元", "0.00"),
        ("0000", "元", "0.00"),
    ],
)
def test_reads_amounts_as_exact_yuan(text: str, unit: str | None, yuan: str) -> None:
    assert one("money", text, unit=unit) == (Decimal(yuan), [])


@pytest.mark.parametrize(
    "text",
    ["5000 6000", "5000\n6000", "1 23", "12 34", "5000\u30006000", "5000 6000元", "三万五", "一千五", "二百五元"],
)
def test_two_numbers_and_amounts_that_read_in_two_ways_are_none(text: str) -> None:
    assert one("money", text) == (None, ["money.invalid"])


@pytest.mark.parametrize(
    ("text", "yuan"), [("1 234 567.89", 1234567), ("5\xa0000 元", 5000), ("三万零五", 30005), ("一百一十五", 115)]
)
def test_groups_of_three_and_full_numerals_are_one_number(text: str, yuan: int) -> None:
    value, rules = one("money", text)
    assert (int(value), rules) == (yuan, [])


@pytest.mark.parametrize(
    ("text", "code"), [("0万港币", "HKD"), ("1,500(万美元)", "USD"), ("$5", "USD"), ("3万欧元", "EUR")]
)
def test_foreign_amounts_are_not_converted(text: str, code: str) -> None:
    assert one("money", text) == (None, ["money.foreign_currency"])
    extra = clean(pa.array([text]), "money", options=CleanOptions()).extra
    assert extra["currency_code"].to_pylist() == [code]
    assert extra["raw"].to_pylist() == [text]


@pytest.mark.parametrize(
    "text",
    ["abc", "5斤", "1,00", "1.2.3", "5万3千元", "99999999999999999999", "元", "5e99", "约5万", "千元", "百万元", "仟"],
)
def test_what_is_no_amount_is_an_error(text: str) -> None:
    assert one("money", text) == (None, ["money.invalid"])


@pytest.mark.parametrize(
    "text",
    [
        "￥5", "￥50,000.00", "¥ 5", "5￥", "伍仟", "人民币伍佰", "十", "两千", "人民币50", "RMB 50", "50人民币",
        "CNY50", "人民币：50",
    ],
)  # fmt: skip
@pytest.mark.parametrize("unit", ["万元", "亿元"])
def test_an_amount_maybe_in_yuan_is_refused_in_another_unit(text: str, unit: str) -> None:
    assert one("money", text, unit=unit) == (None, ["money.invalid"])
    assert one("money", text, unit="元")[1] == []


@pytest.mark.parametrize(
    "text",
    [
        "￥5万", "￥50000元", "伍万", "5万￥", "¥5万元", "伍万元整", "人民币5万", "人民币50000元", "5万(人民币)",
        "RMB5万元", "5(人民币)", "5（人民币）", "5[RMB]",
    ],
)  # fmt: skip
def test_an_amount_is_in_its_own_unit_or_that_of_its_column(text: str) -> None:
    assert one("money", text, unit="万元") == (Decimal(50000), [])


@pytest.mark.parametrize(
    ("text", "yuan"), [("0.005", "0.00"), ("0.015", "0.02"), ("-0.025", "-0.02"), ("1.0051", "1.01")]
)
def test_parts_of_a_fen_are_rounded_half_even_with_a_warning(text: str, yuan: str) -> None:
    assert one("money", text) == (Decimal(yuan), ["money.rounded"])


def test_extra_columns_are_null_where_the_amount_is_absent() -> None:
    extra = clean(pa.array(["5", None, "N/A", "x"]), "money", options=CleanOptions()).extra
    assert extra["currency_code"].to_pylist() == ["CNY", None, None, None]
    assert extra["raw"].to_pylist() == ["5", None, None, "x"]


def test_column_has_the_declared_type_even_if_empty() -> None:
    result = clean(pa.array([], pa.string()), "money", options=CleanOptions())
    assert result.values.type == pa.decimal128(18, 2)
    assert result.extra["currency_code"].type == pa.string()


@settings(max_examples=150, deadline=None)
@given(st.decimals(-(10**9), 10**9, places=8), st.sampled_from(["元", "万元", "亿元"]), st.booleans())
def test_agrees_with_decimal(number: Decimal, unit: str, grouped: bool) -> None:
    text = f"{number:,f}" if grouped else f"{number:f}"
    exact = number * {"元": 1, "万元": 10**4, "亿元": 10**8}[unit]
    expected = exact.quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN)
    value, rules = one("money", text, unit=unit)
    if abs(expected) >= 10**16:
        assert (value, rules) == (None, ["money.invalid"])
    else:
        assert value == expected
        assert rules == ([] if exact == expected else ["money.rounded"])


def test_units_are_told_apart_row_by_row() -> None:
    rows = cleaned("money", ["1", "1万", "1元", "1(万美元)", None, "x", "1亿元"], unit="万元")
    assert [value for value, _ in rows] == [
        Decimal(10000),
        Decimal(10000),
        Decimal(1),
        None,
        None,
        None,
        Decimal(10**8),
    ]


@pytest.mark.realdata
@pytest.mark.skipif(not SHARED.is_dir(), reason="shared data not here")
def test_every_capital_of_the_registry_is_read() -> None:
    texts: list[str | None] = []
    for path in sorted((SHARED / "data/registration-hunan/csv").glob("*.csv")):
        with path.open(encoding="utf-8-sig", newline="") as lines:
            texts += [row["注册资金"] for row in csv.DictReader(lines)]
    assert len(texts) > 16_000
    rules = {rule for _, broken in cleaned("money", texts, unit="万元") for rule in broken}
    assert rules <= {"money.foreign_currency", "money.rounded"}


@pytest.mark.parametrize("values", [[None], ["", ""], ["N/A"], [None, None]])
def test_a_column_without_any_amount_is_empty(values):
    done = clean(pa.array(values, pa.string()), "money", options=CleanOptions(unit="元"))
    assert done.values.null_count == len(values)
    assert done.issues == ()


def test_digits_not_written_as_agreed_are_no_whole_yuan():
    written = ["１２３４５", "－12345", "12 345", "1,234", "1E5", "12345元", "1,234.50", "伍仟元"]
    values = pointed(pa.array(written), 2)
    assert values.to_pylist()[:2] == ["123.45", "-123.45"]
    amounts = [None if yuan is None else str(yuan) for yuan, _ in (one("money", text) for text in values.to_pylist())]
    assert amounts == ["123.45", "-123.45", None, None, None, None, "1234.50", "5000.00"]
