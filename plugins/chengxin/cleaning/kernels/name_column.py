"""A column of names as it is stored: on one line, without what nobody sees; what is no name becomes null."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.cleaning.kernels.names import (
    INVISIBLE,
    NUMBER_WITHIN,
    and_others,
    doubtful_names,
    marked_names,
    numbered_names,
    several_names,
    with_long_numbers,
)
from chengxin.cleaning.kernels.result import Cleaned, Findings
from chengxin.cleaning.kernels.survey import BLOCK
from chengxin.cleaning.kernels.text import folded, prepare, without_lost
from chengxin.model.vocabularies import Placeholders, vocabulary
from chengxin.parsing.buffers import Mask, Rows, as_mask, heads, matches, parts, replaced, rows_at, take, valid, without

_WORDS = vocabulary(Placeholders)
_UNKNOWN = pa.array(_WORDS.unknown)
# What answers a question, or names an office only to those within it
_NO_NAMES = pa.array(
    ["是", "否", *_WORDS.answers, *(of + office for of in _WORDS.own for office in _WORDS.offices), *_WORDS.levels]
)


def clean_name(raw: pa.Array) -> Cleaned:
    """Clean a name of an organisation or a person; what is no name, or has lost characters, becomes null."""
    prepared = prepare(raw, is_name=True)
    findings = prepared.findings
    values = without_lost(prepared.values, findings, of="name")
    values = _on_one_line(without_unknown(values), findings)
    marked = marked_names(values)
    values = _visible(values, marked, findings)
    offsets, data = parts(values)
    if data.size:
        head = heads(values)
        # Digits, full-width digits (EF BC 90..), or an asterisk anywhere: everything else cannot be either.
        rows: Rows = np.flatnonzero((((head >= 0x30) & (head <= 0x39)) | (head == 0xEF)) & (np.diff(offsets) >= 7))
        part = folded(take(values, rows))
        is_number = np.zeros(len(values), np.bool_)
        is_number[rows] = matches(part, r"^[0-9]{8}[0-9A-Z*]{6,11}$|^[0-9]{6,}[A-Z*][0-9A-Z*]*$")
        is_number &= valid(values)
        rows = with_long_numbers(values)
        is_number[rows] |= matches(take(values, rows), NUMBER_WITHIN) if len(rows) else False
        findings.add("name.is_identifier", is_number)
        values = without(values, is_number)
        for rule, rows_with in (*doubtful_names(values, marked).items(), ("name.no_letter", no_names(values))):
            findings.add(rule, rows_with)
            values = without(values, rows_with)
        findings.add("name.several", np.union1d(several_names(values, marked), and_others(values)))
        findings.add("name.numbered", numbered_names(values))
        findings.add("name.masked", masked_names(values))
    return Cleaned(values, findings.issues())


def without_unknown(values: pa.StringArray) -> pa.StringArray:
    """Make null what stands for no name or number, 未知, 待定: in other columns a word of its own."""
    return without(values, among(values, _UNKNOWN))


def no_names(values: pa.StringArray) -> Mask:
    """Mark what answers a question, 否, or names nobody, 本局, where a name belongs."""
    return among(values, _NO_NAMES)


def among(values: pa.StringArray, words: pa.StringArray) -> Mask:
    """Mark the values that are one of a few short words."""
    lengths = [len(word.encode()) for word in words.to_pylist()]
    of_a_word = np.zeros(max(lengths) + 2, np.bool_)
    of_a_word[lengths] = True
    found = np.zeros(len(values), np.bool_)
    sizes = np.minimum(np.diff(parts(values)[0]), len(of_a_word) - 1)
    rows: Rows = np.flatnonzero(of_a_word[sizes] & valid(values))
    found[rows] = as_mask(pc.is_in(take(values, rows), value_set=words)) if len(rows) else False
    return found


def _on_one_line(values: pa.StringArray, findings: Findings) -> pa.StringArray:
    """Remove line breaks and tabs from names: wrapped cells (_x000D_ in a workbook), never part of a name."""
    offsets, data = parts(values)
    start, end = int(offsets[0]), int(offsets[-1])
    blocks = (data[at : min(at + BLOCK, end)] for at in range(start, end, BLOCK))
    found = [
        np.flatnonzero((block - np.uint8(9) < 2) | (block == 13)) + start + n * BLOCK for n, block in enumerate(blocks)
    ]
    rows = rows_at(offsets, np.concatenate(found)) if found else np.zeros(0, np.int64)
    rows = rows[valid(values)[rows]]
    if len(rows) == 0:
        return values
    findings.add("text.control", rows)
    parted = pc.replace_substring_regex(take(values, rows), r"([A-Za-z0-9,.])\s*[\t\r\n]\s*([A-Za-z0-9])", r"\1 \2")
    return replaced(values, rows, pc.replace_substring_regex(parted, r"\s*[\t\r\n]\s*", ""))


def _visible(values: pa.StringArray, marked: Rows, findings: Findings) -> pa.StringArray:
    """Remove what nobody sees inside a name: zero-width blanks, soft hyphens, marks of direction, byte order marks."""
    rows = marked[matches(take(values, marked), INVISIBLE)] if len(marked) else marked
    if len(rows) == 0:
        return values
    findings.add("text.control", rows)
    return replaced(values, rows, pc.replace_substring_regex(take(values, rows), INVISIBLE, ""))


def masked_names(values: pa.StringArray) -> Mask:
    """Return where a name is partly hidden by asterisks, half or full width; such a name is no key."""
    offsets, data = parts(values)
    start, end = int(offsets[0]), int(offsets[-1])
    found = [np.zeros(0, np.int64)]
    for at in range(start, end, BLOCK):
        block = data[at : min(at + BLOCK, end)]
        found.append(np.flatnonzero(block == 0x2A) + at)
        second, third = data[at + 1 : min(at + 1 + BLOCK, end - 1)], data[at + 2 : min(at + 2 + BLOCK, end)]
        count = min(len(second), len(third))
        full = (block[:count] == 0xEF) & (second[:count] == 0xBC) & (third[:count] == 0x8A)  # U+FF0A
        found.append(np.flatnonzero(full) + at)
    mask = np.zeros(len(values), np.bool_)
    mask[rows_at(offsets, np.concatenate(found))] = True
    return mask & valid(values)
