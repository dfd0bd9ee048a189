"""The shapes in which amounts of money arrive, one text at a time (domain: 4.7.4). Exact: Decimal throughout."""

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from typing import NamedTuple

from chengxin.cleaning.kernels.text import as_one_number
from chengxin.model.units import doubtful, is_balanced, read_words

_BRACKETS = re.compile(r"[()\[\]{}〔〕【】:]")
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
    read = read_words(before + after) if is_balanced(before) and is_balanced(after) else None
    if read is None:
        return _INVALID
    power, currency = read
    if doubtful(before + after, power, column_power):
        return _INVALID
    number = Decimal((found["number"] or found["negative"]).replace(",", "") + (found["power"] or ""))
    if found["negative"] or found["sign"] == "-":
        number = -number
    return _rounded(number, column_power if power is None else power, currency)


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
    body = _BRACKETS.sub("", text) if is_balanced(text) else ""
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
