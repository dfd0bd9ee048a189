"""Cells as a sheet shows them: 12 under `00000000` is 00000012, and 12 under `"湘"0"号"` is 湘12号.

That is what a department means where a number names something. It is done for whole numbers and texts only, and for
formats of zeros and texts only; any other number under such a format cannot be written as it is shown.
"""

import datetime as dt
import re
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from chengxin.errors import DeliveryMismatch
from chengxin.parsing.shapes import Dated, Nested, Partial
from chengxin.parsing.workbooks.number_formats import Cell, NumberFormat, forms_of

_EXACT = 10**15  # a double holds whole numbers of 15 digits for sure
_WHOLE = re.compile("[0-9]{1,15}")


class Shown(NamedTuple):
    """How a format shows numbers above 0, the number 0, and texts; None: as they are."""

    number: NumberFormat | None
    zero: NumberFormat | None
    text: NumberFormat | None

    @classmethod
    def of(cls, code: str) -> "Shown | None":
        """Read a format code; None where it shows nothing otherwise than it is written."""
        forms = forms_of(code)
        texts = [form for form in forms if form and form.of_text]
        numbers = [form for form in forms if form is None or not form.of_text]
        number = numbers[0] if numbers else None
        found = cls(number, numbers[2] if len(numbers) > 2 else number, texts[-1] if texts else None)
        told = cls(*(form if form and form.tells else None for form in found))
        return told if any(told) else None

    def written(self, value: str | None, *, is_text: bool, place: str) -> str | None:
        """Return a cell as it is shown. place: of the cell, for people. Raises DeliveryMismatch."""
        if type(value) is Dated and self.number and self.number.lacks:
            return Partial(value) if self.number.lacks == "year" or value.endswith("-01") else value
        if type(value) is not str:  # nothing, a day, true
            return value
        form = self.text if is_text else self.zero if value == "0" else self.number
        if form is None or form.parts is None:
            return value
        if is_text:
            return "".join(value if part == "@" else part[1:] for part in form.parts)
        if _WHOLE.fullmatch(value):
            return "".join(_digits(form.parts, value.lstrip("0")))
        if "E" in value:  # has lost its last digits already
            return value
        raise DeliveryMismatch(
            f"{place}的数字格式是 {form.code[:40]}，单元格里却不是非负整数，显示的内容无法确定；"
            "请提供部门把该列设为“文本”格式、写全内容后重报"
        )


def _digits(parts: tuple[str, ...], digits: str) -> Iterable[str]:
    """Yield the parts with digits in their places; those that have none stand in the first."""
    places = sum(not part.startswith("=") for part in parts)
    left = digits.rjust(places) if places else ""
    rest = len(left) - places
    for part in parts:
        if part.startswith("="):
            yield part[1:]
            continue
        taken, left = left[: rest + 1], left[rest + 1 :]
        rest = 0
        yield taken.replace(" ", "0" if part == "0" else "")


#: Row (from 1) -> column (from 0) -> how the cell is shown, and whether it is a text.
Places = Mapping[int, Mapping[int, tuple[Shown, bool]]]


def gathered(cells: Iterable[Cell], styles: Mapping[int, Shown], columns: Collection[int]) -> Places:
    """Pick from cells (row, column, style, whether a text) those of some columns that are shown in such a way."""
    found: dict[int, dict[int, tuple[Shown, bool]]] = {}
    for row, column, style, is_text in cells:
        if column in columns and style in styles:
            found.setdefault(row, {})[column] = (styles[style], is_text)
    return found


def cell_text(value: object) -> str | None:
    """Return a cell as text; blank and error cells are null.

    Whole numbers have no .0; above 15 digits a cell has already lost its last digits, so it stays in scientific form
    and is seen as destroyed. Dates are ISO, with the time only where there is one.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return Nested("true" if value else "false")
    if isinstance(value, (int, float)):
        return _number_text(value)
    if isinstance(value, dt.datetime):
        return Dated(value.date().isoformat() if value.time() == dt.time() else value.isoformat(" ", "seconds"))
    return Dated(value.isoformat()) if isinstance(value, (dt.date, dt.time)) else str(value)


def _number_text(value: float) -> str | None:
    if value != value or value in (float("inf"), float("-inf")):
        return None
    if abs(value) >= _EXACT:
        return f"{Decimal(repr(value)):E}"
    if value == int(value):
        return str(int(value))
    return f"{Decimal(repr(value)):f}"


def column_name(at: int) -> str:
    """Name a column (from 0) as people find it: 第 28 列（AB）."""
    letters = (chr(64 + at // 26) if at >= 26 else "") + chr(65 + at % 26)
    return f"第 {at + 1} 列（{letters}）" if at < 702 else f"第 {at + 1} 列"
