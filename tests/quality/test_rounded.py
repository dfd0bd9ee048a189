"""Long numbers that went through a spreadsheet are reported; those that only end in zeros are not."""

import random
from collections.abc import Callable

import pytest
from test_plausible import found, row

from chengxin.quality.rounding import is_rounded

Make = Callable[[random.Random], object]


def long(digits: int) -> Callable[[random.Random], int]:
    return lambda chance: chance.randrange(10 ** (digits - 1), 10**digits)


def as_sheet(number: object) -> str:
    return str(number)[:15] + "0" * (len(str(number)) - 15)


@pytest.mark.parametrize("digits", [18, 19, 20])
@pytest.mark.parametrize("rounded", [as_sheet, lambda number: f"{number:.15E}"], ids=["shown", "scientific"])
def test_numbers_of_spreadsheets_are_reported(digits, rounded):
    chance, made = random.Random(digits), long(digits)
    assert is_rounded(sorted({rounded(made(chance)) for _ in range(40)}))


@pytest.mark.parametrize(
    "made",
    [
        *(long(digits) for digits in (18, 19, 20)),
        *((lambda chance, z=zeros: long(19)(chance) // 10**z * 10**z) for zeros in (1, 2, 3)),
        lambda chance: long(12)(chance) * 10**7,
    ],
)
def test_numbers_that_end_in_zeros_of_their_own_are_not(made: Make):
    for seed in range(20):
        chance = random.Random(seed)
        assert not is_rounded(sorted({str(made(chance)) for _ in range(60)}))


def test_a_column_of_rounded_numbers_is_reported_and_shows_none(tmp_path):
    chance = random.Random(7)
    numbers = [long(19)(chance) for _ in range(24)]
    reported = found(tmp_path, [row(n, decision_no=as_sheet(number)) for n, number in enumerate(numbers)])
    assert reported == ("warn", {"rounded.decision_no"})
    assert found(tmp_path / "b", [row(n, decision_no=str(k)) for n, k in enumerate(numbers)]) == ("accept", set())
