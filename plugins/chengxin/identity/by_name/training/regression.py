"""Logistic regression over one-hot features, by Newton's method: few steps to the last digit, whatever the machine.

Only sums of one order and one small linear system are needed: one weight a value of a feature, 1,800 of them.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_STEPS, _STOP = 40, 1e-9


def fit(
    features: npt.NDArray[np.int16],
    sizes: Sequence[int],
    answer: npt.NDArray[np.bool_],
    weight: Floats,
    *,
    penalty: float,
) -> tuple[float, list[Floats]]:
    """Return the bias and the weights of each feature that make the answers most likely.

    sizes: how many values each feature has. weight: of each row. penalty: half of it times the squares of the weights
    (not of the bias) is added to the loss.
    """
    starts = np.concatenate([[0], np.cumsum(sizes)])
    columns = np.ascontiguousarray(features.T.astype(np.int32) + starts[:-1, None].astype(np.int32))
    # values that no row has keep the weight 0
    used = np.unique(columns)
    place = np.zeros(starts[-1], np.int32)
    place[used] = np.arange(len(used))
    columns = place[columns]
    total = len(used)
    values: Floats = np.zeros(total + 1)
    ridge = np.append(np.full(total, penalty), 0.0)
    before = np.inf
    step: Floats = np.zeros(total + 1)
    for _ in range(_STEPS):
        odds = np.full(len(answer), values[-1])
        for column in columns:
            odds += values[column]
        loss = float((weight * (np.logaddexp(0, odds) - answer * odds)).sum() + (ridge * values * values).sum() / 2)
        if loss > before + abs(before) * 1e-12:  # too far: half of the step back
            step /= 2
            values -= step
            continue
        before = loss
        likely = 1 / (1 + np.exp(-odds))
        gradient = _sums(columns, weight * (likely - answer), total) + ridge * values
        curvature = _curvature(columns, weight * likely * (1 - likely), total) + np.diag(ridge)
        step = np.linalg.solve(curvature, -gradient).astype(np.float64)
        values = values + step
        if float(np.abs(step).max()) < _STOP:
            break
    fitted = np.zeros(starts[-1])
    fitted[used] = values[:-1]
    return float(values[-1]), [fitted[low:high] for low, high in pairwise(starts)]


def _sums(columns: npt.NDArray[np.int32], weight: Floats, total: int) -> Floats:
    found = np.append(np.zeros(total), weight.sum())
    for column in columns:
        found[:-1] += np.bincount(column, weight, total)
    return found


def _curvature(columns: npt.NDArray[np.int32], weight: Floats, total: int) -> Floats:
    """Return the second derivatives: the sums of weights of the rows that have both of two values."""
    found = np.zeros((total + 1, total + 1))
    found[-1, :] = found[:, -1] = _sums(columns, weight, total)
    for first, left in enumerate(columns):
        low, high = int(left.min()), int(left.max()) + 1
        for right in columns[first:]:
            begin, end = int(right.min()), int(right.max()) + 1
            cell = (left - low) * (end - begin) + (right - begin)
            block = np.bincount(cell, weight, (high - low) * (end - begin)).reshape(high - low, end - begin)
            found[low:high, begin:end] = block
            found[begin:end, low:high] = block.T
    return found
