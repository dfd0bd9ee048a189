"""Plain numbers read from bytes, and scaled integers as Arrow decimals; exact throughout."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chengxin.parsing.buffers import Bytes, Mask, fixed_values, parts, valid

Ints = npt.NDArray[np.int64]
LONGEST = 17  # bytes; so that the digits always fit into int64
_POWERS = 10 ** np.arange(19, dtype=np.int64)
_ROOM = 10**18 // _POWERS
_HALF = 9  # digits that fit into int32
_BLOCK = 1 << 15  # rows whose temporary arrays stay in the cache


@dataclass(frozen=True)
class PlainNumbers:
    """Numbers of the form -123.45: value = mantissa / 10**decimals, where `known`."""

    known: Mask
    mantissa: Ints
    decimals: Ints


def plain_numbers(values: pa.StringArray) -> PlainNumbers:
    """Read the values that are optional minus, digits with or without thousands commas, and perhaps a point and digits.

    At most 17 bytes.
    """
    offsets, data = parts(values)
    return numbers_at(data, offsets[:-1].astype(np.int64), offsets[1:].astype(np.int64), valid(values))


def numbers_at(data: Bytes, starts: Ints, ends: Ints, usable: Mask) -> PlainNumbers:
    """Read the numbers that stand at starts..ends of a buffer, as `plain_numbers` does."""
    lengths = ends - starts
    known = usable & (lengths > 0) & (lengths <= LONGEST)
    mantissa, decimals = np.zeros(len(starts), np.int64), np.zeros(len(starts), np.int64)
    width = int(lengths[known].max()) if known.any() else 0
    if width:
        padded = np.concatenate([np.zeros(width, np.uint8), data])
        windows = np.ndarray((padded.size - width + 1,), f"V{width}", padded, strides=(1,))
        for at in range(0, len(starts), _BLOCK):
            part = slice(at, at + _BLOCK)
            # Values end at the right edge; what stands before a value is made 0, which is no part of a number.
            matrix = np.ascontiguousarray(windows[ends[part]].view(np.uint8).reshape(-1, width).T)
            size = np.where(known[part], lengths[part], 0).astype(np.uint8)
            matrix *= size >= np.arange(width, 0, -1, dtype=np.uint8)[:, None]
            known[part] &= _read(matrix, size, mantissa[part], decimals[part])
    return PlainNumbers(known, mantissa, decimals)


def _read(matrix: Bytes, size: Bytes, mantissa: Ints, decimals: Ints) -> Mask:
    """Read right-aligned numbers, one row of the matrix a place; fill mantissa and decimals, return what is a number.

    `run` counts the digits since the last comma or the beginning: up to three before the first comma, three after each.
    """
    width, count = matrix.shape
    wrong, negative, pointed, grouped = (np.zeros(count, np.bool_) for _ in range(4))
    run, after_point, low_digits = (np.zeros(count, np.uint8) for _ in range(3))
    high = low = np.zeros(count, np.int32)
    for place in range(width):
        byte = matrix[place]
        digit = byte - np.uint8(0x30)
        numeric = digit <= 9
        if place == width - _HALF:
            high, low = low, np.zeros(count, np.int32)
        low = np.where(numeric, low * 10 + digit, low)
        low_digits += numeric
        if not numeric.all():
            minus = (byte == 0x2D) & (size == width - place)
            comma, point = byte == 0x2C, byte == 0x2E
            wrong |= ~(numeric | minus | comma | point | (byte == 0))
            negative |= minus
            if comma.any():
                wrong |= comma & (pointed | (run == 0) | np.where(grouped, run != 3, run > 3))
                grouped |= comma
            wrong |= point & (pointed | (run == 0) | (grouped & (run != 3)))
            pointed |= point
            run *= ~(comma | point)
        run += numeric
        after_point += numeric & pointed
        if place == width - _HALF - 1:
            low_digits[:] = 0
    wrong |= (run == 0) | (grouped & ~pointed & (run != 3))
    mantissa[:] = low
    if width > _HALF:
        mantissa += high * _POWERS[low_digits]
    np.negative(mantissa, out=mantissa, where=negative)
    decimals[:] = after_point
    return ~wrong


def scaled(numbers: PlainNumbers, exponent: Ints | int) -> tuple[Mask, Ints, Mask]:
    """Return value * 10**exponent as integers: where it fits (18 digits), the integers, and where they were rounded.

    What lies below one is rounded half to even.
    """
    shift = exponent - numbers.decimals
    places = np.clip(shift, 0, 18)
    fits = numbers.known & (shift <= 18) & (np.abs(numbers.mantissa) < _ROOM[places])
    whole = np.where(fits, numbers.mantissa, 0) * _POWERS[places]
    rounded = np.zeros(len(whole), np.bool_)
    cut = np.flatnonzero(fits & (shift < 0))
    if len(cut):
        size, down = np.abs(whole[cut]), _POWERS[np.clip(-shift[cut], 0, 18)]
        kept, rest = np.divmod(size, down)
        half = rest * 2
        kept += (half > down) | ((half == down) & (kept % 2 == 1))
        whole[cut] = np.where(whole[cut] < 0, -kept, kept)
        rounded[cut] = rest > 0
    return fits, whole, rounded


def decimal_array(integers: Ints, known: Mask, scale: int) -> pa.Array:
    """Return integers as decimal128(18, scale) of the value integer / 10**scale; null where not known."""
    words = np.empty((len(integers), 2), np.int64)
    words[:, 0], words[:, 1] = integers, integers >> 63
    return fixed_values(words, pa.decimal128(18, scale), known)
