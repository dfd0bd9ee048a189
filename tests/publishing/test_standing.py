"""How data sets stand: last arrival, rows that wait, and whether the last week left clearly more of them."""

from datetime import date, timedelta

import pytest

from chengxin.home import Home
from chengxin.operations.punctuality import Standing, standings
from deliveries import PENALTY, REGISTRATION, Office, company, penalty, uscc

FIRST = date(2026, 3, 2)


def test_last_arrival_and_waiting_rows_of_every_data_set(tmp_path):
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_penalty", "penalty", PENALTY)
    assert standings(Home(office.settings), FIRST) == []
    office.deliver("test_reg", company(1), day=0)
    office.deliver("test_penalty", *[penalty(n, uscc=uscc(9)) for n in range(3)], day=1)
    office.deliver("test_penalty", penalty(5, uscc=uscc(9)), penalty(6, uscc=uscc(1)), day=9)
    waiting, settled = standings(Home(office.settings), FIRST + timedelta(days=10))
    assert (settled.dataset, settled.waiting) == ("test_reg", 0)
    assert (waiting.waiting, waiting.week, waiting.week_before) == (4, 1, 3)
    assert waiting.last_arrival - settled.last_arrival == timedelta(days=9)


@pytest.mark.parametrize(
    ("week", "before", "growing"), [(20, 0, True), (19, 0, False), (30, 20, False), (31, 20, True)]
)
def test_few_rows_or_little_more_than_before_are_not_reported(week, before, growing):
    assert Standing("x", FIRST, 100, week, before).growing is growing
