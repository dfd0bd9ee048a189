"""The shapes in which amounts of money arrive, one text at a time (domain: 4.7.4). Exact: Decimal throughout."""

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import cache, lru_cache
from typing import NamedTuple

from chengxin.cleaning.kernels.text import as_one_number
from chengxin.model.codelists import codelists

# Power of ten of a unit, in yuan. None: no unit in the value, the column's unit counts.
UNITS: dict[str, int | None] = {
    "": None, "元": 0, "圆": 0, "块": 0, "YUAN": 0, "角": -1, "分": -2, "百元": 2, "百": 2, "千元": 3, "千": 3,
    "仟元": 3, "万": 4, "万元": 4, "萬": 4, "萬元": 4, "W": 4, "十万元": 5, "十万": 5, "百万元": 6, "百万": 6,
    "千万元": 7, "千万": 7, "亿": 8, "亿元": 8, "億": 8, "億元": 8,
}  # fmt: skip
_SYMBOLS = {"RMB": "CNY", "人民币": "CNY", "¥": "CNY", "US$": "USD", "USD": "USD", "HK$": "HKD", "$": "USD"}
_SYMBOLS |= {"€": "EUR", "£": "GBP", "日圆": "JPY", "德国马克": "DEM", "欧": "EUR"}
_BRACKETS = re.compile(r"[()\[\]{}〔〕【】:]")
_NOTED = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|【[^【】]*】")
_YUAN_WORDS = ("人民币", "RMB", "CNY")
_PAIRS = {")": "(", "]": "[", "}": "{", "〕": "〔", "】": "【"}
_NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+"
_AMOUNT = re.compile(
    rf"(?P<before>[^0-9.,+\-(]*)(?:(?P<sign>[+-]?)(?P<number>{_NUMBER})(?P<power>E[+-]?[0-9]{{1,2}})?"
    rf"|\((?P<negative>{_NUMBER})\))(?P<after>[^0-9.,]*)"
)
_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")}
_DIGITS |= {c: i for i, c in enumerate("〇壹贰叁肆伍陆柒捌玖")} | {"两": 2, "貳": 2, "參": 3, "陸": 6, "弌": 1}
_SMALL = {"十": 10, "拾": 10, "百": 100, "佰": 100, "千": 1000, "仟": 1000}
_LARGE = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
_WRITTEN = re.compile(
    f"([{''.join((*_DIGITS, *_SMALL, *_LARGE))}]+)([元圆])?"
    f"(?:零?([{''.join(_DIGITS)}])角)?(?:零?([{''.join(_DIGITS)}])分)?[整正]?"
)
_CLIPPED = re.compile(f"[百佰千仟万萬亿億][{''.join(set(_DIGITS) - set('零〇'))}]$")
_EXACT = Context(prec=100)
_FEN = Decimal("0.01")
LIMIT = Decimal(10) ** 16


class MoneyReading(NamedTuple):
    """yuan: the amount, None where absent, foreign or unusable. currency: ISO 4217, None where unusable."""

    yuan: Decimal | None
    currency: str | None
    rules: tuple[str, ...] = ()


_INVALID = MoneyReading(None, None, ("money.invalid",))


@cache
def _currencies() -> list[tuple[str, str]]:
    """Return currency words and their codes, the longest first. Bare 元 and numeric codes are none here."""
    words = dict(_SYMBOLS)
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
    if not _balanced(words):
        return None
    rest = _BRACKETS.sub("", words)
    rest = rest[:-1] if rest[-1:] in ("整", "正") else rest
    currency = "CNY"
    for word, code in _currencies():
        if word in rest:
            rest, currency = rest.replace(word, "", 1), code
            break
    if currency == "CNY":
        rest = rest.replace("CNY", "").replace("¥", "")
    return (UNITS[rest], currency) if rest in UNITS else None


@lru_cache(maxsize=200_000)
def read_money(text: str, column_power: int) -> MoneyReading:
    """Read one amount; column_power: the power of ten of the column's unit (万元 = 4)."""
    clean = as_one_number(text)
    if clean is None:
        return _INVALID
    clean = clean.strip("'‘’`")
    found = _AMOUNT.fullmatch(clean)
    if found is None:
        return _from_written(clean, column_power)
    before, after = found["before"] or "", found["after"] or ""
    read = read_words(before + after) if _balanced(before) and _balanced(after) else None
    if read is None:
        return _INVALID
    power, currency = read
    if doubtful(before + after, power, column_power):
        return _INVALID
    number = Decimal((found["number"] or found["negative"]).replace(",", "") + (found["power"] or ""))
    if found["negative"] or found["sign"] == "-":
        number = -number
    return _rounded(number, column_power if power is None else power, currency)


def doubtful(words: str, power: int | None, column_power: int) -> bool:
    """Tell of the words around a number whether they name the yuan, and no unit, in a column of another unit: ￥5.

    A currency in brackets behind the number, 50(人民币), names no amount of yuan: the unit stays the column's.
    """
    if power is not None or column_power == 0:
        return False
    bare = _NOTED.sub("", words)
    return "¥" in words or any(word in bare for word in _YUAN_WORDS)


def _balanced(text: str) -> bool:
    """Tell whether every bracket is closed: a stray one may be a digit (COBOL writes -0 as `}`) or part of a sum."""
    still: list[str] = []
    for c in text:
        if c in _PAIRS.values():
            still.append(c)
        elif c in _PAIRS and (not still or still.pop() != _PAIRS[c]):
            return False
    return not still


def _rounded(number: Decimal, power: int, currency: str) -> MoneyReading:
    exact = _EXACT.multiply(number, Decimal(10) ** power)
    if abs(exact) >= LIMIT:
        return _INVALID
    if currency != "CNY":
        return MoneyReading(None, currency, ("money.foreign_currency",))
    yuan = exact.quantize(_FEN, rounding=ROUND_HALF_EVEN, context=_EXACT)
    if abs(yuan) >= LIMIT:
        return _INVALID
    return MoneyReading(yuan + 0, currency, () if yuan == exact else ("money.rounded",))


def _from_written(text: str, column_power: int) -> MoneyReading:
    """Read an amount in Chinese numerals: 人民币伍万元整, 叁佰贰拾元伍角."""
    body = _BRACKETS.sub("", text) if _balanced(text) else ""
    for word in ("人民币", "RMB", "¥"):
        body = body.removeprefix(word)
    found = _WRITTEN.fullmatch(body)
    if found is None:
        return _INVALID
    digits, yuan, jiao, fen = found.groups()
    if digits[0] in "百佰千仟":  # a unit that lost its number; 十 and 拾 are numbers of their own
        return _INVALID
    whole = _written_number(digits)
    if whole is None or ((jiao or fen) and not yuan):
        return _INVALID
    parts = Decimal(whole) + Decimal(_DIGITS[jiao] if jiao else 0) / 10 + Decimal(_DIGITS[fen] if fen else 0) / 100
    # 伍万 and 伍元 say themselves what they are; 伍仟 in a column of 万元 may be 5,000 yuan or 万元.
    if column_power and not yuan and not any(c in _LARGE for c in digits):
        return _INVALID
    return _rounded(parts, 0, "CNY")


def _written_number(text: str) -> int | None:
    """Read a Chinese integer: 伍万叁仟, 一亿零二百万, 十二; None if it makes no sense, or two (三万五, 35000?)."""
    if _CLIPPED.search(text):
        return None
    total = section = digit = 0
    for c in text:
        if c in _DIGITS:
            if digit:
                return None
            digit = _DIGITS[c]
        elif c in _SMALL:
            section += (digit or 1) * _SMALL[c]
            digit = 0
        else:
            if not (section or digit or total):
                return None
            scale = _LARGE[c]
            total = (
                (total + section + digit) * scale if scale > 10**4 or not total else total + (section + digit) * scale
            )
            section = digit = 0
    return total + section + digit
