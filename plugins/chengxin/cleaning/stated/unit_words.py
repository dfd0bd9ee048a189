"""The words that state the unit of amounts: 单位：万元, 币种：USD, Unit: 10k yuan, (in RMB 10,000)."""

import re
from typing import NamedTuple

from chengxin.cleaning.kernels.money_forms import UNITS, read_words
from chengxin.cleaning.kernels.text import fold

_ENGLISH = tuple(
    (re.compile(pattern), word)
    for pattern, word in (
        (r"(?:100|HUNDRED) ?MILLIONS?\b", "亿"),
        (r"(?:10K|10,?000|TEN THOUSANDS?|WAN)(?![0-9A-Z])", "万"),
        (r"(?:1K|K|1,?000|THOUSANDS?|'?000)(?![0-9A-Z])", "千"),
        (r"(?:MILLIONS?|MN)\b", "百万"),
        (r"\bOF\b|\bIN\b", ""),
        (r"US ?DOLLARS?|DOLLARS?", "USD"),
        (r"EUROS?\b", "EUR"),
        (r"YUAN", "元"),
    )
)
_WORD = r"\s*[(（【\[“\"]?\s*((?:[^,，;；|\t:：()（）【】\[\]“”。\r\n]|(?<=\d),(?=\d{3})){1,30})"
_UNIT = re.compile(
    rf"(?:单位\s*(?:[:：为是]|均为|都是)?|(?:金额|罚款|余额)\s*[:：]|\bunits?\s*(?:[:：=]|\b(?:is|in)\b)){_WORD}", re.I
)
_AS = re.compile(r"(?:以|按)\s*[“\"]?([^，,；;“”\"\s]{1,8}?)[”\"]?\s*(?:为(?:计量)?单位|计[算量]?|填[写报列]|列示)")
_ENGLISH_NOTE = re.compile(
    r"(?:[(（]|\b(?:amounts?|figures?|values?)\s+(?:are\s+)?)\s*in\s+([A-Za-z0-9,$' ]{1,30})", re.I
)
_CURRENCY = re.compile(rf"(?:币种|币别|货币(?:单位|种类|代码)?|currency(?:\s*code)?)\s*[:：=]{_WORD}", re.I)
_BRACKETS = re.compile(r"[(（【\[]([^()（）【】\[\]]{1,12})[)）】\]]")
_PART = re.compile(r"[、/／]|及|和")
_CELLS = re.compile(r"[,，;；|\t]|\s{2,}")


class Unit(NamedTuple):
    """A unit as stated. power: of ten, in yuan or another currency; None where only the currency is stated."""

    word: str
    power: int | None
    currency: str

    @property
    def declared(self) -> str | None:
        """Return the unit as a contract declares it; None for other currencies."""
        named = {UNITS[word]: word for word in ("元", "百元", "千元", "万元", "十万元", "百万元", "千万元", "亿元")}
        return named.get(self.power) if self.currency == "CNY" else None


def read_unit(text: str) -> Unit | None:
    """Read a unit of money that stands alone: 万元, 人民币千元, 美元, 10k yuan; None for anything else."""
    word = text.strip(" \t\r\n\u3000\"'.。*")
    plain = re.sub(r"\s+", " ", word).upper()
    for pattern, meant in _ENGLISH:
        plain = pattern.sub(meant, plain)
    plain = fold(plain)
    read = read_words(plain) if plain else None
    if read is None:
        return None
    power, currency = read
    return Unit(word, 0 if power is None and currency != "CNY" else power, currency)


def stated_unit(line: str) -> Unit | None:
    """Return the unit of money that a line states (计量单位：人民币万元, 币种：美元), or None."""
    if found := _CURRENCY.search(line):
        unit = read_unit(found[1])
        return unit._replace(power=None) if unit else None
    for pattern in (_UNIT, _AS, _ENGLISH_NOTE):
        for found in pattern.finditer(line):
            for part in (found[1], *_PART.split(found[1]), *found[1].split()[:1]):
                unit = read_unit(part)
                if unit and (pattern is not _UNIT or _is_sure(unit, found[0])):
                    return unit
    return None


def _is_sure(unit: Unit, note: str) -> bool:
    """Tell 单位：万元 from 单位：千, which may be of anything; 金额：千 is of money, and so are words."""
    if unit.power is None or unit.currency != "CNY" or "元" in unit.word or not note.startswith("单位"):
        return True
    return unit.word.isascii() and len(unit.word) > 1


def unit_above(line: str) -> Unit | None:
    """Return the unit that a title, or the name of a sheet or file, states, or None.

    Stated as in a note, in brackets (欠税公告（万元）.xlsx), or alone in a cell (欠税公告,,,万元).
    """
    if unit := stated_unit(line):
        return unit
    cells = [*_BRACKETS.findall(line), *(cell.strip('()（）【】[] "') for cell in _CELLS.split(line))]
    found = {unit for unit in map(read_unit, cells) if unit and unit.power is not None and _is_whole(unit)}
    return found.pop() if len({(unit.power, unit.currency) for unit in found}) == 1 else None


def _is_whole(unit: Unit) -> bool:
    return unit.word.endswith("元") or unit.currency != "CNY"
