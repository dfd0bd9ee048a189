"""Units of money in titles, in names of columns, and against the contract."""

import pytest

from chengxin.model.units import unit_above, unit_in


@pytest.mark.parametrize(
    ("line", "unit"),
    [
        ("欠税公告,,,万元,,", (4, "CNY")),
        ("欠税公告\t\t（元）", (0, "CNY")),
        ("处罚台账（金额：万）", (4, "CNY")),
        ("金额：千元", (3, "CNY")),
        ("计量单位：户、万元", (4, "CNY")),
        ("单位：人民币百元", (2, "CNY")),
        ("欠税公告（万元）.xlsx", (4, "CNY")),
        ("欠税公告（单位：元）.csv", (0, "CNY")),
        ("单位：示例市市场监督管理局", None),
        ("累计罚款120万元", None),
        ("单位：美元", (0, "USD")),
        ("金额单位：万美元,,", (4, "USD")),
        ("注：金额单位为美元", (0, "USD")),
        ("币种：美元", (None, "USD")),
        ("Currency: USD,,,", (None, "USD")),
        ("处罚台账（美元）.csv", (0, "USD")),
        ("Unit: 10k yuan", (4, "CNY")),
        ("unit: thousand yuan,,", (3, "CNY")),
        ("Unit: RMB 10,000", (4, "CNY")),
        ("(in RMB thousands)", (3, "CNY")),
        ("Amounts in millions of yuan", (6, "CNY")),
        ("单位：元        制表日期：2024年9月30日", (0, "CNY")),
        ("填报单位：元达公司        制表日期：2024年9月30日", None),
        ("Unit: the office", None),
        ("Units: 25", None),
        ("单位：千", None),
        ("填报单位：元达公司", None),
        ("单位负责人：张某", None),
        ("金额：5000元", None),
        ("币种：见附表", None),
        ("元,万元,,", None),  # units of single columns
        ("新纪元公司（元旦）张元.csv", None),
        ("处罚_20260301_007.csv", None),
        ("填报单位：示例局,,填报人：张某元", None),
    ],
)
def test_units_in_titles_and_names(line, unit):
    found = unit_above(line)
    assert (found and (found.power, found.currency)) == unit


@pytest.mark.parametrize(
    ("header", "unit"),
    [
        ("注册资本（万元）", (4, "CNY")),
        ("余额_亿元", (8, "CNY")),
        ("注册资本(单位：万元人民币)", (4, "CNY")),
        ("投资总额（万美元）", (4, "USD")),
        ("出资额（万）", (4, "CNY")),
        ("金额（台元）", (None, "XXX")),
        ("罚款金额", None),
        ("金额（大写）", None),
    ],
)
def test_units_in_names_of_columns(header, unit):
    found = unit_in(header)
    assert (found and (found.power, found.currency)) == unit


@pytest.mark.parametrize(
    ("header", "declared", "in_currency", "differs"),
    [
        ("金额（万元）", "万元", False, False),
        ("金额（万）", "万元", False, False),
        ("金额（元）", None, False, False),
        ("金额（万元）", None, False, True),
        ("金额（美元）", "元", False, True),
        ("金额（美元）", "元", True, False),
        ("金额（万美元）", "元", True, True),
        ("金额（台元）", "元", True, False),
    ],
)
def test_a_unit_is_compared_with_the_contract(header, declared, in_currency, differs):
    found = unit_in(header)
    assert found is not None and found.differs(declared, in_currency=in_currency) == differs
