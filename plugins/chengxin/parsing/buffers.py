"""Arrow string arrays as numpy bytes: views, gathers and masks without a Python object per row."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
Offsets = npt.NDArray[np.int32]


def as_strings(raw: pa.Array) -> pa.StringArray:
    """Return the array as plain utf8 with int32 offsets."""
    return raw if raw.type == pa.string() else raw.cast(pa.string())


def parts(values: pa.StringArray) -> tuple[Offsets, Bytes]:
    """Return offsets (n + 1) and the data bytes they point into, as views. Offsets need not start at 0."""
    _, offsets, data = values.buffers()
    if len(values) == 0 or offsets is None:
        return np.zeros(1, np.int32), np.zeros(0, np.uint8)
    starts = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1]
    return starts, np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)


def valid(values: pa.Array) -> Mask:
    """Return where the array is not null."""
    bitmap = values.buffers()[0] if len(values) else None
    if bitmap is None or values.null_count == 0:
        return np.ones(len(values), np.bool_)
    return _bits(bitmap, values.offset, len(values))


def as_mask(values: pa.BooleanArray) -> Mask:
    """Return a boolean array as numpy; null counts as False."""
    bits = values.buffers()[1] if len(values) else None
    if bits is None:
        return np.zeros(len(values), np.bool_)
    mask = _bits(bits, values.offset, len(values))
    return mask & valid(values) if values.null_count else mask


def _bits(bitmap: pa.Buffer, offset: int, count: int) -> Mask:
    first = offset // 8
    packed = np.frombuffer(bitmap, np.uint8)[first : (offset + count + 7) // 8]
    bits: Mask = np.unpackbits(packed, bitorder="little")[offset % 8 : offset % 8 + count].view(np.bool_)
    return bits


def _bitmap(mask: Mask) -> pa.Buffer:
    return pa.py_buffer(np.packbits(mask, bitorder="little"))


def booleans(mask: Mask) -> pa.BooleanArray:
    """Return a mask as an Arrow array."""
    return pa.Array.from_buffers(pa.bool_(), len(mask), [None, _bitmap(mask)])


def fixed_values(data: npt.NDArray[Any], kind: pa.DataType, known: Mask | None = None) -> pa.Array:
    """Return values, each in the bytes that Arrow has for the kind, as an array; null where not known."""
    bitmap = None if known is None or known.all() else _bitmap(known)
    return pa.Array.from_buffers(kind, len(data), [bitmap, pa.py_buffer(np.ascontiguousarray(data))])


def heads(values: pa.StringArray) -> Bytes:
    """Return the first byte of each value; of an empty one whatever follows it."""
    offsets, data = parts(values)
    return data.take(offsets[:-1], mode="clip") if data.size else np.zeros(len(values), np.uint8)


def tails(values: pa.StringArray) -> Bytes:
    """Return the last byte of each value; of an empty one whatever stands before it."""
    offsets, data = parts(values)
    return data.take(offsets[1:] - 1, mode="clip") if data.size else np.zeros(len(values), np.uint8)


def without(values: pa.StringArray, drop: Mask) -> pa.StringArray:
    """Return the array with the marked rows null; offsets and data are shared."""
    if not drop.any():
        return values
    kept = valid(values) & ~drop
    offsets, data = parts(values)
    return strings(offsets, data, kept)


def strings(offsets: Offsets, data: Bytes, known: Mask) -> pa.StringArray:
    """Return strings by their offsets (n + 1) into the data, which is shared; null where not known."""
    bitmap = None if known.all() else _bitmap(known)
    return pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data), bitmap)


def repeated(text: str, count: int) -> pa.StringArray:
    """Return a column that holds the same text in every row."""
    data = text.encode()
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(len(data))
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(data * count))


def scattered(values: pa.StringArray, rows: Rows, count: int) -> pa.StringArray:
    """Return a column of `count` rows that holds the values in the given rows (ascending) and null elsewhere."""
    offsets, data = parts(values)
    ends, known = np.zeros(count + 1, np.int32), np.zeros(count, np.bool_)
    ends[rows + 1], known[rows] = np.diff(offsets), valid(values)
    return strings(offsets[0] + np.cumsum(ends, dtype=np.int32), data, known)


def replaced(values: pa.Array, rows: Rows, new: pa.Array) -> pa.Array:
    """Return the array with the given rows (ascending) exchanged for `new` (one value a row)."""
    if len(rows) == 0:
        return values
    if len(rows) == len(values):
        return new
    mask = np.zeros(len(values), np.bool_)
    mask[rows] = True
    return pc.replace_with_mask(values, booleans(mask), new)


def fixed_width(values: pa.StringArray, rows: Rows, width: int) -> Bytes:
    """Return the bytes of rows that are all `width` bytes long, as a (rows, width) matrix."""
    offsets, data = parts(values)
    if len(rows) == 0:
        return np.zeros((0, width), np.uint8)
    if len(rows) == len(values) and offsets[-1] - offsets[0] == width * len(rows):
        return data[offsets[0] : offsets[-1]].reshape(-1, width)
    # An unaligned window of `width` bytes at every byte: fancy indexing then copies whole values, not single bytes.
    windows = np.ndarray((data.size - width + 1,), f"V{width}", data, strides=(1,))
    return windows[offsets[rows]].view(np.uint8).reshape(-1, width)


def from_fixed_width(matrix: Bytes) -> pa.StringArray:
    """Return a (rows, width) matrix of bytes as strings."""
    rows, width = matrix.shape
    offsets = np.arange(0, (rows + 1) * width, width, dtype=np.int32)
    data = pa.py_buffer(np.ascontiguousarray(matrix).reshape(-1))
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), data)


def rows_at(offsets: Offsets, positions: npt.NDArray[np.intp]) -> Rows:
    """Return the distinct rows that the given data positions lie in, ascending."""
    return np.unique(np.searchsorted(offsets, positions, side="right") - 1).astype(np.int64)


def take(values: pa.Array, rows: Rows) -> pa.Array:
    """Return the given rows."""
    return values if len(rows) == len(values) else values.take(fixed_values(rows, pa.int64()))


def matches(values: pa.StringArray, patterns: Iterable[str] | str) -> Mask:
    """Return where a value holds a match of the RE2 pattern."""
    pattern = patterns if isinstance(patterns, str) else "|".join(patterns)
    return as_mask(pc.match_substring_regex(values, pattern))


def longest(texts: pa.Array) -> int:
    """Return the length in bytes of the longest text; it has at most as many characters."""
    offsets, _ = parts(texts)
    return int(np.diff(offsets).max()) if len(texts) else 0


def has_text(column: pa.ChunkedArray) -> bool:
    """Return whether a column holds anything but empty texts."""
    return bool(pc.any(pc.greater(pc.utf8_length(pc.fill_null(column, "")), 0)).as_py())
