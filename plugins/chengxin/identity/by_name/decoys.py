"""Decoys: names without an answer. How many of them would be linked tells, without labels, how many links are wrong.

The idea is the target-decoy search of proteomics. A recombined decoy has the region of a name that is asked, the trade
name (two characters) of another one, and the rest of the first. An orphan is a registered name whose firm is taken for
missing: it tells how often a sibling is linked instead.
"""

import math
import random
from collections.abc import Sequence

import numpy as np

from chengxin.identity.by_name import parts
from chengxin.identity.by_name.hashes import Ints, mix, text_hash
from chengxin.identity.by_name.parts import Parts

#: What is tried as a cut, in order; a link is automatic where its posterior reaches the cut.
CUTS = (0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
#: Wrong links by name that are accepted, as a share of the links by name.
ACCEPTED = 0.002
#: Below so many names asked decoys say too little.
FEWEST, CUT_OF_FEW = 200, 0.998
_FEWEST, _MOST, _MOST_PER_NAME = 8000, 24_000, 20
_WRONG = 20  # decoys that may be linked at least, where as many wrong links are accepted as links are expected to be
_TRADE_NAME = 2  # characters
_CONFIDENCE = 0.95


def wanted(names: int, links: int, share: float) -> int:
    """Return how many decoys are drawn for so many names, of which at most so many are linked.

    share: of the names that have an answer. The fewer links, the more decoys tell that few enough are wrong.
    """
    fine = _WRONG * names * (1 - share) / (ACCEPTED * max(links, 1))
    return min(max(math.ceil(min(fine, _MOST)), _FEWEST), _MOST_PER_NAME * names)


def decoys(names: Sequence[str], taken: Parts, count: int, *, seed: str) -> tuple[list[int], list[str]]:
    """Recombine names that are asked; return whose region and rest each decoy has, and the decoys.

    taken: the names taken apart. A decoy may be a name that a firm has; none is a name that is asked.
    """
    drawn = random.Random(seed)  # noqa: S311  # a sample, and the same in every run
    texts = [parts.shorten(name)[: parts.NAME] for name in names]
    rows = [row for row, size in enumerate(taken.length.tolist()) if size > _TRADE_NAME]
    known = {*texts}
    bases, found = list[int](), list[str]()
    drawn.shuffle(rows)
    for place in range(count if rows else 0):
        row, other = rows[place % len(rows)], drawn.choice(rows)
        start = int(taken.start[row])
        decoy = texts[row][:start] + taken.text(other)[:_TRADE_NAME] + texts[row][start + _TRADE_NAME :]
        if decoy not in known:
            bases.append(row)
            found.append(decoy)
    return bases, found


def sample(names: int, count: int, *, seed: str) -> Ints:
    """Choose some of so many registered names, whose subjects are then taken for missing (orphans)."""
    order = mix(np.arange(names, dtype=np.uint64) ^ np.uint64(text_hash(seed)))
    return np.sort(np.argsort(order, kind="stable")[:count])


def most_expected(count: int) -> float:
    """Return the upper limit of the mean of a Poisson number of which `count` were seen (95 %, one-sided)."""
    low, high = 0.0, 2.0 * count + 10
    for _ in range(60):
        mean = (low + high) / 2
        term = below = math.exp(-mean)
        for k in range(1, count + 1):
            term *= mean / k
            below += term
        low, high = (mean, high) if below > 1 - _CONFIDENCE else (low, mean)
    return high


def wrong_links(linked: float, drawn: int, names: int, share: float) -> float:
    """Estimate the wrong links of `names` from the decoys linked, of so many drawn. share: of names with an answer."""
    return linked / max(drawn, 1) * names * (1 - share)
