"""One look at the bytes of a column, which rules out for most columns that any row needs trimming or correction."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chengxin.parsing.buffers import Bytes, parts

Positions = npt.NDArray[np.int64]
BLOCK = 1 << 16  # the temporary arrays of a block stay in the cache
_NONE: Positions = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Survey:
    """What the bytes of a column are like. Positions count from the start of the data buffer.

    lowest, highest: the extreme bytes; 255 and 0 where there is none. controls: of the C0 controls and DEL, and of
    every lead byte of U+0080 to U+00BF. high: of the lead bytes of U+E000 to U+F8FF, planes 15 and 16, and of those
    that U+FFFD and U+FEFF share with others. blanks: of the lead bytes of blanks of two and three bytes.
    """

    lowest: int
    highest: int
    controls: Positions
    high: Positions
    blanks: Positions

    @property
    def is_ascii(self) -> bool:
        """Return whether no byte belongs to a character above U+007F."""
        return self.highest < 0x80


def survey(values: pa.StringArray) -> Survey:
    """Look at every byte once."""
    offsets, data = parts(values)
    start, end = int(offsets[0]), int(offsets[-1])
    lowest, highest = 255, 0
    controls, high, wide = [_NONE], [_NONE], [_NONE]
    for at in range(start, end, BLOCK):
        block = data[at : min(at + BLOCK, end)]
        low, top = int(block.min()), int(block.max())
        lowest, highest = min(lowest, low), max(highest, top)
        if low < 0x20 or top >= 0x7F:
            controls.append(np.flatnonzero((block < 0x20) | (block == 0x7F) | (block == 0xC2)) + at)
        if top > 0xE0:
            # The last two bytes of the column cannot lead three.
            second = data[at + 1 : min(at + 1 + BLOCK, end - 1)]
            wide.append(_wide_blanks(block[: len(second)], second) + at)
            if top >= 0xEE:
                high.append(_high(block[: len(second)], second) + at)
    found = np.concatenate(controls), np.concatenate(high)
    return Survey(lowest, highest, *found, _blanks(data, *found, np.concatenate(wide)))


def _wide_blanks(block: Bytes, second: Bytes) -> Positions:
    lead = (block - np.uint8(0xE1)) <= 2
    if not lead.any():
        return _NONE
    return np.flatnonzero(lead & ((second <= 0x81) | (second == 0x9A) | (second == 0xA0)))


def _high(block: Bytes, second: Bytes) -> Positions:
    # EF BC to EF BE are full-width forms, and the likeliest bytes of this range by far.
    shared = (second < 0xA4) | (second == 0xBB) | (second == 0xBF)
    return np.flatnonzero(((block == 0xEF) & shared) | (block == 0xEE) | (block > 0xF2))


def _blanks(data: Bytes, controls: Positions, high: Positions, wide: Positions) -> Positions:
    """Return where the blanks beyond ASCII begin: C2 85, A0, AD; E1 9A 80, A0 8E; E2 80, 81; E3 80 80; EF BB BF."""
    found = []
    pairs = controls[data[controls] == 0xC2] if controls.size else controls
    if pairs.size:
        found.append(pairs[np.isin(data[pairs + 1], (0x85, 0xA0, 0xAD))])
    if wide.size:
        first, second, third = data[wide], data[wide + 1], data[wide + 2]
        blank = (first == 0xE2) | ((first == 0xE1) & (second > 0x81))
        found.append(wide[blank | ((first == 0xE3) & (second == 0x80) & (third == 0x80))])
    if high.size:
        found.append(high[(data[high] == 0xEF) & (data[high + 1] == 0xBB)])
    return np.concatenate(found) if found else _NONE
