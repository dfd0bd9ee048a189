"""One row element of an XML file -> its columns."""

from functools import lru_cache

from lxml import etree

from chengxin.parsing.documents.record_rows import Record

_SCHEMA = ("{http://www.w3.org/2001/XMLSchema-instance}", "{http://www.w3.org/XML/1998/namespace}")
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"


def record_of(row: etree._Element) -> Record:
    """Return attributes and parts of a row as text; `<COL name="X">` is column X, nil is null, parts of parts a/b.

    An attribute of a part is a@unit: 5 with unit="万元" is not 5 in the column's unit, so nothing is left out.
    """
    record: Record = {local(name): str(value) for name, value in row.attrib.items()}
    _add_parts(record, row, "")
    if text := _own_text(row):
        record[local(row.tag)] = text
    return record


def _own_text(element: etree._Element) -> str:
    """Return the text of an element that stands between its parts, trimmed."""
    found = element.text or ""
    tails = [child.tail for child in element]
    if not found.strip() and not "".join(filter(None, tails)).strip():
        return ""
    return " ".join(text.strip() for text in (found, *tails) if text and text.strip())


def _add_parts(record: Record, row: etree._Element, prefix: str) -> None:
    for child in row:
        name = prefix + local(child.tag)
        if not child.attrib and not len(child) and name not in record:  # as nearly all are
            record[name] = (child.text or "").strip()
        else:
            _add_part(record, child, prefix)


def _add_part(record: Record, child: etree._Element, prefix: str) -> None:
    given = str(child.get("name") or child.get("NAME") or local(child.tag)).strip()
    for attribute, value in child.attrib.items():
        word = str(attribute)
        if not word.startswith(_SCHEMA) and not (word.lower() == "name" or (word == "value" and not child.text)):
            record[f"{prefix}{given}@{local(word)}"] = str(value)
    if len(child):
        _add_parts(record, child, f"{prefix}{given}/")
        if text := _own_text(child):
            record[f"{prefix}{given}"] = text
        return
    name = base = f"{prefix}{given}"
    count = 1
    while name in record:
        count += 1
        name = f"{base}_{count}"
    is_nil = child.get(_NIL) in {"true", "1"}
    record[name] = None if is_nil else (child.text or child.get("value") or "").strip()


@lru_cache(maxsize=4096)
def local(name: str | bytes) -> str:
    """Return the name of an element or attribute without its namespace."""
    text = name.decode() if isinstance(name, bytes) else name
    return text.rpartition("}")[2]
