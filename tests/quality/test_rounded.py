"""Long numbers that a program took for floating point are told; those that only end in zeros are not."""

import random
from collections.abc import Callable
from decimal import Decimal

import pytest
from test_plausible import found, row

from chengxin.quality.rounding import is_rounded

Make = Callable[[random.Random], object]


def long(digits: int) -> Callable[[random.Random], int]:
    return lambda chance: chance.randrange(10 ** (digits - 1), 10**digits)


def as_script(number: int) -> int:
    return int(Decimal(repr(float(number))))


def snowflake(chance: random.Random, worker: int = 0) -> int:
    return chance.randrange(3 * 10**9, 4 * 10**11) << 22 | worker << 12


def moment(chance: random.Random) -> str:
    day, hour, minute = chance.randrange(1, 29), chance.randrange(24), chance.randrange(60)
    return f"202601{day:02d}{hour:02d}{minute:02d}{chance.randrange(60):02d}000"


@pytest.mark.parametrize("digits", [17, 18, 19, 20])
@pytest.mark.parametrize("rounded", [as_script, lambda n: int(float(n))])
def test_numbers_of_floating_point_are_told(digits, rounded):
    chance, made = random.Random(digits), long(digits)
    assert is_rounded(sorted({str(rounded(made(chance))) for _ in range(40)}))


@pytest.mark.parametrize(
    "made",
    [
        lambda chance: str(long(18)(chance))[:15] + "000",
        lambda chance: as_script(snowflake(chance, 3)),
        lambda chance: f"{long(18)(chance):.15E}",
    ],
    ids=["sheet", "snowflake_in_a_script", "scientific"],
)
def test_numbers_of_spreadsheets_and_programs_are_told(made: Make):
    chance = random.Random(1)
    assert is_rounded(sorted({str(made(chance)) for _ in range(40)}))


@pytest.mark.parametrize(
    "made",
    [
        *(long(digits) for digits in (17, 18, 19, 20)),
        *((lambda chance, z=zeros: long(19)(chance) // 10**z * 10**z) for zeros in (1, 2, 3)),
        lambda chance: long(17)(chance) // 100 * 100,
        lambda chance: long(12)(chance) * 10**7,
        snowflake,
        lambda chance: snowflake(chance, 1),
        moment,
        lambda chance: 1143010020260000000 // 100 + 2 * chance.randrange(10**6),
    ],
)
def test_numbers_that_end_in_zeros_of_their_own_are_not(made: Make):
    for seed in range(20):
        chance = random.Random(seed)
        assert not is_rounded(sorted({str(made(chance)) for _ in range(60)}))


def test_a_column_of_rounded_numbers_is_told_and_shows_none(tmp_path):
    chance = random.Random(7)
    numbers = [long(19)(chance) for _ in range(24)]
    told = found(tmp_path, [row(n, decision_no=str(as_script(number))) for n, number in enumerate(numbers)])
    assert told == ("warn", {"rounded.decision_no"})
    assert found(tmp_path / "b", [row(n, decision_no=str(k)) for n, k in enumerate(numbers)]) == ("accept", set())
