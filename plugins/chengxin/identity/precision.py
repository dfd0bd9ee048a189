"""Measured precision of the rule name_like: what people say of a sample of its links, and when the rule stops.

A function of the ledger: the rule stops with the entry after which too few of the answers since it was last resumed
are right, and runs again with the entry by which a person resumes it, whatever is undone meanwhile.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from chengxin.identity.ledger import Judgement
from chengxin.model.declarations import read_yaml

_Z = 1.959964  # 95 %, both sides


@cache
def declared() -> dict[str, Any]:
    """Return what is declared for clerical review."""
    return read_yaml(Path(__file__).parent / "review.yaml")


@dataclass(frozen=True)
class Precision:
    """Answers to the sample since the rule was last resumed, and how many say that the link is right."""

    right: int = 0
    answers: int = 0
    is_stopped: bool = False

    @property
    def share(self) -> float | None:
        """Return the measured precision; None without an answer."""
        return self.right / self.answers if self.answers else None

    @property
    def interval(self) -> tuple[float, float]:
        """Return between which values the precision lies (Wilson, 95 %)."""
        if not self.answers:
            return 0.0, 1.0
        n, p = self.answers, self.right / self.answers
        middle = p + _Z**2 / (2 * n)
        half = _Z * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n * n))
        return tuple(min(1.0, max(0.0, (middle + s * half) / (1 + _Z**2 / n))) for s in (-1, 1))  # type: ignore[return-value]


def measured(judgements: Sequence[Judgement]) -> Precision:
    """Return what the ledger says of the rule."""
    limits = declared()["precision"]
    counted, stopped = dict[int, bool](), False
    for j in judgements:
        if j.outcome == "resumed":
            counted, stopped = {}, False
        elif j.undoes is not None:
            counted.pop(j.undoes, None)
        elif j.is_sample and j.outcome != "unsure" and (j.confirms is not None or not j.needs_second):
            counted[j.id if j.confirms is None else j.confirms] = j.outcome == "same"
        enough = len(counted) >= limits["answers"]
        stopped = stopped or (enough and sum(counted.values()) < limits["least"] * len(counted))
    return Precision(sum(counted.values()), len(counted), stopped)
