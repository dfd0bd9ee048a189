"""Long numbers that a program read as floating point: 1234567890123456789 comes back as 1234567890123456800.

A spreadsheet keeps 15 digits, a script or a database's double 53 bits. One number may end so by chance, not a column:
each that fits what rounding leaves is some bits of evidence, and numbers that end in zeros anyhow are less.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import log2, ulp
from typing import Any

from chengxin.contracts.models import Contract
from chengxin.facts import Finding
from chengxin.model.elements import Element, elements
from chengxin.model.kinds import Kind
from chengxin.quality.conditions import ident
from chengxin.quality.metrics import Listing, Need

_LOOKED_AT = 2_000  # rows with a number
_FEW = 12  # different numbers say nothing
_SURE = 30  # bits: once in a thousand million columns
_KEPT = 15  # digits that a spreadsheet keeps
_LONG = "regexp_full_match(n, '[1-9][0-9]{16,20}|[1-9][.][0-9]{4,}[Ee][+]?[0-9]+')"
_MOMENT = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])(?:[01]\d|2[0-3])[0-5]\d[0-5]\d")


def needs(contract: Contract, kind: Kind, types: Mapping[str, str], rows: str) -> dict[str, Need]:
    """Return what has to be asked of a batch, by name: long numbers in the first rows of columns of them."""
    given = {c.element for c in contract.columns}
    columns = [e for e in (*kind.element_list(), elements()["source_record_id"]) if e.id in given & types.keys()]
    return {f"rounded.{e.id}": Listing(_listing(ident(e.id), rows)) for e in columns if _is_number(e)}


def _is_number(element: Element) -> bool:
    is_text = element.type == "text" and element.id.endswith(("_no", "_id"))
    return element.type == "document_no" or is_text


def _listing(column: str, rows: str) -> str:
    first = f"SELECT {column} AS n FROM {rows} WHERE {column} IS NOT NULL LIMIT {_LOOKED_AT}"
    return f"SELECT DISTINCT n FROM ({first}) WHERE {_LONG} ORDER BY n"


def findings(found: Mapping[str, Any]) -> Iterator[Finding]:
    """Tell of columns of numbers that were rounded. No number is shown."""
    for name in [n for n in found if n.startswith("rounded.")]:
        if is_rounded(found[name]):
            element = name.removeprefix("rounded.")
            message = (
                f"“{elements()[element].title}”中 17 位以上的号码（看过 {len(found[name])} 个）末几位都像是"
                "被程序或表格软件当作数值取整过：多半已不是原来的号码，不同的号码也可能变得相同。"
                "请提供部门把该列按文本重新导出后重报；编码规则本来如此的，不必处理"
            )
            yield Finding(name, "warning", message, str(len(found[name])))


def is_rounded(numbers: Sequence[str]) -> bool:
    """Tell whether different numbers of 17 digits and more, or in scientific form, are what rounding leaves."""
    plain = [n for n in numbers if n.isdecimal()]
    if len(numbers) - len(plain) >= max(_FEW, len(plain)):
        return True
    if len(plain) < _FEW:
        return False
    zeros = min(len(n) - len(n.rstrip("0")) for n in plain)
    return _as_script(plain, zeros) or _as_double(plain, zeros) or _as_sheet(plain)


def _as_script(numbers: Sequence[str], zeros: int) -> bool:
    """Tell numbers as scripts write them: the fewest digits that name the double, then zeros."""
    return _weighed(numbers, lambda n: _written(n) == n, log2(10) * zeros)


def _as_double(numbers: Sequence[str], zeros: int) -> bool:
    """Tell numbers that are doubles to the last digit."""
    return _weighed(numbers, lambda n: int(float(n)) == int(n), zeros)


def _weighed(numbers: Sequence[str], fits: Callable[[str], bool], explained: float) -> bool:
    """Tell whether nearly all numbers fit and that is no chance. explained: bits that each has anyhow.

    Where nearly all are doubles with a zero bit at their end, they were made by shifting, as a snowflake's are.
    """
    steps = {n: ulp(float(n)) for n in numbers if fits(n)}
    last_bits = [float(n) / step % 2 for n, step in steps.items() if int(float(n)) == int(n)]
    bits = sum(max(0.0, log2(step) - explained) for step in steps.values() if step > 2)
    is_shifted = len(last_bits) >= 0.9 * len(steps) and sum(last_bits) < 0.2 * len(steps)
    return len(steps) >= 0.9 * len(numbers) and not is_shifted and bits - len(numbers) / 2 >= _SURE


def _written(number: str) -> str:
    return repr(float(number)).partition("e")[0].replace(".", "").ljust(len(number), "0")


def _as_sheet(numbers: Sequence[str]) -> bool:
    """Tell numbers of 18 digits and more of which 15 are left; two zeros may be a suffix.

    Moments to the millisecond (...000) and longer rows of zeros are not.
    """
    kept = [n[:_KEPT] for n in numbers]
    return (
        not any(n[_KEPT:].strip("0") for n in numbers)
        and 2 * sum(len(n) > _KEPT + 2 for n in numbers) > len(numbers)
        and 2 * sum(_MOMENT.match(n) is not None for n in numbers) < len(numbers)
        and 2 * sum(n.endswith("0") for n in kept) < len(kept)
        and len(set(kept)) >= _FEW
    )
