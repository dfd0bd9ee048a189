"""Names tell deliveries apart and put them in order; what is missing from a sequence is told."""

from datetime import UTC, datetime, timedelta

import pytest

from chengxin.connectors import options_problem
from chengxin.connectors.files.names import Pattern, gaps

NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)  # in Shanghai


def order(pattern: str, name: str, arrived: datetime = NOON) -> datetime:
    named = Pattern(pattern).read(name)
    assert named is not None
    return named.counts_as_of(arrived)


@pytest.mark.parametrize(
    ("pattern", "name", "values"),
    [
        ("处罚_{date}_{seq}.csv", "处罚_20260301_007.csv", {"date": "20260301", "seq": "007"}),
        ("处罚*{date}*.csv", "处罚（终）2026-03-01版.csv", {"date": "2026-03-01"}),
        ("{month}/{part}.csv", "202603/长沙市.csv", {"month": "202603", "part": "长沙市"}),
        ("欠税公告_{quarter}.xls", "欠税公告_2026Q1.xls", {"quarter": "2026Q1"}),
        ("[甲乙]?_{year}.csv", "甲x_2026.csv", {"year": "2026"}),
        ("欠税(试行)+_{date}{time}.csv", "欠税(试行)+_20260301093000.csv", {"date": "20260301", "time": "093000"}),
    ],
)
def test_reads_fields_from_a_name(pattern, name, values):
    named = Pattern(pattern).read(name)
    assert named is not None
    assert named.values == values


@pytest.mark.parametrize(
    "name", ["处罚_2026301_1.csv", "处罚_20260301_.csv", "x处罚_20260301_1.csv", "处罚_20260301_1.csv.ok"]
)
def test_a_name_of_another_shape_does_not_match(name):
    assert Pattern("处罚_{date}_{seq}.csv").read(name) is None


def test_unknown_and_doubled_fields_are_refused_in_words(make_contract):
    for pattern in ("{datum}.csv", "{date}_{date}.csv", "{}.csv"):
        assert "占位符" in (options_problem(make_contract(pattern=pattern)) or "")
    assert "complete" in (options_problem(make_contract(pattern="{date}_{part}.csv")) or "")
    assert "之一" in (options_problem(make_contract(complete={"marker": "a", "stable": 3})) or "")


def test_a_late_delivery_counts_as_of_its_own_period():
    older = order("{date}.csv", "20260301.csv", NOON + timedelta(days=1))
    newer = order("{date}.csv", "20260308.csv", NOON)
    assert older < newer < NOON


def test_numbers_of_one_day_order_as_numbers():
    late = order("{date}_{seq}.csv", "20260301_2.csv", NOON + timedelta(hours=5))
    assert late < order("{date}_{seq}.csv", "20260301_10.csv", NOON)


def test_the_time_in_the_name_orders_within_the_day():
    morning = order("{date}{time}.csv", "202603010930.csv")
    assert morning == datetime(2026, 3, 1, 1, 30, tzinfo=UTC)
    assert morning < order("{date}{time}.csv", "20260301093001.csv")


def test_a_month_counts_from_its_last_day_or_today():
    assert order("{month}.csv", "202602.csv") == datetime(2026, 2, 27, 16, tzinfo=UTC)
    assert order("{month}.csv", "202603.csv") == datetime(2026, 3, 9, 16, tzinfo=UTC)
    assert order("{year}.csv", "2026.csv") <= NOON
    assert order("{date}.csv", "20991231.csv") <= NOON


def test_a_day_that_does_not_exist_counts_as_of_its_arrival():
    assert order("{date}.csv", "20260230.csv") == NOON
    assert order("*.csv", "20260228.csv") == NOON
    assert order("{date}.csv", "00010101.csv") == NOON  # before all days in UTC


def test_gaps_in_a_sequence_are_named():
    days = [("2026-03-01", n) for n in (1, 2, 4, 8)] + [("2026-03-02", 2), ("2026-03-03", 1)]
    assert gaps(days, "per_date") == ["2026-03-01 缺第 3、5-7 号", "2026-03-02 缺第 1 号"]
    running = [("2026-03-01", 117), ("2026-03-02", 118), ("2026-03-03", 120)]
    assert gaps(running, "running") == ["缺第 119 号"]
    assert gaps([("2026-03-01", 0), ("2026-03-01", 1)], "per_date") == []
    assert gaps([], "running") == []
