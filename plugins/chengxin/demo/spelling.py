"""How departments write what they mean: codes, dates, money and identifiers as text, with the dirt of real deliveries.

The dirt follows what was seen in public platforms: full-width digits, blanks inside identifiers, Excel prefixes and
scientific notation, wrong check characters, placeholders and masked ids, dates in many shapes and impossible ones,
amounts with separators and units, brackets of both widths, null tokens.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np

from chengxin.clock import SHANGHAI
from chengxin.contracts.models import Column, Contract
from chengxin.demo.values import LONG
from chengxin.model.codelists import codelists
from chengxin.model.elements import Element
from chengxin.model.regions import name_of

Text = str | None
_WIDE = {ord(c): ord(c) + 0xFEE0 for c in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_UNIT = {"元": Decimal(1), "万元": Decimal(10_000), "亿元": Decimal(100_000_000), None: Decimal(1)}
_IDENTIFIERS = ("uscc", "org_code", "reg_no", "tax_no", "person_doc", "loan_card_no")
# Lists that are published: their sources hide part of the ids themselves.
_MASKING_KINDS = ("dishonest_person", "tax_major_violation")
_CHINESE_DIGITS = str.maketrans("0123456789", "〇一二三四五六七八九")


@dataclass(frozen=True)
class Style:
    """How one column of one source writes: taken from the contract's first example where there is one.

    plain: no dirt that needs room or freedom of form (fixed width).
    """

    date: str
    plain: bool
    null: str | None


def style_of(contract: Contract, column: Column) -> Style:
    """Read the house style of a column from the contract."""
    example = next((e.row.get(column.source) for e in contract.examples if e.row.get(column.source)), "") or ""
    if contract.file.format == "fixed" or re.fullmatch(r"\d{8}", example):
        shape = "compact"
    elif re.fullmatch(r"\d{13}", example):
        shape = "epoch_ms"
    else:
        shape = "iso"
    objects = contract.file.format in ("json", "jsonl") or contract.delivery.connector == "database"
    return Style(shape, contract.file.format == "fixed", None if objects else "")


def spell(
    rng: np.random.Generator, contract: Contract, column: Column, element: Element, truth: Sequence[Any]
) -> list[Text]:
    """Turn true values into the texts a department would send."""
    style = style_of(contract, column)
    if element.type == "code":
        return _codes(rng, contract, element, truth, style)
    if element.type in ("date", "instant"):
        return _dates(rng, truth, style)
    clean = [_plain(value, column, style) for value in truth]
    dirty = _dirt_of(contract, element, column)
    if style.plain or not dirty:
        return clean
    # One draw decides for a cell: the ways to spoil it lie side by side on the unit interval.
    draw = rng.random(len(clean))
    edges = np.cumsum([share for share, _ in dirty])
    which = np.searchsorted(edges, draw, side="right")
    return [dirty[w][1](text) if w < len(dirty) and text else text for w, text in zip(which, clean, strict=True)]


def _plain(value: Any, column: Column, style: Style) -> Text:
    if value is None or value == "":
        return style.null
    if isinstance(value, Decimal):
        return f"{value / _UNIT[column.unit]:f}"
    if isinstance(value, bool):
        return "是" if value else "否"
    return str(value)


def _dirt_of(contract: Contract, element: Element, column: Column) -> list[tuple[float, Callable[[str], Text]]]:
    if element.type in _IDENTIFIERS:
        masked = 0.0 if element.type != "person_doc" else 0.3 if contract.kind in _MASKING_KINDS else 0.01
        return [
            (0.012, lambda t: t.translate(_WIDE)),
            (0.008, lambda t: f"{t[:6]} {t[6:]}"),
            (0.006, lambda t: f"'{t}"),
            (0.006, str.lower),
            (0.008, _wrong_check),
            (0.002, lambda t: f"{t[0]}.{t[1:6]}E+{len(t) - 1}" if t.isdigit() else t),
            (0.002, lambda t: "0" * (len(t) - 1) + "X"),
            (masked, lambda t: f"{t[:6]}{'*' * 8}{t[-4:]}"),
        ]
    if element.type == "name":
        return [
            (0.006, lambda t: f" {t}　"),
            (0.004, lambda t: f"{t}。"),
            (0.004, lambda t: t.replace("·", "•") if "·" in t else t),
            (0.001, lambda _: ""),
        ]
    if element.type == "money":
        unit = column.unit or "元"
        return [(0.03, _thousands), (0.01, lambda t: t + unit), (0.003, lambda _: "面议")]
    if element.type in ("text", "document_no") and element.sensitivity != "identifier":
        return [(0.004, lambda t: f"{t} "), (0.002, lambda _: "/")]
    if element.type == "region":
        return [(0.05, lambda t: t + "000"), (0.03, lambda t: name_of(t) or t), (0.002, lambda _: "999999")]
    return []


def _wrong_check(text: str) -> str:
    return text[:-1] + ("1" if text[-1] != "1" else "2")


def _thousands(text: str) -> str:
    return f"{Decimal(text):,f}"


def _codes(
    rng: np.random.Generator, contract: Contract, element: Element, truth: Sequence[Any], style: Style
) -> list[Text]:
    own = contract.codes.get(element.id, {})
    spellings: dict[str, list[str]] = {}
    for sent, code in own.items():
        spellings.setdefault(code, []).append(sent)
    for code, entry in (codelists().get(element.codelist or "") or {}).items():
        if code not in spellings:
            spellings[code] = [code] if style.plain or own else [entry.name, entry.name, code, *entry.aliases[:1]]
    drawn = rng.random(len(truth))
    unknown = "" if style.plain else "其他（见备注）"
    return [
        style.null
        if value is None
        else unknown
        if u > 0.998 and unknown
        else spellings.get(value, [value])[int(u * len(spellings.get(value, [value])))]
        for value, u in zip(truth, drawn, strict=True)
    ]


def _dates(rng: np.random.Generator, truth: Sequence[Any], style: Style) -> list[Text]:
    drawn = rng.random(len(truth))
    return [_date(value, u, style) for value, u in zip(truth, drawn, strict=True)]


def _date(value: Any, draw: float, style: Style) -> Text:
    if value is None:
        return style.null
    if isinstance(value, datetime):
        return value.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
    if value == LONG:
        return "20991231" if style.plain else ("长期" if draw < 0.7 else "2099-12-31")
    shape = style.date
    if not style.plain and draw < 0.1:
        shape = _ODD_SHAPES[int(draw * 100) % len(_ODD_SHAPES)]
    if not style.plain and draw > 0.997:
        return "2026-02-30" if draw > 0.9985 else "0000-00-00"
    return _SHAPES[shape](value)


def _epoch_ms(day: date) -> str:
    return str(int(datetime(day.year, day.month, day.day, tzinfo=SHANGHAI).timestamp() * 1000))


def _chinese(day: date) -> str:
    month, number = (_counted(n) for n in (day.month, day.day))
    return f"{str(day.year).translate(_CHINESE_DIGITS)}年{month}月{number}日"


def _counted(number: int) -> str:
    tens, ones = divmod(number, 10)
    head = "" if tens == 0 else "十" if tens == 1 else f"{str(tens).translate(_CHINESE_DIGITS)}十"
    return head + (str(ones).translate(_CHINESE_DIGITS) if ones else "")


_ODD_SHAPES = ("slash", "dotted", "words", "compact", "chinese", "moment")
_SHAPES: dict[str, Callable[[date], str]] = {
    "iso": lambda d: d.isoformat(),
    "compact": lambda d: f"{d:%Y%m%d}",
    "epoch_ms": _epoch_ms,
    "slash": lambda d: f"{d.year}/{d.month}/{d.day}",
    "dotted": lambda d: f"{d.year}.{d.month}.{d.day}",
    "words": lambda d: f"{d.year}年{d.month}月{d.day}日",
    "chinese": _chinese,
    "moment": lambda d: f"{d.isoformat()} 00:00:00.0",
}
