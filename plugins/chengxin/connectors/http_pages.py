"""One answer of an interface, read for what paging needs: rows, total, next cursor, business code. JSON or XML.

The bytes themselves stay as they came; nothing of a row is kept but a fingerprint.
"""

import hashlib
import json
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Protocol

from lxml import etree
from requests.utils import parse_header_links

from chengxin.connectors.http_session import Reply, TryAgainError
from chengxin.errors import DeliveryCorrupt, SourceUnavailable

_FINE = {"", "0", "00", "000", "0000", "200", "ok", "success", "true", "none"}
_USUAL_CODES = ("code", "errcode", "errCode", "resultCode", "retCode", "status", "success")
_SHOWN = re.compile(r"[\w.-]{1,24}")


@dataclass(frozen=True)
class Shape:
    """Where things lie in an answer; dotted paths in JSON, slashed paths of local names in XML.

    label: name of the connection. records: the rows. key: fields that name a row; empty = the whole row.
    time_field: of a row. total, next, code, message: see HttpApiOptions. unwrap: XML inside the text of an element.
    link_header: the next page is told by the header Link (RFC 8288).
    """

    label: str
    is_xml: bool
    records: str
    key: tuple[str, ...] = ()
    time_field: str | None = None
    total: str | None = None
    next: str | None = None
    link_header: bool = False
    code: str | None = None
    code_ok: tuple[str, ...] = ()
    code_busy: tuple[str, ...] = ()
    unwrap: str | None = None


@dataclass(frozen=True)
class Facts:
    """What a page says. rows: one 64-bit fingerprint for each; times: as spelled in the rows, in their order."""

    rows: "array[int]" = field(default_factory=lambda: array("Q"))
    total: int | None = None
    next: str | None = None
    times: tuple[str, ...] = ()


class _Document(Protocol):
    """An answer that was parsed."""

    def value(self, path: str) -> Any:
        """Return what stands at a path, None where nothing does."""

    def rows(self, path: str) -> Sequence[Any] | None:
        """Return the rows, None where there is no list of them."""

    def field(self, row: Any, name: str) -> Any:
        """Return a field of a row."""

    def whole(self, row: Any) -> bytes:
        """Return a row in one canonical spelling."""


def read_reply(reply: Reply, shape: Shape) -> Facts:
    """Check an answer and read it; raise TryAgainError, SourceUnavailable or DeliveryCorrupt where it is no page."""
    head = reply.body.lstrip(b"\xef\xbb\xbf \t\r\n")[:200].lower()
    is_page = head.startswith((b"<!doctype html", b"<html")) or (not shape.is_xml and head.startswith(b"<"))
    if is_page or "html" in reply.headers.get("Content-Type", "").lower():
        # Login pages and maintenance notices come with status 200.
        raise TryAgainError(SourceUnavailable(f"接口“{shape.label}”返回的是网页而不是数据，可能需要登录或正在维护"))
    if reply.status != HTTPStatus.OK:
        raise SourceUnavailable(f"接口“{shape.label}”没有返回数据（HTTP {reply.status}）")
    facts = read_body(reply.body, shape)
    if not shape.link_header:
        return facts
    links = parse_header_links(reply.headers.get("Link", ""))
    found = (link["url"] for link in links if "next" in link.get("rel", "").lower().split())
    return replace(facts, next=next(found, None) or None)


def read_body(body: bytes, shape: Shape) -> Facts:
    """Read the body of a page; as `read_reply`."""
    outer = _parsed(body, shape)
    _check_code(outer, shape)
    inner = _parsed(_inner(outer, shape), shape) if shape.unwrap else outer
    rows = inner.rows(shape.records)
    if rows is None:
        raise DeliveryCorrupt(f"接口“{shape.label}”的返回内容中没有记录列表“{shape.records or '顶层'}”")
    if not rows and not shape.code:
        _check_usual_codes(outer, shape)
    prints = array("Q", (_fingerprint(row, inner, shape) for row in rows))
    times = tuple(_text(inner.field(row, shape.time_field)) for row in rows) if shape.time_field else ()
    # null, false and 0 are no cursor, nor is an empty text
    following = _text(_either(outer, inner, shape.next) or None) if shape.next else ""
    return Facts(prints, _total(outer, inner, shape), following or None, times)


def unwrapped(body: bytes, shape: Shape) -> bytes:
    """Return what the element `shape.unwrap` holds, as UTF-8; the body itself where nothing is wrapped."""
    return _inner(_parsed(body, shape), shape) if shape.unwrap else body


class _Json:
    def __init__(self, body: bytes) -> None:
        try:
            self._document = json.loads(body, parse_float=str)
        except UnicodeDecodeError:
            self._document = json.loads(body.decode("gb18030"), parse_float=str)

    def value(self, path: str) -> Any:
        document = self._document
        for key in path.split(".") if path else []:
            document = document.get(key) if isinstance(document, dict) else None
        return document

    def rows(self, path: str) -> list[Any] | None:
        found = self.value(path)
        if not path and isinstance(found, dict):
            found = next((value for value in found.values() if isinstance(value, list)), None)
        if found is None and path:
            parent, _, last = path.rpartition(".")
            around = self.value(parent)
            # Some write null for a page without rows.
            return [] if isinstance(around, dict) and last in around else None
        return found if isinstance(found, list) else None

    def field(self, row: Any, name: str) -> Any:
        return row.get(name) if isinstance(row, dict) else None

    def whole(self, row: Any) -> bytes:
        return json.dumps(row, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass")


class _Xml:
    def __init__(self, body: bytes) -> None:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        try:
            self._root = etree.fromstring(body, parser)
        except etree.XMLSyntaxError:
            self._root = etree.fromstring(body.decode("gb18030").partition("?>")[2].encode(), parser)
        if self._root.getroottree().docinfo.doctype:  # type: ignore[union-attr]
            raise DeliveryCorrupt("DTD")

    def _found(self, path: str) -> Iterator[etree._Element]:
        parts = [part for part in path.split("/") if part]
        for element in self._root.iter("{*}" + parts[-1]):
            above: etree._Element | None = element
            for part in reversed(parts):
                if above is None or etree.QName(above).localname != part:
                    break
                above = above.getparent()
            else:
                yield element

    def value(self, path: str) -> str | None:
        element = next(self._found(path), None)
        return None if element is None else "".join(str(part) for part in element.itertext()).strip()

    def rows(self, path: str) -> list[etree._Element] | None:
        if not path:
            return [child for child in self._root if isinstance(child.tag, str)]
        rows = list(self._found(path))
        around = path.rpartition("/")[0]
        # Without a row the element around them must at least be there.
        return rows if rows or not around or next(self._found(around), None) is not None else None

    def field(self, row: etree._Element, name: str) -> str | None:
        child = row.find("{*}" + name)
        return row.get(name) if child is None else (child.text or "").strip()

    def whole(self, row: etree._Element) -> bytes:
        return bytes(etree.tostring(row, method="c14n", with_tail=False))


def _parsed(body: bytes, shape: Shape) -> _Document:
    make: Callable[[bytes], _Document] = _Xml if shape.is_xml else _Json
    try:
        return make(body)
    except DeliveryCorrupt:
        raise DeliveryCorrupt(f"接口“{shape.label}”返回的 XML 带有 DTD（<!DOCTYPE>），出于安全不予读取") from None
    except (ValueError, RecursionError, etree.XMLSyntaxError):
        kind = "XML" if shape.is_xml else "JSON"
        raise TryAgainError(DeliveryCorrupt(f"接口“{shape.label}”返回的内容不是完整的 {kind}，可能被截断")) from None


def _inner(outer: _Document, shape: Shape) -> bytes:
    text = outer.value(shape.unwrap or "")
    if not text:
        raise DeliveryCorrupt(f"接口“{shape.label}”的返回内容中没有元素“{shape.unwrap}”")
    # The declaration speaks of an encoding that the text no longer has.
    return re.sub(r"^\s*<\?xml.*?\?>", "", str(text), flags=re.S).encode()


def _check_code(document: _Document, shape: Shape) -> None:
    if not shape.code:
        return
    code = _text(document.value(shape.code))
    if code in shape.code_ok:
        return
    # The message beside the code is not shown: it may repeat a token or name a person.
    shown = code if _SHOWN.fullmatch(code) else "（不可显示）" if code else "（缺失）"
    problem = SourceUnavailable(f"接口“{shape.label}”返回业务错误码 {shape.code}={shown}；请向对方核实")
    if code in shape.code_busy:
        raise TryAgainError(problem)
    raise problem


def _check_usual_codes(document: _Document, shape: Shape) -> None:
    """Refuse an empty page that looks like an error in disguise, where the contract does not say what the code is."""
    for name in _USUAL_CODES:
        value = _text(document.value(name))
        if value.lower() not in _FINE:
            shown = value if _SHOWN.fullmatch(value) else "（不可显示）"
            raise DeliveryCorrupt(
                f"接口“{shape.label}”没有返回记录，却带有 {name}={shown}；如属正常，请在合同中声明 code 与 code_ok"
            )


def _either(outer: _Document, inner: _Document, path: str) -> Any:
    found = outer.value(path)
    return inner.value(path) if found is None else found


def _total(outer: _Document, inner: _Document, shape: Shape) -> int | None:
    found = _either(outer, inner, shape.total) if shape.total else None
    if found is None:
        return None
    try:
        return int(found)
    except (TypeError, ValueError):
        raise DeliveryCorrupt(f"接口“{shape.label}”的总行数“{shape.total}”不是数字") from None


def _fingerprint(row: Any, document: _Document, shape: Shape) -> int:
    values = [_text(document.field(row, name)) for name in shape.key]
    # A row without its key counts as itself.
    text = json.dumps(values).encode() if any(values) else document.whole(row)
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None or isinstance(value, dict | list) else str(value).strip()
