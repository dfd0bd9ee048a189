"""What values beside the rows of JSON and XML say of them: how many there are, the unit of amounts, that more follow.

Only where the meaning is sure: `total` and its like near the rows, and not in one page of a longer list.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from chengxin.model.paging import AROUND, FAULTS, PAGES, TOTAL, fold, is_paging, is_place, is_size
from chengxin.model.vocabularies import Documents, Notes, one_of, vocabulary
from chengxin.parsing.documents.completeness import unfinished
from chengxin.parsing.documents.outline import FEET, HEADS, is_sum
from chengxin.parsing.shapes import Statements

_WORDS = vocabulary(Documents)
_COUNT = re.compile(_WORDS.counts)
_NUMBER = re.compile(rf"(\d{{1,3}}(?:,\d{{3}})+|\d{{1,10}})(?:\.0)?\s*(?:{one_of(vocabulary(Notes).rows)})?")
_UNIT_NAME = re.compile(_WORDS.unit)
_CURRENCY_NAME = re.compile(_WORDS.currency)
_AMOUNT_NAME = re.compile(_WORDS.amount)
_AMOUNT = re.compile(r"(?!0+(?:\.0+)?(?!\d))(?:\d{1,3}(?:,\d{3})+|\d{1,15})(?:\.\d+)?\s*(?:[万亿]?元)?")
_LONGEST = 200  # characters; a longer text is about more than a unit


def statements(values: Iterable[tuple[str, str, bool]], read: int) -> Statements:
    """Read the values near the rows: name, text, and whether it stands right beside the rows. read: how many rows."""
    near = [(fold(name), name, text.strip(), beside) for name, text, beside in values]
    paged = any(is_paging(plain, text) for plain, _, text, _ in near)
    totals = list(_totals(near, paged=paged))
    sizes = [int(text) for plain, _, text, _ in near if is_size(plain, text)]
    stated: tuple[int, ...] = ()
    longer: tuple[tuple[str, int], ...] = ()
    name, most = max(totals, key=lambda item: item[1], default=("", 0))
    if totals and not (paged and not (sizes and most <= min(sizes))):
        # of several numbers that differ, one that agrees is believed: a total of the list beside the count of the file
        stated = (read,) if read in {number for _, number in totals} else (most,)
    elif totals:
        longer = ((name, most),)
    pages = () if totals else _pages(near)
    sums = () if paged else _sums(near)
    return Statements(
        stated=stated, longer=longer, units=_units(near), unfinished=(*unfinished(near), *pages), sums=sums
    )


_Near = Sequence[tuple[str, str, str, bool]]


def _totals(near: _Near, *, paged: bool) -> Iterator[tuple[str, int]]:
    """Yield name and number of what is surely a number of rows."""
    found, unsure = [], []
    for plain, name, text, beside in near:
        number = _NUMBER.fullmatch(text)
        if number and not is_size(plain, text) and (plain in TOTAL or _COUNT.fullmatch(plain)):
            value = int(number[1].replace(",", ""))
            if plain not in _WORDS.unsure:
                found.append((name, value))
            elif beside:
                unsure.append((name, value))
    yield from found or ([] if paged else unsure)


def _sums(near: _Near) -> tuple[str, ...]:
    """Return what all amounts come to, where one value states it. Zero is no sum."""
    found = {text for plain, _, text, _ in near if _AMOUNT_NAME.fullmatch(plain) and _AMOUNT.fullmatch(text)}
    return tuple(text if text.endswith("元") else f"{text}元" for text in found) if len(found) == 1 else ()


def _pages(near: _Near) -> tuple[str, ...]:
    """Return what states that there are more pages than this one, where a value numbers this one."""
    if not any(is_place(plain, text) for plain, _, text, _ in near):
        return ()
    return tuple(
        f"{name}={text}" for plain, name, text, _ in near if plain in PAGES and text.isdecimal() and int(text) > 1
    )


def _units(near: _Near) -> tuple[str, ...]:
    """Return what is stated of the unit of amounts, as notes: 单位：万元, 币种：USD."""
    notes = []
    for plain, _, text, _ in near:
        if len(text) > _LONGEST:
            continue
        if _UNIT_NAME.fullmatch(plain):
            notes.append(f"单位：{text}")
        elif _CURRENCY_NAME.fullmatch(plain):
            notes.append(f"币种：{text}")
        elif "单位" in text:
            notes.append(text)
    return tuple(notes)


def members(found: Mapping[str, Any], *, beside: bool) -> Iterator[tuple[str, str, bool]]:
    """Yield the plain values of a JSON object, and of a head, a foot or paging within it, as `statements` takes."""
    for name, value in found.items():
        if isinstance(value, str):
            yield name, value, beside
        elif isinstance(value, bool):
            yield name, str(value).lower(), beside
        elif fold(name) in FAULTS and value:  # what they say may name somebody
            yield name, "true", beside
        elif isinstance(value, dict) and fold(name) in _WORDS.units:
            yield from ((f"{element}_unit", str(unit), False) for element, unit in value.items())
        elif isinstance(value, dict) and (
            name.lower() in HEADS | FEET or fold(name) in AROUND or "page" in name.lower()
        ):
            inner = {n: v for n, v in value.items() if not isinstance(v, dict) and not is_sum(name, n)}
            yield from members(inner, beside=False)
