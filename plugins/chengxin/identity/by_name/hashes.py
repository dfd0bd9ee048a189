"""Texts as matrices of code points, and polynomial hashes modulo 2^64 of any of their substrings.

With h[i] = hash of the first i characters, the hash of characters a..b is (h[b] - h[a]) / base^a: two look-ups,
whatever the length. All is integer arithmetic, so a hash is the same on every machine.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Codes = npt.NDArray[np.uint16]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

#: Characters of a text that are hashed at most.
LONGEST = 64
_BASE = 0x9E3779B97F4A7C15
_WORD = 2**64


def _powers(base: int) -> Hashes:
    powers = [1]
    for _ in range(LONGEST):
        powers.append(powers[-1] * base % _WORD)
    return np.array(powers, np.uint64)


_POWERS, _INVERSE = _powers(_BASE), _powers(pow(_BASE, -1, _WORD))


def mix(hashes: Hashes) -> Hashes:
    """Spread the bits of hashes (the finaliser of MurmurHash3)."""
    hashes = (hashes ^ (hashes >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    hashes = (hashes ^ (hashes >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return hashes ^ (hashes >> np.uint64(33))


#: A fixed value for each character of the basic plane.
CHARACTER = mix(np.arange(1, 65537, dtype=np.uint64)) | np.uint64(1)


def text_hash(text: str) -> int:
    """Return the hash of a whole text, as `substrings` gives it."""
    return sum(int(CHARACTER[min(ord(c), 0xFFFD)]) * int(_POWERS[i]) for i, c in enumerate(text[:LONGEST])) % _WORD


def text_hashes(texts: Sequence[str]) -> Hashes:
    """Return `text_hash` of each text."""
    texts = [text.replace("\n", " ") for text in texts]
    codes, lengths = matrix(texts, min(max(map(len, texts), default=0), LONGEST))
    return prefixes(codes)[np.arange(len(texts)), lengths]


def matrix(texts: Sequence[str], width: int) -> tuple[Codes, Ints]:
    """Return code points, one row a text, 0 behind its end, and the lengths. Texts hold no line feed."""
    buffer = np.frombuffer("\n".join(texts).encode("utf-32-le", "replace"), np.uint32)
    buffer = np.where(buffer > 0xFFFF, 0xFFFD, buffer).astype(np.uint16)
    ends = np.flatnonzero(buffer == ord("\n"))
    starts = np.concatenate([[0], ends + 1]) if len(texts) else np.zeros(0, np.int64)
    lengths = np.minimum(np.concatenate([ends, [len(buffer)]])[: len(texts)] - starts, width)
    if not len(buffer):
        return np.zeros((len(texts), width), np.uint16), lengths
    places = np.minimum(starts[:, None] + np.arange(width), len(buffer) - 1)
    return np.where(np.arange(width) < lengths[:, None], buffer[places], 0).astype(np.uint16), lengths


def prefixes(codes: Codes) -> Hashes:
    """Return for each row the hashes of its first 0, 1, 2 ... characters."""
    hashes = np.zeros((len(codes), codes.shape[1] + 1), np.uint64)
    values = np.where(codes == 0, np.uint64(0), CHARACTER[codes] * _POWERS[: codes.shape[1]])
    np.cumsum(values, axis=1, out=hashes[:, 1:])
    return hashes


def substrings(hashes: Hashes, rows: Ints, start: Ints, end: Ints) -> Hashes:
    """Return the hashes of the characters start..end of the rows; hashes: of `prefixes`."""
    found: Hashes = (hashes[rows, end] - hashes[rows, start]) * _INVERSE[start]
    return found


def without_one(hashes: Hashes, rows: Ints, place: int, lengths: Ints) -> Hashes:
    """Return the hashes of whole rows from which the character at a place is deleted."""
    left: Hashes = hashes[rows, place] + (hashes[rows, lengths] - hashes[rows, place + 1]) * _INVERSE[1:2]
    return left


def bigrams(codes: Codes) -> Hashes:
    """Return the hashes of all pairs of neighbours, 0 where there is none."""
    left, right = CHARACTER[codes[:, :-1]], CHARACTER[codes[:, 1:]]
    return np.where(codes[:, 1:] == 0, np.uint64(0), mix(left * np.uint64(3) + right * np.uint64(_BASE)))
