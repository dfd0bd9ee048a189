"""What the number formats of a sheet say of its cells beside the value: a unit, scale, currency, percentage.

The value of a cell is without them: 5000000 shown as `500.0万` is 5,000,000, and 0.5 shown as `50%` is 0.5. Most
workbooks have no such format; then nothing but the styles is looked at.
"""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from chengxin.standardise.reading.workbook_zip import (
    BROKEN,
    column_number,
    damaged,
    placed_cells,
    sheet_member,
    styles,
)

_BLOCK = 4 << 20
_PARTS = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|!(?P<marked>.)|\[\$(?P<money>[^\]-]*)[^\]]*\]|\[[^\]]*\]|[_*].'
    r"|(?P<general>general|g/通用格式)|(?P<plain>.)",
    re.IGNORECASE | re.DOTALL,
)
#: The built-in formats that tell something; those of accountants show the currency of the computer.
BUILT_IN = {9: "0%", 10: "0.00%"}
_OWN_SIGNS = " ()-+/?,.#0:"
_STYLE, _TYPE = re.compile(rb"""\bs=["'](\d+)"""), re.compile(rb"""\bt=["'](\w+)""")


class NumberFormat(NamedTuple):
    """One section of a format. words: its letters and signs; scale: the power of ten by which less is shown."""

    code: str
    words: str
    scale: int
    percent: bool


def telling(code: str) -> list[NumberFormat]:
    """Return the sections of a format code that say something of the value beside it; none of a date's."""
    found = []
    for section in _sections(code):
        form = _read(section)
        if form and (form.words or form.scale or form.percent):
            found.append(form)
    return found


def _sections(code: str) -> Iterator[str]:
    section = ""
    for part in _PARTS.finditer(code):
        if part["plain"] == ";":
            yield section
            section = ""
        else:
            section += part[0]
    yield section


def _read(section: str) -> NumberFormat | None:
    """Read a section: its words, and its digits as 0 with commas and points; a point only written (`!.`) is `!`."""
    words, digits, percent = "", "", False
    for part in _PARTS.finditer(section):
        written = part["quoted"] or part["escaped"] or part["marked"] or part["money"] or ""
        plain = part["plain"] or ""
        if written == ".":
            digits += "!"
        elif plain and plain in "0#?,.":
            digits += "0" if plain in "0#?" else plain
        elif part["general"]:
            digits += "0"
        elif plain.lower() and plain.lower() in "ymdhsb@":
            return None
        elif plain.lower() == "e" and digits:
            break
        elif plain == "%":
            percent = True
        else:
            words += written or plain
    words = "".join(c for c in words if c not in _OWN_SIGNS)
    whole, _, _ = digits.partition(".")
    _, point, behind = whole.partition("!")
    scale = 3 * (len(digits) - len(digits.rstrip(","))) + (behind.count("0") if point else 0)
    if "." in digits:
        scale += 3 * (len(whole) - len(whole.rstrip(",")))
    return NumberFormat(section, words, scale, percent)


def formats_of(path: Path, sheet: str, first: int) -> dict[int, set[NumberFormat]]:
    """Return the telling formats of the numbers from sheet row `first` on, by 0-based column."""
    try:
        with zipfile.ZipFile(path) as package:
            told = {n: forms for n, code in _codes(package).items() if (forms := telling(code))}
            member = sheet_member(package, sheet)
            return _found(package, member, told, first) if told and member else {}
    except BROKEN as fault:
        raise damaged(path) from fault


def _codes(package: zipfile.ZipFile) -> dict[int, str]:
    """Return style number -> format code."""
    root = styles(package)
    if root is None:
        return {}
    own = {node.get("numFmtId"): node.get("formatCode", "") for node in root.iterfind("{*}numFmts/{*}numFmt")}
    codes = {}
    for n, node in enumerate(root.iterfind("{*}cellXfs/{*}xf")):
        number = node.get("numFmtId", "0")
        codes[n] = str(own.get(number) or BUILT_IN.get(int(number), ""))
    return codes


def _found(
    package: zipfile.ZipFile, member: str, told: dict[int, list[NumberFormat]], first: int
) -> dict[int, set[NumberFormat]]:
    seen = _seen_by_reference(package, member, told, first)
    if seen is None:
        cells = (cell for cell in placed_cells(_xml(package, member)) if cell[0] >= first and _number(cell[2]))
        seen = {(column, int(match[1])) for _, column, cell in cells if (match := _STYLE.search(cell))}
    found: dict[int, set[NumberFormat]] = {}
    for column, style in seen:
        found.setdefault(column, set()).update(told.get(style, ()))
    return {column: forms for column, forms in found.items() if forms}


def _seen_by_reference(
    package: zipfile.ZipFile, member: str, told: dict[int, list[NumberFormat]], first: int
) -> set[tuple[int, int]] | None:
    """Find column and style of the cells in question without a look at others; None if one does not say its place."""
    numbers = "|".join(map(str, sorted(told, reverse=True)))
    wanted = re.compile(rf"""<(?:\w+:)?c\s(?=[^<>]*\bs=["']({numbers})["'])([^<>]*[^/<>])>""".encode())
    seen: set[tuple[int, int]] = set()
    for xml in _xml(package, member):
        for style, cell in wanted.findall(xml):
            place = re.search(rb"""\br=["']([A-Za-z]+)(\d+)""", cell)
            if place is None:
                return None
            if int(place[2]) >= first and _number(cell):
                seen.add((column_number(place[1].upper()), int(style)))
    return seen


def _number(cell: bytes) -> bool:
    """Tell by the attributes of a cell whether it holds a number."""
    kind = _TYPE.search(cell)
    return not cell.endswith(b"/") and (kind is None or kind[1] == b"n")


def _xml(package: zipfile.ZipFile, member: str) -> Iterator[bytes]:
    """Yield a sheet's XML in parts that end with a tag."""
    with package.open(member) as file:
        rest = b""
        while block := file.read(_BLOCK):
            xml = rest + block
            end = xml.rfind(b">") + 1
            yield xml[:end]
            rest = xml[end:]
