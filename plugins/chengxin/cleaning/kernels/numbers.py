"""Integers, decimals, years, yes/no and telephone numbers."""

import re
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.cleaning.kernels.decimals import decimal_array, plain_numbers, scaled
from chengxin.cleaning.kernels.result import Cleaned, CleanOptions, read_distinct
from chengxin.cleaning.kernels.text import as_one_number, folded, prepare, without_tokens
from chengxin.model.identifiers import narrow
from chengxin.model.vocabularies import Placeholders, vocabulary
from chengxin.parsing.buffers import Rows, take, valid

# Thousands separators, an E-power, and what may be a measure word.
_NUMBER = re.compile(r"([+-]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]*)?(?:E[+-]?[0-9]{1,2})?)(\D*)")
_EXACT = Context(prec=60)
_YEAR = r"^((?:18|19|20|21)[0-9]{2})(?:\.0+)?(?:年度?)?$"
_YES, _NO = vocabulary(Placeholders).yes, vocabulary(Placeholders).no
_PHONE = re.compile(r"1[3-9][0-9]{9}|0[0-9]{9,11}|[2-9][0-9]{6,7}|[48]00[0-9]{7}|1[0-9]{4}|(?:852|853)[0-9]{8}")
_SEVERAL = r"[/;、,|]|或"


def clean_integer(raw: pa.Array, options: CleanOptions) -> Cleaned:
    """Clean integers to int64: 12.0, 1,200 and, where the element counts 期, 12期; not 12.5 and not 12天."""
    prepared = prepare(raw, excel_prefix=True)
    values, findings = prepared.values, prepared.findings
    fits, integers, rounded = scaled(plain_numbers(values), 0)
    known = fits & ~rounded
    rest: Rows = np.flatnonzero(valid(values) & ~known)
    if len(rest):
        read, bad = _distinct(take(values, rest), partial(_read_integer, measures=options.measures), pa.int64())
        known[rest] = ~bad
        integers[rest] = read.fill_null(0).to_numpy(zero_copy_only=False)
        findings.add("integer.invalid", rest[bad])
    return Cleaned(pa.array(integers, mask=~known), findings.issues())


def clean_decimal(raw: pa.Array, options: CleanOptions) -> Cleaned:
    """Clean numbers to decimal128(18, 6); more decimals are rounded half to even with a warning."""
    prepared = prepare(raw, excel_prefix=True)
    values, findings = prepared.values, prepared.findings
    fits, micros, rounded = scaled(plain_numbers(values), 6)
    rest: Rows = np.flatnonzero(valid(values) & ~fits)
    if len(rest):
        read, bad = _distinct(take(values, rest), partial(_read_micros, measures=options.measures), pa.int64())
        exact, _ = _distinct(take(values, rest), partial(_is_exact, measures=options.measures), pa.bool_())
        fits[rest], micros[rest] = ~bad, read.fill_null(0).to_numpy(zero_copy_only=False)
        findings.add("decimal.invalid", rest[bad])
        rounded[rest] = ~bad & ~exact.fill_null(True).to_numpy(zero_copy_only=False)
    findings.add("decimal.rounded", rounded)
    return Cleaned(decimal_array(micros, fits, 6), findings.issues())


def _distinct(values: pa.StringArray, read: Callable[[str], Any], kind: pa.DataType) -> tuple[pa.Array, Any]:
    """Read each distinct text once; return the results and where there was none."""
    readings, _, indices = read_distinct(values, read)
    taken = pa.array(readings, kind).take(indices)
    return taken, ~valid(taken)


def _number(text: str, measures: tuple[str, ...]) -> Decimal | None:
    found = _NUMBER.fullmatch(as_one_number(text) or "")
    is_bare = found and (not found[2] or found[2].strip("()") in measures)
    number = Decimal(found[1].replace(",", "")) if found and is_bare else None
    return number if number is not None and abs(number) < 10**18 else None


def _read_integer(text: str, measures: tuple[str, ...]) -> int | None:
    number = _number(text, measures)
    return int(number) if number is not None and number == int(number) else None


def _read_micros(text: str, measures: tuple[str, ...]) -> int | None:
    number = _number(text, measures)
    if number is None or abs(number) >= 10**12:
        return None
    return int(_EXACT.multiply(number, Decimal(10**6)).quantize(Decimal(1), rounding=ROUND_HALF_EVEN, context=_EXACT))


def _is_exact(text: str, measures: tuple[str, ...]) -> bool:
    number, micros = _number(text, measures), _read_micros(text, measures)
    return number is None or micros is None or _EXACT.multiply(number, Decimal(10**6)) == micros


def clean_year(raw: pa.Array) -> Cleaned:
    """Clean years to int32: 2017, 2017.0, 2017年, 2017年度."""
    prepared = prepare(raw, excel_prefix=True)
    years = pc.struct_field(pc.extract_regex(folded(prepared.values), _YEAR.replace("((", "(?P<year>(", 1)), "year")
    prepared.findings.add("year.invalid", valid(prepared.values) & ~valid(years))
    return Cleaned(years.cast(pa.int32()), prepared.findings.issues())


def clean_flag(raw: pa.Array) -> Cleaned:
    """Clean yes/no to booleans; 无 and × say no here and are not read as 'nothing given'."""
    prepared = prepare(raw, tokens=False, excel_prefix=True)
    plain = folded(prepared.values)
    yes, no = (pc.is_in(plain, value_set=pa.array(words)) for words in (_YES, _NO))
    known = pc.or_(yes, no).to_numpy(zero_copy_only=False)
    left = valid(without_tokens(plain)) & ~known
    prepared.findings.add("flag.invalid", left)
    return Cleaned(pa.array(yes.to_numpy(zero_copy_only=False), mask=~known), prepared.findings.issues())


def clean_phone(raw: pa.Array) -> Cleaned:
    """Clean telephone numbers to digits, an extension behind `-`; the first is taken where several are given."""
    prepared = prepare(raw, excel_prefix=True)
    values, findings = prepared.values, prepared.findings
    readings, codes, indices = read_distinct(values, _read_phone)
    found = pa.array([number for number, _ in readings], pa.string()).take(indices)
    findings.add("phone.invalid", valid(values) & ~valid(found))
    findings.add_distinct([("phone.several",) if several else () for _, several in readings], codes)
    return Cleaned(found, findings.issues())


def _read_phone(text: str) -> tuple[str | None, bool]:
    plain = re.sub(r"\s+", "", narrow(text)).upper()
    candidates = [part for part in re.split(_SEVERAL, plain) if part]
    for candidate in candidates:
        main, _, extension = re.sub(r"(?:转|EXT\.?|#)", "#", candidate).partition("#")
        digits = re.sub(r"[()\-\u2010-\u2015.]", "", main)
        digits = re.sub(r"^(?:\+|00)?86(?=[01])", "", digits)
        if _PHONE.fullmatch(digits):
            tail = f"-{extension}" if extension.isdigit() else ""
            return digits + tail, len(candidates) > 1
    return None, False
