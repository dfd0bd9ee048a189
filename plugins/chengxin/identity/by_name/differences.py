"""How the cores of two names differ: the window between their common beginning and end, and the kind of difference."""

from dataclasses import dataclass, fields

import numpy as np

from chengxin.identity.by_name.characters import LIKE_SHAPE, LIKE_SOUND, OTHER, SAME_SOUND, relation
from chengxin.identity.by_name.hashes import Codes, Ints, Mask

#: Kinds of differences, as the model numbers them. *_here: in the name asked.
KINDS = (
    "same",
    "same_sound",
    "like_shape",
    "other_character",
    "one_more_here",
    "one_more_there",
    "exchanged",
    "two_alike",
    "two_other",
    "several_more_here",
    "several_more_there",
    "distance_three",
    "far",
    "like_sound",
    "no_match",
)
KIND = {name: number for number, name in enumerate(KINDS)}
#: A candidate of these kinds may be the firm itself, written wrongly; of the second ones, with more errors.
NEAR = np.array([name in KINDS[:7] or name == "like_sound" for name in KINDS])
FAIRLY_NEAR = NEAR | np.isin(KINDS, KINDS[7:11])
_FARTHEST = 0.6  # share of characters beyond which a pair is no candidate
_BY_RELATION = np.zeros(4, np.int64)
_BY_RELATION[[OTHER, SAME_SOUND, LIKE_SHAPE, LIKE_SOUND]] = [
    KIND[name] for name in ("other_character", "same_sound", "like_shape", "like_sound")
]


@dataclass(frozen=True)
class Cores:
    """Cores of pairs, here (asked) and there (registered). before: length of the common beginning.

    window_*: how many characters stand between the common beginning and the common end.
    """

    here: Codes
    there: Codes
    length_here: Ints
    length_there: Ints
    before: Ints
    window_here: Ints
    window_there: Ints

    @classmethod
    def of(cls, here: Codes, there: Codes, length_here: Ints, length_there: Ints) -> "Cores":
        """Compare cores from both ends."""
        before = _leading((here == there) & (here != 0))
        back = np.arange(here.shape[1])
        at_here, at_there = length_here[:, None] - 1 - back, length_there[:, None] - 1 - back
        ends_here = np.take_along_axis(here, np.maximum(at_here, 0), axis=1)
        ends_there = np.take_along_axis(there, np.maximum(at_there, 0), axis=1)
        behind = _leading((ends_here == ends_there) & (at_here >= 0) & (at_there >= 0))
        behind = np.minimum(behind, np.minimum(length_here, length_there) - before)
        return cls(here, there, length_here, length_there, before, length_here - before - behind,
                   length_there - before - behind)  # fmt: skip

    def take(self, rows: Ints) -> "Cores":
        """Return some of the pairs."""
        return Cores(*(getattr(self, field.name)[rows] for field in fields(self)))

    def kinds(self) -> Ints:
        """Return the kind of difference of each pair."""
        here, there = self.window_here, self.window_there
        kind = np.full(len(here), KIND["far"])
        kind[(here == 0) & (there == 0)] = KIND["same"]
        kind[(there == 0) & (here > 0)] = KIND["several_more_here"]
        kind[(here == 0) & (there > 0)] = KIND["several_more_there"]
        kind[(there == 0) & (here == 1)] = KIND["one_more_here"]
        kind[(here == 0) & (there == 1)] = KIND["one_more_there"]
        one, two = np.flatnonzero((here == 1) & (there == 1)), np.flatnonzero((here == 2) & (there == 2))
        kind[one] = _BY_RELATION[self._relation(one, 0)]
        kind[two] = self._of_two(two)
        rest = np.flatnonzero(kind == KIND["far"])
        distance = self.take(rest).distances()
        longest = np.maximum(self.length_here, self.length_there)[rest]
        dropped = np.where(distance > _FARTHEST * longest, KIND["no_match"], KIND["far"])
        kind[rest] = np.where(
            distance <= 2, KIND["two_other"], np.where(distance == 3, KIND["distance_three"], dropped)
        )
        return kind

    def _relation(self, rows: Ints, place: int) -> Ints:
        at = self.before[rows] + place
        return relation(self.here[rows, at], self.there[rows, at]).astype(np.int64)

    def _of_two(self, rows: Ints) -> Ints:
        at = self.before[rows]
        exchanged = (self.here[rows, at] == self.there[rows, at + 1]) & (
            self.here[rows, at + 1] == self.there[rows, at]
        )
        alike = (self._relation(rows, 0) > 0) & (self._relation(rows, 1) > 0)
        return np.where(exchanged, KIND["exchanged"], np.where(alike, KIND["two_alike"], KIND["two_other"]))

    def distances(self) -> Ints:
        """Return the Levenshtein distances, bit-parallel (Myers 1999)."""
        one = np.uint64(1)
        length = self.length_here.astype(np.uint64)
        last = np.left_shift(one, length - one)
        more, less = np.left_shift(one, length) - one, np.zeros(len(length), np.uint64)
        bits = np.left_shift(one, np.arange(self.here.shape[1], dtype=np.uint64))
        distance = self.length_here.copy()
        for place in range(int(self.length_there.max()) if len(length) else 0):
            met = np.where(self.here == self.there[:, place : place + 1], bits, np.uint64(0))
            equal = np.bitwise_or.reduce(met, axis=1)
            with np.errstate(over="ignore"):
                across = (((equal & more) + more) ^ more) | equal
                up, down = less | ~(across | more), more & across
                step = ((up & last) != 0).astype(np.int64) - ((down & last) != 0)
                up, down = np.left_shift(up, one) | one, np.left_shift(down, one)
                vertical = equal | less
                now_more, now_less = down | ~(vertical | up), up & vertical
            within = place < self.length_there
            more, less = np.where(within, now_more, more), np.where(within, now_less, less)
            distance += np.where(within, step, 0)
        return distance


def _leading(equal: Mask) -> Ints:
    """Return how many values at the head of each row are true."""
    found: Ints = np.where(equal.all(axis=1), equal.shape[1], np.argmin(equal, axis=1)).astype(np.int64)
    return found
