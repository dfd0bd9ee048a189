"""Units of money that a delivery states outside its columns' names: above the header, in a note, in number formats."""

import re
from collections.abc import Callable, Iterable, Mapping

from chengxin.contracts.plan import ColumnPlan, Plan
from chengxin.contracts.units import unit_in
from chengxin.errors import DeliveryMismatch
from chengxin.standardise.kernels.money_forms import UNITS, read_words
from chengxin.standardise.reading.number_formats import NumberFormat

_MONEY = "百万元|十万元|千万元|万元|亿元|千元|百元|元"
_STATED = re.compile(
    r"单位\s*(?:[:：为是]|均为|都是)?\s*[(（【\[]?\s*(?:[户人家个件条笔]\s*[、,，/]\s*)?(?:人民币)?\s*"
    rf"({_MONEY})(?![\u4e00-\u9fff])"
    rf"|(?:金额|罚款|余额)\s*[:：]\s*(?:人民币)?({_MONEY}|万|亿|千)(?![\u4e00-\u9fff])"
    rf"|(?:以|按)\s*[“\"]?(?:人民币)?({_MONEY})[”\"]?\s*(?:为(?:计量)?单位|计[算量]?|填[写报列]|列示)"
)
_IN_NAME = re.compile(rf"[(（【\[]\s*(?:人民币)?\s*({_MONEY})\s*[)）】\]]")
_ALONE = re.compile(rf"[(（【\[]?\s*(?:人民币)?({_MONEY})\s*[)）】\]]?")
_CELL = re.compile(rf"[(（【\[]?\s*(?:单位\s*[:：]?)?\s*(?:人民币)?({_MONEY}|万|亿|千)\s*[)）】\]]?")


def stated_unit(text: str) -> str | None:
    """Return the unit of money that a line states (计量单位：人民币万元), or None."""
    found = _STATED.search(text)
    unit = next((u for u in found.groups() if u), None) if found else None
    return unit if unit is None or unit.endswith("元") else f"{unit}元"


def unit_above(line: str) -> str | None:
    """Return the unit that a title, or the name of a sheet or file, states, or None.

    Stated as in a note, in brackets (欠税公告（万元）.xlsx), or alone in a cell (欠税公告,,,万元).
    """
    if unit := stated_unit(line):
        return unit
    cells = (_ALONE.fullmatch(cell.strip(' \t\r\n"')) for cell in re.split(r"[,，;；|\t]|\s{2,}", line))
    found = {*_IN_NAME.findall(line), *(cell[1] for cell in cells if cell)}
    return found.pop() if len(found) == 1 else None


def check_unit_cells(plan: Plan, column: ColumnPlan, texts: Iterable[str]) -> None:
    """Raise DeliveryMismatch where a cell of a money column holds another unit than the contract's, and no amount.

    A line of units below the column names (（万元）) speaks of all rows.
    """
    for text in texts:
        found = _CELL.fullmatch(text.strip())
        if found and found[1].removesuffix("元") != (column.unit or "元").removesuffix("元"):
            raise DeliveryMismatch(
                f"{plan.contract.id}：“{column.source}”栏有一格只写单位 {found[1]}，合同中该列的单位却是"
                f" {column.unit or '元'}；请核对合同 columns 的 unit，或请提供部门按约定的单位重报"
            )


def check_units(plan: Plan, lines: Iterable[str], told: Callable[[str], str | None] = stated_unit) -> None:
    """Raise DeliveryMismatch where a line states another unit than the contract's columns of money have.

    Ten thousand times too much or too little looks like any amount. A column whose header names its unit is not meant.
    """
    columns = [c for c in _money(plan) if unit_in(c.source) is None]
    for line in lines:
        unit = told(line)
        other = [c.source for c in columns if unit and (c.unit or "元") != unit]
        if other:
            raise DeliveryMismatch(
                f"{plan.contract.id}：来文写明“单位：{unit}”，合同中 {'、'.join(other)} 的单位却是"
                f" {'、'.join(dict.fromkeys(c.unit or '元' for c in columns if c.source in other))}；"
                "请核对合同 columns 的 unit，或请提供部门按约定的单位重报"
            )


def check_formats(plan: Plan, headers: Mapping[str, str], formats: Mapping[str, Iterable[NumberFormat]]) -> None:
    """Raise DeliveryMismatch where cells of money are shown in another unit, scale or currency than the contract's.

    headers: element -> header as sent; formats: header -> the telling number formats of its cells.
    """
    for column in _money(plan):
        header = headers.get(column.element.id, "")
        for form in formats.get(header, ()):
            if told := _other(form, column, in_currency=plan.in_currency):
                raise DeliveryMismatch(
                    f"{plan.contract.id}：列“{header[:40]}”的单元格数字格式是 {form.code[:40]}（{told}），"
                    f"与合同约定的单位 {column.unit or '元'} 不一致，分不清单元格里的数是多少钱；"
                    "请提供部门把该列改为“常规”格式、按约定的单位填写后重报，或核对合同 columns 的 unit"
                )


def _money(plan: Plan) -> list[ColumnPlan]:
    return [c for c in plan.columns if c.element.type == "money" and c.constant is None]


def _other(form: NumberFormat, column: ColumnPlan, *, in_currency: bool) -> str | None:
    """Say what a format states that the contract does not; None where they agree or the format states nothing."""
    if form.percent:
        return "百分比"
    read = read_words(form.words.upper()) if form.words else None
    power, currency = read if read else (None, "CNY")
    if currency != "CNY" and not in_currency:
        return f"外币 {currency}"
    if power is None:
        return f"显示时缩小为 10 的 {form.scale} 次方分之一" if form.scale else None
    return (
        None if power - form.scale == UNITS[column.unit or "元"] else f"{'显示' if form.scale else '单位'} {form.words}"
    )
