"""What a workbook holds beside the rows that are read, or hides among them: other sheets, hidden ones, merged cells."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chengxin.contracts.headers import fold_header
from chengxin.contracts.models import FileSpec
from chengxin.errors import DeliveryMismatch
from chengxin.parsing.notes import is_note

_NUMBER = re.compile(r"[-+]?[\d,.]+(?:E[-+]?\d+)?")
_DATA = re.compile(r"\d{6}|\d{4}\D\d{1,2}\D\d{1,2}")
Cells = list[str | None]
Range = tuple[tuple[int, int], tuple[int, int]]


def refuse_hidden(path: Path, spec: FileSpec, hidden: Collection[str], chosen: Sequence[str]) -> None:
    """Raise DeliveryMismatch where a sheet would be read that nobody sees and the contract does not name."""
    found = [name for name in chosen if name in hidden]
    if found and (spec.sheet is None or spec.sheet == "*"):
        raise DeliveryMismatch(
            f"文件 {path.name} 的工作表 {'、'.join(found)} 是隐藏的，分不清要不要读；"
            "请在合同 file.sheet 中写明要读的工作表，或请提供部门删去隐藏的表后重报"
        )


def refuse_alike(
    path: Path, first: str, header: Sequence[str], others: Mapping[str, tuple[Sequence[Sequence[str]], Cells]]
) -> None:
    """Raise DeliveryMismatch where another sheet looks like a part of the list: which to read is not declared.

    others: sheet -> rows that may be its header, and the row in the header's place. A sheet is alike if half of the
    names are the same, or if data of the same width stand where its header should.
    """
    own = {fold_header(name) for name in header}
    alike = [first]
    for sheet, (heads, top) in others.items():
        filled = [cell for cell in top if cell]
        shared = max((own & {fold_header(name) for name in names} for names in heads), key=len, default=set())
        goes_on = len(filled) == len(header) and any(_DATA.search(cell) for cell in filled)
        if 2 * len(shared) >= len(own) or goes_on:
            alike.append(sheet)
    if len(alike) > 1:
        raise DeliveryMismatch(
            f"文件 {path.name} 有 {len(alike)} 张列名相同或相连的工作表（{'、'.join(alike)}），合同没有说明读哪些；"
            '请在合同 file.sheet 中写 1（只读第一张）、表名，或 "*"（全部）'
        )


@dataclass
class Merged:
    """Cells merged over several rows: what stands in the first belongs to all, unless it is a number.

    A cell merged over several columns hides what belongs in the others.
    """

    _spans: dict[int, list[tuple[int, bool]]] = field(default_factory=dict)  # sheet row -> (column, begins here)
    _values: dict[int, str | None] = field(default_factory=dict)
    _across: set[int] = field(default_factory=set)  # sheet rows
    filled: set[int] = field(default_factory=set)  # sheet rows that took a value from above

    @classmethod
    def of(cls, ranges: Iterable[Range], body: int, width: int, blank: Sequence[int] = ()) -> "Merged":
        """Take the merged ranges of a sheet from row `body` (1-based) on; the ranges' own places are 0-based.

        blank: columns without a name.
        """
        found = cls()
        for (top, left), (bottom, right) in ranges:
            if len(set(range(left, min(right + 1, width))) - set(blank)) > 1:
                found._across.update(range(max(top + 1, body), bottom + 2))
            if bottom > top and left < width:
                for row in range(max(top + 1, body), bottom + 2):
                    found._spans.setdefault(row, []).append((left, row == max(top + 1, body)))
        return found

    def fill(self, number: int, cells: Cells) -> bool:
        """Fill a row's merged cells in place; return whether what belongs to the row and its columns is in doubt."""
        given = [cell for cell in cells if cell is not None]
        doubtful = number in self._across and len(given) > 2 and not is_note(given)
        for column, begins in self._spans.get(number, ()):
            cells.extend([None] * (column + 1 - len(cells)))
            if begins:
                self._values[column] = cells[column]
            value = self._values.get(column)
            doubtful |= value is not None and _NUMBER.fullmatch(value) is not None
            cells[column] = value
            if value is not None and not begins:
                self.filled.add(number)
        return doubtful
