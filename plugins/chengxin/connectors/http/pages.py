"""One answer of an interface, read for what paging needs: rows, total, next cursor, business code. JSON or XML.

The bytes themselves stay as they came; nothing of a row is kept but a fingerprint.
"""

import hashlib
import json
import re
from array import array
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from lxml import etree
from requests.utils import parse_header_links

from chengxin.connectors.http.documents import AmbiguousError, Document, parse, text_of
from chengxin.connectors.http.replies import RefusedError, Reply, TryAgainError
from chengxin.errors import DeliveryCorrupt, SourceUnavailable

_FINE = {"", "0", "00", "000", "0000", "200", "ok", "success", "true", "none"}
_USUAL_CODES = ("code", "errcode", "errCode", "resultCode", "retCode", "status", "success")
_SHOWN = re.compile(r"[\w.-]{1,24}")
_OUTAGES = ("429", "502", "503", "504")


@dataclass(frozen=True)
class Shape:
    """Where things lie in an answer; dotted paths in JSON, slashed paths of local names in XML.

    label: name of the connection. records: the rows. key: fields that name a row; empty = the whole row.
    total, next, code*, status_end: see HttpApiOptions. unwrap: XML inside the text of an element.
    link_header: the next page is told by the header Link (RFC 8288).
    """

    label: str
    is_xml: bool
    records: str
    key: tuple[str, ...] = ()
    total: str | None = None
    next: str | None = None
    link_header: bool = False
    code: str | None = None
    code_ok: tuple[str, ...] = ()
    code_busy: tuple[str, ...] = ()
    code_end: tuple[str, ...] = ()
    status_end: tuple[int, ...] = ()
    unwrap: str | None = None


@dataclass(frozen=True)
class Page:
    """What an answer states of its rows. rows: one 64-bit fingerprint for each.

    next: where the next page is; has_next: its place is there, be it empty.
    is_end: the server said, as the contract declares, that there are no (more) rows.
    """

    rows: "array[int]" = field(default_factory=lambda: array("Q"))
    total: int | None = None
    next: str | None = None
    has_next: bool = True
    is_end: bool = False


class NoRowsError(DeliveryCorrupt):
    """An answer that holds no list of rows: an error, unless nothing was expected any more."""


def read_reply(reply: Reply, shape: Shape) -> Page:
    """Check an answer and read it; raise TryAgainError, SourceUnavailable or DeliveryCorrupt where it is no page."""
    head = reply.body.lstrip(b"\xef\xbb\xbf \t\r\n")[:200].lower()
    is_page = head.startswith((b"<!doctype html", b"<html")) or (not shape.is_xml and head.startswith(b"<"))
    if is_page or "html" in reply.headers.get("Content-Type", "").lower():
        # Login pages and maintenance notices come with status 200.
        raise TryAgainError(SourceUnavailable(f"接口“{shape.label}”返回的是网页而不是数据，可能需要登录或正在维护"))
    if reply.status != HTTPStatus.OK:
        said = f"接口“{shape.label}”没有返回数据（HTTP {reply.status}）"
        raise RefusedError(said, f"status_end: [{reply.status}]", reply.status)
    page = read_body(reply.body, shape)
    if not shape.link_header:
        return page
    links = parse_header_links(reply.headers.get("Link", ""))
    following = next((link["url"] for link in links if "next" in link.get("rel", "").lower().split()), None)
    return replace(page, next=following or None)


def read_body(body: bytes, shape: Shape) -> Page:
    """Read the body of a page; as `read_reply`."""
    try:
        return _page(body, shape)
    except AmbiguousError:
        raise DeliveryCorrupt(
            f"接口“{shape.label}”的返回内容中，记录之外有一个字段出现两次且内容不同，分不清以哪个为准；请向对方核实"
        ) from None


def _page(body: bytes, shape: Shape) -> Page:
    outer = _parsed(body, shape)
    if _check_code(outer, shape) and not _has_rows(outer, shape):
        return Page(is_end=True)
    inner = _parsed(_inner(outer, shape), shape) if shape.unwrap else outer
    rows = inner.rows(shape.records)
    if rows is None:
        raise NoRowsError(f"接口“{shape.label}”的返回内容中没有记录列表“{shape.records or '顶层'}”")
    if not rows and not shape.code:
        _check_usual_codes(outer, shape)
    prints = array("Q", (_fingerprint(row, inner, shape) for row in rows))
    # null, false and 0 are no cursor, nor is an empty text
    following = text_of(_either(outer, inner, shape.next) or None) if shape.next else ""
    has_next = not shape.next or outer.has(shape.next) or inner.has(shape.next)
    return Page(prints, _total(outer, inner, shape), following or None, has_next)


def unwrapped(body: bytes, shape: Shape) -> bytes:
    """Return what the element `shape.unwrap` holds, as UTF-8; the body itself where nothing is wrapped."""
    return _inner(_parsed(body, shape), shape) if shape.unwrap else body


def _parsed(body: bytes, shape: Shape) -> Document:
    try:
        return parse(body, is_xml=shape.is_xml)
    except DeliveryCorrupt:
        raise DeliveryCorrupt(f"接口“{shape.label}”返回的 XML 带有 DTD（<!DOCTYPE>），出于安全不予读取") from None
    except (ValueError, RecursionError, etree.XMLSyntaxError):
        kind = "XML" if shape.is_xml else "JSON"
        raise TryAgainError(DeliveryCorrupt(f"接口“{shape.label}”返回的内容不是完整的 {kind}，可能被截断")) from None


def _inner(outer: Document, shape: Shape) -> bytes:
    text = outer.value(shape.unwrap or "")
    if not text:
        raise DeliveryCorrupt(f"接口“{shape.label}”的返回内容中没有元素“{shape.unwrap}”")
    # The declaration speaks of an encoding that the text no longer has.
    return re.sub(r"^\s*<\?xml.*?\?>", "", str(text), flags=re.S).encode()


def _check_code(document: Document, shape: Shape) -> bool:
    """Return whether the business code means that no more rows follow; raise where it means an error."""
    if not shape.code:
        return False
    code = text_of(document.value(shape.code))
    if code in shape.code_ok:
        return False
    if code in shape.code_end:
        return True
    # The message beside the code is not shown: it may repeat a token or name a person.
    shown = code if _SHOWN.fullmatch(code) else "（不可显示）" if code else "（缺失）"
    problem = RefusedError(
        f"接口“{shape.label}”返回业务错误码 {shape.code}={shown}；请向对方核实", f'code_end: ["{shown}"]'
    )
    if code in shape.code_busy:
        is_outage = code in _OUTAGES
        raise TryAgainError(SourceUnavailable(str(problem)) if is_outage else problem)
    raise problem


def _has_rows(outer: Document, shape: Shape) -> bool:
    """Return whether there are rows in spite of a code that says that there are none."""
    if shape.unwrap and not outer.value(shape.unwrap):
        return False
    inner = _parsed(_inner(outer, shape), shape) if shape.unwrap else outer
    return bool(shape.records and inner.rows(shape.records))


def _check_usual_codes(document: Document, shape: Shape) -> None:
    """Refuse an empty page that looks like an error in disguise, where the contract does not say what the code is."""
    for name in _USUAL_CODES:
        value = text_of(document.value(name))
        if value.lower() not in _FINE:
            shown = value if _SHOWN.fullmatch(value) else "（不可显示）"
            raise NoRowsError(
                f"接口“{shape.label}”没有返回记录，却带有 {name}={shown}；如属正常，请在合同中声明 code 与 code_ok"
            )


def _either(outer: Document, inner: Document, path: str) -> Any:
    found = outer.value(path)
    return inner.value(path) if found is None else found


def _total(outer: Document, inner: Document, shape: Shape) -> int | None:
    found = _either(outer, inner, shape.total) if shape.total else None
    if found is None:
        return None
    try:
        return int(found)
    except (TypeError, ValueError):
        raise DeliveryCorrupt(f"接口“{shape.label}”的总行数“{shape.total}”不是数字") from None


def _fingerprint(row: Any, document: Document, shape: Shape) -> int:
    values = [text_of(document.field(row, name)) for name in shape.key]
    # A row without its key counts as itself.
    text = json.dumps(values).encode() if any(values) else document.whole(row)
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())
