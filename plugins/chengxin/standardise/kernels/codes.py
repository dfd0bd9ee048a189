"""Code values, administrative divisions and document numbers."""

import re
from collections.abc import Mapping
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.model import regions
from chengxin.model.codelists import codelists
from chengxin.standardise.kernels.buffers import Rows, parts, replaced, rows_at, take, valid
from chengxin.standardise.kernels.cleaned import Cleaned, CleanOptions, read_distinct
from chengxin.standardise.kernels.text import fold, folded, prepare, without_tokens

_ZERO_TAIL = re.compile(r"([0-9]+)\.0+")


def clean_code(raw: pa.Array, options: CleanOptions) -> Cleaned:
    """Clean codes to those of the code list. What the contract says goes before the list; no value has a default."""
    prepared = prepare(raw, tokens=False, excel_prefix=True)
    encoded = folded(prepared.values).dictionary_encode()
    known = _accepted(options.codelist) | {fold(text): code for text, code in (options.codes or {}).items()}
    found = [_look_up(text, known) for text in encoded.dictionary.to_pylist()]
    values = pa.array(found, pa.string()).take(encoded.indices)
    # A word for 'nothing' may be a code of the list (无担保 as 无), so it only counts where the list does not know it.
    absent = ~valid(without_tokens(encoded.dictionary.take(encoded.indices)))
    prepared.findings.add("code.unknown", ~absent & ~valid(values))
    return Cleaned(values, prepared.findings.issues())


def _look_up(text: str, known: Mapping[str, str]) -> str | None:
    if text in known:
        return known[text]
    tail = _ZERO_TAIL.fullmatch(text)  # a number that went through a spreadsheet
    return known.get(tail[1]) if tail else None


@cache
def _accepted(codelist: str | None) -> dict[str, str]:
    """Return every accepted text of a code list, folded: aliases give way to names, names to codes."""
    found: dict[str, str] = {}
    entries = codelists()[codelist].values() if codelist else ()
    for entry in entries:
        found |= {fold(alias): entry.code for alias in entry.aliases}
    found |= {fold(entry.name): entry.code for entry in entries}
    return found | {fold(entry.code): entry.code for entry in entries}


def clean_region(raw: pa.Array, options: CleanOptions) -> Cleaned:
    """Clean divisions to six-digit codes in use: 2, 4, 6, 9 or 12 digits, names of Hunan places and of provinces."""
    prepared = prepare(raw, excel_prefix=True)
    readings, codes, indices = read_distinct(folded(prepared.values), _read_region)
    values = pa.array([code for code, _ in readings], pa.string()).take(indices)
    prepared.findings.add_distinct([(rule,) if rule else () for _, rule in readings], codes)
    return Cleaned(values, prepared.findings.issues())


def _read_region(text: str) -> tuple[str | None, str | None]:
    """Read one folded text; return the code and the rule broken, if any."""
    tail = _ZERO_TAIL.fullmatch(text)
    digits = tail[1] if tail else text
    if not re.fullmatch(r"[0-9]+", digits):
        code = regions.code_of_name(text)
        return (code, None) if code else (None, "region.unknown")
    if len(digits) not in (2, 4, 6, 9, 12):
        return None, "region.unknown"
    code = digits[:6].ljust(6, "0")
    today = regions.successor(code)
    if today is None:
        return None, "region.unknown"
    if today == code:
        return code, None
    return today, "region.retired" if regions.is_retired(code) else "region.zone"


# Bytes of characters that NFKC may change, and of blanks: all but printable ASCII, U+4000..9FFF and continuation bytes.
_ODD = np.ones(256, np.bool_)
_ODD[0x21:0x7F] = _ODD[0x80:0xC0] = _ODD[0xE4:0xEA] = False
_BRACKETS = {"(": "〔", "[": "〔", "{": "〔", ")": "〕", "]": "〕", "}": "〕"}


def clean_document_no(raw: pa.Array, options: CleanOptions) -> Cleaned:
    """Clean decision, case and certificate numbers: half width, no blanks, every bracket as 〔 or 〕."""
    prepared = prepare(raw, excel_prefix=True)
    values = prepared.values
    odd = _odd_rows(values)
    if len(odd):
        plain = pc.utf8_normalize(take(values, odd), form="NFKC")
        plain = pc.replace_substring_regex(plain, r"[\s\x{200B}-\x{200F}\x{2060}\x{FEFF}]+", "")
        plain = pc.replace_substring(pc.replace_substring(plain, "【", "〔"), "】", "〕")
        values = replaced(values, odd, plain)
    offsets, data = parts(values)
    present = np.bincount(data[offsets[0] : offsets[-1]], minlength=256)
    for bracket, ours in _BRACKETS.items():  # one plain replacement costs a sixth of a regular expression
        if present[ord(bracket)]:
            values = pc.replace_substring(values, bracket, ours)
    return Cleaned(values, prepared.findings.issues())


def _odd_rows(values: pa.StringArray) -> Rows:
    """Return the rows with a blank or a character that NFKC may change; 〔 and 〕 (E3 80 94, E3 80 95) are not odd."""
    offsets, data = parts(values)
    used = data[offsets[0] : offsets[-1]]
    at = np.flatnonzero(_ODD[used])
    if at.size == 0:
        return at
    last = used[np.minimum(at + 2, used.size - 1)]
    ours = (used[at] == 0xE3) & (used[np.minimum(at + 1, used.size - 1)] == 0x80) & ((last == 0x94) | (last == 0x95))
    return rows_at(offsets, at[~ours] + offsets[0])
