"""Characters: blanks at the ends, null tokens, damage, private use; free text as it is stored."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.cleaning.kernels.markup import coded
from chengxin.cleaning.kernels.placeholders import lost_values
from chengxin.cleaning.kernels.result import Cleaned, Findings
from chengxin.cleaning.kernels.survey import BLOCK, Survey, survey
from chengxin.model.identifiers import EXCEL_PREFIX, NULL_TOKENS, narrow
from chengxin.parsing.buffers import (
    Bytes,
    Rows,
    as_mask,
    as_strings,
    heads,
    matches,
    parts,
    replaced,
    rows_at,
    tails,
    take,
    valid,
    without,
)
from chengxin.parsing.half_width import narrowed

BLANKS = " \t\n\v\f\r\x85\xa0\xad\u1680\u180e" + "".join(map(chr, range(0x2000, 0x2010))) + (
    "\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u202f\u205f\u2060\u3000\ufeff"
)  # fmt: skip
LONGEST_TOKEN = 24  # bytes; a full-width <ＮＵＬＬ> with room to spare
CONTROL = r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F\x{80}-\x{9F}]"
# An apostrophe before what a spreadsheet takes for a formula or would spoil as a number, or before nothing.
GUARDED = r"^'([\s\x{FEFF}]*[=+\-@＝＋－＠]|[\t\r\n]|(0\d+|[+-]?\d{12,}|\d+[eE]\d+)?$)"

# The same, or the mark of a spreadsheet for "this is text" before a name; a second quote makes it part of the name.
GUARDED_NAME = GUARDED + r"|^['‘＇][^'‘’＇]+$"

# GB18030-2005 gave these 25 two-byte codes to private-use code points, GB18030-2022 to the characters themselves, and
# decoders differ by the edition they follow. Folded, the same file publishes the same rows whoever decoded it.
GB18030_PRIVATE = {
    0xE78D: 0xFE10, 0xE78E: 0xFE12, 0xE78F: 0xFE11, 0xE790: 0xFE13, 0xE791: 0xFE14, 0xE792: 0xFE15, 0xE793: 0xFE16,
    0xE794: 0xFE17, 0xE795: 0xFE18, 0xE796: 0xFE19, 0xE7C7: 0x1E3F, 0xE816: 0x20087, 0xE817: 0x20089, 0xE818: 0x200CC,
    0xE81E: 0x9FB4, 0xE826: 0x9FB5, 0xE82B: 0x9FB6, 0xE82C: 0x9FB7, 0xE831: 0x215D7, 0xE832: 0x9FB8, 0xE83B: 0x2298F,
    0xE843: 0x9FB9, 0xE854: 0x9FBA, 0xE855: 0x241FE, 0xE864: 0x9FBB,
}  # fmt: skip
_GROUPED = re.compile(r"(?<![0-9.,])[0-9]{1,3}(?: [0-9]{3})+(?![0-9])")
_INCHES = r"((?:^|[^0-9A-Za-z.])[0-9]{1,3}(?:\.[0-9]+)?)\""
_PARTED = re.compile(r"[0-9.,]\s+[0-9.,]")
_HIDDEN = r"\p{Han}\?+\p{Han}|\?{2,}[\p{Han}，。、；]"
_QUESTION = r"[吗呢么谁哪何几否怎]|为什|多少|是不是|能不能"
_POINTS = r".(?:\.{3,}|…)$"
_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010fffd]")


@dataclass
class Prepared:
    """A raw column without blanks at the ends, null tokens and damage; `ascii` = no other byte in it."""

    values: pa.StringArray
    findings: Findings
    ascii: bool


def prepare(raw: pa.Array, *, tokens: bool = True, excel_prefix: bool = False, is_name: bool = False) -> Prepared:
    """Do what every kind of column needs first; U+FFFD makes a value null (text.replacement)."""
    values = as_strings(raw)
    findings = Findings(len(values))
    seen = survey(values)
    plain = seen.is_ascii
    clean = _without_controls(values, seen, findings)
    if clean is not values:
        values, seen = clean, survey(clean)
    clean = _without_damage(values, seen, findings)
    if clean is not values:
        values, seen = clean, survey(clean)
    values = trimmed(values, seen)
    first = heads(values)
    clean = _without_formula(values, first)
    if clean is not values:
        values, first = clean, heads(clean)
    clean = _without_guard(values, first, is_name=is_name)
    if clean is not values:
        values, first = clean, heads(clean)
    if excel_prefix:
        clean = _without_prefix(values, first)
        if clean is not values:
            values, first = clean, heads(clean)
    return Prepared(_without_tokens(values, first) if tokens else values, findings, plain)


def _without_controls(values: pa.StringArray, seen: Survey, findings: Findings) -> pa.StringArray:
    """Remove control characters but for tab and line ends, which belong to free text."""
    positions = seen.controls
    if positions.size == 0:
        return values
    offsets, data = parts(values)
    found = data[positions]
    after = data[np.minimum(positions + 1, data.size - 1)]
    # C2 80..9F are the C1 controls; U+0085 among them is a line end, trimmed like any blank.
    bad = np.where(found == 0xC2, (after < 0xA0) & (after != 0x85), ~np.isin(found, (9, 10, 13)))
    rows = rows_at(offsets, positions[bad])
    if len(rows) == 0:
        return values
    findings.add("text.control", rows)
    return replaced(values, rows, pc.replace_substring_regex(take(values, rows), CONTROL, ""))


def _without_damage(values: pa.StringArray, seen: Survey, findings: Findings) -> pa.StringArray:
    """Make values with U+FFFD null, fold the known private-use characters, and note the others."""
    high = seen.high
    if high.size == 0:
        return values
    offsets, data = parts(values)
    first, second, third = data[high], data[high + 1], data[high + 2]
    lost = high[(first == 0xEF) & (second == 0xBF) & (third >= 0xBD)]  # U+FFFD, and U+FFFE and U+FFFF, which are none
    if lost.size:
        rows = rows_at(offsets, lost)
        findings.add("text.replacement", rows)
        drop = np.zeros(len(values), np.bool_)
        drop[rows] = True
        values = without(values, drop)
    private = high[
        (first == 0xEE) | ((first == 0xEF) & (second < 0xA4)) | (first == 0xF4) | ((first == 0xF3) & (second >= 0xB0))
    ]
    if private.size == 0:
        return values
    rows = rows_at(offsets, private)
    sent = take(values, rows).to_pylist()
    garbled = np.array([text is not None and _is_misread(text) for text in sent], np.bool_)
    findings.add("text.replacement", rows[garbled])
    texts = [
        None if text is None or lost else text.translate(GB18030_PRIVATE)
        for text, lost in zip(sent, garbled.tolist(), strict=True)
    ]
    left = np.array([text is not None and _PRIVATE.search(text) is not None for text in texts], np.bool_)
    findings.add("text.private_use", rows[left])
    return replaced(values, rows, pa.array(texts, pa.string()))


def _is_misread(text: str) -> bool:
    """Return whether a text is UTF-8 that was read as GB18030: its bytes there are Chinese text in UTF-8."""
    try:
        meant = text.encode("gb18030").decode()
    except UnicodeError:
        return False
    return sum("\u4e00" <= char <= "\u9fff" for char in meant) > 2


def trimmed(values: pa.StringArray, seen: Survey | None = None) -> pa.StringArray:
    """Remove blanks at the ends, among them U+3000, zero-width marks and byte order marks. seen: of these values."""
    seen = seen or survey(values)
    if seen.lowest > 0x20 and seen.blanks.size == 0:
        return values
    offsets, _ = parts(values)
    suspects = np.zeros(len(values), np.bool_)
    if seen.lowest <= 0x20:
        suspects = (heads(values) <= 0x20) | (tails(values) <= 0x20)
    suspects[rows_at(offsets, seen.blanks)] = True
    rows: Rows = np.flatnonzero(suspects & (np.diff(offsets) > 0))
    if len(rows) == 0:
        return values
    return replaced(values, rows, pc.utf8_trim(take(values, rows), characters=BLANKS))


def _without_formula(values: pa.StringArray, first: Bytes) -> pa.StringArray:
    """Take the text out of ="0012", which keeps a spreadsheet from reading it as a number."""
    rows: Rows = np.flatnonzero(first == 0x3D)
    rows = rows[matches(take(values, rows), r'^="[^"]*"$')] if len(rows) else rows
    if len(rows) == 0:
        return values
    return replaced(values, rows, pc.utf8_trim(pc.utf8_slice_codeunits(take(values, rows), 2, -1), characters=BLANKS))


def _without_guard(values: pa.StringArray, first: Bytes, *, is_name: bool) -> pa.StringArray:
    """Remove the apostrophe that keeps a spreadsheet from running or spoiling a value (our answers add it)."""
    marked = first == 0x27
    if is_name:
        marked |= (first == 0xE2) | (first == 0xEF)  # the lead bytes of ‘ and ＇
    rows: Rows = np.flatnonzero(marked & (np.diff(parts(values)[0]) > 0))
    rows = rows[matches(take(values, rows), GUARDED_NAME if is_name else GUARDED)] if len(rows) else rows
    if len(rows) == 0:
        return values
    return replaced(values, rows, pc.utf8_ltrim(pc.utf8_slice_codeunits(take(values, rows), 1), characters=BLANKS))


def _without_prefix(values: pa.StringArray, first: Bytes) -> pa.StringArray:
    """Remove the apostrophe by which Excel marks a number as text, in its forms."""
    # ' and `, then the lead bytes of ‘ ’ ′ (E2) and of the full-width ＇ (EF)
    marked = (first == 0x27) | (first == 0x60) | (first == 0xE2) | (first == 0xEF)
    if not marked.any():
        return values
    rows: Rows = np.flatnonzero(marked & (np.diff(parts(values)[0]) > 0))
    if len(rows) == 0:
        return values
    return replaced(values, rows, pc.utf8_ltrim(take(values, rows), characters=EXCEL_PREFIX + "＇" + BLANKS))


def without_tokens(values: pa.StringArray) -> pa.StringArray:
    """Make words for 'nothing' null: empty, /, 无, -, null, 暂无, （空） and the like."""
    return _without_tokens(values, heads(values))


def _without_tokens(values: pa.StringArray, first: Bytes) -> pa.StringArray:
    offsets, data = parts(values)
    lengths = np.diff(offsets)
    # Nearly all values differ from every token in their first byte already, the Chinese ones in their second.
    rows: Rows = np.flatnonzero(((lengths <= LONGEST_TOKEN) & _TOKEN_HEADS.take(first)) | (lengths == 0))
    second = data.take(offsets[rows] + 1, mode="clip") if data.size else np.zeros(len(rows), np.uint8)
    rows = rows[_TOKEN_SECONDS[first[rows], second] | (lengths[rows] == 0)]
    if len(rows) == 0:
        return values
    short = take(values, rows)
    plain = pc.utf8_upper(short if _is_ascii(short) else pc.utf8_normalize(short, form="NFKC"))
    hit = as_mask(pc.is_in(plain, value_set=_TOKENS)) & valid(short)
    drop = np.zeros(len(values), np.bool_)
    drop[rows[hit]] = True
    return without(values, drop)


def _token_seconds() -> npt.NDArray[np.bool_]:
    """Return which (first, second) bytes a token may have; of Chinese characters, which NFKC keeps, both count.

    Look-alike dashes and the like (C2 to E3) and full-width forms (EF) may become a token by NFKC.
    """
    table = np.zeros((256, 256), np.bool_)
    for spelling in (form.encode() for token in NULL_TOKENS - {""} for form in (token, token.lower())):
        table[spelling[0], spelling[1] if spelling[0] >= 0xE4 else slice(None)] = True
    table[0xC2:0xE4] = table[0xEF] = True
    table[0xEF, 0xBF] = False  # ￥ and the half-width signs beside it
    return table


_TOKENS = pa.array(sorted(NULL_TOKENS), pa.string())
_TOKEN_SECONDS = _token_seconds()
_TOKEN_HEADS = _TOKEN_SECONDS.any(axis=1)


def _is_ascii(values: pa.StringArray) -> bool:
    offsets, data = parts(values)
    used = data[offsets[0] : offsets[-1]]
    return used.size == 0 or int(used.max()) < 0x80


def folded(values: pa.StringArray) -> pa.StringArray:
    """Return values in NFKC without inner blanks, upper case: the form in which codes and keys are compared."""
    plain = values if _is_ascii(values) else narrowed(values)
    return pc.utf8_upper(pc.replace_substring_regex(plain, r"[\s\x{200B}-\x{200F}\x{2060}\x{FEFF}]+", ""))


def fold(text: str) -> str:
    """Do to one text what `folded` does to a column."""
    return re.sub("[\\s\u200b-\u200f\u2060\ufeff]+", "", narrow(text)).upper()


def as_one_number(text: str) -> str | None:
    """Return a number in NFKC, upper case, without blanks (5 000 000 元); None where they part two (5000 6000)."""
    text = _GROUPED.sub(lambda match: match[0].replace(" ", ""), narrow(text))
    return None if _PARTED.search(text) else re.sub(r"\s+", "", text).upper()


def clean_text(raw: pa.Array) -> Cleaned:
    """Clean free text: it is stored as sent but for blanks at the ends, control characters and damage."""
    prepared = prepare(raw)
    values = without_lost(prepared.values, prepared.findings, of="text")
    quoted, escaped, angled, asked = _rows_with(values, 0x22, 0x26, 0x3C, 0x3F)
    prepared.findings.add("text.question_mark", _questioned(values, asked))
    prepared.findings.add("text.half_quoted", _half_quoted(values, quoted))
    prepared.findings.add("text.coded", coded(values, angled, escaped))
    prepared.findings.add("text.cut", _ending_in_points(values))
    return Cleaned(values, prepared.findings.issues())


def _ending_in_points(values: pa.StringArray) -> Rows:
    """Return the rows whose text ends with three points or more: whoever exported it left out the rest."""
    last = tails(values)
    rows: Rows = np.flatnonzero(((last == 0x2E) | (last == 0xA6)) & valid(values))
    return rows[matches(take(values, rows), _POINTS)] if len(rows) else rows


def _rows_with(values: pa.StringArray, *signs: int) -> list[Rows]:
    """Return for each of some ASCII signs the rows in which it stands."""
    offsets, data = parts(values)
    start, end = int(offsets[0]), int(offsets[-1])
    found = [np.zeros(0, np.int64)]
    for at in range(start, end, BLOCK):
        block = data[at : min(at + BLOCK, end)]
        found.append(np.flatnonzero(np.logical_or.reduce([block == sign for sign in signs])) + at)
    places = np.concatenate(found)
    of = data[places]
    rows = [rows_at(offsets, places[of == sign]) for sign in signs]
    given = valid(values)
    return [each[given[each]] for each in rows]


def _questioned(values: pa.StringArray, rows: Rows) -> Rows:
    """Return of the rows with a ? those in which it stands between Chinese characters, and which ask nothing."""
    if not len(rows):
        return rows
    asked = take(values, rows)
    return rows[matches(asked, _HIDDEN) & ~matches(asked, _QUESTION)]


def _half_quoted(values: pa.StringArray, rows: Rows) -> Rows:
    """Return of the rows with quotes those with an odd number, inches not counted, or with doubled ones."""
    if not len(rows):
        return rows
    left = pc.replace_substring_regex(take(values, rows), _INCHES, r"\1")
    odd: Rows = rows[(np.asarray(pc.count_substring(left, '"')) % 2 == 1) | as_mask(pc.match_substring(left, '""'))]
    return odd


def without_lost(
    values: pa.StringArray, findings: Findings, *, of: Literal["text", "name", "document_no"]
) -> pa.StringArray:
    """Make words null that stand in a value's place (#REF!, [object Object], true, 同上), with an issue."""
    lost = lost_values(values, booleans=of != "text", ditto=of != "name", elsewhere=of == "document_no")
    if not lost.any():
        return values
    findings.add("value.lost", lost)
    return without(values, lost)
