"""From log odds of pairs to one answer a name: the posterior of its best candidate against all others and against none.

The posterior of candidate c is k o(c) / (1 + k sum of o), names of one subject counted once. k corrects the odds of the
data the weights were fitted with to those of this batch; the share of names that have an answer is estimated by EM.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chengxin.identity.by_name.hashes import Ints
from chengxin.identity.by_name.index import Pairs, rank

Floats = npt.NDArray[np.float64]
_HIGHEST = 30.0  # log odds beyond which nothing is decided any more
_STEPS, _STOP = 200, 1e-6
_PSEUDO_NAMES, _PSEUDO_SHARE = 2.0, 0.22


@dataclass(frozen=True)
class Candidates:
    """The candidates of each name that was asked, best first, one a subject. names: how many were asked.

    pair: the place of each in the pairs that were scored.
    """

    names: int
    asked: Ints
    subject: Ints
    pair: Ints
    odds: Floats

    @classmethod
    def of(cls, names: int, pairs: Pairs, subject: Ints, log_odds: Floats) -> "Candidates":
        """Order scored pairs. subject: of each registered name."""
        owner = subject[pairs.registered]
        order = np.lexsort((pairs.registered, -log_odds, owner, pairs.asked))
        first = (np.diff(pairs.asked[order], prepend=-1) != 0) | (np.diff(owner[order], prepend=-1) != 0)
        order = order[first]
        order = order[np.lexsort((owner[order], -log_odds[order], pairs.asked[order]))]
        odds = np.exp(np.clip(log_odds[order], -_HIGHEST, _HIGHEST))
        return cls(names, pairs.asked[order], owner[order], order, odds)

    def share(self, prior: float) -> float:
        """Return the share of names that have an answer, by EM (Saerens 2002). prior: of the model."""
        total = np.bincount(self.asked, self.odds, self.names)
        share = prior
        for _ in range(_STEPS):
            ratio = total * _ratio(share, prior)
            answered = float((ratio / (1 + ratio)).sum()) + _PSEUDO_NAMES * _PSEUDO_SHARE
            before, share = share, answered / (self.names + _PSEUDO_NAMES)
            if abs(share - before) < _STOP:
                break
        return share

    def posteriors(self, share: float, prior: float) -> Floats:
        """Return the posterior of each candidate where this share of names has an answer."""
        odds = self.odds * _ratio(share, prior)
        return odds / (1 + np.bincount(self.asked, odds, self.names)[self.asked])

    def best(self) -> Ints:
        """Return the rows of the best candidates of the names that have one."""
        return np.flatnonzero(rank(self.asked) == 0)


def _ratio(share: float, prior: float) -> float:
    return (share / prior) / ((1 - share) / (1 - prior))
