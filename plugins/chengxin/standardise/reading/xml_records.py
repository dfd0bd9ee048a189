"""XML rows -> records. The text is cut at the row elements, so that a fault costs its row and nothing after it.

Each row goes through lxml with everything dangerous off: no DTD (a file with one is refused), no entities, no network,
no huge trees. Rows inside comments and CDATA are not rows.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from chengxin.contracts.models import FileSpec
from chengxin.errors import DeliveryCorrupt
from chengxin.standardise.reading.decode import stream
from chengxin.standardise.reading.record_rows import Gathering, Record, chunked
from chengxin.standardise.reading.shapes import Piece, RawChunk

_PROLOG = re.compile(r"\s*(?:<\?.*?\?>|<!--.*?-->|\s)*", re.S)
_ROOT = re.compile(r"<([^\s/>!?]+)([^>]*)>")
_NAMESPACE = re.compile(r"""\sxmlns:([\w.-]+)\s*=\s*["'][^"']*["']""")
_PREFIX = re.compile(r"<([A-Za-z_][\w.-]*):|\s([A-Za-z_][\w.-]*):[\w.-]+\s*=")
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_MAX_ROW = 4 << 20


def read_xml(piece: Piece, spec: FileSpec) -> Iterator[RawChunk]:
    """Yield the rows: the elements named by the last part of `spec.records`, or the children of the root."""
    gathering = Gathering(piece.encoding)
    blocks = stream(Path(piece.path), piece.encoding, piece.start)
    return chunked(gathering, _Rows(blocks, gathering, spec, Path(piece.path).name).read())


class _Rows:
    """Walks through the text tag by tag, holding at most one row of it and one block."""

    def __init__(self, blocks: Iterator[str], gathering: Gathering, spec: FileSpec, name: str) -> None:
        self._blocks = blocks
        self._gathering = gathering
        self._path = [part for part in spec.records.split("/") if part]
        self._name = name
        self._text = ""
        self._at = 0
        self._start = -1  # of the row that is open, -1 between rows
        self._ordinal = 0
        self._prefixes = ""
        self._is_whole = False

    def _grow(self) -> bool:
        for block in self._blocks:
            if block:
                self._text += block
                return True
        return False

    def read(self) -> Iterator[None]:
        """Add each row to the gathering."""
        tag, root = self._open()
        if not tag:
            return
        tokens = _tokens(tag, root)
        while match := self._next(tokens):
            before = self._ordinal
            self._at = match.end()
            if match["root"]:
                self._is_whole = True
            elif match["open"]:
                if self._start >= 0:  # the row before was never closed
                    self._damage(self._text[self._start : match.start()])
                self._start = match.start()
                if match["empty"]:
                    self._close()
            elif not match["skip"] and self._start >= 0:
                self._close()
            if self._ordinal > before:
                yield None
        if self._start >= 0:
            self._damage(self._text[self._start :])
        elif not self._is_whole:
            self._damage("（文件在此中断，根元素没有结束）")

    def _next(self, tokens: re.Pattern[str]) -> re.Match[str] | None:
        """Return the next token, reading on where one may be cut off; what is behind the current row is dropped."""
        while True:
            match = tokens.search(self._text, self._at)
            if match and match.end() < len(self._text):
                return match
            if self._start >= 0 and len(self._text) - self._start > _MAX_ROW:
                self._damage(self._text[self._start :], "row.oversize")
                self._at, self._start = len(self._text), -1
            keep = self._at
            if self._start >= 0:
                keep = self._start
            elif match is None:
                keep = max(self._at, self._text.rfind("<", self._at))
            self._text, self._at = self._text[keep:], max(self._at - keep, 0)
            self._start = min(self._start, 0)
            if not self._grow():
                return tokens.search(self._text, self._at)

    def _close(self) -> None:
        self._add(self._text[self._start : self._at])
        self._start = -1

    def _open(self) -> tuple[str, str]:
        """Read up to the root element: the name of the row elements, and of the root. Raises DeliveryCorrupt."""
        while self._grow() and len(self._text) < _MAX_ROW and not _ROOT.search(self._text, self._prolog()):
            pass
        at = self._prolog()
        rest = self._text[at:].lstrip("\ufeff \t\r\n")
        if not rest:
            return "", ""
        if rest.upper().startswith("<!DOCTYPE"):
            raise DeliveryCorrupt(f"文件 {self._name} 带有 DTD（<!DOCTYPE>），出于安全不予读取；请去掉后重新报送")
        root = _ROOT.match(self._text, at)
        if root is None:
            raise DeliveryCorrupt(f"文件 {self._name} 声明为 xml，但开头不是 XML 元素；请按约定格式重新报送")
        if root[2].endswith("/"):
            return "", ""
        self._prefixes = "".join(m[0] for m in _NAMESPACE.finditer(root[2]))
        self._text = self._text[root.end() :]
        name = self._path[-1] if self._path else self._first_child()
        return name, root[1]

    def _prolog(self) -> int:
        match = _PROLOG.match(self._text, 1 if self._text.startswith("\ufeff") else 0)
        return match.end() if match else 0

    def _first_child(self) -> str:
        child = re.compile(r"(?:\s|<!--.*?-->)*<([^\s/>!?]+)[\s/>]", re.S)
        while not (match := child.match(self._text)) and len(self._text) < _MAX_ROW and self._grow():
            pass
        return match[1].rpartition(":")[2] if match else ""

    def _damage(self, raw: str, rule: str = "row.not_a_record") -> None:
        self._ordinal += 1
        self._gathering.damage(self._ordinal, rule, raw.rstrip())

    def _add(self, raw: str) -> None:
        if len(raw) > _MAX_ROW:
            self._damage(raw, "row.oversize")
            return
        declared = {m[1] for m in _NAMESPACE.finditer(self._prefixes)}
        used = {p for m in _PREFIX.finditer(raw) for p in m.groups() if p and p not in {"xml", "xmlns"}}
        extra = "".join(f' xmlns:{prefix}="urn:{prefix}"' for prefix in sorted(used - declared))
        parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            huge_tree=False,
            load_dtd=False,
            remove_comments=True,
            remove_pis=True,
        )
        try:
            row = etree.fromstring(f"<r{self._prefixes}{extra}>{raw}</r>".encode("utf-8", "surrogatepass"), parser)[0]
        except (etree.XMLSyntaxError, IndexError):
            self._damage(raw)
            return
        self._ordinal += 1
        self._gathering.add(self._ordinal, _record(row), raw)


def _tokens(tag: str, root: str) -> re.Pattern[str]:
    """Match a row's start or end tag, the root's end tag, or a comment, CDATA section or instruction to pass over."""
    name = rf"(?:[\w.-]+:)?{re.escape(tag)}"
    return re.compile(
        rf"(?P<skip><!--.*?(?:-->|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)|<\?.*?(?:\?>|\Z))|(?P<root></{re.escape(root)}\s*>)"
        rf"""|(?P<open><{name}(?:\s(?:[^<>"']|"[^"]*"|'[^']*')*?)?(?P<empty>/)?>)|</{name}\s*>""",
        re.S,
    )


def _record(row: etree._Element) -> Record:
    """Return attributes and child elements of a row as text; `<COL name="X">` is column X, nil is null."""
    record: Record = {_local(name): str(value) for name, value in row.attrib.items()}
    for child in row:
        if not isinstance(child.tag, str):
            continue
        name = base = child.get("name") or child.get("NAME") or _local(child.tag)
        count = 1
        while name in record:
            count += 1
            name = f"{base}_{count}"
        is_nil = child.get(_NIL) in {"true", "1"}
        record[name.strip()] = None if is_nil else "".join(str(part) for part in child.itertext()).strip()
    return record


def _local(name: str | bytes) -> str:
    text = name.decode() if isinstance(name, bytes) else name
    return text.rpartition("}")[2]
