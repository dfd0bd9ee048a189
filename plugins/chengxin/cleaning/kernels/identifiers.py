"""Identifier columns. Sound values are settled by check digits alone; the rest is mended, then judged again.

What the fast judgement cannot settle goes, each distinct value once, through the scalar reader of model.identifiers:
the rule book is written there and nowhere twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.cleaning.kernels import check_digits as digits
from chengxin.cleaning.kernels.result import Cleaned, CleanOptions, Findings, read_distinct
from chengxin.cleaning.kernels.text import prepare, without_tokens
from chengxin.model.identifiers import EXCEL_PREFIX, MASKED, READERS, Reading, kind_among
from chengxin.parsing.buffers import (
    Mask,
    Rows,
    fixed_width,
    from_fixed_width,
    matches,
    parts,
    replaced,
    take,
    valid,
    without,
)
from chengxin.parsing.half_width import narrowed

# The twin of model.identifiers.DROPPED: RE2 writes code points its own way and counts fewer of them as blank.
_DROPPED = (
    r"[\s\x0B\x1C-\x1F\x{85}\x{A0}\x{AD}\x{1680}\x{180E}\x{2000}-\x{2015}"
    r"\x{2028}-\x{202F}\x{205F}\x{2060}\x{2212}\x{3000}\x{FEFF}-]+"
)


@dataclass
class Judgement:
    """Rows settled (value stands, nothing to say), rules broken per row, and values that replace the given ones."""

    settled: Mask
    rules: list[tuple[str, Rows]]
    new_rows: Rows
    new: pa.StringArray | None = None


def _of_width(values: pa.StringArray, width: int) -> Rows:
    offsets, _ = parts(values)
    rows: Rows = np.flatnonzero((np.diff(offsets) == width) & valid(values))
    return rows


def _mark(count: int, rows: Rows) -> Mask:
    mask = np.zeros(count, np.bool_)
    mask[rows] = True
    return mask


_NONE: Rows = np.zeros(0, np.int64)


def _sound_uscc(values: pa.StringArray) -> Mask:
    rows = _of_width(values, 18)
    return _mark(len(values), rows[digits.uscc_state(fixed_width(values, rows, 18)).clean])


def _sound_person_doc(values: pa.StringArray, today: date | None) -> Mask:
    rows = _of_width(values, 18)
    state = digits.resident_state(fixed_width(values, rows, 18), today)
    return _mark(len(values), rows[state.usable & state.county])


def _sound_org_code(values: pa.StringArray) -> Mask:
    rows = _of_width(values, 9)
    return _mark(len(values), rows[digits.org_code_holds(fixed_width(values, rows, 9))])


def _sound_reg_no(values: pa.StringArray) -> Mask:
    rows = _of_width(values, 15)
    return _mark(len(values), rows[digits.reg_no_holds(fixed_width(values, rows, 15))])


def _sound_tax_no(values: pa.StringArray) -> Mask:
    sound = _sound_uscc(values)
    rows = _of_width(values, 15)
    matrix = fixed_width(values, rows, 15)
    holds = digits.org_code_holds(np.ascontiguousarray(matrix[:, 6:])) & digits.province_holds(matrix)
    # Counted-up and repeated numbers are placeholders as a whole, whatever their last nine are.
    holds &= ~digits.filler(matrix) & (matrix[:, 0] != ord("L"))
    sound[rows[holds & digits.all_digits(matrix[:, :6])]] = True
    return sound


def _sound_loan_card_no(values: pa.StringArray) -> Mask:
    rows = _of_width(values, 16)
    return _mark(len(values), rows[digits.loan_card_holds(fixed_width(values, rows, 16))])


_SOUND: dict[str, Callable[[pa.StringArray], Mask]] = {
    "uscc": _sound_uscc,
    "org_code": _sound_org_code,
    "reg_no": _sound_reg_no,
    "tax_no": _sound_tax_no,
    "loan_card_no": _sound_loan_card_no,
}


def _sound(values: pa.StringArray, kind: str, today: date | None) -> Mask:
    """Mark the values that need no second look: length, check digits, all else."""
    return _sound_person_doc(values, today) if kind == "person_doc" else _SOUND[kind](values)


def _judge(values: pa.StringArray, kind: str, today: date | None) -> Judgement:
    """Judge values that have been brought to one form."""
    if kind == "uscc":
        return _judge_uscc(values, today)
    if kind == "person_doc":
        return _judge_person_doc(values, today)
    return Judgement(_sound(values, kind, today), [], _NONE)


def _judge_uscc(values: pa.StringArray, today: date | None) -> Judgement:
    rows = _of_width(values, 18)
    matrix = fixed_width(values, rows, 18)
    state = digits.uscc_state(matrix)
    open_ = np.flatnonzero(state.characters & ~state.clean)
    person = digits.resident_state(matrix[open_], today).usable
    wrong = ~person & ~state.check[open_]
    # Placeholders never come here with these bytes intact, so what is left with a right check only has warnings.
    rules = [
        ("uscc.is_person_document", rows[open_[person]]),
        ("uscc.check", rows[open_[wrong]]),
    ]
    return Judgement(_mark(len(values), rows[state.clean]), rules, _NONE)


def _judge_person_doc(values: pa.StringArray, today: date | None) -> Judgement:
    rows = _of_width(values, 18)
    matrix = fixed_width(values, rows, 18)
    state = digits.resident_state(matrix, today)
    wrong = np.flatnonzero(state.form & ~state.usable)
    company = digits.uscc_state(matrix[wrong])
    wrong = wrong[~(company.check & company.structure)]
    check, born = state.check[wrong], state.date[wrong]
    rules = [
        ("person_doc.check", rows[wrong[~check]]),
        ("person_doc.date", rows[wrong[check & ~born]]),
        ("person_doc.region", rows[wrong[check & born]]),
    ]
    judgement = Judgement(_mark(len(values), rows[state.usable & state.county]), rules, _NONE)
    _upgrade(values, today, judgement)
    return judgement


def _upgrade(values: pa.StringArray, today: date | None, judgement: Judgement) -> None:
    """Turn usable 15-digit ids with a known county into 18; the others are left to the scalar reader."""
    rows = _of_width(values, 15)
    matrix = fixed_width(values, rows, 15)
    numeric = digits.all_digits(matrix)
    rows, wide = rows[numeric], digits.upgraded(matrix[numeric])
    state = digits.resident_state(wide, today)
    good = state.usable & state.county
    judgement.rules.append(("person_doc.upgraded", rows[good]))
    judgement.new_rows, judgement.new = rows[good], from_fixed_width(wide[good])


def clean_identifier(raw: pa.Array, kind: str, options: CleanOptions) -> Cleaned:
    """Clean a column of identifiers of one kind (an ElementType with a reader in model.identifiers)."""
    prepared = prepare(raw, excel_prefix=True)
    values, findings = prepared.values, prepared.findings
    rows: Rows = np.flatnonzero(valid(values) & ~_sound(values, kind, options.today))
    if len(rows):
        part, found = _clean_rest(_hygiene(take(values, rows)), kind, options.today)
        values = replaced(values, rows, part)
        findings.add_from(found, rows)
    return Cleaned(values, findings.issues())


def checked(raw: pa.Array, kind: str) -> Mask:
    """Return the rows whose value is sound as it was sent: length, check digits, all else (ids: 18 characters)."""
    return _sound(prepare(raw, excel_prefix=True).values, kind, None)


def separate(raw: pa.Array, kinds: Sequence[str], today: date | None) -> list[Mask]:
    """Return for each of several kinds of identifier the rows that hold one of it; empty rows are the first's.

    raw: a column in which each value is of one of the kinds (model.identifiers.SEPARABLE). Every row is in one mask.
    """
    values = prepare(raw, excel_prefix=True).values
    owner = np.where(valid(values), -1, 0)
    for n, kind in enumerate(kinds):
        if kind != "reg_no" or "person_doc" not in kinds:  # 15 digits may be a resident id as well
            owner[_sound(values, kind, today) & (owner < 0)] = n
    open_: Rows = np.flatnonzero(owner < 0)
    if len(open_):
        readings, codes, _ = read_distinct(take(values, open_), lambda text: kind_among(text, kinds, today))
        owner[open_] = np.array([kinds.index(kind) for kind in readings], np.int64)[codes]
    return [owner == n for n in range(len(kinds))]


def _hygiene(values: pa.StringArray) -> pa.StringArray:
    plain = pc.replace_substring_regex(narrowed(values), _DROPPED, "")
    return without_tokens(pc.utf8_upper(pc.utf8_trim(plain, characters=EXCEL_PREFIX)))


def _clean_rest(values: pa.StringArray, kind: str, today: date | None) -> tuple[pa.StringArray, Findings]:
    """Judge values that were not sound as sent; they have been brought to one form."""
    findings = Findings(len(values))
    judgement = _judge(values, kind, today)
    masked = matches(values, MASKED.pattern) & ~judgement.settled
    findings.add("identifier.masked", masked)
    done = judgement.settled | masked | ~valid(values)
    # Repeated and counted-up values may carry a right check and still be placeholders: the reader decides.
    doubtful = matches(values, _DOUBTFUL) & ~judgement.settled
    for rule, rows in judgement.rules:
        kept = rows[~doubtful[rows]]
        findings.add(rule, kept)
        done[kept] = True
    values = without(values, findings.errors() | masked)
    if judgement.new is not None:
        certain = ~doubtful[judgement.new_rows]
        new = judgement.new.filter(pa.array(certain))
        values = replaced(values, judgement.new_rows[certain], new)
    open_: Rows = np.flatnonzero(~done)
    if len(open_):
        part, found = _by_reader(take(values, open_), kind, today)
        values = replaced(values, open_, part)
        findings.add_from(found, open_)
    return values, findings


_DOUBTFUL = "^(?:" + "|".join(c + c + c + c for c in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") + "|1234|0123)|XXX"


def _by_reader(values: pa.StringArray, kind: str, today: date | None) -> tuple[pa.StringArray, Findings]:
    """Read each distinct value once with the scalar reader."""
    readings, codes, indices = read_distinct(values, lambda text: _read(text, kind, today))
    findings = Findings(len(values))
    findings.add_distinct([reading.rules for reading in readings], codes)
    return pa.array([reading.value for reading in readings], pa.string()).take(indices), findings


@lru_cache(maxsize=50_000)
def _read(text: str, kind: str, today: date | None) -> Reading:
    return READERS[kind](text, today)
