"""Document numbers. Brackets, the one thing that differs in most of them, are exchanged in the bytes of the column."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.cleaning.kernels.name_column import without_unknown
from chengxin.cleaning.kernels.names import LOST, MARKUP
from chengxin.cleaning.kernels.result import Cleaned, CleanOptions, Findings
from chengxin.cleaning.kernels.survey import BLOCK, Positions
from chengxin.cleaning.kernels.text import prepare, without_lost
from chengxin.parsing.buffers import (
    Bytes,
    Mask,
    Offsets,
    Rows,
    matches,
    parts,
    replaced,
    rows_at,
    strings,
    take,
    valid,
    without,
)
from chengxin.parsing.half_width import narrowed

_OPENING, _CLOSING = np.frombuffer("〔".encode(), np.uint8), np.frombuffer("〕".encode(), np.uint8)
_WIDE = {"〔": False, "【": False, "（": False, "［": False, "｛": False}
_WIDE |= {"〕": True, "】": True, "）": True, "］": True, "｝": True}
_SIGNS = b'"?&<+.\xc2\xc3\xe2'  # signs, and the first bytes of Western letters, of □ ■ and …
_PAIRS = (b"\xbc\x9f", b"\x80\x82")  # the last bytes of ？ and 。
_SPOILED = (
    ("identifier.scientific", r"^[0-9](?:\.[0-9]+)?[Ee]\+[0-9]+$"),
    ("name.markup", MARKUP + '|"|^[^À-ÿ]*[¹²³⁰-⁹]'),
    ("text.replacement", LOST),
)
# what a spreadsheet makes of 1-14, and a template or a program of a number that is missing
_NO_NUMBER = (
    (
        "value.date",
        r"(?i)^(?:(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)-[0-9]{1,2}"
        r"|[0-9]{1,2}-(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)|(?:[0-9]{4}年)?[0-9]{1,2}月[0-9]{1,2}日)$",
    ),
    ("document_no.no_number", r"(?:^|〕)第?_*号$|[^A-Za-z0-9][Xx×]{2,}号$"),
)
_SEVERAL = r"[0-9]号\s*[、,，;；/\s]\s*.*[0-9]号$"
_BLANK = r"[\s\x{200B}-\x{200F}\x{2060}\x{FEFF}]+"


def clean_document_no(raw: pa.Array, options: CleanOptions) -> Cleaned:
    """Clean decision, case and certificate numbers: half width, no blanks, every bracket as 〔 or 〕."""
    prepared = prepare(raw, excel_prefix=True)
    values = without_unknown(without_lost(prepared.values, prepared.findings, of="document_no"))
    values = _doubtless(values, prepared.findings)
    offsets, data = parts(values)
    start, end = int(offsets[0]), int(offsets[-1])
    used, shifted = data[start:end], offsets - np.int32(start)
    odd, narrow = _positions(used)
    used, left = _wide_exchanged(used, odd)
    rest = rows_at(shifted, left)
    if len(rest):
        prepared.findings.add("document_no.several", rest[matches(take(values, rest), _SEVERAL)])
    made = _narrow_exchanged(values, used, shifted, narrow)
    made = _numbered(replaced(made, rest, _by_pattern(take(values, rest))), prepared.findings)
    if options.today:
        prepared.findings.add("document_no.year", _of_no_year(made, options.today.year))
    return Cleaned(made, prepared.findings.issues())


def _doubtless(values: pa.StringArray, findings: Findings) -> pa.StringArray:
    """Make numbers null that a spreadsheet or a web page spoiled, with an issue: 5.00001E+12, &nbsp;, a lost sign."""
    offsets, data = parts(values)
    signs = [np.zeros(0, np.int64)]
    for at in range(int(offsets[0]), int(offsets[-1]), BLOCK):
        block = data[at : min(at + BLOCK + 1, int(offsets[-1]))]
        found = block == _SIGNS[0]
        for sign in _SIGNS[1:]:
            found |= block == sign
        for first, second in _PAIRS:
            found[:-1] |= (block[:-1] == first) & (block[1:] == second)
        signs.append(np.flatnonzero(found) + at)
    rows = rows_at(offsets, np.concatenate(signs))
    rows = rows[valid(values)[rows]]
    return _without_broken(values, rows, _SPOILED, findings)


def _numbered(values: pa.StringArray, findings: Findings) -> pa.StringArray:
    """Make null what became a date in a spreadsheet (Jan-14), or lacks its number: 〔2025〕号."""
    offsets, data = parts(values)
    lengths, ends = np.diff(offsets), offsets[1:]
    if not data.size:
        return values
    last, before = (data.take(ends - place, mode="clip") for place in (1, 4))
    suspects = ((last == 0xB7) & ((before > 0x7F) | ((before | 0x20) == 0x78) | (before == 0x5F))) | (
        last == 0xA5
    )  # 号, 日
    short = np.flatnonzero((lengths == 5) | (lengths == 6))
    for place in (1, 2, 3):
        suspects[short[data.take(offsets[short] + place, mode="clip") == 0x2D]] = True
    rows: Rows = np.flatnonzero(suspects & valid(values))
    return _without_broken(values, rows, _NO_NUMBER, findings)


def _of_no_year(values: pa.StringArray, now: int) -> Rows:
    """Return the rows with a year in brackets that has not come yet, or in which nobody decided: 〔2042〕."""
    offsets, data = parts(values)
    start, end = int(offsets[0]), int(offsets[-1]) - 5
    blocks = ((at, data[at : min(at + BLOCK, end)]) for at in range(start, end, BLOCK))
    found = [np.flatnonzero(block == _OPENING[2]) + at for at, block in blocks]
    places = np.concatenate([np.zeros(0, np.int64), *found])
    places = places[(data[places - 1] == _OPENING[1]) & (data[places + 5] == _CLOSING[0])]
    digits = [data[places + n].astype(np.int32) - 0x30 for n in (1, 2, 3, 4)]
    written = np.logical_and.reduce([(digit >= 0) & (digit < 10) for digit in digits])
    year = 1000 * digits[0] + 100 * digits[1] + 10 * digits[2] + digits[3]
    bad = written & (((year > now) & (year < 2100)) | ((year >= 1900) & (year < 1949)))
    return rows_at(offsets, places[bad])


def _without_broken(
    values: pa.StringArray, rows: Rows, rules: Sequence[tuple[str, str]], findings: Findings
) -> pa.StringArray:
    """Make those of the given rows null that match a rule's pattern, with its issue."""
    part = take(values, rows)
    for rule, pattern in rules if len(rows) else ():
        found = np.zeros(len(values), np.bool_)
        found[rows] = matches(part, pattern)
        findings.add(rule, found)
        values = without(values, found)
    return values


def _positions(used: Bytes) -> tuple[Positions, Positions]:
    """Return where blanks and characters that NFKC may change begin, and where ASCII brackets stand.

    NFKC keeps printable ASCII and U+4000 to U+9FFF.
    """
    odd, narrow = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for at in range(0, used.size, BLOCK):
        block = used[at : at + BLOCK]
        lead = ((block - np.uint8(0xC0)) < 0x24) | (block == 0x2C) | (block == 0x3B)  # commas and semicolons as well
        odd.append(np.flatnonzero(lead | (block > 0xE9) | (block <= 0x20) | (block == 0x7F)) + at)
        bracket = _opens(block) | _closes(block)
        narrow.append(np.flatnonzero(bracket) + at)
    return np.concatenate(odd), np.concatenate(narrow)


def _opens(block: Bytes) -> Mask:
    mask: Mask = (block == 0x28) | ((block | 0x20) == 0x7B)  # ( [ {
    return mask


def _closes(block: Bytes) -> Mask:
    mask: Mask = (block == 0x29) | ((block | 0x20) == 0x7D)  # ) ] }
    return mask


def _wide_exchanged(used: Bytes, odd: Positions) -> tuple[Bytes, Positions]:
    """Exchange brackets of three bytes in a copy; return it and the odd positions that are no such bracket."""
    if odd.size == 0:
        return used, odd
    first, second, third = (used.take(odd + place, mode="clip") for place in range(3))
    made, left = used.copy(), np.ones(len(odd), np.bool_)
    for bracket, closes in _WIDE.items():
        a, b, c = bracket.encode()
        hit = (first == a) & (second == b) & (third == c)
        left &= ~hit
        at, ours = odd[hit], _CLOSING if closes else _OPENING
        for place in range(3):
            made[at + place] = ours[place]
    return made, odd[left]


def _narrow_exchanged(values: pa.StringArray, used: Bytes, offsets: Offsets, narrow: Positions) -> pa.StringArray:
    """Build the column from its new bytes; each ASCII bracket takes three bytes in place of one."""
    if narrow.size:
        at = narrow + 2 * np.arange(narrow.size)
        wide = np.empty(used.size + 2 * narrow.size, np.uint8)
        copied = np.ones(wide.size, np.bool_)
        copied[at + 1] = copied[at + 2] = False
        wide[copied] = used
        closes = _closes(used[narrow])
        for place in range(3):
            wide[at + place] = np.where(closes, _CLOSING[place], _OPENING[place])
        per_row = np.bincount(np.searchsorted(offsets, narrow, side="right"), minlength=len(offsets))
        used, offsets = wide, offsets + 2 * np.cumsum(per_row[: len(offsets)]).astype(np.int32)
    return strings(offsets, used, valid(values))


def _by_pattern(values: pa.StringArray) -> pa.StringArray:
    plain = pc.replace_substring_regex(narrowed(values), _BLANK, "")
    return pc.replace_substring_regex(pc.replace_substring_regex(plain, r"[(\[{【]", "〔"), r"[)\]}】]", "〕")
