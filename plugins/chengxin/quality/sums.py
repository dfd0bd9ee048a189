"""What a file states that its amounts come to, compared with those that were read.

It says so in a line (合计,,1234.56) or in a value beside its records ("total_amount": 1234.56).
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from math import isqrt
from typing import Any

from chengxin.contracts.models import Contract
from chengxin.facts import Doubt, StandardBatch
from chengxin.model.kinds import Kind
from chengxin.model.schema import element_columns
from chengxin.quality.conditions import ident, text_literal
from chengxin.quality.metrics import BATCH, Listing, Need

_BEHIND = r"(\.\d+|(?=\s*[万亿]?元))"  # whole numbers without a unit may count something
# A comma stands between cells, or within a number: either reading may be meant.
_READINGS = tuple(re.compile(rf"(?<![\d.])({n}){_BEHIND}") for n in (r"\d+", r"\d{1,3}(?:[,，]\d{3})+"))
_POWERS = (0, 3, 4, 6, 8)  # of ten: 元, 千元, 万元, 百万元, 亿元


def needs(contract: Contract, kind: Kind, types: Mapping[str, str], counts: StandardBatch) -> dict[str, Need]:
    """Return what has to be asked of a batch, by name: what the amounts of a file that adds them up come to.

    Nothing of a delivery with refused rows, whose amounts are in the sum.
    """
    refused = counts.quarantined - counts.rules.get("error:row.not_a_record", 0)  # such a line itself, and notes
    if refused or not counts.sums:
        return {}
    given = {c.element for c in contract.columns}
    columns = [e for e in kind.element_list() if e.id in given and e.type in {"money", "decimal"}]
    sums = []
    for element in columns:
        value = ident(element_columns(element)[0].name)
        raw = ident(f"{element.id}_raw") if element.type == "money" else value
        unread = f"count(*) FILTER (WHERE {raw} IS NOT NULL AND {value} IS NULL)"
        sums.append(f"CASE WHEN {unread} = 0 THEN CAST(sum({value}) AS VARCHAR) ELSE '' END")
    if not sums or not {element_columns(e)[0].name for e in columns} <= types.keys():
        return {}
    asked = f"SELECT unnest([{', '.join(sums)}, CAST(count(*) AS VARCHAR)]) FROM {BATCH} WHERE source_file = "
    return {f"sum.{name}": Listing(asked + text_literal(name)) for name in counts.sums}


def doubts(found: Mapping[str, Any], counts: StandardBatch, *, is_placed: bool) -> Iterator[Doubt]:
    """Report an amount in such a line that no column comes to. An amount that could not be read settles nothing.

    is_placed: it stands in a line below the columns; a value beside the records of JSON or XML does not name its
    column it is, and is compared where there is but one.
    """
    for name in [n.removeprefix("sum.") for n in found if n.startswith("sum.")]:
        *sums, rows = found[f"sum.{name}"]
        if "" in sums or not any(sums):
            continue
        columns = [Decimal(s) for s in sums if s is not None]
        if len(columns) > 1 and not is_placed:
            continue
        plain, grouped = (_numbers(reading, counts.sums[name]) for reading in _READINGS)
        agree = sum(any(_same(n, s, int(rows)) for n in (*plain, *grouped)) for s in columns)
        if agree < min(len(columns), len(plain)):
            shown = "、".join(dict.fromkeys(f"{n:,}" for n in grouped or plain))
            yield Doubt(rule="sum.total", file=name, stated=shown, found="、".join(f"{s:,}" for s in columns))


def _numbers(reading: re.Pattern[str], line: str) -> list[Decimal]:
    return [Decimal(re.sub("[,，]", "", "".join(m.groups()))) for m in reading.finditer(line)]


def _same(stated: Decimal, total: Decimal, rows: int) -> bool:
    """Return whether a stated amount is a sum, in some unit, but for what rounding in each row may add up to."""
    last = int(stated.as_tuple().exponent)
    return any(abs(stated * 10**p - total) <= Decimal(10) ** (p + last) * (1 + isqrt(rows)) for p in _POWERS)
