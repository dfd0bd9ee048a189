"""The registered names as they are searched: every blocking key of every name in one sorted array of 64 bit words.

A word is 40 bits of the key and 24 bits of the number of the name, so a look-up is two binary searches. About 16 keys a
name: 0.13 GiB for a million names. Names that come later are a segment of their own, until segments are merged.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from chengxin.identity.by_name import parts as name_parts
from chengxin.identity.by_name.blocking import keys
from chengxin.identity.by_name.frequencies import Frequencies
from chengxin.identity.by_name.hashes import CHARACTER, Hashes, Ints, mix, prefixes, text_hash
from chengxin.identity.by_name.parts import Parts

_NUMBER = np.uint64(24)  # bits
_NUMBERS = np.uint64((1 << 24) - 1)
_WIDE, _WIDEST = np.uint64(32), np.uint64((1 << 32) - 1)  # of a name among those of all segments
_CHUNK = 50_000  # names whose keys exist at a time while the index is built
_BIT = np.left_shift(np.uint64(1), CHARACTER >> np.uint64(58))
_BIT[0] = 0


@dataclass(frozen=True)
class Names:
    """Names with what else rows state. prefecture: four digits, 0 unknown; legal_rep: a fixed hash, 0 unknown.

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
class Segment:
    """Names first, first + 1 ... as they are searched. cores, wholes: the hashes of `Parts`, sorted."""

    first: int
    words: Hashes
    cores: Hashes
    wholes: Hashes

    @classmethod
    def of(cls, parts: Parts, frequencies: Frequencies, first: int = 0) -> "Segment":
        """Sort names. first: the number of the first one. Raise ValueError for more than 16.7 million."""
        if len(parts) > 1 << int(_NUMBER):
            raise ValueError(f"{len(parts)} names: a segment numbers at most {1 << int(_NUMBER)}")
        words, cores = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
        for begin in range(0, len(parts), _CHUNK):
            some = parts.take(slice(begin, begin + _CHUNK))
            row, key = keys(some, frequencies, "registered")
            words.append((key & ~_NUMBERS) | (row + begin).astype(np.uint64))
            cores.append(_core_hashes(some))
        return cls(first, np.sort(np.concatenate(words)), np.sort(np.concatenate(cores)), np.sort(parts.whole))

    def bearers(self, keys: Hashes) -> tuple[Ints, Ints]:
        """Return for each key the place of its first word and how many there are."""
        low = np.searchsorted(self.words, keys & ~_NUMBERS)
        return low, np.searchsorted(self.words, keys | _NUMBERS, side="right") - low

    def numbers(self, places: Ints) -> Hashes:
        """Return the numbers of the names whose words stand at these places."""
        return (self.words[places] & _NUMBERS) + np.uint64(self.first)


def merged(segments: Sequence[Segment]) -> Segment:
    """Return several segments, one behind the other, as one."""
    first = segments[0].first
    words = np.concatenate([s.words + np.uint64(s.first - first) for s in segments])
    cores, wholes = (np.concatenate([getattr(s, name) for s in segments]) for name in ("cores", "wholes"))
    return Segment(first, *(np.sort(array) for array in (words, cores, wholes)))


@dataclass(frozen=True)
class Index:
    """Registered names. subject: whose each is. An answer does not depend on how they are divided into segments.

    reps: the hashes of the legal representatives that subjects have now; None = those of `names`. asked: for
    `of_asked`.
    """

    names: Names
    frequencies: Frequencies
    segments: tuple[Segment, ...]
    subject: Ints
    reps: Callable[[Ints], Hashes] | None = None
    asked: Frequencies | None = None

    @property
    def of_asked(self) -> Frequencies:
        """Return the frequencies by which names asked are looked at."""
        return self.frequencies if self.asked is None else self.asked

    def without_own(self) -> "Index":
        """Return the index for names that are in it, asked as if they were not: they do not count themselves."""
        return replace(self, asked=self.frequencies.less_one())

    @classmethod
    def of(cls, names: Names, subject: Ints) -> "Index":
        """Build the index of names in one segment."""
        frequencies = Frequencies.of(names.parts)
        return cls(names, frequencies, (Segment.of(names.parts, frequencies),), subject)

    def same_core(self, registered: Ints) -> Ints:
        """Return how many names have the core of each of these."""
        different, place = np.unique(_core_hashes(self.names.parts.take(registered)), return_inverse=True)
        return _counted(different, [s.cores for s in self.segments])[place]

    def has(self, wholes: Hashes) -> npt.NDArray[np.bool_]:
        """Return which of these are hashes of registered names (`Parts.whole`)."""
        return _counted(wholes, [s.wholes for s in self.segments]) > 0

    def legal_reps(self, registered: Ints) -> Hashes:
        """Return the legal representatives of the subjects of these names, 0 unknown."""
        return self.names.legal_rep[registered] if self.reps is None else self.reps(self.subject[registered])

    def candidates(self, asked: Names, *, bucket: int, keep: int) -> Pairs:
        """Return the pairs to compare: keys of more than `bucket` names are skipped; the `keep` nearest stay."""
        row, key = keys(asked.parts, self.of_asked, "asked")
        order = np.argsort(key, kind="stable")
        row, key = row[order], key[order]
        borne = [segment.bearers(key) for segment in self.segments]
        count = sum((count for _, count in borne), np.zeros(len(key), np.int64))
        used = (count > 0) & (count <= bucket)
        pairs = [np.zeros(0, np.uint64)]
        for segment, (low, count) in zip(self.segments, borne, strict=True):
            low, count = low[used], count[used]
            place = np.repeat(low - (np.cumsum(count) - count), count) + np.arange(count.sum())
            pairs.append((np.repeat(row[used], count).astype(np.uint64) << _WIDE) | segment.numbers(place))
        pair = np.sort(np.concatenate(pairs))  # np.unique hashes first, which costs more
        pair = pair[np.diff(pair, prepend=~pair[:1]) != 0]
        found = Pairs((pair >> _WIDE).astype(np.int64), (pair & _WIDEST).astype(np.int64))
        return self._nearest(asked, found, keep)

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


def _core_hashes(parts: Parts) -> Hashes:
    return mix(prefixes(parts.core)[np.arange(len(parts)), parts.length])


def _counted(hashes: Hashes, among: Sequence[Hashes]) -> Ints:
    """Return how often each of these stands in the sorted arrays."""
    found = np.zeros(len(hashes), np.int64)
    for array in among:
        found += np.searchsorted(array, hashes, side="right") - np.searchsorted(array, hashes)
    return found


def rank(groups: Ints) -> Ints:
    """Return the place of each row within its group; rows of a group stand together."""
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    return np.arange(len(groups)) - np.repeat(starts, np.diff(starts, append=len(groups)))
