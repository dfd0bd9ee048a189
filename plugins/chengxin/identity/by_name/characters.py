"""How two characters relate: same sound, like shape, like sound. The head of characters.csv names its sources."""

import csv
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from chengxin.identity.by_name.hashes import Codes, Mask

PATH = Path(__file__).parent / "characters.csv"
#: The relations, as `relation` numbers them.
OTHER, SAME_SOUND, LIKE_SHAPE, LIKE_SOUND = range(4)
_STROKES = 64  # of a character at most: the bits of one word
# What speakers of southern Mandarin and their input methods do not tell apart: zh/z, -ng/-n, hu/fu, l/n.
_MERGED = ((r"^([zcs])h", r"\1"), (r"ng$", "n"), (r"^h(?=u)", "f"), (r"^l", "n"))


@dataclass(frozen=True)
class Characters:
    """What is known of characters, by code point.

    sounds: up to three numbers of sounds, 0 = none; merged: the first sound without what is easily confused. strokes:
    kinds of strokes in order; stroke_sets: for each kind, the bits of the places where it stands; corners: the digits.
    """

    simplified: dict[int, str]
    sounds: npt.NDArray[np.int16]
    merged: npt.NDArray[np.int16]
    strokes: npt.NDArray[np.uint8]
    stroke_sets: npt.NDArray[np.uint64]
    stroke_counts: npt.NDArray[np.int16]
    corners: npt.NDArray[np.uint8]


def digest() -> str:
    """Return the digest of the table: weights are fitted with it and refused with another one."""
    return hashlib.sha256(PATH.read_bytes()).hexdigest()[:16]


def _rows() -> Iterator[dict[str, str]]:
    with PATH.open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(line for line in lines if not line.startswith("#"))


@cache
def characters() -> Characters:
    """Return the table."""
    simplified: dict[int, str] = {}
    spoken: dict[str, int] = {}
    alike: dict[str, int] = {}
    sounds, merged = np.zeros((65536, 3), np.int16), np.zeros(65536, np.int16)
    sets = np.zeros((65536, 6), np.uint64)
    strokes, corners = np.zeros((65536, _STROKES), np.uint8), np.zeros((65536, 4), np.uint8)
    for row in _rows():
        code = ord(row["character"])
        if row["simplified"]:
            simplified[code] = row["simplified"]
            continue
        for place, sound in enumerate(row["sounds"].split()):
            sounds[code, place] = spoken.setdefault(sound, len(spoken) + 1)
            if place == 0:
                merged[code] = alike.setdefault(_merge(sound), len(alike) + 1)
        for place, kind in enumerate(map(int, row["strokes"])):
            strokes[code, place] = kind
            sets[code, kind] |= np.uint64(1 << place)
        corners[code, : len(row["corners"])] = [ord(digit) for digit in row["corners"]]
    counts = np.bitwise_count(sets).sum(axis=1, dtype=np.int16)
    return Characters(simplified, sounds, merged, strokes, sets, counts, corners)


def _merge(sound: str) -> str:
    for pattern, by in _MERGED:
        sound = re.sub(pattern, by, sound)
    return sound


def relation(left: Codes, right: Codes) -> npt.NDArray[np.int8]:
    """Return how the characters of each pair relate: OTHER, SAME_SOUND, LIKE_SHAPE or LIKE_SOUND."""
    table = characters()
    sounds, others = table.sounds[left], table.sounds[right]
    same = ((sounds[:, :, None] == others[:, None, :]) & (sounds[:, :, None] > 0)).any((1, 2))
    related = np.where((table.merged[left] == table.merged[right]) & (table.merged[left] > 0), LIKE_SOUND, OTHER)
    related[same] = SAME_SOUND
    rest = np.flatnonzero(~same)
    low, high = np.minimum(left, right)[rest].astype(np.uint32), np.maximum(left, right)[rest]
    pairs, which = np.unique((low << np.uint32(16)) | high, return_inverse=True)
    shape = like_shape((pairs >> np.uint32(16)).astype(np.uint16), (pairs & np.uint32(0xFFFF)).astype(np.uint16))
    related[rest[shape[which]]] = LIKE_SHAPE
    return related.astype(np.int8)


def like_shape(left: Codes, right: Codes) -> Mask:
    """Return which pairs look alike: most strokes in the same order, or fewer and equal corners."""
    table = characters()
    counts = table.stroke_counts[left] + table.stroke_counts[right]
    common = 2 * _common_strokes(left, right)
    corners = ((table.corners[left] == table.corners[right]) & (table.corners[left] > 0)).sum(axis=1)
    known = (table.stroke_counts[left] > 0) & (table.stroke_counts[right] > 0)
    near = (common * 10 >= counts * 8) | ((common * 10 >= counts * 7) & (corners >= 2))
    found: Mask = known & (near | ((common * 10 >= counts * 6) & (corners >= 3)))
    return found


def _common_strokes(left: Codes, right: Codes) -> npt.NDArray[np.int16]:
    """Return the length of the longest common subsequence of strokes, bit-parallel (Hyyrö 2004)."""
    table = characters()
    sets, strokes = table.stroke_sets[left], table.strokes[right]
    rows = np.arange(len(left))
    state: npt.NDArray[np.uint64] = np.full(len(left), ~np.uint64(0))
    longest = int(table.stroke_counts[right].max()) if len(right) else 0
    with np.errstate(over="ignore"):
        for place in range(longest):
            met = state & sets[rows, strokes[:, place]] & np.where(strokes[:, place] > 0, ~np.uint64(0), np.uint64(0))
            state = np.bitwise_or(state + met, state - met)
    return np.bitwise_count(~state).astype(np.int16)
