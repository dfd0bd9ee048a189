"""Numbers where others have something else: a day as the number of a spreadsheet or in UTC, 0 as a name.

The number of a day counts from 1900 or, out of old Macintosh workbooks, from 1904: in a text nothing says from which.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.parsing.buffers import Mask, Rows, as_strings, heads, matches, parts, take, valid

_APART = 1462  # days between the two beginnings
_NEAR, _FAR = 31, 365  # days
_ROWS = 1_000  # that are compared
_DIGITS = r"^[0-9][0-9 .,:/年月日时分秒TZ+-]*$|^[0-9][0-9A-Z]{14,17}$"
_EVENING = r"^[0-9]{4}[-/.年][0-9]{1,2}[-/.月][0-9]{1,2}日?[ T]16:00(:00(\.0+)?)?$"
_NEARLY_ALL = 0.9
_FEW = 5  # one in so many at most; else they may be the numbers that the source has for names


def numbers_among_names(values: pa.StringArray) -> Mask:
    """Mark the few values that are nothing but a number, a code, a day or a time."""
    hits = np.zeros(len(values), np.bool_)
    rows = np.flatnonzero((heads(values) - np.uint8(0x30) < 10) & valid(values))
    if len(rows) and _FEW * len(rows) <= len(values):
        hits[rows] = matches(take(values, rows), _DIGITS)
    return hits


def serial_days(raw: Mapping[str, pa.Array], read: Mapping[str, pa.Array]) -> dict[str, Mask]:
    """Return by element where such numbers are in doubt: days of the same column are written out, or the days beside.

    raw, read: by element, the values as sent and the days they were read as (date32). Days beside tell where they lie
    about four years after most of the numbers, and near them if those count from 1904.
    """
    masks = {element: _numbers(as_strings(values)) for element, values in raw.items()}
    found = {}
    for element, mask in masks.items():
        if not mask.any():
            continue
        written = valid(read[element]) & ~mask
        beside = (read[other] for other in read if other != element and not masks[other].any())
        if written.any() or any(_is_four_years_later(read[element], days, mask) for days in beside):
            found[element] = mask
    return found


def utc_midnights(values: pa.StringArray) -> Mask:
    """Mark days with the time 16:00:00 where nearly all of a column have it: midnight in Shanghai, written in UTC.

    Such a day is the one before. An hour of the day that says nothing else is 00:00:00, and a real one differs by row.
    """
    hits = np.zeros(len(values), np.bool_)
    rows: Rows = np.flatnonzero(valid(values))
    if len(rows) < _FEW or matches(take(values, rows[:_ROWS]), _EVENING).mean() < _NEARLY_ALL:
        return hits
    hits[rows] = matches(take(values, rows), _EVENING)
    return hits if hits.sum() >= _NEARLY_ALL * len(rows) else np.zeros(len(values), np.bool_)


def _numbers(values: pa.StringArray) -> Mask:
    found = np.zeros(len(values), np.bool_)
    offsets, _ = parts(values)
    rows: Rows = np.flatnonzero((np.diff(offsets) == 5) & (heads(values) - np.uint8(0x30) < 10) & valid(values))
    if len(rows):
        found[rows] = matches(take(values, rows), "^[0-9]{5}$")
    return found


def _is_four_years_later(days: pa.Array, others: pa.Array, mask: Mask) -> bool:
    rows = np.flatnonzero(mask & valid(days) & valid(others))[:_ROWS]
    if not len(rows):
        return False
    apart = np.abs(_numbers_of(others, rows) - _numbers_of(days, rows))
    shifted = np.abs(_numbers_of(others, rows) - _numbers_of(days, rows) - _APART)
    return bool(np.median(shifted) <= _NEAR and np.median(apart) > _FAR)


def _numbers_of(days: pa.Array, rows: Rows) -> np.ndarray:
    return np.asarray(pc.cast(take(days, rows), pa.int32()).to_numpy(zero_copy_only=False), np.int64)
