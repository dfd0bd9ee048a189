"""The table of refused rows as a workbook in which a clerk corrects them: what is wrong stands at the cell itself.

The row is as it was sent, all cells text, so that nothing in it is run, rounded or made a date. Our own columns are
locked, without a password. The same rows give the same bytes.
"""

import io
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chengxin.contracts.corrections import SHEET, STEM
from chengxin.store import atomic

if TYPE_CHECKING:
    from openpyxl.worksheet._write_only import WriteOnlyWorksheet

MOST_ROWS = 5_000  # more than that nobody corrects by hand, and a spreadsheet program is slow with so many remarks
MOST_TEXT = 32_767  # characters that a cell holds
_MADE = datetime(2000, 1, 1)  # noqa: DTZ001
_ZIPPED = (1980, 1, 1, 0, 0, 0)
_CHANGED = re.compile(rb"(<dcterms:modified[^>]*>)[^<]*")
_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_REMARK = 1_000  # characters
_WIDE = {"问题说明": 44, "更正办法": 44, "来源文件": 18, "批次号": 14, "规则代码": 14}


@dataclass(frozen=True)
class Line:
    """One row. told: our cells; own: the department's; remarks: number of its column -> what is wrong there."""

    told: Sequence[str | None]
    own: Sequence[str | None]
    remarks: Mapping[int, str] = field(default_factory=dict)

    @property
    def fits(self) -> bool:
        """Return whether a workbook holds every text whole."""
        return all(len(text or "") <= MOST_TEXT for text in (*self.told, *self.own))


@dataclass(frozen=True)
class Table:
    """What goes into a workbook. choices: number of a column -> what may stand there."""

    titles: Sequence[str]
    headers: Sequence[str]
    lines: Sequence[Line]
    choices: Mapping[int, Sequence[str]]


def write(table: Table, folder: Path) -> tuple[str, ...]:
    """Write 需更正.xlsx; nothing where a workbook does not hold the rows. Return its name."""
    if len(table.lines) > MOST_ROWS or not all(line.fits for line in table.lines):
        return ()
    atomic.write_bytes(folder / f"{STEM}.xlsx", _fixed(_made(table)))
    return (f"{STEM}.xlsx",)


def _made(table: Table) -> bytes:
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    book.properties.creator, book.properties.created = "诚信湖南", _MADE
    sheet, lists = book.create_sheet(STEM), book.create_sheet(SHEET)
    lists.sheet_state = "hidden"
    sheet.freeze_panes = "A2"
    sheet.protection.sheet = True
    sheet.protection.formatColumns = sheet.protection.formatRows = sheet.protection.formatCells = False
    _set_widths(sheet, table)
    cells = _Cells(sheet)
    sheet.append([*(cells.made(t, "head") for t in table.titles), *(cells.made(h, "own_head") for h in table.headers)])
    for line in table.lines:
        sheet.append(cells.of(line))
    _choose(sheet, lists, table)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


class _Cells:
    """Makes the cells of a sheet."""

    def __init__(self, sheet: "WriteOnlyWorksheet") -> None:
        from openpyxl.styles import Alignment, Font, PatternFill, Protection

        def fill(colour: str) -> Any:
            return PatternFill("solid", fgColor=colour)

        wrapped, plain = Alignment(wrap_text=True, vertical="top"), Alignment(vertical="top")
        self._sheet = sheet
        self._looks: dict[str, dict[str, Any]] = {
            "head": {"font": Font(bold=True), "fill": fill("D9D9D9"), "alignment": wrapped},
            "own_head": {"font": Font(bold=True), "fill": fill("BDD7EE"), "alignment": wrapped},
            "told": {"fill": fill("F2F2F2"), "alignment": wrapped},
            "own": {"alignment": plain, "protection": Protection(locked=False)},
            "wrong": {"fill": fill("FFC7CE"), "alignment": plain, "protection": Protection(locked=False)},
        }

    def of(self, line: Line) -> list[Any]:
        """Return the cells of a row."""
        own = [self.made(text, "wrong" if n in line.remarks else "own") for n, text in enumerate(line.own)]
        for n, said in line.remarks.items():
            own[n].comment = _remark(said)
        return [*(self.made(text, "told") for text in line.told), *own]

    def made(self, text: str | None, look: str) -> Any:
        """Return a cell that is text, whatever it begins with."""
        from openpyxl.cell import WriteOnlyCell

        cell = WriteOnlyCell(self._sheet)
        for name, value in self._looks[look].items():
            setattr(cell, name, value)
        cell.number_format = "@"
        if text:
            cell.value = _plain(text)
            cell.data_type = "s"
            cell.quotePrefix = text[0] in "=+-@＝＋－＠\t'"
        return cell


def _plain(text: str) -> str:
    """Return a text that XML can hold and that a spreadsheet program shows as it is."""
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    return _ESCAPED.sub("_x005F_", ILLEGAL_CHARACTERS_RE.sub(" ", text))


def _remark(said: str) -> Any:
    from openpyxl.comments import Comment

    return Comment(_plain(said[:_REMARK]), "诚信湖南", width=320, height=40 + 20 * (1 + len(said[:_REMARK]) // 22))


def _set_widths(sheet: "WriteOnlyWorksheet", table: Table) -> None:
    from openpyxl.utils import get_column_letter

    for n, title in enumerate((*table.titles, *table.headers), 1):
        ours = n <= len(table.titles)
        wide = _WIDE.get(title, 10) if ours else min(40, max(14, 2 * len(title) + 4))
        sheet.column_dimensions[get_column_letter(n)].width = wide


def _choose(sheet: "WriteOnlyWorksheet", lists: "WriteOnlyWorksheet", table: Table) -> None:
    """Give code columns a list to choose from; what may stand there stands on the hidden sheet, a column each."""
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    chosen = [(n, list(choices)) for n, choices in sorted(table.choices.items()) if choices]
    cells = _Cells(lists)
    lists.append([cells.made(table.headers[n], "own_head") for n, _ in chosen] or [cells.made(STEM, "head")])
    for row in range(max((len(c) for _, c in chosen), default=0)):
        lists.append([cells.made(c[row] if row < len(c) else None, "told") for _, c in chosen])
    for at, (n, choices) in enumerate(chosen, 1):
        letter = get_column_letter(at)
        rule = DataValidation("list", f"{SHEET}!${letter}$2:${letter}${len(choices) + 1}", allow_blank=True)
        rule.errorStyle, rule.showErrorMessage = "warning", True
        rule.errorTitle, rule.error = "不在可选值中", "请从下拉列表中选择；确认无误的也可以保留所填的值"
        column = get_column_letter(len(table.titles) + n + 1)
        rule.add(f"{column}2:{column}{len(table.lines) + 1}")
        sheet.data_validations.append(rule)


def _fixed(book: bytes) -> bytes:
    """Return a workbook without the time at which it was made."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as made, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as kept:
        for info in made.infolist():
            part = made.read(info)
            if info.filename == "docProps/core.xml":
                part = _CHANGED.sub(rb"\g<1>2000-01-01T00:00:00Z", part)
            kept.writestr(zipfile.ZipInfo(info.filename, _ZIPPED), part, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def choices_of(listed: Iterable[str]) -> list[str]:
    """Return what may be chosen, each once, in order."""
    return list(dict.fromkeys(text for text in listed if text))
