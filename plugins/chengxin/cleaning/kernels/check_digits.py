"""Check digits of whole columns: fixed-width values as a byte matrix, judged by table look-ups.

USCC and resident id are read as nine pairs of bytes; a table of 64 K entries per pair gives value times weight and, in
higher bits of the same number, whatever makes the pair impossible. One pass then yields alphabet, structure and check
(25 and 15 million rows a second on one core). The shorter codes use one table per byte and a dot product.
"""

from dataclasses import dataclass
from datetime import date
from functools import cache

import numpy as np
import numpy.typing as npt

from chengxin.model.identifiers import (
    LOAN_CARD_WEIGHTS,
    OLDEST_BIRTH_YEAR,
    ORG_ALPHABET,
    ORG_WEIGHTS,
    RESIDENT_WEIGHTS,
    USCC_ALPHABET,
    USCC_CATEGORIES,
    USCC_WEIGHTS,
)
from chengxin.model.regions import known_codes, province_prefixes
from chengxin.parsing.buffers import Bytes, Mask

Ints = npt.NDArray[np.int64]
_BAD = 255
_ORG_SUM, _STRUCTURE, _CHARACTER, _ORG_FORM = 10, 20, 24, 28  # first bit of each field in a USCC table entry


def _values_of(alphabet: str) -> npt.NDArray[np.int64]:
    table = np.full(256, _BAD, np.int64)
    table[np.frombuffer(alphabet.encode(), np.uint8)] = np.arange(len(alphabet))
    return table


_USCC = _values_of(USCC_ALPHABET)
_ORG = _values_of(ORG_ALPHABET)
_DIGIT = _values_of("0123456789")
_CHECK = _values_of("0123456789X")  # X = 10
_FIRST, _SECOND = np.arange(65536) & 0xFF, np.arange(65536) >> 8  # bytes of a little-endian pair


def _pairs(matrix: Bytes) -> npt.NDArray[np.uint16]:
    pairs: npt.NDArray[np.uint16] = matrix.view("<u2")
    return pairs


@dataclass(frozen=True)
class UsccState:
    """What 18 bytes are as a USCC. clean: everything holds and it is surely no placeholder."""

    characters: Mask
    check: Mask
    structure: Mask
    org_part: Mask
    clean: Mask


@cache
def _uscc_tables() -> tuple[npt.NDArray[np.uint32], ...]:
    tables = []
    weights, org_weights = (*USCC_WEIGHTS, 1), (*ORG_WEIGHTS, 1)
    for pair in range(9):
        entry = np.where((_USCC[_FIRST] == _BAD) | (_USCC[_SECOND] == _BAD), 1 << _CHARACTER, 0)
        for place, byte in ((2 * pair, _FIRST), (2 * pair + 1, _SECOND)):
            value = _USCC[byte]
            entry += np.where(value == _BAD, 0, value * weights[place] % 31)
            if 2 <= place < 8:
                entry += np.where(_DIGIT[byte] == _BAD, 1 << _STRUCTURE, 0)
            if 8 <= place < 16:
                org = _ORG[byte]
                entry += np.where(org == _BAD, 1 << _ORG_FORM, (org * org_weights[place - 8] % 11) << _ORG_SUM)
            if place == 16:
                check = _CHECK[byte]
                entry += np.where(check == _BAD, 1 << _ORG_FORM, check << _ORG_SUM)
        tables.append(entry)
    known = np.zeros(65536, np.bool_)
    for department, categories in USCC_CATEGORIES.items():
        for category in categories:
            known[ord(department) | ord(category) << 8] = True
    tables[0] = tables[0] + np.where(known, 0, 1 << _STRUCTURE)
    return tuple(table.astype(np.uint32) for table in tables)


def uscc_state(matrix: Bytes) -> UsccState:
    """Judge (n, 18) bytes by GB 32100-2015, the inner organisation code by GB 11714-1997."""
    pairs = _pairs(matrix)
    tables = _uscc_tables()
    total = tables[0][pairs[:, 0]]
    for place in range(1, 9):
        total += tables[place][pairs[:, place]]
    characters = (total >> _CHARACTER & 0xF) == 0
    check = ((total & 0x3FF) % 31 == 0) & characters
    structure = (total >> _STRUCTURE & 0xF) == 0
    org_part = ((total >> _ORG_SUM & 0x3FF) % 11 == 0) & (total >> _ORG_FORM == 0) & ~filler(matrix[:, 8:])
    return UsccState(characters, check, structure, org_part, check & structure & org_part & ~filler(matrix))


def filler(matrix: Bytes) -> Mask:
    """Return where the first four bytes look like a placeholder: all alike, 1234 or 0123."""
    a, b, c, d = (matrix[:, place] for place in range(4))
    alike = (a == b) & (b == c) & (c == d)
    counted = ((a == 0x31) & (b == 0x32)) | ((a == 0x30) & (b == 0x31))
    found: Mask = alike | (counted & (c == b + 1) & (d == c + 1))
    return found


@dataclass(frozen=True)
class ResidentState:
    """What 18 bytes are as a resident id: each part for itself. county: the prefix was valid at some time."""

    form: Mask
    check: Mask
    date: Mask
    province: Mask
    county: Mask

    @property
    def usable(self) -> Mask:
        """Return where the id can be used; an unknown county does not stand against it."""
        return self.form & self.check & self.date & self.province


@cache
def _resident_tables() -> tuple[npt.NDArray[np.uint16], ...]:
    tables = []
    for pair in range(9):
        entry = np.zeros(65536, np.int64)
        for place, byte in ((2 * pair, _FIRST), (2 * pair + 1, _SECOND)):
            value = (_CHECK if place == 17 else _DIGIT)[byte]
            weight = (*RESIDENT_WEIGHTS, 1)[place]
            entry += np.where(value == _BAD, 1 << 10, value * weight % 11)
        tables.append(entry.astype(np.uint16))
    return tuple(tables)


@cache
def _two_digits() -> npt.NDArray[np.int32]:
    tens, ones = _DIGIT[_FIRST], _DIGIT[_SECOND]
    table: npt.NDArray[np.int32] = np.where((tens == _BAD) | (ones == _BAD), 0, tens * 10 + ones).astype(np.int32)
    return table


@cache
def _days() -> npt.NDArray[np.bool_]:
    """Return which mmdd exist: row 0 in common years, row 1 in leap years."""
    table = np.zeros((2, 10000), np.bool_)
    for leap, year in ((0, 2001), (1, 2000)):
        for day in range(date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal() + 1):
            known = date.fromordinal(day)
            table[leap, known.month * 100 + known.day] = True
    return table


@cache
def _places() -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which two-digit prefixes are provinces and which six-digit ones were ever valid; 9.... always is."""
    provinces, counties = np.zeros(100, np.bool_), np.zeros(1_000_000, np.bool_)
    provinces[[int(prefix) for prefix in province_prefixes()]] = True
    counties[[int(code) for code in known_codes()]] = True
    provinces[90:] = True
    counties[900_000:] = True
    return provinces, counties


def resident_state(matrix: Bytes, today: date | None = None) -> ResidentState:
    """Judge (n, 18) bytes by GB 11643-1999 (ISO 7064 MOD 11-2), the date of birth and the division prefix."""
    pairs = _pairs(matrix)
    tables, number = _resident_tables(), _two_digits()
    total = tables[0][pairs[:, 0]]
    for place in range(1, 9):
        total += tables[place][pairs[:, place]]
    year = number[pairs[:, 3]] * 100 + number[pairs[:, 4]]
    month_day = number[pairs[:, 5]] * 100 + number[pairs[:, 6]]
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    born = _days().reshape(-1)[leap * 10000 + month_day] & (year >= OLDEST_BIRTH_YEAR)
    if today is not None:
        born &= year * 10000 + month_day <= today.year * 10000 + today.month * 100 + today.day
    provinces, counties = _places()
    province = number[pairs[:, 0]]
    county = province * 10000 + number[pairs[:, 1]] * 100 + number[pairs[:, 2]]
    return ResidentState(total < 1 << 10, total % 11 == 1, born, provinces[province], counties[county])


def upgraded(matrix: Bytes) -> Bytes:
    """Turn (n, 15) digits of old resident ids into (n, 18): 19 before the year, the check character at the end."""
    wide = np.empty((len(matrix), 18), np.uint8)
    wide[:, :6], wide[:, 6], wide[:, 7], wide[:, 8:17] = matrix[:, :6], 0x31, 0x39, matrix[:, 6:]
    remainder = (wide[:, :17].astype(np.int64) - 0x30) @ np.array(RESIDENT_WEIGHTS) % 11
    wide[:, 17] = np.frombuffer(b"10X98765432", np.uint8)[remainder]
    return wide


def all_digits(matrix: Bytes) -> Mask:
    """Return the rows that hold nothing but digits."""
    mask: Mask = np.all((matrix >= 0x30) & (matrix <= 0x39), axis=1)
    return mask


def org_code_holds(matrix: Bytes) -> Mask:
    """Return which (n, 9) bytes are organisation codes (GB 11714-1997); placeholders and the self-use range are not."""
    values = _ORG[matrix[:, :8]]
    check = _CHECK[matrix[:, 8]]
    form = (values != _BAD).all(axis=1) & (check != _BAD)
    self_use = (matrix[:, 0] == ord("P")) & (matrix[:, 1] == ord("D")) & (matrix[:, 2] == ord("Y"))
    holds: Mask = form & ((values @ np.array(ORG_WEIGHTS) + check) % 11 == 0) & ~self_use & ~filler(matrix)
    return holds


def reg_no_holds(matrix: Bytes) -> Mask:
    """Return which (n, 15) bytes are registration numbers (GS 15-2006, ISO 7064 MOD 11,10)."""
    digits = matrix.astype(np.int64) - 0x30
    digits[~all_digits(matrix)] = 0  # not one anyway, and the tables below stay in range
    state: Ints = np.full(len(matrix), 10, np.int64)
    for place in range(14):
        state = (state + digits[:, place]) % 10
        state = np.where(state == 0, 10, state) * 2 % 11
    holds: Mask = all_digits(matrix) & ((state + digits[:, 14]) % 10 == 1) & ~filler(matrix)
    return holds


def loan_card_holds(matrix: Bytes) -> Mask:
    """Return which (n, 16) bytes are 中征码."""
    values = _ORG[matrix[:, :14]]
    form = (values[:, :3] != _BAD).all(axis=1) & all_digits(matrix[:, 3:])
    check = (matrix[:, 14].astype(np.int64) - 0x30) * 10 + matrix[:, 15] - 0x30
    holds: Mask = form & (values @ np.array(LOAN_CARD_WEIGHTS) % 97 + 1 == check) & ~filler(matrix)
    return holds


def province_holds(matrix: Bytes) -> Mask:
    """Return which rows begin with the two digits of a province."""
    provinces, _ = _places()
    tens, ones = _DIGIT[matrix[:, 0]], _DIGIT[matrix[:, 1]]
    known = (tens != _BAD) & (ones != _BAD)
    holds: Mask = known & provinces[np.where(known, tens * 10 + ones, 0)] & (matrix[:, 0] != 0x39)
    return holds
