"""The words of the vocabularies."""

import re

import pytest

from chengxin.model.vocabularies import Documents, Notes, Paging, Placeholders, Units, one_of, vocabulary

MODELS = (Documents, Notes, Paging, Placeholders, Units)


@pytest.mark.parametrize("model", MODELS)
def test_words_are_given_and_stand_once_in_a_list(model):
    for name, words in vocabulary(model):
        assert words, name
        if isinstance(words, tuple):
            assert len(set(words)) == len(words), name


@pytest.mark.parametrize("model", MODELS)
def test_patterns_compile(model):
    words = dict(vocabulary(model))
    patterns = [pattern for pattern in words.values() if isinstance(pattern, str)]
    patterns += [pattern for name in ("failures",) for pattern in words.get(name, ())]
    for pattern in patterns:
        re.compile(pattern)


def test_the_longest_word_is_tried_first():
    assert re.match(one_of(["共", "共计"], ["共计数"]), "共计数")[0] == "共计数"
    assert re.fullmatch(one_of(["a.b"]), "axb") is None
