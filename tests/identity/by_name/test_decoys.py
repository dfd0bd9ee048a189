"""Decoys: recombined names that no firm has, and what they tell of wrong links."""

import math

import pytest

from chengxin.identity.by_name.decoys import decoys, most_expected, wanted, wrong_links
from chengxin.identity.by_name.parts import parse, shorten
from chengxin.identity.by_name.training.invention import invented

NAMES = invented(300, 8)


def test_decoys_are_the_same_in_every_run() -> None:
    asked = {shorten(name) for name in NAMES}
    bases, found = decoys(NAMES, parse(NAMES), 3000, seed="batch-1")
    assert not asked & set(found)
    assert 3000 >= len(found) == len(bases) > 2700
    assert decoys(NAMES, parse(NAMES), 3000, seed="batch-1") == (bases, found)
    assert decoys(NAMES, parse(NAMES), 3000, seed="batch-2")[1] != found


def test_a_decoy_keeps_region_and_rest_of_its_base() -> None:
    asked = ["长沙市凯岳建材有限公司", "湘潭市宏远水泥有限公司"]
    _, found = decoys(asked, parse(asked), 40, seed="1")
    assert set(found) == {"长沙市宏远建材有限公司", "湘潭市凯岳水泥有限公司"}


def test_fewer_links_want_more_decoys() -> None:
    assert wanted(20_000, 12_000, 0.6) < wanted(20_000, 3_000, 0.15) <= wanted(20_000, 0, 0.01)
    assert wanted(300, 200, 0.6) == 6000


@pytest.mark.parametrize("count", [0, 1, 5, 40])
def test_the_upper_limit_is_that_of_poisson(count: int) -> None:
    mean = most_expected(count)
    below = sum(math.exp(-mean) * mean**k / math.factorial(k) for k in range(count + 1))
    assert below == pytest.approx(0.05, abs=1e-6)


def test_wrong_links_are_those_of_the_names_without_an_answer() -> None:
    assert wrong_links(8, 4000, 1000, 0.5) == pytest.approx(1.0)
    assert wrong_links(0, 0, 0, 0.5) == 0
