"""XML rows -> records, by lxml's pull parser, which frees what has been read. Malformed XML is held, with its place.

The parser resolves no entities, opens no network connection and refuses huge trees; a file with a DTD is refused.
"""

import html
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import cast

from lxml import etree

from chengxin.contracts.models import FileSpec
from chengxin.errors import DeliveryCorrupt, DeliveryMismatch
from chengxin.model.paging import AROUND, fold
from chengxin.parsing.documents.outline import FEET, HEADS, is_sum, xml_outline
from chengxin.parsing.documents.record_count import statements
from chengxin.parsing.documents.record_rows import Gathering, Record, chunked
from chengxin.parsing.documents.xml_record import local, record_of
from chengxin.parsing.encoding.decoder import stream
from chengxin.parsing.shapes import Piece, RawChunk

_BLANK = " \t\r\n\u3000\xa0\ufeff"
_END = _BLANK + "\x00\x1a"  # what programs leave behind a text
_DOCTYPE = re.compile(r"(?:\s|<\?.*?\?>|<!--.*?-->)*<!DOCTYPE", re.S | re.I)
_DECLARATION = re.compile(r"<\?xml\s[^<>]*\?>")
_CDATA = re.compile(r"<!\[CDATA\[(\s*<)?|\]\]>")
_ESCAPED = re.compile(r"<|&(?:lt|gt|amp|quot|apos|#\d{1,6}|#x[0-9a-fA-F]{1,6});")
_HEAD = 64 << 20  # characters in which the first row must begin
_SHOWN = 64 << 10
_MOST = 2_000  # values beside the rows that are remembered
_HELD = 16 << 20
Place = tuple[str, ...]


def read_xml(piece: Piece, spec: FileSpec) -> Iterator[RawChunk]:
    """Yield the rows: the elements at `spec.records`, or the children of the root.

    Raises DeliveryCorrupt, with line and column, where the file is no XML.
    """
    gathering = Gathering(piece.encoding)
    blocks = stream(Path(piece.path), piece.encoding, piece.start)
    return chunked(gathering, _Rows(gathering, spec, Path(piece.path).name).read(_trimmed(blocks)))


def _trimmed(blocks: Iterator[str]) -> Iterator[str]:
    """Yield blocks without blanks at both ends of the text, none empty."""
    carry, begun = "", False
    for block in blocks:
        text = carry + block if begun else block.lstrip(_BLANK)
        kept = text.rstrip(_END)
        begun = begun or bool(kept)
        carry = text[len(kept) :]
        if kept:
            yield kept


class _Rows:
    """Takes the rows out of the tree that the parser builds, and removes what has been read."""

    def __init__(self, gathering: Gathering, spec: FileSpec, name: str) -> None:
        self._gathering = gathering
        self._spec = spec
        self._name = name
        self._path = tuple(part for part in spec.records.split("/") if part)
        self._parent: etree._Element | None = None  # of the rows
        self._place: Place = ()  # of the parent
        self._elsewhere: Place = ()  # of an element with the name of a row
        self._row = self._path[-1] if self._path else ""
        self._ordinal = 0
        self._head: Record = {}
        self._values: list[tuple[Place, str]] = []

    def read(self, blocks: Iterator[str]) -> Iterator[None]:
        """Add each row to the gathering."""
        first = next(blocks, "")
        if not first:
            return
        if not first.startswith("<"):
            raise DeliveryCorrupt(f"文件 {self._name} 声明为 xml，但开头不是 XML 元素；请按约定格式重新报送")
        if _DOCTYPE.match(first):
            raise self._has_dtd()
        parser = etree.XMLPullParser(
            ("end",),
            tag=f"{{*}}{self._row}" if self._row else None,
            encoding="utf-8",
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
        fed = lines = 0
        for text in _undeclared(first, blocks, self._spec.wrapped):
            fed += len(text)
            lines += text.count("\n")
            self._feed(parser, text)
            for _, element in cast(Iterator[tuple[str, etree._Element]], parser.read_events()):
                if self._take(element):
                    yield None
            if self._parent is not None:
                self._sweep(self._parent.getroottree().getroot())
            elif fed > _HEAD:
                raise DeliveryMismatch(
                    f"文件 {self._name} 的前 {_HEAD >> 20} MiB 里没有约定的记录 {self._spec.records}；"
                    "请核对约定的 records"
                )
        try:
            root = parser.close()
        except etree.XMLSyntaxError:
            raise self._broken(parser, lines + 1) from None
        for _, element in cast(Iterator[tuple[str, etree._Element]], parser.read_events()):
            if self._take(element):
                yield None
        self._finish(root, first)

    def _feed(self, parser: "etree.XMLPullParser", text: str) -> None:
        with suppress(etree.XMLSyntaxError):
            parser.feed(text.encode("utf-8", "surrogatepass"))
        if len(parser.feed_error_log):  # holds faults too that are raised at the end only
            raise self._broken(parser)

    def _broken(self, parser: "etree.XMLPullParser", last: int = 0) -> DeliveryCorrupt:
        """Return the error for the first fault; what stands there may name somebody. last: line where the text ends."""
        fault = parser.feed_error_log[0]
        if fault.line == last:
            return DeliveryCorrupt(
                f"文件 {self._name} 在第 {fault.line} 行第 {fault.column} 列中断，XML 没有结束；"
                "请核对传输是否完整，重新报送完整的文件"
            )
        return DeliveryCorrupt(
            f"文件 {self._name} 第 {fault.line} 行第 {fault.column} 列不符合 XML 语法，其后的内容无法可靠读取；"
            "请用标准的 XML 工具重新导出后报送"
        )

    def _take(self, element: "etree._Element") -> bool:
        """Add an element where it is a row, and empty it; return whether it is one."""
        if element.getparent() is not self._parent and not self._holds_rows(element):
            return False
        if self._parent is None:
            self._begin(element)
        if local(element.tag) != self._row:
            return False
        record = self._head | record_of(element)
        self._ordinal += 1
        text = "".join(filter(None, (*record, *record.values())))
        self._gathering.add(
            self._ordinal, record, text, lambda: etree.tostring(element, encoding="unicode", with_tail=False)
        )
        element.clear(keep_tail=True)  # type: ignore[call-arg]
        return True

    def _holds_rows(self, element: "etree._Element") -> bool:
        """Return whether an element stands where rows do. Raises DeliveryMismatch where rows stand in two places."""
        place = _place(element.getparent())
        parents = self._path[:-1]
        if not self._path:
            return len(place) == 1
        is_row = place[-len(parents) :] == parents if parents else bool(place)
        self._elsewhere = self._elsewhere if is_row else place
        if self._parent is None:
            if is_row and self._elsewhere[: len(place)] == place:
                raise self._two_places(place, self._elsewhere)
        elif place == self._place:  # another parent of the same name
            self._parent = element.getparent()
        elif is_row or place[: len(self._place)] == self._place:
            raise self._two_places(self._place, place)
        return is_row

    def _two_places(self, *places: Place) -> DeliveryMismatch:
        one, other = ("/".join((*place, self._row)) for place in places)
        return DeliveryMismatch(
            f"文件 {self._name} 里有两处记录：{one} 与 {other}；请在合同 file.records 中写明完整路径，"
            "或请提供部门把记录放在同一层"
        )

    def _begin(self, row: "etree._Element") -> None:
        """Note where the first row stands, and take the values of the envelope."""
        self._parent = row.getparent()
        self._place = _place(self._parent)
        self._row = self._row or local(row.tag)
        root = row.getroottree().getroot()
        if row.getroottree().docinfo.internalDTD is not None:
            raise self._has_dtd()
        for path in self._spec.envelope:
            parts = path.split("/")
            parts = parts[1:] if parts[0] == local(root.tag) else parts
            found = root.find(".//" + "/".join(f"{{*}}{part}" for part in parts))
            if found is None:
                raise DeliveryMismatch(f"文件 {self._name} 的报文头里找不到 {path}；请核对约定的 envelope")
            self._head[path] = (found.text or "").strip()

    def _sweep(self, root: "etree._Element") -> None:
        """Remove what has been read whole; the last element of each level may still be open."""
        node: etree._Element = root
        place: Place = (local(root.tag),)
        while len(node) and not (place[:-1] == self._place and place[-1] == self._row):
            for child in list(node)[:-1]:
                self._check(child, place)
                self._note(child, place)
            del node[: len(node) - 1]
            node = node[-1]
            place = (*place, local(node.tag))

    def _check(self, child: "etree._Element", place: Place) -> None:
        """Raise DeliveryMismatch for text between the rows, and for other elements where no path is declared."""
        if place != self._place:
            return
        if child.tail and child.tail.strip(_BLANK):
            raise DeliveryMismatch(
                f"文件 {self._name} 第 {child.sourceline} 行起的记录之后有不属于任何元素的文字，可能是缺了标签的记录；"
                "请核对后重新报送"
            )
        if not self._path and local(child.tag) != self._row:
            raise DeliveryMismatch(
                f"文件 {self._name} 的根元素里除了 {self._row} 还有 {local(child.tag)}，分不清哪些是记录；"
                "请在合同 file.records 中写明路径"
            )

    def _note(self, element: "etree._Element", within: Place) -> None:
        """Remember the attributes and values of an element that is no row."""
        place = (*within, local(element.tag))
        if (within == self._place and place[-1] == self._row) or len(self._values) >= _MOST:
            return
        self._values += [((*place, local(name)), str(value)) for name, value in element.attrib.items()]
        for child in element:
            self._note(child, place)
        if not len(element) and (text := (element.text or "").strip()):
            self._values.append((place, text))

    def _finish(self, root: "etree._Element", first: str) -> None:
        """Check and note what is left of the tree, and take what the file states of its rows."""
        if root.getroottree().docinfo.internalDTD is not None:
            raise self._has_dtd()
        if not self._ordinal:
            self._look_elsewhere(first)
            self._place = self._path[:-1] or (local(root.tag),)
        else:
            self._sweep(root)
            node: etree._Element | None = root
            place: Place = (local(root.tag),)
            while node is not None and len(node):
                self._check(node[-1], place)
                node, place = node[-1], (*place, local(node[-1].tag))
        if self._parent is not None and (self._parent.text or "").strip(_BLANK):
            raise DeliveryMismatch(
                f"文件 {self._name} 的第一条记录之前有不属于任何元素的文字，可能是缺了标签的记录；请核对后重新报送"
            )
        self._note(root, ())
        self._gathering.statements = statements(self._near(), self._ordinal)

    def _look_elsewhere(self, first: str) -> None:
        """Raise DeliveryMismatch where no row was found, but another element repeats or has the name of a row."""
        likely = xml_outline(first[:_SHOWN])
        is_other = likely.records.split("/")[-len(self._path) :] != list(self._path)
        found = likely.records if likely.records and not likely.is_single and is_other else ""
        if self._elsewhere and not found:
            found = "/".join((*self._elsewhere, self._row))
        if found:
            raise DeliveryMismatch(
                f"文件 {self._name} 里没有约定的记录 {'/'.join(self._path)}，实际记录很可能是 {found}；"
                "请核对约定的 records"
            )

    def _near(self) -> Iterator[tuple[str, str, bool]]:
        """Yield name and text of the values beside the rows, above them and in a head or foot, and whether beside."""
        for (*within, name), text in self._values:
            head = bool(within) and (within[-1].lower() in HEADS | FEET or fold(within[-1]) in AROUND)
            holder = within[:-1] if head else within
            if tuple(holder) == self._place[: len(holder)] and not (head and is_sum(within[-1], name)):
                yield name, text, tuple(within) == self._place

    def _has_dtd(self) -> DeliveryCorrupt:
        return DeliveryCorrupt(f"文件 {self._name} 带有 DTD（<!DOCTYPE>），出于安全不予读取；请去掉后重新报送")


def _place(element: "etree._Element | None") -> Place:
    if element is None:
        return ()
    return tuple(reversed([local(element.tag), *(local(above.tag) for above in element.iterancestors())]))


def _undeclared(first: str, blocks: Iterator[str], wrapped: str | None) -> Iterator[str]:
    """Yield the blocks, an inner message laid open, without XML declarations: the encoding is known."""
    if wrapped:
        joined = (text for part in ([first], blocks) for text in part)
        yield from (_DECLARATION.sub("", text) for text in unwrapped(joined, wrapped))
        return
    yield _DECLARATION.sub(lambda found: " " * len(found[0]), first, count=1)
    yield from blocks


def unwrapped(blocks: Iterator[str], how: str) -> Iterator[str]:
    """Lay a message open whose rows stand in a CDATA section or as escaped text of an outer one."""
    inside = False

    def cdata(mark: re.Match[str]) -> str:
        nonlocal inside
        if mark[0] == "]]>":
            closes, inside = inside, False
            return "" if closes else mark[0]
        inside = mark[1] is not None
        return mark[1] if inside else mark[0]

    def escaped(mark: re.Match[str]) -> str:
        nonlocal inside
        inside = mark[0] != "<" and (inside or mark[0] == "&lt;")
        return html.unescape(mark[0]) if inside else mark[0]

    carry = ""
    for block in blocks:
        text = carry + block
        cut = max(text.rfind(">") + 1, text.rfind("&gt;") + 4 if "&gt;" in text else 0)
        if not cut and len(text) > _HELD:
            cut = len(text)
        yield (_CDATA.sub(cdata, text[:cut]) if how == "cdata" else _ESCAPED.sub(escaped, text[:cut]))
        carry = text[cut:]
    yield carry
