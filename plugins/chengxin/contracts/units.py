"""The unit of money that the name of a column states: 注册资本（万元）, 余额_亿元, 投资总额（万美元）."""

import re
import unicodedata

_SCALE = "百万|千万|十万|万|亿|百|千"
_CURRENCY = "美|欧|日|港|澳|台|英|加|澳大利亚|新加坡"
_UNIT = rf"(?:{_SCALE})?(?:{_CURRENCY})?元|(?:{_SCALE})?英镑|{_SCALE}"
_LEAD = r"(?:(?:计量|金额|货币)?单位|人民币|RMB|为|[:/,、;\s])*"
_BRACKETS = re.compile(r"[(\[{【〔〈《]([^()\[\]{}【】〔〕〈〉《》]*)[)\]}】〕〉》]")
_WHOLE = re.compile(rf"{_LEAD}({_UNIT})(?:人民币|整)?(?:[:/,、;\s].*)?")
_TAIL = re.compile(rf"(?:单位[:为]?|人民币|[_\-\s])({_UNIT})$|((?:{_SCALE})?(?:{_CURRENCY})?元)$")


def unit_in(header: str) -> str | None:
    """Return the unit that a column's name states, in its brackets or at its end; None where it states none."""
    text = unicodedata.normalize("NFKC", header).strip(" \t\r\n:*")
    for inner in reversed(_BRACKETS.findall(text)):
        if found := _WHOLE.fullmatch(inner.strip()):
            return found[1]
    found = _TAIL.search(text)
    return (found[1] or found[2]) if found else None


def contradicts(header: str, unit: str | None, *, in_currency: bool = False) -> str | None:
    """Return the unit that a header states where it is another than the contract's (None: 元).

    in_currency: the contract says elsewhere which currency the amounts have; then only the scale counts.
    """
    stated = unit_in(header)
    if stated is None:
        return None
    plain = re.sub(rf"(?:{_CURRENCY})元|英镑", "元", stated) if in_currency else stated
    plain = plain if plain.endswith(("元", "镑")) else plain + "元"
    return None if plain == (unit or "元") else stated
