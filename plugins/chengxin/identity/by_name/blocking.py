"""Blocking keys: what two names must share to be compared. Names with a key in common are candidate pairs.

Keys of a name: its core; the core without each one character (finds every core at edit distance 1; short ones also
with their place, since the bare keys are crowded); pairs of its rarest bigrams (finds several edits, moved parts, cut
names); each bigram that is rare by itself.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from chengxin.identity.by_name.frequencies import Frequencies
from chengxin.identity.by_name.hashes import Hashes, Ints, bigrams, mix, prefixes, without_one
from chengxin.identity.by_name.parts import Parts

Side = Literal["registered", "asked"]
_PAIR, _PLACE, _SINGLE = (np.uint64(mark) for mark in (0xA5A5F00D12345671, 0x1234F00DABCDE671, 0x77777F00DABCDE17))
_RAREST = {"registered": 4, "asked": 6}  # of those asked some are typing errors that no registered name has
_RARE = 40  # names that share a bigram which is a key by itself
_SHORT, _SHORTEST = 5, 3  # characters of a core: below the first deletions are crowded, below the second none are made
_ABSENT = 1 << 40


def keys(parts: Parts, frequencies: Frequencies, side: Side) -> tuple[Ints, Hashes]:
    """Return all keys of names: the row and the key."""
    rows, found = zip(*_keys(parts, frequencies, side), strict=True)
    return np.concatenate(rows), np.concatenate(found)


def near_keys(parts: Parts) -> tuple[Ints, Hashes]:
    """Return those keys of names that do not depend on a registry: their cores, also without each one character."""
    hashes = prefixes(parts.core)
    every = [(np.arange(len(parts)), mix(hashes[np.arange(len(parts)), parts.length])), *_deletions(parts, hashes)]
    return np.concatenate([rows for rows, _ in every]), np.concatenate([found for _, found in every])


def _keys(parts: Parts, frequencies: Frequencies, side: Side) -> Iterator[tuple[Ints, Hashes]]:
    rows = np.arange(len(parts))
    hashes = prefixes(parts.core)
    yield rows, mix(hashes[rows, parts.length])
    yield from _deletions(parts, hashes)
    yield from _rare_bigrams(parts, frequencies, side)


def _deletions(parts: Parts, hashes: Hashes) -> Iterator[tuple[Ints, Hashes]]:
    for place in range(int(parts.length.max(initial=0))):
        rows = np.flatnonzero((parts.length > place) & (parts.length >= _SHORTEST))
        if place:  # of equal neighbours one is deleted: the other leaves the same
            rows = rows[parts.core[rows, place] != parts.core[rows, place - 1]]
        key = without_one(hashes, rows, place, parts.length[rows])
        yield rows, mix(key)
        short = parts.length[rows] < _SHORT
        rows, key = rows[short], key[short]
        where = np.where(parts.prefecture[rows] > 0, parts.prefecture[rows], parts.province[rows])
        yield rows, mix(key ^ mix(where.astype(np.uint64) + _PLACE))


def _rare_bigrams(parts: Parts, frequencies: Frequencies, side: Side) -> Iterator[tuple[Ints, Hashes]]:
    pairs = bigrams(parts.core)
    count = frequencies.bigram(pairs)
    count[(pairs == 0) | (count == 0)] = _ABSENT
    order = np.argsort(count, axis=1, kind="stable")[:, : _RAREST[side]]
    pairs, count = np.take_along_axis(pairs, order, axis=1), np.take_along_axis(count, order, axis=1)
    most = int((count < _ABSENT).sum(axis=1).max(initial=0))
    for first in range(most):
        for second in range(first + 1, most):
            rows = np.flatnonzero((count[:, first] < _ABSENT) & (count[:, second] < _ABSENT))
            low, high = (
                np.minimum(pairs[rows, first], pairs[rows, second]),
                np.maximum(pairs[rows, first], pairs[rows, second]),
            )
            yield rows, mix((low * np.uint64(3)) ^ high ^ _PAIR)
        rows = np.flatnonzero(count[:, first] <= _RARE)
        yield rows, mix(pairs[rows, first] ^ _SINGLE)
