"""Posteriors: candidates of one name exclude each other, and the share of answered names is found by EM."""

import numpy as np
import pytest

from chengxin.identity.by_name.index import Pairs
from chengxin.identity.by_name.posteriors import Candidates

PRIOR = 0.25


def candidates(names: int, *found: tuple[int, int, float]) -> Candidates:
    """found: name asked, subject, log odds; each pair has a registered name of its own."""
    asked, subject, odds = (np.array(column) for column in zip(*found, strict=True))
    return Candidates.of(names, Pairs(asked, np.arange(len(asked))), subject, odds)


def test_names_of_one_subject_count_once_and_rivals_share() -> None:
    once = candidates(1, (0, 7, 3.0), (0, 7, 2.0))
    assert once.posteriors(PRIOR, PRIOR) == pytest.approx([np.exp(3) / (1 + np.exp(3))])
    rivals = candidates(1, (0, 7, 3.0), (0, 8, 3.0))
    assert rivals.posteriors(PRIOR, PRIOR) == pytest.approx([np.exp(3) / (1 + 2 * np.exp(3))] * 2)
    assert rivals.subject.tolist() == [7, 8]


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_the_share_of_answered_names_is_estimated_without_labels(share: float) -> None:
    draw, names = np.random.default_rng(1), 4000
    answered = draw.random(names) < share
    odds = np.where(answered, draw.normal(6, 2, names), draw.normal(-6, 2, names))
    found = candidates(names, *((row, row, value) for row, value in enumerate(odds.tolist())))
    assert found.share(PRIOR) == pytest.approx(share, abs=0.02)


def test_a_lower_share_lowers_every_posterior() -> None:
    found = candidates(2, (0, 1, 2.0), (1, 2, 5.0))
    assert (found.posteriors(0.05, PRIOR) < found.posteriors(PRIOR, PRIOR)).all()
    assert found.best().tolist() == [0, 1]
