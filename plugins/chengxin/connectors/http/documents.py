"""An answer of an interface as a document: values by path, and rows. JSON or XML."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from lxml import etree

from chengxin.errors import DeliveryCorrupt
from chengxin.model.paging import AROUND, fold

#: Roots of XML answers that hold no data whatever the contract looks for.
_NO_DATA = frozenset({"fault", "error", "errors", "exception", "html"})


class AmbiguousError(ValueError):
    """What stands around the rows states two things at once."""


class Document(Protocol):
    """An answer that was parsed."""

    def value(self, path: str) -> Any:
        """Return what stands at a path, None where nothing does."""

    def has(self, path: str) -> bool:
        """Return whether a path is there, be it empty."""

    def rows(self, path: str) -> Sequence[Any] | None:
        """Return the rows, None where there is no list of them."""

    def field(self, row: Any, name: str) -> Any:
        """Return a field of a row."""

    def whole(self, row: Any) -> bytes:
        """Return a row in one canonical spelling."""


class _Twice(dict[str, Any]):
    """An object that gave one key two different values."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    is_sure = len(found) == len(pairs) or all(found[key] == value for key, value in pairs)
    return found if is_sure else _Twice(found)


class _Json:
    def __init__(self, body: bytes) -> None:
        try:
            self._document = json.loads(body, parse_float=str, object_pairs_hook=_object)
        except UnicodeDecodeError:
            self._document = json.loads(body.decode("gb18030"), parse_float=str, object_pairs_hook=_object)

    def value(self, path: str) -> Any:
        """As Document. Raises AmbiguousError for a key on the way that stands there twice."""
        document = self._document
        for key in path.split(".") if path else []:
            document = document.get(key) if isinstance(document, dict) else None
            if isinstance(document, _Twice):
                raise AmbiguousError(path)
        if isinstance(self._document, _Twice):
            raise AmbiguousError(path)
        return document

    def has(self, path: str) -> bool:
        parent, _, last = path.rpartition(".")
        around = self.value(parent)
        return isinstance(around, dict) and last in around

    def rows(self, path: str) -> list[Any] | None:
        found = self.value(path)
        if not path and isinstance(found, dict):
            lists = [value for value in found.values() if isinstance(value, list)]
            filled = [value for value in lists if any(isinstance(item, dict) for item in value)]
            found = None if len(filled) > 1 else next(iter(filled or lists), None)
        if found is None and path:
            return [] if self._is_left_empty(path) else None
        return found if isinstance(found, list) else None

    def _is_left_empty(self, path: str) -> bool:
        """Return whether null, or an empty object around it, stands for a page without rows."""
        document = self._document
        for key in path.split("."):
            if not isinstance(document, dict) or key not in document:
                return False
            document = document[key]
            if document is None or document in ({}, []):
                return True
        return False

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

    def has(self, path: str) -> bool:
        return next(self._found(path), None) is not None

    def rows(self, path: str) -> list[etree._Element] | None:
        if etree.QName(self._root).localname.lower() in _NO_DATA or next(self._found("Body/Fault"), None) is not None:
            return None
        if not path:
            return [child for child in self._root if isinstance(child.tag, str)]
        rows = list(self._found(path))
        around = path.rpartition("/")[0]
        if rows or not around:
            return rows
        # Without a row the element around them must at least be there, and hold nothing that may be rows.
        above = next(self._found(around), None)
        return [] if above is not None and not any(map(_may_be_row, above)) else None

    def field(self, row: etree._Element, name: str) -> str | None:
        child = row.find("{*}" + name)
        return row.get(name) if child is None else (child.text or "").strip()

    def whole(self, row: etree._Element) -> bytes:
        return bytes(etree.tostring(row, method="c14n", with_tail=False))


def _may_be_row(element: etree._Element) -> bool:
    """Return whether an element beside no rows has values of its own: rows under another name, perhaps."""
    return isinstance(element.tag, str) and fold(element.tag) not in AROUND and (len(element) > 1)


def parse(body: bytes, *, is_xml: bool) -> Document:
    """Read an answer. Raises ValueError, RecursionError or XMLSyntaxError; DeliveryCorrupt where XML has a DTD."""
    make: Callable[[bytes], Document] = _Xml if is_xml else _Json
    return make(body)


def text_of(value: Any) -> str:
    """Write a single value as text; nothing for null, lists and objects."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None or isinstance(value, dict | list) else str(value).strip()
