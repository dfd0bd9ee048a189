"""Kinds of difference of two cores."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chengxin.identity.by_name.differences import KINDS, Cores
from chengxin.identity.by_name.hashes import matrix


def cores(*pairs: tuple[str, str]) -> Cores:
    here, length_here = matrix([a for a, _ in pairs], 24)
    there, length_there = matrix([b for _, b in pairs], 24)
    return Cores.of(here, there, length_here, length_there)


@pytest.mark.parametrize(
    ("here", "there", "kind"),
    [
        ("凯岳建材", "凯岳建材", "same"),
        ("凯越建材", "凯岳建材", "same_sound"),
        ("凯未建材", "凯末建材", "like_shape"),
        ("凯南建材", "凯兰建材", "like_sound"),
        ("凯王建材", "凯海建材", "other_character"),
        ("凯岳大建材", "凯岳建材", "one_more_here"),
        ("凯建材", "凯岳建材", "one_more_there"),
        ("岳凯建材", "凯岳建材", "exchanged"),
        ("凯岳新型建材", "凯岳建材", "several_more_here"),
        ("凯岳建材", "凯岳新型建材", "several_more_there"),
        ("凯王建海", "凯海建王", "two_other"),
        ("凯岳建材", "湘江水泥", "no_match"),
        ("宏宏建材", "宏建材", "one_more_here"),
    ],
)
def test_the_window_between_beginning_and_end_tells_the_kind(here: str, there: str, kind: str) -> None:
    assert KINDS[cores((here, there)).kinds()[0]] == kind


def levenshtein(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, c in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, d in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (c != d))
    return row[-1]


texts = st.text("甲乙丙丁", min_size=1, max_size=24)


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_distances_are_levenshteins(pairs: list[tuple[str, str]]) -> None:
    assert cores(*pairs).distances().tolist() == [levenshtein(a, b) for a, b in pairs]
