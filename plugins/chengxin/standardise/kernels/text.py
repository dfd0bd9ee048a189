"""Characters: blanks at the ends, null tokens, damage, private use; free text and names as they are stored."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.model.identifiers import EXCEL_PREFIX, NULL_TOKENS
from chengxin.standardise.kernels.buffers import (
    Bytes,
    Mask,
    Rows,
    as_mask,
    as_strings,
    matches,
    parts,
    replaced,
    rows_at,
    take,
    valid,
    without,
)
from chengxin.standardise.kernels.cleaned import Cleaned, CleanOptions, Findings

BLANKS = " \t\n\v\f\r\x85\xa0\xad\u1680\u180e" + "".join(map(chr, range(0x2000, 0x2010))) + (
    "\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u202f\u205f\u2060\u3000\ufeff"
)  # fmt: skip
LONGEST_TOKEN = 24  # bytes; a full-width <ＮＵＬＬ> with room to spare
_BLOCK = 1 << 16
CONTROL = r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F\x{80}-\x{9F}]"

# GB18030-2005 gave these 25 two-byte codes to private-use code points, GB18030-2022 to the characters themselves, and
# decoders differ by the edition they follow. Folded, the same file publishes the same rows whoever decoded it.
GB18030_PRIVATE = {
    0xE78D: 0xFE10, 0xE78E: 0xFE12, 0xE78F: 0xFE11, 0xE790: 0xFE13, 0xE791: 0xFE14, 0xE792: 0xFE15, 0xE793: 0xFE16,
    0xE794: 0xFE17, 0xE795: 0xFE18, 0xE796: 0xFE19, 0xE7C7: 0x1E3F, 0xE816: 0x20087, 0xE817: 0x20089, 0xE818: 0x200CC,
    0xE81E: 0x9FB4, 0xE826: 0x9FB5, 0xE82B: 0x9FB6, 0xE82C: 0x9FB7, 0xE831: 0x215D7, 0xE832: 0x9FB8, 0xE83B: 0x2298F,
    0xE843: 0x9FB9, 0xE854: 0x9FBA, 0xE855: 0x241FE, 0xE864: 0x9FBB,
}  # fmt: skip
_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010fffd]")


Positions = npt.NDArray[np.intp]


@dataclass
class Prepared:
    """A raw column without blanks at the ends, null tokens and damage; `ascii` = no other byte in it."""

    values: pa.StringArray
    findings: Findings
    ascii: bool


def prepare(raw: pa.Array, *, tokens: bool = True, excel_prefix: bool = False) -> Prepared:
    """Do what every kind of column needs first; U+FFFD makes a value null (text.replacement)."""
    values = as_strings(raw)
    findings = Findings(len(values))
    plain = _is_ascii(values)
    values = _without_damage(_without_controls(values, findings), findings)
    values = trimmed(values)
    if excel_prefix:
        values = _without_prefix(values)
    return Prepared(without_tokens(values) if tokens else values, findings, plain)


def _positions(used: Bytes, test: Callable[[Bytes], Mask]) -> Positions:
    """Return where a test holds. It goes block by block, so that its temporary arrays stay in the cache."""
    found = [np.flatnonzero(test(used[at : at + _BLOCK])) + at for at in range(0, used.size, _BLOCK)]
    return np.concatenate(found) if found else np.zeros(0, np.intp)


def _is_control(block: Bytes) -> Mask:
    found: Mask = (block < 0x20) | (block == 0x7F) | (block == 0xC2)
    return found


def _is_high(block: Bytes) -> Mask:
    high: Mask = block >= 0xEE
    return high


def _without_controls(values: pa.StringArray, findings: Findings) -> pa.StringArray:
    """Remove control characters but for tab and line ends, which belong to free text."""
    offsets, data = parts(values)
    used = data[offsets[0] : offsets[-1]]
    positions = _positions(used, _is_control)
    if positions.size == 0:
        return values
    found = used[positions]
    after = used[np.minimum(positions + 1, used.size - 1)]
    # C2 80..9F are the C1 controls; U+0085 among them is a line end, trimmed like any blank.
    bad = np.where(found == 0xC2, (after < 0xA0) & (after != 0x85), ~np.isin(found, (9, 10, 13)))
    rows = rows_at(offsets, positions[bad] + offsets[0])
    if len(rows) == 0:
        return values
    findings.add("text.control", rows)
    return replaced(values, rows, pc.replace_substring_regex(take(values, rows), CONTROL, ""))


def _without_damage(values: pa.StringArray, findings: Findings) -> pa.StringArray:
    """Make values with U+FFFD null, fold the known private-use characters, and note the others."""
    offsets, data = parts(values)
    start = int(offsets[0])
    used = data[start : offsets[-1]]
    high = _positions(used, _is_high)
    if high.size == 0:
        return values
    first, second = used[high], used[np.minimum(high + 1, used.size - 1)]
    third = used[np.minimum(high + 2, used.size - 1)]
    lost = high[(first == 0xEF) & (second == 0xBF) & (third == 0xBD)]
    if lost.size:
        rows = rows_at(offsets, lost + start)
        findings.add("text.replacement", rows)
        drop = np.zeros(len(values), np.bool_)
        drop[rows] = True
        values = without(values, drop)
    private = high[
        (first == 0xEE) | ((first == 0xEF) & (second < 0xA4)) | (first == 0xF4) | ((first == 0xF3) & (second >= 0xB0))
    ]
    if private.size == 0:
        return values
    rows = rows_at(offsets, private + start)
    texts = [None if text is None else text.translate(GB18030_PRIVATE) for text in take(values, rows).to_pylist()]
    left = np.array([text is not None and _PRIVATE.search(text) is not None for text in texts], np.bool_)
    findings.add("text.private_use", rows[left])
    return replaced(values, rows, pa.array(texts, pa.string()))


# Last bytes of the UTF-8 forms of BLANKS, and their first bytes: only rows with one of them can need trimming.
_FIRST = np.zeros(256, np.bool_)
_FIRST[[character.encode()[0] for character in BLANKS]] = True


def trimmed(values: pa.StringArray) -> pa.StringArray:
    """Remove blanks at the ends, among them U+3000, zero-width marks and byte order marks."""
    offsets, data = parts(values)
    lengths = np.diff(offsets)
    if data.size == 0 or not lengths.any():
        return values
    filled = lengths > 0
    last = np.maximum(offsets[1:] - 1, 0)
    head, tail = data[np.minimum(offsets[:-1], data.size - 1)], data[last]
    suspects = _FIRST[head] | (tail <= 0x20)
    # A multi-byte blank at the end: its lead byte stands two or one before the last one.
    wide = np.flatnonzero(tail >= 0x80)
    if wide.size:
        at = last[wide]
        lead3, lead2 = data[np.maximum(at - 2, 0)], data[np.maximum(at - 1, 0)]
        middle = lead2
        end = data[at]
        blank = (lead2 == 0xC2) & ((end == 0x85) | (end == 0xA0) | (end == 0xAD))
        blank |= (lead3 == 0xE3) & (middle == 0x80) & (end == 0x80)
        blank |= (lead3 == 0xE2) & ((middle == 0x80) | (middle == 0x81))
        blank |= (lead3 == 0xE1) & ((middle == 0x9A) | (middle == 0xA0))
        blank |= (lead3 == 0xEF) & (middle == 0xBB) & (end == 0xBF)
        suspects[wide[blank]] = True
    rows: Rows = np.flatnonzero(suspects & filled)
    if len(rows) == 0:
        return values
    return replaced(values, rows, pc.utf8_trim(take(values, rows), characters=BLANKS))


def _without_prefix(values: pa.StringArray) -> pa.StringArray:
    """Remove the apostrophe by which Excel marks a number as text, in its forms."""
    offsets, data = parts(values)
    if data.size == 0:
        return values
    head = data[np.minimum(offsets[:-1], data.size - 1)]
    # ' and `, then the lead bytes of ‘ ’ ′ (E2) and of the full-width ＇ (EF)
    rows: Rows = np.flatnonzero(
        ((head == 0x27) | (head == 0x60) | (head == 0xE2) | (head == 0xEF)) & (np.diff(offsets) > 0)
    )
    if len(rows) == 0:
        return values
    return replaced(values, rows, pc.utf8_ltrim(take(values, rows), characters=EXCEL_PREFIX + "＇" + BLANKS))


def without_tokens(values: pa.StringArray) -> pa.StringArray:
    """Make words for 'nothing' null: empty, /, 无, -, null, 暂无, （空） and the like."""
    offsets, data = parts(values)
    lengths = np.diff(offsets)
    head = data[np.minimum(offsets[:-1], data.size - 1)] if data.size else np.zeros(len(values), np.uint8)
    # Most short values differ from every token in their first byte already.
    rows: Rows = np.flatnonzero((lengths <= LONGEST_TOKEN) & (_TOKEN_HEADS[head] | (lengths == 0)) & valid(values))
    if len(rows) == 0:
        return values
    short = take(values, rows)
    plain = pc.utf8_upper(short if _is_ascii(short) else pc.utf8_normalize(short, form="NFKC"))
    hit = as_mask(pc.is_in(plain, value_set=_TOKENS))
    drop = np.zeros(len(values), np.bool_)
    drop[rows[hit]] = True
    return without(values, drop)


_TOKENS = pa.array(sorted(NULL_TOKENS), pa.string())
_TOKEN_HEADS = np.zeros(256, np.bool_)
_TOKEN_HEADS[[spelling.encode()[0] for token in NULL_TOKENS - {""} for spelling in (token, token.lower())]] = True
_TOKEN_HEADS[0xC2:] |= np.arange(0xC2, 256) < 0xE4  # look-alike dashes and the like
_TOKEN_HEADS[0xEF] = True  # full-width forms


def _is_ascii(values: pa.StringArray) -> bool:
    offsets, data = parts(values)
    used = data[offsets[0] : offsets[-1]]
    return all(int(used[at : at + _BLOCK].max()) < 0x80 for at in range(0, used.size, _BLOCK))


def folded(values: pa.StringArray) -> pa.StringArray:
    """Return values in NFKC without inner blanks, upper case: the form in which codes and keys are compared."""
    plain = values if _is_ascii(values) else pc.utf8_normalize(values, form="NFKC")
    return pc.utf8_upper(pc.replace_substring_regex(plain, r"[\s\x{200B}-\x{200F}\x{2060}\x{FEFF}]+", ""))


def fold(text: str) -> str:
    """Do to one text what `folded` does to a column."""
    return re.sub("[\\s\u200b-\u200f\u2060\ufeff]+", "", unicodedata.normalize("NFKC", text)).upper()


def clean_text(raw: pa.Array, options: CleanOptions) -> Cleaned:
    """Clean free text: it is stored as sent but for blanks at the ends, control characters and damage."""
    prepared = prepare(raw)
    return Cleaned(prepared.values, prepared.findings.issues())


def clean_name(raw: pa.Array, options: CleanOptions) -> Cleaned:
    """Clean a name of an organisation or a person; a document number in its place is an error (name.is_identifier)."""
    prepared = prepare(raw)
    values, findings = prepared.values, prepared.findings
    offsets, data = parts(values)
    if data.size:
        head = data[np.minimum(offsets[:-1], data.size - 1)]
        # Digits, full-width digits (EF BC 90..), or an asterisk anywhere: everything else cannot be either.
        rows: Rows = np.flatnonzero((((head >= 0x30) & (head <= 0x39)) | (head == 0xEF)) & (np.diff(offsets) >= 15))
        part = folded(take(values, rows))
        is_number = np.zeros(len(values), np.bool_)
        is_number[rows] = matches(part, r"^[0-9]{8}[0-9A-Z*]{6,11}$")
        is_number &= valid(values)
        findings.add("name.is_identifier", is_number)
        values = without(values, is_number)
        findings.add("name.masked", masked_names(values))
    return Cleaned(values, findings.issues())


def masked_names(values: pa.StringArray) -> Mask:
    """Return where a name is partly hidden by asterisks, half or full width; such a name is no key."""
    offsets, data = parts(values)
    used = data[offsets[0] : offsets[-1]]
    found = _positions(used, _may_be_asterisk)
    wide = used[found] == 0x8A
    sure = ~wide | ((found > 1) & (used[found - 1] == 0xBC) & (used[found - 2] == 0xEF))
    mask = np.zeros(len(values), np.bool_)
    mask[rows_at(offsets, found[sure] + offsets[0])] = True
    return mask & valid(values)


def _may_be_asterisk(block: Bytes) -> Mask:
    found: Mask = (block == 0x2A) | (block == 0x8A)  # U+FF0A is EF BC 8A
    return found
