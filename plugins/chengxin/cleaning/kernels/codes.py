"""Code values."""

import re
from collections.abc import Mapping
from functools import cache

import pyarrow as pa

from chengxin.cleaning.kernels.result import Cleaned, CleanOptions
from chengxin.cleaning.kernels.text import fold, folded, prepare, without_tokens
from chengxin.model.codelists import codelists
from chengxin.parsing.buffers import valid

_HAN = re.compile("[\u3400-\u9fff]")
ZERO_TAIL = re.compile(r"([0-9]+)\.0+")


def clean_code(raw: pa.Array, options: CleanOptions) -> Cleaned:
    """Clean codes to those of the code list. What the contract declares goes before the list; no value has a default.

    A sender whose codes the contract translates has codes of its own: of the list, only words are understood then.
    """
    prepared = prepare(raw, tokens=False, excel_prefix=True)
    encoded = prepared.values.dictionary_encode()
    texts = folded(encoded.dictionary)
    own = {fold(text): code for text, code in (options.codes or {}).items()}
    known = {text: code for text, code in _accepted(options.codelist).items() if not own or _HAN.search(text)} | own
    found = [_look_up(text, known) for text in texts.to_pylist()]
    values = pa.array(found, pa.string()).take(encoded.indices)
    # A word for 'nothing' may be a code of the list (无担保 as 无), so it only counts where the list does not know it.
    absent = ~valid(without_tokens(texts).take(encoded.indices))
    prepared.findings.add("code.unknown", ~absent & ~valid(values))
    return Cleaned(values, prepared.findings.issues())


def _look_up(text: str, known: Mapping[str, str]) -> str | None:
    if text in known:
        return known[text]
    tail = ZERO_TAIL.fullmatch(text)  # a number that went through a spreadsheet
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
