"""What the number formats of a sheet say of its cells beside the value: a unit, scale, currency, percentage, zeros.

The value of a cell is without them: 5000000 shown as `500.0万` is 5,000,000, 0.5 shown as `50%` is 0.5, and 12 shown
as `00000012` or `湘0012` is 12. Most workbooks have no such format; then nothing but the styles is looked at.
"""

import re
import zipfile
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from chengxin.parsing.workbooks.xlsx_package import BROKEN, column_number, damaged, placed_cells, sheet_member, styles

_BLOCK = 4 << 20
_PARTS = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|!(?P<marked>.)|\[\$(?P<money>[^\]-]*)[^\]]*\]|\[[^\]]*\]|[_*].'
    r"|(?P<general>general|g/通用格式)|(?P<plain>.)",
    re.IGNORECASE | re.DOTALL,
)
#: The built-in formats that change the meaning; those of accountants show the currency of the computer.
BUILT_IN = {9: "0%", 10: "0.00%", 16: "d-mmm", 17: "mmm-yy", 57: 'yyyy"年"m"月"', 58: 'm"月"d"日"'}
_OWN_SIGNS = " ()-+/?,.#0:"
_STYLE, _TYPE = re.compile(rb"""\bs=["'](\d+)"""), re.compile(rb"""\bt=["'](\w+)""")
_PLACE = re.compile(rb"""\br=["']([A-Za-z]+)(\d+)""")
#: Row (from 1), column (from 0) and style of a cell, and whether it holds a text.
Cell = tuple[int, int, int, bool]


class NumberFormat(NamedTuple):
    """One section of a format. words: its letters and signs; scale: the power of ten by which less is shown.

    zeros: digits that a number always shows before its point. of_text: whether it is about texts, not numbers.
    parts: what is shown of a whole number, from left to right: "0" and "#" for its digits, and texts behind "="; of a
    text: "@" and texts. None where more than that is done. lacks: "day" or "year" where a format of days shows none.
    """

    code: str
    words: str
    scale: int
    percent: bool
    zeros: int = 0
    of_text: bool = False
    parts: tuple[str, ...] | None = None
    lacks: str = ""

    @property
    def tells(self) -> bool:
        """Return whether a cell is shown otherwise than its value is written."""
        return bool(self.words or self.scale or self.percent or self.zeros > 1 or self.lacks)


#: Formats and the rows of the cells that have them, ascending.
FormatRows = dict[NumberFormat, "array[int]"]


def telling(code: str) -> list[NumberFormat]:
    """Return the sections of a format code that say something of the value beside it; of a date's, what they lack."""
    return [form for form in forms_of(code) if form and form.tells]


def forms_of(code: str) -> list[NumberFormat | None]:
    """Return the sections of a format code; None for that of a whole date, or of a time."""
    return [_read(section) for section in _sections(code)]


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
    words, digits, percent, of_text = "", "", False, False
    shown: list[str] = []
    simple = True
    for part in _PARTS.finditer(section):
        written = part["quoted"] or part["escaped"] or part["marked"] or part["money"] or ""
        plain = part["plain"] or ""
        if written == ".":
            digits += "!"
        elif plain and plain in "0#?,.":
            digits += "0" if plain in "0#?" else plain
        elif part["general"]:
            digits += "0"
        elif plain == "@":
            of_text = True
        elif plain.lower() and plain.lower() in "ymdhsb":
            return _read_days(section)
        elif plain.lower() == "e" and digits:
            simple = False
            break
        elif plain == "%":
            percent = True
        else:
            words += written or plain
        simple &= not (plain and plain in ",.%/") and not re.match(r"(?i)\[(?:DBNum|[<>=])", part[0])
        sign = "0" if part["general"] else {"?": "#"}.get(plain, plain)
        shown += [sign] if sign and sign in "0#@" else ["=" + written + plain] if written or plain else []
    words = "".join(c for c in words if c not in _OWN_SIGNS)
    whole, _, _ = digits.partition(".")
    _, point, behind = whole.partition("!")
    scale = 3 * (len(digits) - len(digits.rstrip(","))) + (behind.count("0") if point else 0)
    if "." in digits:
        scale += 3 * (len(whole) - len(whole.rstrip(",")))
    zeros = (shown if "." not in digits else shown[: shown.index("=.")]).count("0")
    return NumberFormat(section, words, scale, percent, zeros, of_text, tuple(shown) if simple else None)


def _read_days(section: str) -> NumberFormat | None:
    letters = {plain.lower() for part in _PARTS.finditer(section) if (plain := part["plain"])}
    if letters & {"h", "s"} or {"y", "d"} <= letters:
        return None
    return NumberFormat(section, "", 0, False, lacks="day" if "y" in letters else "year")


def formats_of(path: Path, sheet: str, first: int) -> dict[int, FormatRows]:
    """Return the telling formats of the cells from sheet row `first` on, with their rows, by 0-based column."""
    try:
        with zipfile.ZipFile(path) as package:
            told = {n: forms for n, code in codes(package).items() if (forms := telling(code))}
            member = sheet_member(package, sheet)
            if not told or not member:
                return {}
            found: dict[int, FormatRows] = {}
            for xml in _xml(package, member):
                cells = styled_cells(xml, told)
                if cells is None:
                    return by_column(placed(_xml(package, member), told), told, first)
                by_column(cells, told, first, found)
            return found
    except BROKEN as fault:
        raise damaged(path) from fault


def by_column(
    cells: Iterable[Cell],
    told: Mapping[int, Sequence[NumberFormat]],
    first: int,
    found: dict[int, FormatRows] | None = None,
) -> dict[int, FormatRows]:
    """Return by column what the formats of cells from row `first` on say of them, and of which; added to `found`."""
    found = {} if found is None else found
    for row, column, style, is_text in cells:
        for form in told.get(style, ()) if row >= first else ():
            if form.of_text == is_text:
                found.setdefault(column, {}).setdefault(form, array("q")).append(row)
    return found


def codes(package: zipfile.ZipFile) -> dict[int, str]:
    """Return style number -> format code."""
    root = styles(package)
    if root is None:
        return {}
    own = {node.get("numFmtId"): node.get("formatCode", "") for node in root.iterfind("{*}numFmts/{*}numFmt")}
    found = {}
    for n, node in enumerate(root.iterfind("{*}cellXfs/{*}xf")):
        number = node.get("numFmtId", "0")
        found[n] = str(own.get(number) or BUILT_IN.get(int(number), ""))
    return found


def styled_cells(xml: bytes, wanted: Collection[int]) -> list[Cell] | None:
    """Return the filled cells of some styles without a look at others; None if one does not say its place."""
    found: list[Cell] = []
    for style, cell in _of_styles(tuple(sorted(wanted, reverse=True))).findall(xml):
        place = _PLACE.search(cell)
        if place is None:
            return None
        kind = _is_text(cell)
        if kind is not None:
            found.append((int(place[2]), column_number(place[1].upper()), int(style), kind))
    return found


@lru_cache(maxsize=8)
def _of_styles(wanted: tuple[int, ...]) -> re.Pattern[bytes]:
    numbers = "|".join(map(str, wanted))
    return re.compile(rf"""<(?:\w+:)?c\s(?=[^<>]*\bs=["']({numbers})["'])([^<>]*[^/<>])>""".encode())


def placed(parts: Iterable[bytes], wanted: Collection[int]) -> Iterator[Cell]:
    """Yield the filled cells of some styles, whether they say their place or follow the last."""
    for row, column, cell in placed_cells(parts):
        style = _STYLE.search(cell)
        kind = _is_text(cell)
        if style and int(style[1]) in wanted and kind is not None:
            yield row, column, int(style[1]), kind


def _is_text(cell: bytes) -> bool | None:
    """Return by the attributes of a cell whether it holds a text (or a number); None: neither."""
    kind = _TYPE.search(cell)
    if cell.endswith(b"/"):
        return None
    return {b"n": False, b"s": True, b"str": True, b"inlineStr": True}.get(kind[1]) if kind else False


def _xml(package: zipfile.ZipFile, member: str) -> Iterator[bytes]:
    """Yield a sheet's XML in parts that end with a tag."""
    with package.open(member) as file:
        rest = b""
        while block := file.read(_BLOCK):
            xml = rest + block
            end = xml.rfind(b">") + 1
            yield xml[:end]
            rest = xml[end:]
