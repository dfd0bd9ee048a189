"""Which unit an amount is in: units of money as they stand around a number, in a column's name, in a note or a title.

注册资本（万元）, 5万元, 单位：万元, 币种：USD, Unit: 10k yuan, (in RMB 10,000). Contracts declare the unit of a column.
"""

import re
import unicodedata
from functools import cache, lru_cache
from typing import NamedTuple

from chengxin.model.codelists import codelists
from chengxin.model.identifiers import narrow
from chengxin.model.vocabularies import Units, one_of, vocabulary

_WORDS = vocabulary(Units)
#: Power of ten of a unit, in yuan. None: no unit in the value, the column's unit counts.
UNITS: dict[str, int | None] = {"": None, **_WORDS.powers}
_AROUND = re.compile(r"[()\[\]{}〔〕【】:]")
_NOTED = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|【[^【】]*】")
_PAIRS = {")": "(", "]": "[", "}": "{", "〕": "〔", "】": "【"}
_SCALES, _CURRENCIES = one_of(_WORDS.scales), one_of(_WORDS.currencies)
_HEADED = rf"(?:{_SCALES})?(?:{_CURRENCIES})?元|(?:{_SCALES})?英镑|{_SCALES}"
_LEAD = r"(?:(?:计量|金额|货币)?单位|人民币|RMB|为|[:/,、;\s])*"
_IN_HEADER = re.compile(r"[(\[{【〔〈《]([^()\[\]{}【】〔〕〈〉《》]*)[)\]}】〕〉》]")
_WHOLE = re.compile(rf"{_LEAD}({_HEADED})(?:人民币|整)?(?:[:/,、;\s].*)?")
_TAIL = re.compile(rf"(?:单位[:为]?|人民币|[_\-\s])({_HEADED})$|((?:{_SCALES})?(?:{_CURRENCIES})?元)$")
_ENGLISH = tuple((re.compile(pattern), word) for pattern, word in _WORDS.english)
_WORD = r"\s*[(（【\[“\"]?\s*((?:[^,，;；|\t:：()（）【】\[\]“”。\r\n]|(?<=\d),(?=\d{3})){1,30})"
_UNIT = re.compile(
    rf"(?:单位\s*(?:[:：为是]|均为|都是)?|(?:{one_of(_WORDS.amounts)})\s*[:：]|\bunits?\s*(?:[:：=]|\b(?:is|in)\b)){_WORD}",
    re.I,
)
_AS = re.compile(r"(?:以|按)\s*[“\"]?([^，,；;“”\"\s]{1,8}?)[”\"]?\s*(?:为(?:计量)?单位|计[算量]?|填[写报列]|列示)")
_ENGLISH_NOTE = re.compile(
    r"(?:[(（]|\b(?:amounts?|figures?|values?)\s+(?:are\s+)?)\s*in\s+([A-Za-z0-9,$' ]{1,30})", re.I
)
_CURRENCY = re.compile(rf"(?:{one_of(_WORDS.currency_names)}|currency(?:\s*code)?)\s*[:：=]{_WORD}", re.I)
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
        named = {_WORDS.powers[word]: word for word in _WORDS.declared}
        return named.get(self.power) if self.currency == "CNY" and self.power is not None else None

    def differs(self, declared: str | None, *, in_currency: bool = False) -> bool:
        """Return whether the unit is not the declared one (None: 元). in_currency: each row gives its currency."""
        if self.currency != "CNY" and not in_currency:
            return True
        return self.power is not None and self.power != UNITS[declared or "元"]


@cache
def _currencies() -> list[tuple[str, str]]:
    """Return currency words and their codes, the longest first. Bare 元 and numeric codes are none here."""
    words = dict(_WORDS.symbols)
    for code, entry in codelists()["currency"].items():
        for word in (code, entry.name, *entry.aliases):
            if not word.isdigit() and word not in ("元", "人民币元"):
                words[word.upper()] = code
    return sorted(words.items(), key=lambda item: (-len(item[0]), item[0]))


@lru_cache(maxsize=10_000)
def read_words(words: str) -> tuple[int | None, str] | None:
    """Read what stands around a number: (power of ten of the unit or None, currency); None if it is no unit.

    A foreign currency takes its 元 with it (万美元 = 万 + 美元), the renminbi does not (万人民币元 = 万元).
    """
    if not is_balanced(words):
        return None
    rest = _AROUND.sub("", words)
    rest = rest[:-1] if rest[-1:] in ("整", "正") else rest
    currency = "CNY"
    for word, code in _currencies():
        if word in rest:
            rest, currency = rest.replace(word, "", 1), code
            break
    if currency == "CNY":
        rest = rest.replace("CNY", "").replace("¥", "")
    return (UNITS[rest], currency) if rest in UNITS else None


def is_balanced(text: str) -> bool:
    """Return whether every bracket is closed: a stray one may be a digit (COBOL writes -0 as `}`) or part of a sum."""
    still: list[str] = []
    for c in text:
        if c in _PAIRS.values():
            still.append(c)
        elif c in _PAIRS and (not still or still.pop() != _PAIRS[c]):
            return False
    return not still


def doubtful(words: str, power: int | None, column_power: int) -> bool:
    """Return of the words around a number whether they name the yuan, and no unit, in a column of another unit: ￥5.

    A currency in brackets behind the number, 50(人民币), names no amount of yuan: the unit stays the column's.
    """
    if power is not None or column_power == 0:
        return False
    bare = _NOTED.sub("", words)
    return "¥" in words or any(word in bare for word in _WORDS.yuan)


def unit_in(header: str) -> Unit | None:
    """Return the unit that a column's name states, in its brackets or at its end; None where it states none."""
    text = unicodedata.normalize("NFKC", header).strip(" \t\r\n:*")
    whole = (_WHOLE.fullmatch(inner.strip()) for inner in reversed(_IN_HEADER.findall(text)))
    found = next((match for match in whole if match), None) or _TAIL.search(text)
    if found is None:
        return None
    word = next(group for group in found.groups() if group)
    return read_unit(word) or Unit(word, None, "XXX")  # 台元 is in no code list


def read_unit(text: str) -> Unit | None:
    """Read a unit of money that stands alone: 万元, 人民币千元, 美元, 10k yuan; None for anything else."""
    word = text.strip(" \t\r\n\u3000\"'.。*")
    plain = re.sub(r"\s+", " ", word).upper()
    for pattern, meant in _ENGLISH:
        plain = pattern.sub(meant, plain)
    plain = re.sub("[\\s\u200b-\u200f\u2060\ufeff]+", "", narrow(plain)).upper()
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
    """Distinguish 单位：万元 from 单位：千, which may be of anything; 金额：千 is of money, and so are words."""
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
