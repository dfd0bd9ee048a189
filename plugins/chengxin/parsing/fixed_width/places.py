"""Where the fields of fixed-width lines seem to lie, for drafting a contract. Only the interface's description is sure.

A place is sure where a field's values all begin behind blanks, where a column name stands above them, or where numbers
that can be checked lie (identifiers with check characters, days). Everything else is a guess and is called so.
"""

import re
from collections.abc import Callable, Sequence
from datetime import date

import numpy as np
import numpy.typing as npt

from chengxin.model.identifiers import is_resident_id, is_uscc

UNSURE = "待定"
_DAY = re.compile(r"(?:19|20)\d\d-?\d\d-?\d\d")
_MOMENT = re.compile(r"(?:19|20)\d\d-\d\d-\d\d \d\d:\d\d:\d\d")
_FEW = 8  # with fewer lines nothing is known for sure
_MOST = 300
_WORD = re.compile(rb"[^ ]+(?: [^ ]+)*")


def _is_day(text: str) -> bool:
    try:
        return bool(_DAY.fullmatch(text)) and bool(date.fromisoformat(text))
    except ValueError:
        return False


#: (name, length, what its values pass). A moment is looked for before the day in it.
_CHECKED: tuple[tuple[str, int, Callable[[str], bool]], ...] = (
    ("统一社会信用代码", 18, is_uscc),
    ("公民身份号码", 18, is_resident_id),
    ("时间", 19, lambda text: bool(_MOMENT.fullmatch(text))),
    ("日期", 10, _is_day),
    ("日期", 8, _is_day),
)


def places_of(lines: Sequence[bytes], encoding: str, header: bytes | None = None) -> list[tuple[str, int, int]]:
    """Return (name, 1-based start, length) of the fields of lines of one length in bytes; they cover the whole line.

    header: a line of column names, or None. A field of which start or end is not sure has a name that begins with 待定.
    """
    lines = lines[:_MOST]
    width = len(lines[0])
    bytes_at = np.frombuffer(b"".join(lines), np.uint8).reshape(len(lines), width)
    whole = _between_characters(lines, encoding)
    found = _checked(lines, bytes_at, whole, encoding) if len(lines) >= _FEW else {}
    inside = {n for start, (_, length) in found.items() for n in range(start + 1, start + length)}
    names = {} if header is None else {m.start(): m[0].decode(encoding).strip() for m in _WORD.finditer(header)}
    filled = (bytes_at != 32).mean(axis=0)
    cuts = {0: True} | dict.fromkeys(found, True)
    cuts |= {start + length: True for start, (_, length) in found.items() if start + length < width}
    for at in range(1, width):
        if at in inside or at in cuts or not whole[at]:
            continue
        if filled[at - 1] == 0 and filled[at] > 0:
            cuts[at] = at in names or (len(lines) >= _FEW and filled[at] == filled[at:].max() and filled[at] > 0.9)
        elif at in names:
            cuts[at] = filled[at - 1] < 1
    # behind a field whose place is known, blanks belong to it
    starts = sorted(at for at in cuts if filled[at] > 0 or at in names or at == 0)
    fields = []
    for n, (start, end) in enumerate(zip(starts, [*starts[1:], width], strict=True), 1):
        sure = cuts[start] and cuts.get(end, True)
        name = names.get(start) or found.get(start, (f"字段{n}", 0))[0]
        fields.append((name if sure else f"{UNSURE}{n}", start + 1, end - start))
    return _named_apart(fields)


def _between_characters(lines: Sequence[bytes], encoding: str) -> npt.NDArray[np.bool_]:
    """Return at which bytes a character begins in every line."""
    whole = np.ones(len(lines[0]) + 1, bool)
    for line in lines:
        begins = np.zeros(len(whole), bool)
        sizes = [len(c.encode(encoding, "replace")) for c in line.decode(encoding, "replace")]
        ends = np.cumsum([0, *sizes])
        begins[ends[ends < len(whole)]] = True
        whole &= begins
    return whole


def _checked(
    lines: Sequence[bytes], bytes_at: npt.NDArray[np.uint8], whole: npt.NDArray[np.bool_], encoding: str
) -> dict[int, tuple[str, int]]:
    """Return start -> (name, length) of the ranges in which all lines hold what passes a check."""
    found: dict[int, tuple[str, int]] = {}
    taken = np.zeros(len(lines[0]), bool)
    plain = ((bytes_at > 44) & (bytes_at < 91)) | (bytes_at == 32)  # digits, capitals, - and blank
    usable = plain.all(axis=0)
    for name, length, passes in _CHECKED:
        for start in range(len(lines[0]) - length + 1):
            part = slice(start, start + length)
            if taken[part].any() or not usable[part].all() or not (whole[start] and whole[start + length]):
                continue
            texts = [line[part].decode(encoding) for line in lines]
            given = [text for text in texts if text.strip()]
            if 2 * len(given) >= len(texts) and len(set(given)) >= 3 and all(map(passes, given)):
                found[start] = (name, length)
                taken[part] = True
    return found


def _named_apart(fields: Sequence[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    names = [name for name, _, _ in fields]
    return [
        (name if names.count(name) == 1 else f"{name}_{names[: n + 1].count(name)}", start, length)
        for n, (name, start, length) in enumerate(fields)
    ]
