"""Code values and administrative divisions."""

import re
from collections.abc import Mapping
from functools import cache, lru_cache

import pyarrow as pa

from chengxin.model import regions
from chengxin.model.codelists import codelists
from chengxin.standardise.kernels.buffers import valid
from chengxin.standardise.kernels.cleaned import Cleaned, CleanOptions, indices_of
from chengxin.standardise.kernels.text import fold, folded, prepare, without_tokens

_ZERO_TAIL = re.compile(r"([0-9]+)\.0+")


def clean_code(raw: pa.Array, options: CleanOptions) -> Cleaned:
    """Clean codes to those of the code list. What the contract says goes before the list; no value has a default."""
    prepared = prepare(raw, tokens=False, excel_prefix=True)
    encoded = prepared.values.dictionary_encode()
    texts = folded(encoded.dictionary)
    known = _accepted(options.codelist) | {fold(text): code for text, code in (options.codes or {}).items()}
    found = [_look_up(text, known) for text in texts.to_pylist()]
    values = pa.array(found, pa.string()).take(encoded.indices)
    # A word for 'nothing' may be a code of the list (无担保 as 无), so it only counts where the list does not know it.
    absent = ~valid(without_tokens(texts).take(encoded.indices))
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
    encoded = prepared.values.dictionary_encode()
    readings = [_read_region(text) for text in folded(encoded.dictionary).to_pylist()]
    values = pa.array([code for code, _ in readings], pa.string()).take(encoded.indices)
    prepared.findings.add_distinct([(rule,) if rule else () for _, rule in readings], indices_of(encoded))
    return Cleaned(values, prepared.findings.issues())


@lru_cache(maxsize=20_000)
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
