"""Training: the same bytes in every run, and the model that is shipped is the one that is trained."""

import numpy as np
import pytest

from chengxin.identity.by_name import model
from chengxin.identity.by_name.training.course import train
from chengxin.identity.by_name.training.regression import fit


def test_two_trainings_give_the_same_bytes_and_fit_the_code() -> None:
    first = train(100).text()
    assert train(100).text() == first
    assert model.parse(first).text() == first
    assert train(100, seed=2).text() != first


@pytest.mark.slow
def test_the_shipped_model_is_the_one_that_is_trained() -> None:
    assert train().text() == model.PATH.read_text("utf-8")


def test_the_regression_finds_the_weights_behind_the_answers() -> None:
    draw = np.random.default_rng(3)
    features = draw.integers(0, 3, (60_000, 2)).astype(np.int16)
    effect = [np.array([-1.0, 0.0, 1.0]), np.array([0.5, 0.0, -0.5])]
    odds = 0.3 + effect[0][features[:, 0]] + effect[1][features[:, 1]]
    answer = draw.random(len(odds)) < 1 / (1 + np.exp(-odds))
    bias, tables = fit(features, [3, 3], answer, np.ones(len(odds)), penalty=1e-3)
    found = bias + tables[0][features[:, 0]] + tables[1][features[:, 1]]
    assert np.abs(found - odds).max() < 0.1


def test_a_value_that_no_row_has_weighs_nothing() -> None:
    features = np.array([[0], [2], [0], [2]], np.int16)
    _, (table,) = fit(features, [4], np.array([True, False, True, False]), np.ones(4), penalty=0.1)
    assert table[1] == table[3] == 0
    assert table[0] > 0 > table[2]
