"""Plain numbers read from bytes, and scaled integers as Arrow decimals; exact throughout."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chengxin.standardise.kernels.buffers import Mask, parts, valid

Ints = npt.NDArray[np.int64]
LONGEST = 17  # bytes; so that the digits always fit into int64
_POWERS = 10 ** np.arange(19, dtype=np.int64)


@dataclass(frozen=True)
class PlainNumbers:
    """Numbers of the form -123.45: value = mantissa / 10**decimals, where `known`."""

    known: Mask
    mantissa: Ints
    decimals: Ints


def plain_numbers(values: pa.StringArray) -> PlainNumbers:
    """Read the values that are optional minus, digits, and perhaps a point with digits, of at most 17 bytes."""
    offsets, data = parts(values)
    starts, lengths = offsets[:-1].astype(np.int64), np.diff(offsets)
    known = valid(values) & (lengths > 0) & (lengths <= LONGEST)
    mantissa, decimals = np.zeros(len(values), np.int64), np.zeros(len(values), np.int64)
    if not known.any():
        return PlainNumbers(known, mantissa, decimals)
    lengths = np.where(known, lengths, 0)
    negative, pointed, any_digit = (np.zeros(len(values), np.bool_) for _ in range(3))
    for place in range(int(lengths.max())):
        inside = lengths > place
        byte = data[np.minimum(starts + place, data.size - 1)]
        digit = byte - np.uint8(0x30)
        numeric = (digit <= 9) & inside
        mantissa = np.where(numeric, mantissa * 10 + digit, mantissa)
        decimals += numeric & pointed
        any_digit |= numeric
        accepted = numeric | ~inside
        if place == 0:
            negative = (byte == 0x2D) & inside
            accepted |= negative
        else:
            point = (byte == 0x2E) & inside & ~pointed & any_digit
            pointed |= point
            accepted |= point
        known &= accepted
    known &= any_digit & ~(pointed & (decimals == 0))
    return PlainNumbers(known, np.where(negative, -mantissa, mantissa), decimals)


def scaled(numbers: PlainNumbers, exponent: Ints | int) -> tuple[Mask, Ints, Mask]:
    """Return value * 10**exponent as integers: where it fits (18 digits), the integers, and where they were rounded.

    What lies below one is rounded half to even.
    """
    shift = exponent - numbers.decimals
    up, down = _POWERS[np.clip(shift, 0, 18)], _POWERS[np.clip(-shift, 0, 18)]
    size = np.abs(numbers.mantissa)
    fits = numbers.known & (shift <= 18) & (size < _POWERS[18] // up)
    whole, rest = np.divmod(np.where(fits, size, 0) * up, down)
    half = rest * 2
    whole += (half > down) | ((half == down) & (whole % 2 == 1))
    return fits, np.where(numbers.mantissa < 0, -whole, whole), fits & (rest > 0)


def decimal_array(integers: Ints, known: Mask, scale: int) -> pa.Array:
    """Return integers as decimal128(18, scale) of the value integer / 10**scale; null where not known."""
    words = np.empty((len(integers), 2), np.int64)
    words[:, 0], words[:, 1] = integers, integers >> 63
    bitmap = None if known.all() else pa.array(known).buffers()[1]
    return pa.Array.from_buffers(pa.decimal128(18, scale), len(integers), [bitmap, pa.py_buffer(words.reshape(-1))])
