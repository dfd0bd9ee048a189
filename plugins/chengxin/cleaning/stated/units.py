"""Units of money that a delivery states outside its columns' names: above the header, in a note, in number formats."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.contracts.plan import ColumnPlan, Plan
from chengxin.errors import DeliveryMismatch
from chengxin.model.units import UNITS, Unit, read_unit, read_words, stated_unit, unit_in
from chengxin.model.vocabularies import Units, one_of, vocabulary
from chengxin.parsing.buffers import Mask, Rows, as_mask, take, valid
from chengxin.parsing.shapes import UnitRows
from chengxin.parsing.workbooks.number_formats import FormatRows, NumberFormat

#: Characters; a line set aside that is no longer may be a note on the whole table.
NOTE = 80
_VALUES = frozenset({"money", "date", "instant", "flag"})  # types whose value counts, however it is shown
_UNIT_COLUMN = re.compile(one_of(vocabulary(Units).unit_columns))
_FEW_UNITS = 20
_COUNTS = frozenset({"integer", "year"})
_SPEAKS_OF_UNIT = r"(?i)单位|元(?:计|填)|币种|币别|货币|\bunits?\b|currency|[(（]in "


def notes_in(table: pa.Table, rows: Rows) -> list[str]:
    """Return what rows hold that have a single value, which speaks of a unit: notes on the whole table."""
    found: list[str] = []
    for column in table.columns[:3] if len(rows) else ():
        texts = take(column.chunk(0) if column.num_chunks == 1 else column.combine_chunks(), rows)
        hits = as_mask(pc.match_substring_regex(texts, _SPEAKS_OF_UNIT)) & valid(texts)
        for n in np.flatnonzero(hits).tolist():
            row = table.slice(int(rows[n]), 1).to_pylist()[0]
            if sum(bool(value and value.strip()) for value in row.values()) == 1 and len(texts[n].as_py()) < NOTE:
                found.append(texts[n].as_py())
    return found


def units_beside(plan: Plan, table: pa.Table) -> Iterator[tuple[Mask, str, list[ColumnPlan]]]:
    """Yield rows for which a column of units that the contract leaves out states another unit than the contract.

    With what to say of it, and the columns of money that it is about.
    """
    for name in table.column_names if plan.ignored else ():
        if _UNIT_COLUMN.fullmatch(name.strip()) and name in plan.contract.ignored:
            for text in pc.unique(table[name]).to_pylist()[:_FEW_UNITS]:
                told = _contradicted(plan, f"单位：{text}", stated_unit) if text and text.strip() else None
                if told:
                    yield as_mask(pc.equal(table[name], text).combine_chunks()), *told


def unit_cells(plan: Plan, column: ColumnPlan, texts: Iterable[str]) -> dict[str, str]:
    """Return those texts of a money column that are another unit than the contract's, and no amount: text -> words."""
    found = {}
    for text in texts:
        unit = stated_unit(text) or read_unit(text.strip("()（）【】[] "))
        if unit and unit.differs(column.unit, in_currency=plan.in_currency):
            found[text] = (
                f"{plan.contract.id}：“{column.source}”栏有一格只写单位 {unit.word}，合同中该列的单位却是"
                f" {column.unit or '元'}；请核对合同 columns 的 unit，或请提供部门按约定的单位重报"
            )
    return found


def refuse_odd_units(told: Iterable[UnitRows], share: float) -> None:
    """Raise DeliveryMismatch where the rows of a file with another unit are more than a share of the sound ones.

    Fewer are slips of the hand and refused one by one; where there are more, the unit of all may be in doubt.
    """
    odd: Counter[str] = Counter()
    sound: Counter[str] = Counter()
    words: dict[str, str] = {}
    for rows in told:
        odd[rows.element] += rows.odd
        sound[rows.element] += rows.sound
        words.setdefault(rows.element, rows.words) if rows.words else None
    for element, says in words.items():
        if odd[element] > share * sound[element]:
            raise DeliveryMismatch(says)


def check_units(plan: Plan, lines: Iterable[str], told: Callable[[str], Unit | None] = stated_unit) -> None:
    """Raise DeliveryMismatch where a line states another unit than the contract's columns of money have."""
    for line in lines:
        if found := _contradicted(plan, line, told):
            raise DeliveryMismatch(found[0])


def _contradicted(plan: Plan, line: str, told: Callable[[str], Unit | None]) -> tuple[str, list[ColumnPlan]] | None:
    """Return what to say of a line that states another unit than columns of money have, and these; None if none.

    Ten thousand times too much or too little looks like any amount. A column whose header names its unit is not meant,
    unless there is no other of which the line could speak.
    """
    columns = [c for c in _money(plan) if unit_in(c.source) is None] or (_money(plan) if not plan.ignored else [])
    unit = told(line) if columns else None
    other = [c for c in columns if unit and unit.differs(c.unit, in_currency=plan.in_currency)]
    if not unit or not other:
        return None
    return (
        f"{plan.contract.id}：来文写明“单位：{unit.word}”，合同中 {'、'.join(c.source for c in other)} "
        f"的单位却是 {'、'.join(dict.fromkeys(c.unit or '元' for c in other))}；"
        "请核对合同 columns 的 unit，或请提供部门按约定的单位重报"
    ), other


def odd_formats(
    plan: Plan, headers: Mapping[str, str], formats: Mapping[str, FormatRows]
) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Yield elements whose cells are shown in another unit, scale or currency than the contract's; as Piece.odd.

    headers: element -> header as sent; formats: header -> the telling number formats of its cells, with their rows.
    """
    for column in _money(plan):
        header = headers.get(column.element.id, "")
        for form, rows in formats.get(header, {}).items():
            if told := _other(form, column, in_currency=plan.in_currency):
                words = (
                    f"{plan.contract.id}：列“{header[:40]}”的单元格数字格式是 {form.code[:40]}（{told}），"
                    f"与合同约定的单位 {column.unit or '元'} 不一致，分不清单元格里的数是多少钱；"
                    "请提供部门把该列改为“常规”格式、按约定的单位填写后重报，或核对合同 columns 的 unit"
                )
                yield column.element.id, words, tuple(rows)


def shown_columns(
    plan: Plan, headers: Mapping[str, str], formats: Mapping[str, Iterable[NumberFormat]]
) -> frozenset[str]:
    """Return the headers of columns whose cells have to be read as they are shown, zeros and words included.

    `000000` over 12 names 000012, `"示罚〔2024〕"0"号"` a whole document number; of days, `m"月"d"日"` shows no year.
    Raises DeliveryMismatch where what is shown is more than that, as with conditions and percentages. headers, formats:
    as in `odd_formats`.
    """
    found = set()
    for column in plan.columns:
        kind = column.element.type
        header = headers.get(column.element.id, "")
        forms = [] if kind in _VALUES or column.constant is not None else list(formats.get(header, ()))
        forms = [form for form in forms if not form.lacks]
        if kind == "date" and any(form.lacks for form in formats.get(header, ())):
            found.add(header)
        for form in forms:
            if form.parts is None if kind not in _COUNTS else _scaled(form):
                if kind == "text" and form.words in {"¥", "￥"}:
                    continue  # a sum of money within a text
                raise DeliveryMismatch(
                    f"{plan.contract.id}：列“{header[:40]}”的单元格数字格式是 {form.code[:40]}，"
                    "显示的内容与单元格里的数不同，读到的只是其中的数；请提供部门把该列设为“文本”格式、写全内容后重报"
                )
        if forms and kind not in _COUNTS:
            found.add(header)
    return frozenset(found)


def _scaled(form: NumberFormat) -> bool:
    return bool(form.percent or form.scale or re.search("[百千万亿]", form.words))


def _money(plan: Plan) -> list[ColumnPlan]:
    return [c for c in plan.columns if c.element.type == "money" and c.constant is None]


def _other(form: NumberFormat, column: ColumnPlan, *, in_currency: bool) -> str | None:
    """Describe what a format states that the contract does not; None where they agree or the format states nothing."""
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
