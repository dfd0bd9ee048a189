"""Days and instants in their plain forms, read as bytes. What is not surely right is left to date_forms."""

from datetime import date
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chengxin.parsing.buffers import Bytes, Mask, Rows, fixed_width, parts, valid

Ints = npt.NDArray[np.int64]
_YEARS = (1902, 2098)  # the placeholders and the open ends lie outside
_SHANGHAI_OFFSET = 8 * 3600
# From this day on Shanghai has been at +8 without change (summer time ended on 1991-09-15).
_STEADY = int(np.datetime64("1992-01-01").astype("datetime64[s]").astype(np.int64))
_LATEST = int(np.datetime64("2200-01-01").astype("datetime64[s]").astype(np.int64))
_LONG_FORM = "0000年00月00日".encode()


def plain_days(values: pa.StringArray, *, compact: bool = True) -> tuple[Mask, npt.NDArray[np.int32]]:
    """Read 20190905, 2019-09-05 (also with / and .) and 2019年09月05日; return where, and days since the epoch.

    compact: 20190905 is a day; else it is left alone, as the contract declares what digits mean.
    """
    offsets, _ = parts(values)
    lengths = np.where(valid(values), np.diff(offsets), 0)
    known, days = np.zeros(len(values), np.bool_), np.zeros(len(values), np.int32)
    for width, places in ((8, (0, 2, 4, 6)), (10, (0, 2, 5, 8)), (len(_LONG_FORM), (0, 2, 7, 12))):
        rows: Rows = np.flatnonzero(lengths == width)
        if len(rows) == 0 or (width == 8 and not compact):
            continue
        columns = _columns(fixed_width(values, rows, width))
        good, numbers = _pairs(columns, places)
        if width == 10:
            for place in (4, 7):
                good &= (columns[place] == 0x2D) | (columns[place] == 0x2F) | (columns[place] == 0x2E)
        elif width == len(_LONG_FORM):
            for place, byte in enumerate(_LONG_FORM):
                if byte >= 0x80:
                    good &= columns[place] == byte
        exists, found = _days(numbers)
        known[rows] = good & exists
        days[rows] = found
    return known, days


def plain_instants(values: pa.StringArray, *, epochs: bool = True) -> tuple[Mask, Ints]:
    """Read `2019-09-05 08:30:00` (also with T, and .0 behind) after 1991, and milliseconds; return where, and µs.

    epochs: 13 digits are milliseconds; else they are left alone, as the contract declares what digits mean.
    """
    offsets, _ = parts(values)
    lengths = np.where(valid(values), np.diff(offsets), 0)
    known, micros = np.zeros(len(values), np.bool_), np.zeros(len(values), np.int64)
    for width in (19, 21, 13) if epochs else (19, 21):
        rows: Rows = np.flatnonzero(lengths == width)
        if len(rows) == 0:
            continue
        matrix = fixed_width(values, rows, width)
        known[rows], micros[rows] = _epochs(matrix) if width == 13 else _stamps(_columns(matrix))
    return known, micros


def _columns(matrix: Bytes) -> Bytes:
    """Return the matrix with one contiguous row a place."""
    return np.ascontiguousarray(matrix.T)


def _pairs(columns: Bytes, places: tuple[int, ...]) -> tuple[Mask, list[Bytes]]:
    """Read two digits at each place; return where all are digits, and the numbers."""
    good = np.ones(columns.shape[1], np.bool_)
    found = []
    for place in places:
        tens, ones = columns[place] - np.uint8(0x30), columns[place + 1] - np.uint8(0x30)
        good &= (tens <= 9) & (ones <= 9)
        found.append(tens * np.uint8(10) + ones)
    return good, found


@cache
def _calendar() -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return the day number of each year's first day, and per leap, month and day the day of the year; -1 = none."""
    first = [date(year, 1, 1).toordinal() - date(1970, 1, 1).toordinal() for year in range(1, 2300)]
    within = np.full((2, 256, 256), -1, np.int32)
    for leap, year in ((0, 2001), (1, 2000)):
        start = date(year, 1, 1).toordinal()
        for day in map(date.fromordinal, range(start, date(year, 12, 31).toordinal() + 1)):
            within[leap, day.month, day.day] = day.toordinal() - start
    return np.array([0, *first], np.int32), within.reshape(-1)


def _days(numbers: list[Bytes], years: tuple[int, int] = _YEARS) -> tuple[Mask, npt.NDArray[np.int32]]:
    """Return where a day (century, year, month, day) exists within the years, and days since the epoch."""
    century, year, month, day = numbers
    first, within = _calendar()
    whole = century * np.int32(100) + year
    leap = (whole % 4 == 0) & ((whole % 100 != 0) | (whole % 400 == 0))
    ordinal = within.take((leap * np.int32(256) + month) * np.int32(256) + day)
    exists = (ordinal >= 0) & (whole >= years[0]) & (whole <= years[1])
    return exists, first.take(whole, mode="clip") + ordinal


def _stamps(columns: Bytes) -> tuple[Mask, Ints]:
    good, numbers = _pairs(columns, (0, 2, 5, 8, 11, 14, 17))
    hour, minute, second = numbers[4:]
    exists, days = _days(numbers[:4], years=(1991, 2200))
    seconds = days * np.int64(86400) + (hour * np.int32(3600) + minute * np.int32(60) + second - _SHANGHAI_OFFSET)
    good &= exists & (hour < 24) & (minute < 60) & (second < 60) & (seconds >= _STEADY) & (seconds < _LATEST)
    good &= (columns[4] == 0x2D) & (columns[7] == 0x2D) & (columns[13] == 0x3A) & (columns[16] == 0x3A)
    good &= (columns[10] == 0x20) | (columns[10] == 0x54)
    if len(columns) == 21:
        good &= (columns[19] == 0x2E) & (columns[20] == 0x30)
    # The open-ended 2099-12-31 is no instant; see date_forms.
    good &= days != (date(2099, 12, 31) - date(1970, 1, 1)).days
    return good, seconds * 1_000_000


def _epochs(matrix: Bytes) -> tuple[Mask, Ints]:
    """Read 13 digits as milliseconds."""
    digits = matrix.astype(np.int64) - 0x30
    millis = digits @ (10 ** np.arange(12, -1, -1, dtype=np.int64))
    return ((digits >= 0) & (digits <= 9)).all(axis=1) & (millis < _LATEST * 1000), millis * 1000
