"""What can still be read of one damaged row: its whole values, each with its name where one stands beside it."""

import html
import re
from collections.abc import Iterator

from chengxin.contracts.models import FileSpec
from chengxin.parsing.layout import Layout
from chengxin.parsing.shapes import RAW_KEPT

#: (name or None where none is known, value or None where it does not stand whole).
Value = tuple[str | None, str | None]
_BLANKS = " \t\x00"
# possessive, since damaged text may be anything
# a value of JSON ends where the object does or another name follows; a bare one may be torn where the text ends
_NEXT = r'\s*+(?:,?\s*+[}\]]|,?\s*+"[^"\\:]{0,99}"?\s*+:|,\s*+[^\s",:]{1,99}"\s*+:)'
_JSON = re.compile(
    r'(?:"(?P<quoted>[^"\\]{0,99})"?|(?P<plain>[^"\s{}\[\],:]{1,99})"?)\s*+:(?:\s*+(?:'
    rf'"(?P<text>(?:[^"\\]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{{4}})*+)"(?={_NEXT}|\s*+,?\s*+\Z)'
    rf'|(?P<bare>[^\s",:{{}}\[\]\\]++)(?={_NEXT})))?'
)
_XML = re.compile(
    r"<(?P<tag>[^\s<>/!?=\"']++)(?:(?P<attributes>[^<>]*+)>"
    r"(?:(?:\s*+<!\[CDATA\[(?P<cdata>(?:(?!\]\]>|<!\[CDATA\[).)*+)\]\]>\s*+|(?P<text>[^<]*+))</)?)?",
    re.S,
)
_ATTRIBUTE = re.compile(r"([^\s=<>\"'/]{1,99})\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)')(?=[\s/]|\Z)")


def values_of(raw: str, spec: FileSpec) -> list[Value]:
    """Return the values of a damaged row by its format; cells of tables have no names.

    A name is returned as often as it stands there, also without a whole value: twice may mean two records.
    """
    match spec.format:
        case "xlsx" | "xls":
            return [(None, cell) for cell in raw.split("\t")]
        case "csv" | "tsv":
            layout = Layout.of(spec)
            return [(None, cell) for cell in layout.fields(layout.prepared(raw.encode()))]
        case "fixed":
            return list(_of_fixed(raw, spec))
        case _ if len(raw) > RAW_KEPT:
            return []  # only its beginning was kept: what more is in it cannot be known
        case "xml":
            return list(_of_xml(raw))
        case _:
            return list(_of_json(raw))


def _of_json(raw: str) -> Iterator[Value]:
    for found in _JSON.finditer(raw):
        name = (found["plain"] if found["quoted"] is None else found["quoted"]).strip()
        text = found["text"]
        yield name, found["bare"] if text is None else _unescaped(text)


def _unescaped(text: str) -> str:
    signs = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
    return re.sub(r"\\(?:u([0-9a-fA-F]{4})|(.))", lambda m: chr(int(m[1], 16)) if m[1] else signs.get(m[2], m[2]), text)


def _of_xml(raw: str) -> Iterator[Value]:
    for found in _XML.finditer(raw):
        given = {n: html.unescape(a or b) for n, a, b in _ATTRIBUTE.findall(found["attributes"] or "")}
        name = given.get("name") or given.get("NAME") or _local(found["tag"])
        text = found["text"] if found["cdata"] is None else found["cdata"]
        if found["cdata"] is None and text is not None:
            text = html.unescape(text)
        yield name, (text or "").strip() or given.get("value")
        yield from ((_local(n), value) for n, value in given.items() if n not in {"name", "NAME", "value"})


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _of_fixed(raw: str, spec: FileSpec) -> Iterator[Value]:
    """Yield what stands between blanks, and what the fields hold counted from the front and from the end.

    Nothing of a line that may hold two records.
    """
    length = max(field.start + field.length - 1 for field in spec.fields)
    codecs = ("utf-8", "gb18030") if spec.encoding == "auto" else (spec.encoding,)
    lines = [raw.encode(codec, "backslashreplace") for codec in codecs]
    if 4 * min(map(len, lines)) >= 5 * length:
        return
    yield from ((None, word) for word in re.split(f"[{_BLANKS}]+", raw) if word)
    for line, codec in zip(lines, codecs, strict=True):
        for shift in {0, len(line) - length}:
            for field in spec.fields:
                start = field.start - 1 + shift
                if start >= 0 and (value := _cut(line, start, start + field.length, codec)):
                    yield field.source, value


def _cut(line: bytes, start: int, end: int, codec: str) -> str:
    """Return what stands there if it ends on both sides where a value must, else nothing.

    That is at a blank, at an end of the line, or between a digit or Latin letter and a Chinese one: where digits stand
    beside digits, a shifted cut would make another number.
    """
    try:
        before, cell, after = (part.decode(codec) for part in (line[:start], line[start:end], line[end:]))
    except UnicodeDecodeError:
        return ""
    value = cell.strip(_BLANKS)
    if not value:
        return ""
    text, at = before + cell + after, len(before) + len(cell) - len(cell.lstrip(_BLANKS))
    return value if _parts(text, at) and _parts(text, at + len(value)) else ""


def _parts(text: str, at: int) -> bool:
    if at in {0, len(text)} or text[at - 1] in _BLANKS or text[at] in _BLANKS:
        return True
    return text[at - 1].isascii() != text[at].isascii()
