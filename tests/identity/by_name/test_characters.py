"""Characters: sounds and shapes, by the table that comes with the package."""

import numpy as np
import pytest

from chengxin.identity.by_name.characters import (
    LIKE_SHAPE,
    LIKE_SOUND,
    OTHER,
    PATH,
    SAME_SOUND,
    characters,
    relation,
)


def codes(text: str) -> np.ndarray:
    return np.array([ord(c) for c in text], np.uint16)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("越", "岳", SAME_SOUND),
        ("未", "末", LIKE_SHAPE),
        ("南", "兰", LIKE_SOUND),
        ("王", "海", OTHER),
        ("A", "B", OTHER),
    ],
)
def test_two_characters_relate_by_sound_or_shape(left: str, right: str, expected: int) -> None:
    both = relation(codes(left + right), codes(right + left))
    assert both.tolist() == [expected, expected]


def test_traditional_forms_are_simplified_and_sources_named() -> None:
    assert characters().simplified[ord("業")] == "业"
    assert ord("乾") not in characters().simplified
    head = "".join(line for line in PATH.read_text("utf-8").splitlines() if line.startswith("#"))
    assert all(word in head for word in ("OpenCC", "pypinyin", "char-similar", "Apache-2.0", "MIT"))
