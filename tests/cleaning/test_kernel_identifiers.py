"""The identifier kernels say exactly what the scalar readers say."""

import random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import TODAY, cleaned

from chengxin.cleaning.kernels import CleanOptions, clean
from chengxin.model import identifiers as ids

KINDS = sorted(ids.READERS)
BODY = st.text("0123456789", min_size=17, max_size=17)


def sound_values(seed: int) -> list[str]:
    """Make sound values of every kind, from a seed."""
    draw = random.Random(seed)
    digits = "0123456789"
    org = "".join(draw.choices(ids.USCC_ALPHABET, k=8))
    org += ids.org_code_check_character(org)
    head = draw.choice(["91", "92", "12", "N2", "43", "53"]) + draw.choice(["430102", "430124", "430199", "110105"])
    day = f"{draw.randint(1940, 2030)}{draw.randint(1, 13):02d}{draw.randint(1, 31):02d}"
    person = draw.choice(["430102", "430199", "432121", "990102", "810000"]) + day + "".join(draw.choices(digits, k=3))
    number = "".join(draw.choices(digits, k=14))
    card = "".join(draw.choices(ids.ORG_ALPHABET, k=3)) + "".join(draw.choices(digits, k=11))
    return [
        head + org + ids.uscc_check_character(head + org),
        org,
        person + ids.resident_check_character(person),
        person[:6] + person[8:],
        number + ids.reg_no_check_digit(number),
        "430102" + org,
        person + ids.resident_check_character(person) + "01",
        card + ids.loan_card_check_digits(card),
    ]


ODD = [
    "914300001837757060",
    "00000000000000000X",
    "0" * 18,
    "1" * 15,
    "123456789012345678",
    "4301021990****7214",
    "4.30102E+17",
    "430102199003077214.0",
    "110108000000016.0",
    "PDY00001X",
    "9143O0007121944054",
    "E12345678",
    "11010519491231002Х",
    "11010519491231002×",
    "‘914300007121944054",
    "湖南公司",
    "/",
    "９１４３００００７１２１９４４０５４",
    "712194405-",
    "L30102712194405",
    "4301032001234",
    "(2024)1号",
    "XXX" * 6,
    "9999",
    "A" * 30,
    "43010219900307721X",
]


@st.composite
def values(draw: st.DrawFn) -> str | None:
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from([None, "", " ", "无", *ODD]))
    text = draw(st.sampled_from(sound_values(draw(st.integers(0, 5000)))))
    change = draw(st.integers(0, 7))
    place = draw(st.integers(0, max(len(text) - 1, 0)))
    if change == 0:
        text = text[:place] + draw(st.sampled_from("0123456789XOISZ*AЖ×-　字")) + text[place + 1 :]
    elif change == 1:
        text = text[:place] + text[place + 1 :]
    elif change == 2:
        text = text.lower()
    elif change == 3:
        text = "".join(chr(ord(c) + 0xFEE0) for c in text)
    elif change == 4:
        text = "\ufeff" + text[:place] + " " + text[place:] + "\u3000"
    return text


@settings(max_examples=150, deadline=None)
@given(st.lists(values(), max_size=40), st.sampled_from(KINDS))
def test_kernel_agrees_with_the_scalar_reader(texts: list[str | None], kind: str) -> None:
    readings = [ids.READERS[kind](text, TODAY) for text in texts]
    expected = [(reading.value, sorted(reading.rules)) for reading in readings]
    assert cleaned(kind, texts) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_large_mixed_column_agrees_with_the_scalar_reader(kind: str) -> None:
    texts: list[str | None] = [text for seed in range(400) for text in sound_values(seed)] + ODD + [None, ""] * 5
    random.Random(7).shuffle(texts)
    readings = [ids.READERS[kind](text, TODAY) for text in texts]
    assert cleaned(kind, texts) == [(reading.value, sorted(reading.rules)) for reading in readings]


@pytest.mark.parametrize("kind", KINDS)
def test_column_without_a_single_usable_value(kind: str) -> None:
    assert cleaned(kind, []) == []
    assert cleaned(kind, [None, None]) == [(None, []), (None, [])]
    assert cleaned(kind, ["", "无"]) == [(None, []), (None, [])]


def test_sliced_columns_are_read_at_their_own_rows() -> None:
    whole = pa.array(["x", "914300007121944054", None, "91430100MA4LKN0Y3R", "y"])
    result = clean(whole.slice(1, 3), "uscc", options=CleanOptions())
    assert result.values.to_pylist() == ["914300007121944054", None, "91430100MA4LKN0Y3R"]
    assert result.issues == ()


def test_a_replacement_character_is_damage_and_no_wrong_code() -> None:
    assert cleaned("uscc", ["91430000712194405\ufffd"]) == [(None, ["text.replacement"])]


def test_kernel_and_reader_drop_every_blank_of_unicode() -> None:
    for point in [*range(0x20, 0x100), *range(0x1680, 0x1690), *range(0x180E, 0x180F), *range(0x2000, 0x2070), 0x3000]:
        text = "9143" + chr(point) + "00007121944054"
        reading = ids.read_uscc(text, TODAY)
        value, rules = cleaned("uscc", [text])[0]
        if 0x7F <= point < 0xA0:  # control characters: removed and named on top
            assert value == "914300007121944054"
            continue
        assert (value, rules) == (reading.value, sorted(reading.rules)), hex(point)
