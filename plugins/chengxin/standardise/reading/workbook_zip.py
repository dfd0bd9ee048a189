"""A look into an XLSX package before it is unpacked: how large it gets, and where formulas failed.

The calamine library lays a sheet out as a full rectangle, so one stray cell in the last corner of a sheet asks for half
a terabyte and ends the process; and it shows a failed formula as an empty cell. Both are found here, streaming.
"""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from lxml import etree

from chengxin.errors import DeliveryCorrupt

#: Cells of the rectangle around all filled cells; a cell takes 32 bytes. 1,048,576 rows of 40 columns fit.
MAX_CELLS = 48_000_000
#: What a package may unpack to, and its table of texts, which is held in memory.
MAX_UNPACKED = 4 << 30
MAX_TEXTS = 1 << 30
_SMALL = 16 << 20
_BLOCK = 1 << 20
_OVERLAP = 4 << 10
_COLUMN = re.compile(rb' r="([A-Z]{1,3})\d')
_CELL = re.compile(rb'<(?:\w+:)?c (?:[^>/]*? )?r="([A-Z]{1,3})(\d+)"[^>/]*>(?!\s*</)')
_ROW = re.compile(rb' r="(\d+)"')
_ERROR = re.compile(
    rb'<(?:\w+:)?c (?=[^>]*?\bt="e")[^>]*?\br="([A-Z]{1,3})(\d+)"[^>]*>'
    rb"(?:<(?:\w+:)?f[^>]*?(?:/>|>[^<]*</(?:\w+:)?f>))?<(?:\w+:)?v>(#[^<]{1,20})</"
)


_UNCOMPUTED = re.compile(
    rb'<(?:\w+:)?c (?![^>]*?\bt="str")[^>]*?\br="([A-Z]{1,3})(\d+)"[^>]*>'
    rb"<(?:\w+:)?f[^>]*?(?:/>|>[^<]*</(?:\w+:)?f>)(?:<(?:\w+:)?v\s*(?:/>|></(?:\w+:)?v>))?</(?:\w+:)?c>"
)
#: What stands for a formula that was written by a program and never worked out.
UNCOMPUTED = "#CALC!"


@dataclass(frozen=True)
class Survey:
    """What was found in a sheet. errors: (row, column) -> #N/A and its like, both 0-based."""

    rows: int = 0
    columns: int = 0
    errors: dict[tuple[int, int], str] = field(default_factory=dict)


def survey(path: Path, sheet: str) -> Survey:
    """Read through one sheet, once while the file stays as it is.

    Raises DeliveryCorrupt for a package that would not fit into memory, or is broken.
    """
    state = path.stat()
    return _survey(path, sheet, state.st_mtime_ns, state.st_size)


def bounded(path: Path) -> None:
    """Refuse a package by the sizes in its list of members: the library holds all texts as soon as it opens one.

    Raises DeliveryCorrupt.
    """
    try:
        with zipfile.ZipFile(path) as package:
            sizes = {info.filename: info.file_size for info in package.infolist()}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError) as fault:
        raise DeliveryCorrupt(f"文件 {path.name} 已损坏，无法作为 xlsx 打开；请重新报送") from fault
    texts = max((size for name, size in sizes.items() if name.lower().endswith("sharedstrings.xml")), default=0)
    for size, limit, what in ((sum(sizes.values()), MAX_UNPACKED, "解开后"), (texts, MAX_TEXTS, "的文字部分解开后")):
        if size > limit:
            raise DeliveryCorrupt(f"文件 {path.name} {what}超过 {limit >> 30} GiB，不予读取；请拆分或改用 csv 报送")


@lru_cache(maxsize=4)
def _survey(path: Path, sheet: str, _changed: int, _size: int) -> Survey:
    try:
        with zipfile.ZipFile(path) as package:
            member = _member(package, sheet)
            if member is None:
                raise DeliveryCorrupt(
                    f"文件 {path.name} 的内部结构不合规范，无法核查公式和大小；请用 Excel 或 WPS 另存后重新报送"
                )
            return _scan(path, package, member, sheet)
    except (zipfile.BadZipFile, EOFError, etree.XMLSyntaxError, NotImplementedError, RuntimeError, OSError) as fault:
        raise DeliveryCorrupt(f"文件 {path.name} 已损坏，无法作为 xlsx 打开；请重新报送") from fault


def _member(package: zipfile.ZipFile, sheet: str) -> str | None:
    """Return the package member that holds a sheet, or None where the package does not say which."""
    names = {name.lower(): name for name in package.namelist()}
    place = _book_place(package, names)
    folder, _, file = place.rpartition("/")
    book, relations = names.get(place), names.get(f"{folder}/_rels/{file}.rels".lstrip("/"))
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


def _book_place(package: zipfile.ZipFile, names: dict[str, str]) -> str:
    """Return where the package keeps the workbook, in lower case; xl/workbook.xml as a rule."""
    relations = names.get("_rels/.rels")
    for node in _parsed(package, relations) if relations else ():
        if str(node.get("Type", "")).endswith("/officeDocument"):
            return str(node.get("Target", "")).lstrip("/").lower()
    return "xl/workbook.xml"


def _parsed(package: zipfile.ZipFile, member: str) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    with package.open(member) as file:
        return etree.fromstring(file.read(_SMALL), parser)


def _blocks(package: zipfile.ZipFile, member: str) -> Iterator[bytes]:
    """Yield the text with an overlap, so that no tag is cut in every block that holds it."""
    carry = b""
    with package.open(member) as file:
        while block := file.read(_BLOCK):
            yield carry + block
            carry = block[-_OVERLAP:]


def _scan(path: Path, package: zipfile.ZipFile, member: str, sheet: str) -> Survey:
    columns: set[bytes] = set()
    rows = 0
    errors: dict[tuple[int, int], str] = {}
    for block in _blocks(package, member):
        columns.update(_COLUMN.findall(block))
        rows = max(rows, max(map(int, _ROW.findall(block)), default=0))
        if b't="e"' in block:
            for match in _ERROR.finditer(block):
                errors[int(match[2]) - 1, _number(match[1])] = match[3].decode("utf-8", "replace")
        if b"<f" in block or b":f" in block:
            for match in _UNCOMPUTED.finditer(block):
                errors[int(match[2]) - 1, _number(match[1])] = UNCOMPUTED
    width = max((_number(name) + 1 for name in columns), default=0)
    if rows * width > MAX_CELLS:  # formatted but empty rows count here: look at the filled cells one by one
        rows, width = _exact(package, member)
        if rows * width > MAX_CELLS:
            raise DeliveryCorrupt(
                f"文件 {path.name} 的工作表 {sheet!r} 有单元格远在第 {rows} 行或第 {width} 列，整张表无法放入内存；"
                "请删去表格以外的内容，或改用 csv 报送"
            )
    return Survey(rows, width, errors)


def _exact(package: zipfile.ZipFile, member: str) -> tuple[int, int]:
    rows = width = 0
    for block in _blocks(package, member):
        for name, row in _CELL.findall(block):
            rows, width = max(rows, int(row)), max(width, _number(name) + 1)
    return rows, width


def _number(name: bytes) -> int:
    """Return the 0-based number of a column name (A = 0, AA = 26)."""
    number = 0
    for letter in name:
        number = number * 26 + letter - 64
    return number - 1
