"""The model: weights that add up, a file that fits the code, and nothing else."""

import numpy as np
import pytest

from chengxin.errors import InvariantBroken
from chengxin.identity.by_name import model
from chengxin.identity.by_name.features import CROSSED, compare
from chengxin.identity.by_name.index import Index, Names

NAMES = ["长沙凯岳建材有限公司", "湘潭凯月建材有限公司"]
INDEX = Index.of(Names.of(NAMES), np.arange(len(NAMES)))


def features(name: str) -> np.ndarray:
    asked = Names.of([name])
    return compare(asked, INDEX, INDEX.candidates(asked, bucket=30, keep=8)).features()


def test_the_shipped_model_is_its_own_text_and_small() -> None:
    text = model.PATH.read_text("utf-8")
    assert model.shipped().text() == text
    assert len(text) < 16_000


def test_contributions_and_families_add_up_to_the_log_odds() -> None:
    shipped, seen = model.shipped(), features("长沙凯越建材有限公司")
    assert seen.shape == (2, 29)
    odds = shipped.log_odds(seen)
    assert shipped.bias + shipped.contributions(seen).sum(axis=1) == pytest.approx(odds)
    assert shipped.bias + sum(shipped.families(seen).values()) == pytest.approx(odds)


def test_a_firm_of_the_same_prefecture_is_likelier() -> None:
    odds = model.shipped().log_odds(features("长沙凯越建材有限公司"))
    assert odds[0] > odds[1]


@pytest.mark.parametrize(
    ("before", "after"), [('"difference": [', '"difference": [0.1,'), ('"characters": "', '"characters": "0')]
)
def test_a_file_that_does_not_fit_is_refused(before: str, after: str) -> None:
    with pytest.raises(InvariantBroken, match="identity train"):
        model.parse(model.PATH.read_text("utf-8").replace(before, after))


def test_all_features_have_weights() -> None:
    assert list(model.shipped().weights) == list(CROSSED)
