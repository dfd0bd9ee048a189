"""What only whole columns show: that they changed places, that their unit changed, that long numbers were rounded.

Each cell may be right by itself: an authority is a text, and so is a company.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow.parquet as pq

from chengxin.contracts.models import Contract
from chengxin.facts import Doubt
from chengxin.model.elements import ColumnLook, Element, elements
from chengxin.model.kinds import Kind
from chengxin.model.looks import looks
from chengxin.model.schema import element_columns
from chengxin.quality import rounding
from chengxin.quality.conditions import ident, text_literal
from chengxin.quality.evidence import BatchFacts
from chengxin.quality.expectations import expectation
from chengxin.quality.metrics import BATCH, Listing, Need

_ENOUGH = 100_000  # rows
# Decades between medians: 千元 for 元, the nearest of the units that lists are in, less what rounding to tenths takes.
_ANOTHER_UNIT = 2.9


def shapes(contract: Contract, kind: Kind) -> list[dict[str, Any]]:
    """Return the expectations about what columns look like, for those that the source itself fills."""
    given = {c.element for c in contract.columns}
    return [_shape(e, look) for e in kind.element_list() if e.id in given for look in e.looks]


def _shape(element: Element, said: ColumnLook) -> dict[str, Any]:
    name = said.like or said.unlike or ""
    look, least = looks()[name], {"mostly": said.share} if said.share < 1 else {}
    few = f"{1 - said.share:.0%}以上" if least else "有的值"
    kind = "expect_column_values_to_match_regex" if said.like else "expect_column_values_to_not_match_regex"
    kwargs = {"column": element.id, "regex": look.regex, **least}
    stated = f"{'像' if said.like else '不是'}{look.title}"
    found = f"{few}{'不像' if said.like else '是'}{look.title}"
    rule = f"shape.{element.id}.{name}"
    return expectation(kind, rule, kwargs, place=element.title, stated=stated, found=found)


def needs(contract: Contract, kind: Kind, types: Mapping[str, str], parts: Sequence[Path]) -> dict[str, Need]:
    """Return what has to be asked of a batch, by name: see `doubts`. Equal for equal rows.

    parts: of the batch; of a large batch some of them, spread evenly, are read.
    """
    rows, given = _sample(parts), {c.element for c in contract.columns}
    asked = rounding.needs(contract, kind, types, rows)
    for element in kind.element_list():
        column = element_columns(element)[0].name
        if element.type == "money" and element.id in given and column in types:
            size = f"round(log10({ident(column)}::DOUBLE), 1)"
            asked[f"size.{column}"] = Listing(
                f"SELECT histogram({size}) FILTER (WHERE {ident(column)} > 0) FROM {rows}"
            )
    return asked


def _sample(parts: Sequence[Path]) -> str:
    """Return the batch, or some parts of it, evenly spread, that have enough rows together."""
    rows = [pq.read_metadata(part).num_rows for part in parts]
    step = max(1, sum(rows) // _ENOUGH // 2)
    chosen = [str(part) for part in parts[step // 2 :: step]]
    return f"read_parquet([{', '.join(map(text_literal, chosen))}])" if step > 1 and chosen else BATCH


def sizes(found: Mapping[str, Any], few: int) -> dict[str, float]:
    """Return the decimal logarithm of the median of each column of money with `few` amounts or more."""
    typical = {}
    for name, counted in found.items():
        counted = counted[0] if name.startswith("size.") else None
        if counted and sum(counted.values()) >= few:
            half, seen = sum(counted.values()) / 2, 0
            for size in sorted(counted):
                seen += counted[size]
                if seen >= half:
                    typical[name.removeprefix("size.")] = float(size)
                    break
    return typical


def doubts(found: Mapping[str, Any], history: Sequence[BatchFacts], few: int) -> list[Doubt]:
    """Report what the answers to `needs` show. history: facts of earlier admitted batches, oldest first."""
    return [*_units(sizes(found, few), history), *rounding.doubts(found, few)]


def _units(now: Mapping[str, float], history: Sequence[BatchFacts]) -> Iterator[Doubt]:
    for column, size in now.items():
        before = [f.sizes[column] for f in history if column in f.sizes]
        apart = size - median(before) if before else 0.0
        if abs(apart) >= _ANOTHER_UNIT:
            title = elements()[column.removesuffix("_yuan")].title
            times = f"{10 ** abs(apart):.0f}"
            found = f"约为此前各批的 {times} 倍" if apart > 0 else f"约为此前各批的 {times} 分之一"
            yield Doubt(rule=f"size.{column}", place=title, found=found)
