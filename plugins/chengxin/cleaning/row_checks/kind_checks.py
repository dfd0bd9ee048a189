"""The checks of a row that its kind declares (`checks:` in model/kinds): no element is named here."""

from collections.abc import Callable, Sequence
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from chengxin.cleaning.agreement import born_otherwise
from chengxin.cleaning.columns import Columns
from chengxin.cleaning.kernels import abroad
from chengxin.contracts.plan import ColumnPlan
from chengxin.parsing.buffers import as_mask, without

#: Nobody registered or decided anything under the laws in force before this day.
FIRST = date(1949, 10, 1)


def check_declared(work: Columns) -> None:
    """Apply the checks of the kind; the order matters where one drops a value that another would judge."""
    for declared in work.plan.kind.checks:
        CHECKS[declared.check](work, declared.of)


def _check_currency(work: Columns, of: Sequence[str]) -> None:
    """Let a currency column count for amounts that name none: a foreign amount is no amount in yuan."""
    currency = work.values.get(of[0])
    if currency is None:
        return
    foreign = pc.fill_null(pc.not_equal(currency, "CNY"), False)
    for column in work.plan.columns:
        if column.element.type != "money":
            continue
        amount, code = f"{column.element.id}_yuan", f"{column.element.id}_currency_code"
        hits = pc.and_(foreign, pc.fill_null(pc.equal(work.values[code], "CNY"), False))
        if pc.any(hits).as_py():
            work.values[amount] = pc.if_else(hits, pa.scalar(None, work.values[amount].type), work.values[amount])
            work.values[code] = pc.if_else(hits, currency, work.values[code])
            work.log.add(
                "money.foreign_currency", as_mask(hits), column.element.id, work.source(column), work.raw(column)
            )


def _check_at_home(work: Columns, of: Sequence[str]) -> None:
    """Drop Hunan codes that were read from a bare name where the record itself points to another province."""
    division, *elsewhere = of
    column = _column(work, division)
    if column is None or column.constant is not None:
        return
    raw, by_type = work.raw(column), {e.type: e.id for e in work.plan.kind.element_list() if e.id in elsewhere}
    uscc = work.values.get(by_type.pop("uscc", ""))
    province = work.values.get(next(iter(by_type.values()), ""))
    hits = abroad(raw, work.values[division], province, uscc)
    if hits.any():
        work.values[division] = without(work.values[division], hits)
        work.log.add("region.elsewhere", hits, division, work.source(column), raw)


def _check_not_after(work: Columns, of: Sequence[str]) -> None:
    """Warn where a period ends before it begins."""
    start, end = (work.values.get(element) for element in of)
    if start is not None and end is not None:
        work.log.add("dates.order", as_mask(pc.less(end, start)), of[1], "", _nothing(work))


def _check_not_future(work: Columns, of: Sequence[str]) -> None:
    """Warn of days that have not come yet."""
    for element in of:
        days = work.values.get(element)
        if days is not None:
            future = as_mask(pc.greater(days, pa.scalar(work.today, pa.date32())))
            work.log.add("dates.future", future, element, "", _nothing(work))


def _check_not_ancient(work: Columns, of: Sequence[str]) -> None:
    """Warn of days before there were such records."""
    for element in of:
        column = _column(work, element)
        least = pc.min(work.values[element]).as_py() if column else None
        if column and least and least < FIRST:
            early = as_mask(pc.less(work.values[element], pa.scalar(FIRST, pa.date32())))
            work.log.add("dates.ancient", early, element, work.source(column), _nothing(work))


def _check_born(work: Columns, of: Sequence[str]) -> None:
    """Warn where a birthday is not the one within the resident identity number beside it."""
    born, number = (work.values.get(element) for element in of)
    if born is not None and number is not None:
        work.log.add("person.born_differs", born_otherwise(born, number), of[0], "", _nothing(work))


CHECKS: dict[str, Callable[[Columns, Sequence[str]], None]] = {
    "currency": _check_currency,
    "at_home": _check_at_home,
    "not_after": _check_not_after,
    "not_future": _check_not_future,
    "not_ancient": _check_not_ancient,
    "born": _check_born,
}


def _column(work: Columns, element: str) -> ColumnPlan | None:
    return next((c for c in work.plan.columns if c.element.id == element), None)


def _nothing(work: Columns) -> pa.Array:
    return pa.nulls(work.rows, pa.string())
