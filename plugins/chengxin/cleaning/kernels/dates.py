"""Date and instant columns: plain forms are read as bytes, each other distinct text once."""

from collections.abc import Callable
from datetime import date, datetime
from functools import partial

import numpy as np
import pyarrow as pa

from chengxin.cleaning.kernels.date_forms import DateReading, read_date, read_instant
from chengxin.cleaning.kernels.plain_dates import plain_days, plain_instants
from chengxin.cleaning.kernels.result import Cleaned, CleanOptions, Findings, read_distinct
from chengxin.cleaning.kernels.text import prepare
from chengxin.parsing.buffers import Rows, fixed_values, matches, take, valid, without

_INSTANT = pa.timestamp("us", "UTC")


def clean_date(raw: pa.Array, options: CleanOptions) -> Cleaned:
    """Clean calendar days to date32; see date_forms for the shapes. 9999-12-31 means open-ended."""
    values, findings = _prepared(raw, options)
    known, days = plain_days(values, compact=not _is_epoch(options))
    rest: Rows = np.flatnonzero(~known & valid(values))
    if len(rest):
        read = _by_distinct(values, rest, partial(read_date, form=options.date_form), pa.date32(), findings)
        known[rest] = valid(read)
        days[rest] = read.cast(pa.int32()).fill_null(0).to_numpy()
    return Cleaned(fixed_values(days, pa.date32(), known), findings.issues())


def clean_instant(raw: pa.Array, options: CleanOptions) -> Cleaned:
    """Clean points in time to timestamp[us, UTC]; a text without an offset is Shanghai time."""
    values, findings = _prepared(raw, options)
    known, micros = plain_instants(values, epochs=not _is_epoch(options))
    rest: Rows = np.flatnonzero(~known & valid(values))
    if len(rest):
        read = _by_distinct(values, rest, partial(read_instant, form=options.date_form), _INSTANT, findings)
        known[rest] = valid(read)
        micros[rest] = read.cast(pa.int64()).fill_null(0).to_numpy()
    return Cleaned(fixed_values(micros, _INSTANT, known), findings.issues())


def _prepared(raw: pa.Array, options: CleanOptions) -> tuple[pa.StringArray, Findings]:
    """Prepare a column; in a workbook that counts from 1904, bare numbers of days are ambiguous."""
    prepared = prepare(raw, excel_prefix=True)
    if not options.from_1904:
        return prepared.values, prepared.findings
    days = matches(prepared.values, r"^\d{5}(\.\d*)?$") & valid(prepared.values)
    prepared.findings.add("date.ambiguous", days)
    return without(prepared.values, days), prepared.findings


def _is_epoch(options: CleanOptions) -> bool:
    return bool(options.date_form and options.date_form.startswith("epoch"))


def _by_distinct(
    values: pa.StringArray, rows: Rows, read: Callable[[str], DateReading], kind: pa.DataType, findings: Findings
) -> pa.Array:
    """Read each distinct text of the given rows once."""
    readings, codes, indices = read_distinct(take(values, rows), read)
    dates: list[date | datetime | None] = [reading.value for reading in readings]
    findings.add_distinct([(reading.rule,) if reading.rule else () for reading in readings], codes, rows)
    return pa.array(dates, kind).take(indices)
