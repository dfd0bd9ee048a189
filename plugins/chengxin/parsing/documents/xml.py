"""XML rows -> records. The text is cut at the row elements, so that a fault costs its row and nothing after it.

Each row goes through lxml with everything dangerous off: no DTD (a file with one is refused), no entities, no network,
no huge trees. Rows inside comments and CDATA are not rows.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lxml import etree

from chengxin.contracts.models import FileSpec
from chengxin.errors import DeliveryCorrupt, DeliveryMismatch
from chengxin.parsing.documents.outline import xml_outline
from chengxin.parsing.documents.record_count import told
from chengxin.parsing.documents.record_rows import Gathering, Record, chunked
from chengxin.parsing.documents.xml_record import record_of
from chengxin.parsing.documents.xml_surroundings import BLANK, Beside
from chengxin.parsing.encoding.decoder import stream
from chengxin.parsing.shapes import Piece, RawChunk

_PROLOG = re.compile(r"\s*(?:<\?.*?\?>|<!--.*?-->|\s)*", re.S)
_ROOT = re.compile(r"<([^\s/>!?]+)([^>]*)>")
_NAMESPACE = re.compile(r"""\sxmlns:([\w.-]+)\s*=\s*["'][^"']*["']""")
_PREFIX = re.compile(r"<([A-Za-z_][\w.-]*):|\s([A-Za-z_][\w.-]*):[\w.-]+\s*=")
_TAG = re.compile(
    r"<(?:(?P<end>/)?(?P<name>[^\s/>!?\"'=<]+)(?:\s(?:[^<>\"']|\"[^\"]*\"|'[^']*')*?)?(?P<empty>/)?>"
    r"|(?P<skip>!--.*?(?:-->|\Z)|!\[CDATA\[.*?(?:\]\]>|\Z)|\?.*?(?:\?>|\Z)))",
    re.S,
)
_MAX_ROW = 4 << 20
_LOOKED_AT = 64 << 10
# what is taken away or translated, and how the beginning of one looks at the end of a block
_CDATA = (re.compile(r"<!\[CDATA\[|\]\]>"), re.compile(r"(?:\]\]?|<(?:!(?:\[C?D?A?T?A?)?)?)\Z"))
_ESCAPED = (re.compile(r"&(?:lt|gt|amp|quot|apos|#\d{1,6}|#x[0-9a-fA-F]{1,6});"), re.compile(r"&#?\w{0,8}\Z"))


def read_xml(piece: Piece, spec: FileSpec) -> Iterator[RawChunk]:
    """Yield the rows: the elements named by the last part of `spec.records`, or the children of the root."""
    gathering = Gathering(piece.encoding)
    blocks = stream(Path(piece.path), piece.encoding, piece.start)
    if spec.wrapped:
        blocks = unwrapped(blocks, spec.wrapped)
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
        self._parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            huge_tree=False,
            load_dtd=False,
            remove_comments=True,
            remove_pis=True,
        )
        self._prefixes = ""
        self._shown = ""  # the beginning, to say where the records are if not where they should be
        self._is_whole = False
        self._is_wrapped = spec.wrapped is not None
        self._is_torn = False  # the inner message ended before its elements did
        self._envelope = spec.envelope
        self._before = ""  # what stands before the first row, as long as the envelope is looked for
        self._head: Record = {}
        self._open_elements: list[str] = []  # outside rows
        self._place: tuple[str, ...] = ()  # of the first row
        self._lost = False  # within a row that was too large
        self._root: tuple[str, ...] = ()
        self._beside = Beside()
        self._between = ""  # text outside rows that left the window

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
        within = _tokens(tag, root)
        while match := self._next(within if self._start >= 0 or self._lost else _TAG):
            before = self._ordinal
            if match.re is _TAG:
                self._take_text(self._between + self._text[self._at : match.start()])
            self._at, self._between = match.end(), ""
            if match.re is _TAG:
                self._take_tag(match, tag)
            else:
                self._take(match)
            if self._ordinal > before:
                yield None
        if self._start < 0 and not self._ordinal:
            self._look_elsewhere(root)
        if self._start < 0 and not self._open_elements:
            self._take_text(self._between + self._text[self._at :])
        self._check_beside(tag)
        if self._start >= 0:
            is_cut = self._is_wrapped or not self._is_whole
            self._damage(self._text[self._start :], "row.cut_off" if is_cut else "row.not_a_record")
        elif self._is_torn or not self._is_whole:
            self._damage("（文件在此中断，根元素没有结束）", "row.cut_off")

    def _look_elsewhere(self, root: str) -> None:
        """Raise DeliveryMismatch where no row was found, but another element repeats."""
        likely = xml_outline(f"<{root}>{self._shown}")
        is_other = likely.records.split("/")[-len(self._path) :] != self._path
        if likely.records and not likely.is_single and is_other:
            raise DeliveryMismatch(
                f"文件 {self._name} 里没有约定的记录 {'/'.join(self._path)}，"
                f"实际记录很可能是 {likely.records}；请核对约定的 records"
            )

    def _take_tag(self, match: re.Match[str], tag: str) -> None:
        """Act on a tag between rows."""
        if match["skip"]:
            if match["skip"].startswith("!["):
                self._take_text(match["skip"][8:].removesuffix("]]>"))
            return
        name = match["name"].rpartition(":")[2]
        if match["end"]:
            if name in self._open_elements:
                while self._open_elements.pop() != name:
                    self._is_torn = self._is_wrapped
            self._is_whole = self._is_whole or not self._open_elements
        elif name == tag and self._open_elements and self._holds_rows():
            self._check_place()
            if self._envelope and not self._head:
                self._read_envelope(self._text[: match.start()])
            self._begin(match)
        else:
            if not self._open_elements:
                raise DeliveryMismatch(
                    f"文件 {self._name} 里有几个 XML 文档，第一个的根元素结束之后还有 {name}；请每个文件只报送一个文档"
                )
            if name == tag:
                self._check_depth(tag)
            self._beside.element(self._open_elements, name, match[0])
            if not match["empty"]:
                self._open_elements.append(name)

    def _take_text(self, text: str) -> None:
        """Set text aside that stands between the rows, or behind the root: perhaps a row that lost its tags."""
        text = text.strip(BLANK)
        if not text:
            return
        if not self._open_elements or tuple(self._open_elements) == self._place:
            self._damage(text)
        else:
            self._beside.text(self._open_elements, text)

    def _holds_rows(self) -> bool:
        parents = self._path[:-1]
        if not self._path:
            return len(self._open_elements) == 1
        return not parents or self._open_elements[-len(parents) :] == parents

    def _check_place(self) -> None:
        """Raise DeliveryMismatch where rows stand in two places: one may hold what was deleted."""
        here = tuple(self._open_elements)
        if not self._place:
            self._place = here
            for text in self._beside.loose(here):
                self._damage(text)
        if here != self._place:
            one, other = ("/".join((*place, *self._path[-1:])) for place in (self._place, here))
            raise DeliveryMismatch(
                f"文件 {self._name} 里有两处记录：{one} 与 {other}；请在合同 file.records 中写明完整路径"
            )

    def _check_depth(self, tag: str) -> None:
        """Raise DeliveryMismatch for rows below an element that stands where rows do, as in groups."""
        parents, here = self._path[:-1], self._open_elements
        if any(here[n : n + len(parents)] == parents for n in range(len(here))):
            raise DeliveryMismatch(
                f"文件 {self._name} 里另有一处记录 {'/'.join((*here, tag))}，不在约定的 {'/'.join(self._path)}；"
                "请在合同 file.records 中写明完整路径，或请提供部门把记录放在同一层"
            )

    def _check_beside(self, tag: str) -> None:
        """Raise DeliveryMismatch for an element beside the rows that may be a row too; take what is told there."""
        place = self._place or tuple(self._path[:-1]) or self._root
        other = self._beside.like_a_row(place, tag, self._gathering.names if self._path else None)
        if other:
            raise DeliveryMismatch(
                f"文件 {self._name} 里除了记录 {tag} 还有 {other}，分不清是不是记录；请在合同 file.records 中写明路径，"
                "或请提供部门统一记录的元素名后重报"
            )
        far = self._beside.elsewhere(place, self._path, self._gathering.names) if self._path else None
        # whoever wrote the whole path has chosen this list among others, but not a row that fell out of it
        is_chosen = tuple(self._path[:-1]) == place and len(place) > 1
        if far and not (is_chosen and far[:-1] != place[: len(far) - 1]):
            raise DeliveryMismatch(
                f"文件 {self._name} 里在约定的记录 {'/'.join(self._path)} 之外还有 {'/'.join(far)}，"
                "其中的字段像是记录，却没有约定读取；请提供部门把记录放在同一处后重报，"
                "或在合同 file.records 中写明从根元素起的完整路径"
            )
        says = told(self._beside.near(place), self._ordinal)
        self._gathering.told = replace(says, left=("/".join(far),)) if far else says

    def _take(self, match: re.Match[str]) -> None:
        """Act on a tag within a row: its end, or one that can only come after it."""
        if match["root"]:
            self._is_whole = True
        elif match["open"]:
            if self._start >= 0:  # the row before was never closed
                self._damage(self._text[self._start : match.start()])
            self._begin(match)
        elif match["close"]:
            self._lost = False
            if self._start >= 0:
                self._close()

    def _begin(self, match: re.Match[str]) -> None:
        self._start, self._lost = match.start(), False
        if match["empty"]:
            self._close()

    def _next(self, tokens: re.Pattern[str]) -> re.Match[str] | None:
        """Return the next token, reading on where one may be cut off; what is behind the current row is dropped."""
        while True:
            match = tokens.search(self._text, self._at)
            if match and match.end() < len(self._text):
                return match
            if self._start >= 0 and len(self._text) - self._start > _MAX_ROW:
                self._damage(self._text[self._start :], "row.oversize")
                self._at, self._start, self._lost = len(self._text), -1, True
            keep = self._at
            if self._start >= 0:
                keep = self._start
            elif self._envelope and not self._head and len(self._text) < _MAX_ROW:
                keep = 0
            elif match is None:
                keep = max(self._at, self._text.rfind("<", self._at))
                if not self._lost and len(self._between) < _MAX_ROW:
                    self._between += self._text[self._at : keep]
            self._text, self._at = self._text[keep:], max(self._at - keep, 0)
            self._start = min(self._start, 0)
            if not self._grow():
                return tokens.search(self._text, self._at)

    def _read_envelope(self, before: str) -> None:
        """Take the values that stand before the first row. Raises DeliveryMismatch where one is missing."""
        for path in self._envelope:
            name = re.escape(path.rpartition("/")[2])
            pattern = (
                rf"<(?:[\w.-]+:)?{name}(?:\s[^<>]*)?>\s*(?:<!\[CDATA\[)?([^<]*?)(?:\]\]>)?\s*</(?:[\w.-]+:)?{name}\s*>"
            )
            found = re.search(pattern, before[_section(before, path) :])
            if found is None:
                raise DeliveryMismatch(f"文件 {self._name} 的报文头里找不到 {path}；请核对约定的 envelope")
            self._head[path] = html.unescape(found[1]).strip()

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
        name = root[1].rpartition(":")[2]
        if root[2].endswith("/"):
            if self._text[root.end() :].strip(BLANK) or self._grow():
                raise DeliveryMismatch(f"文件 {self._name} 的根元素 {name} 是空的，其后还有内容；请核对后重新报送")
            return "", ""
        self._open_elements, self._root = [name], (name,)
        self._beside.element((), name, root[0])
        self._prefixes = "".join(m[0] for m in _NAMESPACE.finditer(root[2]))
        self._text = self._text[root.end() :]
        self._shown = self._text[:_LOOKED_AT]
        tag = self._path[-1] if self._path else self._first_child()
        if not tag and not re.match(r"(?:\s|<!--.*?-->|<\?.*?\?>)*(?:</|\Z)", self._text, re.S):
            raise DeliveryCorrupt(f"文件 {self._name} 的根元素里不是 XML 元素；请按约定格式重新报送")
        return tag, root[1]

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
        try:
            row = etree.fromstring(
                f"<r{self._prefixes}{extra}>{raw}</r>".encode("utf-8", "surrogatepass"), self._parser
            )[0]
        except (etree.XMLSyntaxError, IndexError):
            self._damage(raw)
            return
        self._ordinal += 1
        self._gathering.add(self._ordinal, self._head | record_of(row), raw)


def _section(text: str, path: str) -> int:
    """Return where the innermost parent that a path names begins."""
    at = 0
    for part in path.split("/")[:-1]:
        match = re.compile(rf"<(?:[\w.-]+:)?{re.escape(part)}[\s>]").search(text, at)
        at = match.start() if match else at
    return at


def unwrapped(blocks: Iterator[str], how: str) -> Iterator[str]:
    """Lay a message open whose rows stand in a CDATA section or as escaped text of an outer one."""
    marks, cut_off = _CDATA if how == "cdata" else _ESCAPED
    carry = ""
    for block in blocks:
        text = carry + block
        half = cut_off.search(text, max(len(text) - 12, 0))
        text, carry = (text[: half.start()], half[0]) if half else (text, "")
        yield marks.sub("" if how == "cdata" else _plain, text)
    yield marks.sub("" if how == "cdata" else _plain, carry)


def _plain(match: re.Match[str]) -> str:
    return html.unescape(match[0])


def _tokens(tag: str, root: str) -> re.Pattern[str]:
    """Match a row's start or end tag, the root's end tag, or what is passed over: comment, CDATA, PI."""
    name = rf"(?:[\w.-]+:)?{re.escape(tag)}"
    # all begin with one literal character, so that the search leaps from tag to tag
    return re.compile(
        rf"<(?:(?P<open>{name}(?:\s(?:[^<>\"']|\"[^\"]*\"|'[^']*')*?)?(?P<empty>/)?>)|(?P<close>/{name}\s*>)"
        rf"|(?P<root>/{re.escape(root)}\s*>)|(?P<skip>!--.*?(?:-->|\Z)|!\[CDATA\[.*?(?:\]\]>|\Z)|\?.*?(?:\?>|\Z)))",
        re.S,
    )
