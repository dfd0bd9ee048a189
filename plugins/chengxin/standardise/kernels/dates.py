"""Date and instant columns: each distinct text is read once; plain timestamps are read as bytes."""

from collections.abc import Callable
from datetime import date, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chengxin.standardise.kernels.buffers import Bytes, Rows, fixed_width, parts, take, valid
from chengxin.standardise.kernels.cleaned import Cleaned, CleanOptions, Findings, read_distinct
from chengxin.standardise.kernels.date_forms import DateReading, read_date, read_instant
from chengxin.standardise.kernels.text import prepare

Ints = npt.NDArray[np.int64]
_INSTANT = pa.timestamp("us", "UTC")
_SHANGHAI_OFFSET = 8 * 3600
# From this day on Shanghai has been at +8 without change (summer time ended on 1991-09-15).
_STEADY = int(np.datetime64("1992-01-01").astype("datetime64[s]").astype(np.int64))
_LATEST = int(np.datetime64("2200-01-01").astype("datetime64[s]").astype(np.int64))


def clean_date(raw: pa.Array, options: CleanOptions) -> Cleaned:
    """Clean calendar days to date32; see date_forms for the shapes. 9999-12-31 means open-ended."""
    prepared = prepare(raw, excel_prefix=True)
    values = _by_distinct(prepared.values, read_date, pa.date32(), prepared.findings)
    return Cleaned(values, prepared.findings.issues())


def clean_instant(raw: pa.Array, options: CleanOptions) -> Cleaned:
    """Clean points in time to timestamp[us, UTC]; a text without an offset is Shanghai time."""
    prepared = prepare(raw, excel_prefix=True)
    values, findings = prepared.values, prepared.findings
    rows, millis = _plain(values)
    micros = np.zeros(len(values), np.int64)
    micros[rows] = millis * 1000
    known = np.zeros(len(values), np.bool_)
    known[rows] = True
    rest: Rows = np.flatnonzero(~known & valid(values))
    if len(rest):
        found = Findings(len(rest))
        read = _by_distinct(take(values, rest), read_instant, _INSTANT, found)
        findings.add_from(found, rest)
        known[rest] = valid(read)
        micros[rest] = read.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return Cleaned(pa.array(micros, mask=~known).cast(_INSTANT), findings.issues())


def _by_distinct(
    values: pa.StringArray, read: Callable[[str], DateReading], kind: pa.DataType, findings: Findings
) -> pa.Array:
    readings, codes, indices = read_distinct(values, read)
    dates: list[date | datetime | None] = [reading.value for reading in readings]
    findings.add_distinct([(reading.rule,) if reading.rule else () for reading in readings], codes)
    return pa.array(dates, kind).take(indices)


def _plain(values: pa.StringArray) -> tuple[Rows, Ints]:
    """Read the common forms as bytes; return their rows and milliseconds since the epoch."""
    offsets, _ = parts(values)
    lengths = np.where(valid(values), np.diff(offsets), 0)
    with_tenths: Rows = np.flatnonzero(lengths == 21)
    matrix = fixed_width(values, with_tenths, 21)
    zero = (matrix[:, 19] == 0x2E) & (matrix[:, 20] == 0x30)
    found = [
        _stamps(np.flatnonzero(lengths == 19), fixed_width(values, np.flatnonzero(lengths == 19), 19)),
        _stamps(with_tenths[zero], matrix[zero, :19]),
        _epochs(values, np.flatnonzero(lengths == 13)),
    ]
    return np.concatenate([rows for rows, _ in found]), np.concatenate([millis for _, millis in found])


def _epochs(values: pa.StringArray, rows: Rows) -> tuple[Rows, Ints]:
    """Read 13 digits as milliseconds."""
    digits = fixed_width(values, rows, 13).astype(np.int64) - 0x30
    good = ((digits >= 0) & (digits <= 9)).all(axis=1)
    millis = digits[good] @ (10 ** np.arange(12, -1, -1, dtype=np.int64))
    plausible = millis < _LATEST * 1000
    return rows[good][plausible], millis[plausible]


def _stamps(rows: Rows, matrix: Bytes) -> tuple[Rows, Ints]:
    """Read `2019-09-05 08:30:00` (also with T) after 1991."""
    digits = matrix[:, (0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18)].astype(np.int64) - 0x30
    good = ((digits >= 0) & (digits <= 9)).all(axis=1)
    good &= (matrix[:, (4, 7)] == 0x2D).all(axis=1) & (matrix[:, (13, 16)] == 0x3A).all(axis=1)
    good &= (matrix[:, 10] == 0x20) | (matrix[:, 10] == 0x54)
    rows, digits = rows[good], digits[good]
    year = digits[:, :4] @ (1000, 100, 10, 1)
    month, day, hour, minute, second = (digits[:, 4 + 2 * i] * 10 + digits[:, 5 + 2 * i] for i in range(5))
    months = (year - 1970) * 12 + month - 1
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    following = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    seconds = (first + day - 1) * 86400 + hour * 3600 + minute * 60 + second - _SHANGHAI_OFFSET
    real = (month >= 1) & (month <= 12) & (day >= 1) & (day <= following - first)
    real &= (hour < 24) & (minute < 60) & (second < 60) & (seconds >= _STEADY) & (seconds < _LATEST)
    # The open-ended 2099-12-31 is no instant; date_forms says so.
    real &= ~((year == 2099) & (month == 12) & (day == 31))
    return rows[real], seconds[real] * 1000
