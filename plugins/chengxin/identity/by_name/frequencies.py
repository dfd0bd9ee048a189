"""In how many names of a registry a character and a pair of neighbours stand."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from chengxin.identity.by_name.hashes import Hashes, Ints, bigrams
from chengxin.identity.by_name.parts import Parts

_BITS = 22  # pairs are counted by this many bits of their hash


@dataclass(frozen=True)
class Frequencies:
    """names: how many there are; of_characters: by code point; of_bigrams: by bits of the hash."""

    names: int
    of_characters: Ints
    of_bigrams: npt.NDArray[np.int32]

    @classmethod
    def of(cls, parts: Parts) -> "Frequencies":
        """Count."""
        pairs = bigrams(parts.core)
        counted = np.bincount(_place(pairs[pairs != 0]), minlength=1 << _BITS).astype(np.int32)
        return cls(len(parts), np.bincount(parts.core[parts.core > 0], minlength=65536), counted)

    def less_one(self) -> "Frequencies":
        """Return the frequencies with one less of each character and pair of neighbours that there is."""
        characters = np.maximum(self.of_characters - 1, 0)
        return replace(self, of_characters=characters, of_bigrams=np.maximum(self.of_bigrams - np.int32(1), 0))

    def packed(self) -> Ints:
        """Return the counts that are not zero: two rows, place and count; bigrams stand behind characters."""
        both = np.concatenate([self.of_characters, self.of_bigrams.astype(np.int64)])
        place = np.flatnonzero(both)
        return np.stack([place, both[place]])

    @classmethod
    def unpacked(cls, packed: Ints, names: int) -> "Frequencies":
        """Return what was packed. names: how many there were."""
        both = np.zeros(65536 + (1 << _BITS), np.int64)
        both[packed[0]] = packed[1]
        return cls(names, both[:65536], both[65536:].astype(np.int32))

    def bigram(self, hashes: Hashes) -> Ints:
        """Return in how many names pairs of neighbours stand (a little more where hashes share bits)."""
        return self.of_bigrams[_place(hashes)].astype(np.int64)

    @cached_property
    def rarity(self) -> npt.NDArray[np.float64]:
        """Return the inverse document frequency of each character in bits, 0 to 14."""
        share = (self.names + 1) / (self.of_characters + 1.0)
        return np.clip(np.round(np.log2(share), 4), 0, 14)  # rounded: libraries differ in the last bit


def _place(hashes: Hashes) -> Ints:
    return (hashes >> np.uint64(64 - _BITS)).astype(np.int64)
