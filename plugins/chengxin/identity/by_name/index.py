"""The registered names as they are searched: every blocking key of every name in one sorted array of 64 bit words.

A word is 40 bits of the key and 24 bits of the number of the name, so a look-up is two binary searches. About 16 keys a
name: 0.13 GiB for a million names.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from chengxin.identity.by_name import parts as name_parts
from chengxin.identity.by_name.blocking import keys
from chengxin.identity.by_name.frequencies import Frequencies
from chengxin.identity.by_name.hashes import CHARACTER, Hashes, Ints, mix, prefixes, text_hash
from chengxin.identity.by_name.parts import Parts

_NUMBER = np.uint64(24)  # bits
_NUMBERS = np.uint64((1 << 24) - 1)
_CHUNK = 50_000  # names whose keys exist at a time while the index is built
_BIT = np.left_shift(np.uint64(1), CHARACTER >> np.uint64(58))
_BIT[0] = 0


@dataclass(frozen=True)
class Names:
    """Names with what else rows say. prefecture: four digits, 0 unknown; legal_rep: a fixed hash, 0 unknown.

    signature: the characters of the core as a set of 64 bits.
    """

    parts: Parts
    signature: Hashes
    prefecture: Ints
    legal_rep: Hashes

    @classmethod
    def of(
        cls, names: Sequence[str], prefectures: Ints | None = None, legal_reps: Sequence[str] | None = None
    ) -> "Names":
        """Take names apart. legal_reps: empty where unknown."""
        parts, none = name_parts.parse(names), np.zeros(len(names), np.uint64)
        reps = none if legal_reps is None else np.array([text_hash(rep) for rep in legal_reps], np.uint64)
        places = none.astype(np.int64) if prefectures is None else prefectures
        return cls(parts, np.bitwise_or.reduce(_BIT[parts.core], axis=1), places, reps)

    def __len__(self) -> int:
        return len(self.parts)

    def take(self, rows: slice | Ints) -> "Names":
        """Return some of the names."""
        return Names(self.parts.take(rows), self.signature[rows], self.prefecture[rows], self.legal_rep[rows])


@dataclass(frozen=True)
class Pairs:
    """Candidate pairs: the row asked and the registered name, ordered by the former."""

    asked: Ints
    registered: Ints

    def __len__(self) -> int:
        return len(self.asked)

    def take(self, rows: Ints | npt.NDArray[np.bool_]) -> "Pairs":
        """Return some of the pairs."""
        return Pairs(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True)
class Index:
    """Registered names. same_core: how many of them have the core of each."""

    names: Names
    frequencies: Frequencies
    words: Hashes
    same_core: Ints
    subject: Ints

    @classmethod
    def of(cls, names: Names, subject: Ints) -> "Index":
        """Build the index of at most 16.7 million names. subject: whose each name is. Raise ValueError for more."""
        if len(names) > 1 << int(_NUMBER):
            raise ValueError(f"{len(names)} names: the index numbers at most {1 << int(_NUMBER)}")
        frequencies = Frequencies.of(names.parts)
        pieces = []
        for first in range(0, len(names), _CHUNK):
            row, key = keys(names.parts.take(slice(first, first + _CHUNK)), frequencies, "registered")
            pieces.append((key & ~_NUMBERS) | (row + first).astype(np.uint64))
        words = np.sort(np.concatenate(pieces)) if pieces else np.zeros(0, np.uint64)
        core = mix(prefixes(names.parts.core)[np.arange(len(names)), names.parts.length])
        _, which, count = np.unique(core, return_inverse=True, return_counts=True)
        return cls(names, frequencies, words, count[which], subject)

    def candidates(self, asked: Names, *, bucket: int, keep: int) -> Pairs:
        """Return the pairs to compare: keys of more than `bucket` names are skipped; the `keep` nearest stay."""
        row, key = keys(asked.parts, self.frequencies, "asked")
        order = np.argsort(key, kind="stable")
        row, key = row[order], key[order]
        low = np.searchsorted(self.words, key & ~_NUMBERS)
        count = np.searchsorted(self.words, key | _NUMBERS, side="right") - low
        used = (count > 0) & (count <= bucket)
        low, count, row = low[used], count[used], row[used]
        place = np.repeat(low - (np.cumsum(count) - count), count) + np.arange(count.sum())
        pair = np.unique((np.repeat(row, count).astype(np.uint64) << _NUMBER) | (self.words[place] & _NUMBERS))
        pairs = Pairs((pair >> _NUMBER).astype(np.int64), (pair & _NUMBERS).astype(np.int64))
        return self._nearest(asked, pairs, keep)

    def _nearest(self, asked: Names, pairs: Pairs, keep: int) -> Pairs:
        """Return for each name asked the candidates that share most characters with it."""
        left, right = asked.signature[pairs.asked], self.names.signature[pairs.registered]
        shared, here, there = (np.bitwise_count(bits).astype(np.int64) for bits in (left & right, left, right))
        likely = (shared * 2 >= np.minimum(here, there)) & (shared >= 1)
        pairs, near = pairs.take(likely), (2 * (3 * shared - here - there))[likely]
        for part in ("prefecture", "form"):
            near += getattr(asked.parts, part)[pairs.asked] == getattr(self.names.parts, part)[pairs.registered]
        order = np.lexsort((-near, pairs.asked))
        return pairs.take(order[rank(pairs.asked[order]) < keep])


def rank(groups: Ints) -> Ints:
    """Return the place of each row within its group; rows of a group stand together."""
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    return np.arange(len(groups)) - np.repeat(starts, np.diff(starts, append=len(groups)))
