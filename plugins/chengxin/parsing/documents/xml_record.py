"""One row element of an XML file -> its columns."""

from lxml import etree

from chengxin.parsing.documents.record_rows import Record

_SCHEMA = ("{http://www.w3.org/2001/XMLSchema-instance}", "{http://www.w3.org/XML/1998/namespace}")
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"


def record_of(row: etree._Element) -> Record:
    """Return attributes and parts of a row as text; `<COL name="X">` is column X, nil is null, parts of parts a/b.

    An attribute of a part is a@unit: 5 with unit="万元" is not 5 in the column's unit, so nothing is left out unsaid.
    """
    record: Record = {_local(name): str(value) for name, value in row.attrib.items()}
    _add_parts(record, row, "")
    if text := _own_text(row):
        record[_local(row.tag)] = text
    return record


def _own_text(element: etree._Element) -> str:
    """Return the text of an element that stands between its parts, trimmed."""
    return " ".join(
        text.strip() for text in (element.text, *(child.tail for child in element)) if text and text.strip()
    )


def _add_parts(record: Record, row: etree._Element, prefix: str) -> None:
    for child in row:
        if not isinstance(child.tag, str):
            continue
        given = str(child.get("name") or child.get("NAME") or _local(child.tag)).strip()
        for attribute, value in child.attrib.items():
            word = str(attribute)
            if not word.startswith(_SCHEMA) and not (word.lower() == "name" or (word == "value" and not child.text)):
                record[f"{prefix}{given}@{_local(word)}"] = str(value)
        if len(child):
            _add_parts(record, child, f"{prefix}{given}/")
            if text := _own_text(child):
                record[f"{prefix}{given}"] = text
            continue
        name = base = f"{prefix}{given}"
        count = 1
        while name in record:
            count += 1
            name = f"{base}_{count}"
        is_nil = child.get(_NIL) in {"true", "1"}
        record[name] = None if is_nil else (child.text or child.get("value") or "").strip()


def _local(name: str | bytes) -> str:
    text = name.decode() if isinstance(name, bytes) else name
    return text.rpartition("}")[2]
