"""Where the records lie in the beginning of a JSON or XML file that nobody has described yet."""

import html
import re
from collections import Counter
from dataclasses import dataclass

from chengxin.model.vocabularies import Documents, vocabulary

_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]')
_XML_TOKEN = re.compile(r"<!--.*?-->|<!\[CDATA\[.*?(?:\]\]>|\Z)|<\?.*?\?>|<(/?)([^\s/>!?]+)([^<>]*?)(/?)>", re.S)
_TOKENS = 20_000
#: Names of the part of a message that speaks of it as a whole.
HEADS = vocabulary(Documents).heads
#: Names of parts behind the rows, or beside them, that speak of them; unlike heads they may be rows of their own.
FEET = vocabulary(Documents).feet


def json_records_path(text: str) -> str:
    """Return the dotted path of the first array of objects ("" where it is the top level or there is none)."""
    keys: list[str] = []  # the key under which each open object stands
    opened: list[str] = []
    last, key = "", ""
    for number, match in enumerate(_JSON_TOKEN.finditer(text)):
        mark = match[0]
        if number > _TOKENS:
            break
        if mark == "{":
            if opened and opened[-1] == "[" and last == "[":
                return ".".join(k for k in keys[1:] if k)
            opened.append("{")
            keys.append(key)
            key = ""
        elif mark == "[":
            opened.append("[")
            keys.append(key)
            key = ""
        elif mark in "}]":
            if opened:
                opened.pop()
                keys.pop()
        elif mark == ":" and last.startswith('"'):
            key = last[1:-1]
        elif mark == ",":
            key = ""
        last = mark
    return ""


#: Names of what sums the records up; it may have their fields.
SUMS = vocabulary(Documents).sums
#: A day, a code, a document number: what a record has somewhere, and the labels of its fields do not.
NUMBER = re.compile(r"\d{4}")


@dataclass(frozen=True)
class XmlOutline:
    """records, wrapped: as in FileSpec. is_single: no element repeats, so the place of the records is a guess."""

    records: str
    wrapped: str | None = None
    is_single: bool = False


def xml_outline(text: str) -> XmlOutline:
    """Return the path of the shallowest element that repeats and has parts, looking into CDATA and escaped text."""
    found = _outline(text)
    for inner, how in ((_cdata(text), "cdata"), (_escaped(text), "escaped")):
        if inner and (within := _outline(inner)).records and (found.is_single or not found.records):
            return XmlOutline(within.records, how, within.is_single)
    return found


def _cdata(text: str) -> str:
    parts = re.findall(r"<!\[CDATA\[\s*(<.*?)(?:\]\]>|\Z)", text, re.S)
    return str(max(parts, key=len)) if parts else ""


def _escaped(text: str) -> str:
    match = re.search(r"&lt;(?:\?xml|[A-Za-z\u4e00-\u9fff]).*", text, re.S)
    return html.unescape(match[0].partition("<")[0]) if match else ""


def _outline(text: str) -> XmlOutline:
    path: list[str] = []
    counts: Counter[tuple[str, ...]] = Counter()
    leaves: Counter[tuple[str, ...]] = Counter()
    with_parts: set[tuple[str, ...]] = set()
    for number, match in enumerate(_XML_TOKEN.finditer(text)):
        if number > _TOKENS:
            break
        closes, name, attributes, empty = match[1], match[2], match[3], match[4]
        if not name:
            continue
        if closes:
            if path:
                path.pop()
            continue
        place = (*path, name.rpartition(":")[2])
        counts[place] += 1
        leaves[place[:-1]] += 1
        with_parts.add(place[:-1])
        if "=" in re.sub(r"xmlns(:\w+)?\s*=", "", attributes):
            with_parts.add(place)
        if not empty:
            path.append(place[-1])
    repeated = [p for p, n in counts.items() if n > 1 and len(p) > 1 and p in with_parts and not _is_field(p, counts)]
    if repeated:
        shallowest = min(repeated, key=len)
        return XmlOutline("/".join(shallowest))
    holders = {p[:-1] for p in leaves if p}  # of elements that have parts themselves
    parents = [p for p in leaves if p and p not in holders and p[-1].lower() not in HEADS]
    deepest = max(parents, key=lambda p: (leaves[p], len(p)), default=())
    return XmlOutline("/".join(deepest), is_single=True)


def _is_field(place: tuple[str, ...], counts: Counter[tuple[str, ...]]) -> bool:
    """Distinguish `<COL name=...>` below one row from rows: it repeats within a parent that does not."""
    children = [p for p in counts if p[:-1] == place]
    return not children and len(place) > 2 and place[-1].lower() in {"col", "column", "field", "item_field"}


def is_sum(part: str, name: str) -> bool:
    """Distinguish a `total` within a part that sums up, which is one of amounts, from one that counts rows."""
    return part.lower() in SUMS and name.lower() in vocabulary(Documents).sum_totals
