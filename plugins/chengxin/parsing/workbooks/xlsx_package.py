"""An XLSX package before it is unpacked: how large it gets, where its parts lie, and where formulas failed.

The calamine library lays what it reads out as a full rectangle, so one stray cell in the last corner of a sheet asks
for half a terabyte and ends the process; and it shows a failed formula as an empty cell. Both are found here.
"""

import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from lxml import etree

from chengxin.errors import DeliveryCorrupt

#: Cells of the rectangle around the filled cells of one piece of a sheet; a cell takes 32 bytes.
MAX_CELLS = 48_000_000
#: What a package may unpack to, and its table of texts, which is held in memory.
MAX_UNPACKED = 4 << 30
MAX_TEXTS = 1 << 30
_SMALL = 16 << 20
#: The column of a cell, with its row where that is above a million; and a cell that is filled.
_PLACE = re.compile(rb"""r\s*=\s*["']([A-Za-z]+(?:\d{7})?)""")
_CELL = re.compile(rb"""<(?:\w+:)?c\s(?:[^>/]*?\s)?r\s*=\s*["']([A-Za-z]+)(\d+)["'][^>/]*>(?!\s*</)""")
#: Rows and cells, and where they say to stand; a cell not written as nearly all programs do, and one without its place.
_TAG = re.compile(rb"<(?:\w+:)?(row|c)(?=[\s/>])([^<>]*)>")
_REFERENCE = re.compile(rb"""\sr\s*=\s*["']([A-Za-z]*)(\d+)["']""")
_ODD = re.compile(rb"c(?<=[<:]c)(?!\w| r=)")
_BARE = re.compile(rb"<(?:\w+:)?c(?![^\s/>]|[^<>]*\sr\s*=)")
_TYPE = re.compile(rb"""\st\s*=\s*(["'])(\w*)\1""")
_FAILED = re.compile(rb"""(<(?:\w+:)?c\s(?:[^<>]*\s)?t\s*=\s*)["']e["']""")
_FORMULA_ONLY = re.compile(
    rb"<(?P<p>(?:\w+:)?)c\b(?P<attributes>[^<>]*)>\s*<(?P=p)f\b[^<>]*(?:/>|>[^<]*</(?P=p)f>)\s*"
    rb"(?:<(?P=p)v\s*(?:/>|></(?P=p)v>)\s*)?</(?P=p)c>"
)
#: Folders of the other documents that are zip packages as well.
_OTHERS = {"word/": "Word 文档", "ppt/": "PowerPoint 文档", "content.xml": " OpenDocument 文档（ods、odt）"}
#: What stands for a formula that was written by a program and never worked out.
UNCOMPUTED = "#CALC!"
#: What the modules of zip and XML raise for a broken package.
BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, etree.XMLSyntaxError, NotImplementedError, RuntimeError,
    OSError, ValueError, LookupError, OverflowError,
)  # fmt: skip


def damaged(path: Path) -> DeliveryCorrupt:
    """Return the error for a package that cannot be read, or is no workbook but another kind of document."""
    with suppress(*BROKEN), zipfile.ZipFile(path) as package:
        names = package.namelist()
        if not any(name.startswith("xl/") for name in names):
            real = next(
                (what for folder, what in _OTHERS.items() if any(n.startswith(folder) for n in names)), "压缩包"
            )
            return DeliveryCorrupt(
                f"文件 {path.name} 不是 Excel 工作簿，实际是{real}（只改文件名并不改变格式）；请按约定格式重新报送"
            )
    return DeliveryCorrupt(f"文件 {path.name} 已损坏，无法作为 xlsx 打开；请重新报送")


def irregular(path: Path) -> DeliveryCorrupt:
    """Return the error for a package that is put together in a way that cannot be checked."""
    return DeliveryCorrupt(f"文件 {path.name} 的内部结构不合规范，无法核查公式和大小；请用 Excel 或 WPS 另存后重新报送")


def bounded(path: Path) -> None:
    """Refuse a package by the sizes in its list of members. Raises DeliveryCorrupt."""
    try:
        with zipfile.ZipFile(path) as package:
            sizes = {info.filename: info.file_size for info in package.infolist()}
    except BROKEN as fault:
        raise damaged(path) from fault
    texts = max((size for name, size in sizes.items() if name.lower().endswith("sharedstrings.xml")), default=0)
    for size, limit, what in ((sum(sizes.values()), MAX_UNPACKED, "解开后"), (texts, MAX_TEXTS, "的文字部分解开后")):
        if size > limit:
            raise DeliveryCorrupt(f"文件 {path.name} {what}超过 {limit >> 30} GiB，不予读取；请拆分或改用 csv 报送")


def small_parts(package: zipfile.ZipFile) -> dict[str, bytes]:
    """Return the parts that say what sheets there are and what their numbers mean: all but sheets and texts."""
    names = _by_lower_case(package)
    place = _book_place(package, names)
    wanted = {"[content_types].xml", "_rels/.rels", place, _relations_of(place)}
    wanted |= {name for name in names if name.endswith("styles.xml")}
    return {names[name]: _read(package, names[name]) for name in sorted(wanted & names.keys())}


def styles(package: zipfile.ZipFile) -> etree._Element | None:
    """Return the styles of a workbook, or None where it has none."""
    names = _by_lower_case(package)
    found = next((names[name] for name in sorted(names) if name.endswith("styles.xml")), None)
    return _parsed(package, found) if found else None


def counts_from_1904(path: Path) -> bool:
    """Return whether the days of a workbook are counted from 1904, as old Macintosh programs do."""
    try:
        with zipfile.ZipFile(path) as package:
            names = _by_lower_case(package)
            place = names.get(_book_place(package, names))
            nodes = _parsed(package, place).iter("{*}workbookPr") if place else ()
            return any(node.get("date1904") in {"1", "true"} for node in nodes)
    except BROKEN as fault:
        raise damaged(path) from fault


def texts_member(package: zipfile.ZipFile) -> str | None:
    """Return the package member that holds the shared texts, where the calamine library looks for it."""
    return _by_lower_case(package).get("xl/sharedstrings.xml")


def sheet_member(package: zipfile.ZipFile, sheet: str) -> str | None:
    """Return the package member that holds a sheet, or None where the package does not say which."""
    names = _by_lower_case(package)
    place = _book_place(package, names)
    folder = place.rpartition("/")[0]
    book, relations = names.get(place), names.get(_relations_of(place))
    if book is None or relations is None:
        return None
    targets = {str(node.get("Id")): node.get("Target", "") for node in _parsed(package, relations)}
    for node in _parsed(package, book).iter("{*}sheet"):
        if node.get("name") == sheet:
            found = next((value for key, value in node.attrib.items() if str(key).endswith("}id")), None)
            target = str(targets.get(str(found), ""))
            target = target.lstrip("/") if target.startswith("/") else f"{folder}/{target}".lstrip("/")
            return names.get(target.lower())
    return None


def _by_lower_case(package: zipfile.ZipFile) -> dict[str, str]:
    return {name.lower(): name for name in package.namelist()}


def _relations_of(place: str) -> str:
    folder, _, file = place.rpartition("/")
    return f"{folder}/_rels/{file}.rels".lstrip("/")


def _book_place(package: zipfile.ZipFile, names: dict[str, str]) -> str:
    """Return where the package keeps the workbook, in lower case; xl/workbook.xml as a rule."""
    relations = names.get("_rels/.rels")
    for node in _parsed(package, relations) if relations else ():
        if str(node.get("Type", "")).endswith("/officeDocument"):
            return str(node.get("Target", "")).lstrip("/").lower()
    return "xl/workbook.xml"


def _read(package: zipfile.ZipFile, member: str) -> bytes:
    with package.open(member) as file:
        found = file.read(_SMALL + 1)
    if len(found) > _SMALL:
        raise ValueError(f"{member} is larger than {_SMALL} bytes")
    return found


def _parsed(package: zipfile.ZipFile, member: str) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    return etree.fromstring(_read(package, member), parser)


def failures_as_texts(xml: bytes) -> bytes:
    """Turn the failed formulas of a piece of a sheet into texts: #N/A and its like, or UNCOMPUTED."""
    if b'"e"' in xml or b"'e'" in xml:
        xml = _FAILED.sub(rb'\1"str"', xml)
    return _FORMULA_ONLY.sub(_uncomputed, xml) if b"<f" in xml or b":f" in xml else xml


def _uncomputed(cell: re.Match[bytes]) -> bytes:
    kind = _TYPE.search(cell["attributes"])
    if kind and kind[2] == b"str":  # the result is an empty text
        return cell[0]
    return b'<%bc%b t="str"><%bv>%b</%bv></%bc>' % (
        *(cell["p"], _TYPE.sub(b"", cell["attributes"]), cell["p"]),
        *(UNCOMPUTED.encode(), cell["p"], cell["p"]),
    )


def refuse_far_cells(xml: bytes, path: Path, sheet: str) -> None:
    """Raise DeliveryCorrupt where the rectangle around the filled cells of a piece would not fit into memory."""
    places = set(_PLACE.findall(xml))
    width = max((column_number(name.rstrip(b"0123456789").upper()) + 1 for name in places), default=0)
    bare = _ODD.search(xml) is not None and _BARE.search(xml) is not None
    if not bare and width * 10**6 <= MAX_CELLS and not any(name[-1:].isdigit() for name in places):
        return
    if bare:
        filled = [(row, column + 1) for row, column, _ in placed_cells([xml])]
    else:
        filled = [(int(row), column_number(name.upper()) + 1) for name, row in _CELL.findall(xml)]
    rows, columns = [row for row, _ in filled], [column for _, column in filled]
    if filled and (max(rows) - min(rows) + 1) * max(columns) > MAX_CELLS:
        raise DeliveryCorrupt(
            f"文件 {path.name} 的工作表 {sheet!r} 有单元格远在第 {max(rows)} 行或第 {max(columns)} 列，"
            "整张表无法放入内存；请删去表格以外的内容，或改用 csv 报送"
        )


def placed_cells(parts: Iterable[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Yield row (from 1), column (from 0) and attributes of each cell; one without reference follows the last."""
    row, column = 0, -1
    for xml in parts:
        for tag, attributes in _TAG.findall(xml):
            place = _REFERENCE.search(attributes)
            if tag == b"row":
                row, column = int(place[2]) if place else row + 1, -1
            else:
                row, column = (int(place[2]), column_number(place[1].upper())) if place else (row, column + 1)
                yield row, column, attributes


def column_number(name: bytes) -> int:
    """Return the 0-based number of a column name (A = 0, AA = 26)."""
    number = 0
    for letter in name:
        number = number * 26 + letter - 64
    return number - 1
