"""Rows of an XLSX sheet that whoever looks at it does not take for records: hidden ones, and those struck through."""

import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass

from chengxin.parsing.workbooks.xlsx_package import styles

_ROW = re.compile(
    rb"""<(?:\w+:)?row\s(?=[^<>]*\s(?:hidden=["'](?:1|true)|ht=["']0(?:\.0+)?)["'])(?:[^<>]*?\s)?r=["'](\d+)["'][^<>]*>"""
)
_SHOWN = 10  # numbers of rows that are named
_NO = {"0", "false"}


@dataclass(frozen=True)
class Unseen:
    """Finds such rows in a piece of a sheet; where nothing is hidden or struck, by one search for a word."""

    struck: re.Pattern[bytes] | None  # a filled cell of a style whose font is struck through

    @classmethod
    def of(cls, package: zipfile.ZipFile) -> "Unseen":
        """Look at the styles of a workbook."""
        root = styles(package)
        if root is None:
            return cls(None)
        fonts = [
            any(node.get("val") not in _NO for node in font.iterfind("{*}strike"))
            for font in root.iterfind("{*}fonts/{*}font")
        ]
        numbers = [int(node.get("fontId", "0")) for node in root.iterfind("{*}cellXfs/{*}xf")]
        hits = [str(n) for n, font in enumerate(numbers) if font < len(fonts) and fonts[font]]
        if not hits:
            return cls(None)
        style = rf"""<(?:\w+:)?c\s(?=[^<>]*\bs=["'](?:{"|".join(hits)})["'])[^<>]*\br=["'][A-Za-z]+(\d+)["']"""
        style += r"(?:[^<>]*[^/<>])?>"
        return cls(re.compile(style.encode()))

    def hidden(self, xml: bytes) -> set[int]:
        """Return the numbers of the hidden rows."""
        return {int(number) for number in _ROW.findall(xml)} if b" hidden=" in xml or b' ht="0' in xml else set()

    def crossed(self, xml: bytes) -> set[int]:
        """Return the numbers of the rows with a cell that is struck through."""
        return {int(number) for number in self.struck.findall(xml)} if self.struck else set()


def told_rows(sheet: str, numbers: Iterable[int], what: str) -> tuple[str, ...]:
    """Say of rows of a sheet what they are; nothing where there are none."""
    found = sorted(numbers)
    if not found:
        return ()
    shown = "、".join(map(str, found[:_SHOWN])) + (f" 等 {len(found)}" if len(found) > _SHOWN else "")
    return (f"工作表“{sheet}”第 {shown} 行{what}",)
