"""Administrative divisions, and names that places of several provinces bear."""

import re
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.cleaning.kernels.codes import ZERO_TAIL
from chengxin.cleaning.kernels.result import Cleaned, CleanOptions, indices_of
from chengxin.cleaning.kernels.text import folded, prepare
from chengxin.model import regions
from chengxin.parsing.buffers import Mask, as_mask, take

_NATIONAL = "10"  # division of those registered with the state's own authorities


def clean_region(raw: pa.Array, options: CleanOptions) -> Cleaned:
    """Clean divisions to six-digit codes in use: 2, 4, 6, 9 or 12 digits, names of Hunan places and of provinces.

    永定区 lies in Fujian too: where the sender is elsewhere, a Hunan place must bear its province's name.
    """
    prepared = prepare(raw, excel_prefix=True)
    encoded = prepared.values.dictionary_encode()
    readings = [_read(text, options.at_home) for text in folded(encoded.dictionary).to_pylist()]
    values = pa.array([code for code, _ in readings], pa.string()).take(encoded.indices)
    prepared.findings.add_distinct([(rule,) if rule else () for _, rule in readings], indices_of(encoded))
    return Cleaned(values, prepared.findings.issues())


@lru_cache(maxsize=20_000)
def _read(text: str, at_home: bool) -> tuple[str | None, str | None]:
    """Read one folded text; return the code and the rule broken, if any."""
    tail = ZERO_TAIL.fullmatch(text)
    digits = tail[1] if tail else text
    if not re.fullmatch(r"[0-9]+", digits):
        code = regions.code_of_name(text)
        if code and not at_home and not code.endswith("0000") and not text.startswith("湖南"):
            code = None
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


def abroad(raw: pa.Array, codes: pa.Array, provinces: pa.Array | None, uscc: pa.Array | None) -> Mask:
    """Mark rows whose Hunan code was read from a bare name although the row itself lies in another province.

    raw, codes: the division as sent and as cleaned. provinces: as the row states them; uscc: the division of first
    registration in it speaks only against a name that places elsewhere bear as well.
    """
    found = np.zeros(len(codes), np.bool_)
    encoded = raw.dictionary_encode()
    kinds = np.array([_name_kind(text or "") for text in encoded.dictionary.to_pylist()] + [0], np.int8)
    of_rows = kinds[indices_of(encoded)]
    rows = np.flatnonzero(of_rows)
    if not len(rows):
        return found
    hunan = as_mask(pc.starts_with(take(codes, rows), "43"))
    other = np.zeros(len(rows), np.bool_)
    if provinces is not None:
        other = as_mask(pc.invert(pc.match_substring(take(provinces, rows), "湖南")))
    if uscc is not None:
        divisions = pc.utf8_slice_codeunits(take(uscc, rows), 2, 4)
        is_other = as_mask(pc.invert(pc.is_in(divisions, value_set=pa.array(["43", _NATIONAL], pa.string()))))
        other |= is_other & as_mask(pc.is_valid(divisions)) & (of_rows[rows] == _HOMONYM)
    found[rows] = hunan & other
    return found


_BARE, _HOMONYM = 1, 2


@lru_cache(maxsize=20_000)
def _name_kind(text: str) -> int:
    """Return 0 for a code or a name with its province, 1 for a bare name, 2 for one that several places bear."""
    plain = text.strip()
    if not plain or plain[0].isdigit() or "湖南" in plain:
        return 0
    return _HOMONYM if plain in regions.HOMONYMS else _BARE
