"""Put rows into the file that a contract describes: delimited, fixed width, JSON, XML, or a workbook."""

import csv
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape, quoteattr

from chengxin.contracts.models import Contract, FileSpec
from chengxin.demo.rounds import Delivered
from chengxin.errors import ContractError
from chengxin.model.elements import elements

_BOM = {"utf-16": "utf-16", "auto": "utf-8-sig"}
_READ_AS_GB18030 = ("gbk", "gb2312")
_EPOCH = (2026, 1, 1, 0, 0, 0)


def file_bytes(contract: Contract, delivered: Delivered) -> bytes:
    """Return the file of a delivery, in the contract's format and encoding."""
    return _WRITERS[contract.file.format](contract, delivered)


def page_bytes(contract: Contract, rows: Sequence[dict[str, str | None]], total: int | None = None) -> bytes:
    """Return a JSON document with the rows at the contract's `records`, and their number beside them."""
    spec = contract.file
    document: dict[str, object] = {}
    keys = spec.records.split(".") if spec.records else []
    if not keys:
        return json.dumps(rows, ensure_ascii=False).encode("utf-8")
    inner: dict[str, object] = document
    for key in keys[:-1]:
        child: dict[str, object] = {}
        inner[key] = child
        inner = child
    inner[keys[-1]] = rows
    dotted = contract.delivery.options.get("total") if total is not None else None
    if dotted:
        _put(document, str(dotted), total)
    return json.dumps(document, ensure_ascii=False).encode("utf-8")


def objects(delivered: Delivered) -> list[dict[str, str | None]]:
    """Return the rows as objects, header -> text."""
    return [dict(zip(delivered.headers, row, strict=True)) for row in delivered.rows()]


def _put(document: dict[str, object], dotted: str, value: object) -> None:
    *parents, last = dotted.split(".")
    inner = document
    for key in parents:
        child = inner.setdefault(key, {})
        assert isinstance(child, dict)
        inner = child
    inner[last] = value


def _encoded(text: str, spec: FileSpec) -> bytes:
    encoding = "gb18030" if spec.encoding in _READ_AS_GB18030 else _BOM.get(spec.encoding, spec.encoding)
    return text.encode(encoding, "replace" if encoding == "big5" else "strict")


def _delimited(contract: Contract, delivered: Delivered) -> bytes:
    spec, out = contract.file, io.StringIO()
    delimiter = spec.delimiter or ("\t" if spec.format == "tsv" else ",")
    writer = csv.writer(
        out,
        delimiter=delimiter,
        quotechar=spec.quote or None,
        quoting=csv.QUOTE_MINIMAL if spec.quote else csv.QUOTE_NONE,
        lineterminator="\r\n",
        escapechar=None if spec.quote else "\\",
    )
    writer.writerows(_lines_above(contract))
    if spec.header:
        writer.writerow(delivered.headers)
    writer.writerows([["" if v is None else v for v in row] for row in delivered.rows()])
    return _encoded(out.getvalue(), spec)


def _lines_above(contract: Contract) -> list[list[str]]:
    return [[contract.title]] * max(0, contract.file.header - 1)


def _fixed(contract: Contract, delivered: Delivered) -> bytes:
    """Write lines of bytes: text left-aligned and padded with blanks, amounts and counts right-aligned with zeros."""
    types = {c.source: elements()[c.element].type for c in contract.columns}
    at = {header: i for i, header in enumerate(delivered.headers)}
    width = max(f.start + f.length - 1 for f in contract.file.fields)
    lines = []
    for row in delivered.rows():
        line = bytearray(b" " * width)
        for field in contract.file.fields:
            text = (row[at[field.source]] if field.source in at else None) or ""
            if types.get(field.source) in ("money", "integer", "decimal"):
                text = text.rjust(field.length, "0")
            raw = _cut(text, field.length, contract.file)
            line[field.start - 1 : field.start - 1 + len(raw)] = raw
        lines.append(bytes(line))
    return b"\r\n".join(lines) + b"\r\n"


def _cut(text: str, length: int, spec: FileSpec) -> bytes:
    while len(raw := _encoded(text, spec)) > length:
        text = text[:-1]
    return raw


def _json(contract: Contract, delivered: Delivered) -> bytes:
    return page_bytes(contract, objects(delivered))


def _jsonl(contract: Contract, delivered: Delivered) -> bytes:
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in objects(delivered))
    return _encoded(lines, contract.file)


def _xml(contract: Contract, delivered: Delivered) -> bytes:
    *outer, row_name = (contract.file.records or "ROWDATA/ROW").split("/")
    outer = outer or ["ROWDATA"]
    rows = []
    for row in delivered.rows():
        cells = "".join(f"<{h}>{escape(v or '')}</{h}>" for h, v in zip(delivered.headers, row, strict=True))
        rows.append(f"<{row_name}>{cells}</{row_name}>\n")
    opening, closing = "".join(f"<{n}>" for n in outer), "".join(f"</{n}>" for n in reversed(outer))
    encoding = "gb18030" if contract.file.encoding in _READ_AS_GB18030 else contract.file.encoding
    encoding = "utf-8" if encoding == "auto" else encoding
    return f'<?xml version="1.0" encoding="{encoding}"?>\n{opening}\n{"".join(rows)}{closing}\n'.encode(encoding)


def _xls(contract: Contract, delivered: Delivered) -> bytes:
    try:
        import xlwt  # type: ignore[import-untyped]
    except ImportError as error:
        raise ContractError("生成 .xls 演示数据需要 xlwt（pip install xlwt）") from error
    book = xlwt.Workbook(encoding="utf-8")
    sheet = book.add_sheet(_sheet_name(contract))
    for r, row in enumerate([*_lines_above(contract), list(delivered.headers), *delivered.rows()]):
        for c, value in enumerate(row):
            if value is not None:
                sheet.write(r, c, value)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _xlsx(contract: Contract, delivered: Delivered) -> bytes:
    """Write the smallest workbook that every reader takes; by hand, so that its bytes are the same every time."""
    rows = [*_lines_above(contract), list(delivered.headers), *delivered.rows()]
    body = "".join(_sheet_row(number, row) for number, row in enumerate(rows, 1))
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relations = "http://schemas.openxmlformats.org/package/2006/relationships"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    content = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{content}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{content}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{relations}"><Relationship Id="rId1" Type="{office}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        f'<sheet name={quoteattr(_sheet_name(contract))} sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{relations}"><Relationship Id="rId1" '
        f'Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{body}</sheetData></worksheet>',
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n{text}')
    return out.getvalue()


def _sheet_row(number: int, row: Sequence[str | None]) -> str:
    cells = "".join(
        f'<c r="{_letters(c)}{number}" t="inlineStr"><is><t xml:space="preserve">{escape(v)}</t></is></c>'
        for c, v in enumerate(row)
        if v
    )
    return f'<row r="{number}">{cells}</row>'


def _letters(column: int) -> str:
    head, tail = divmod(column, 26)
    return (_letters(head - 1) if head else "") + chr(ord("A") + tail)


def _sheet_name(contract: Contract) -> str:
    return contract.file.sheet if isinstance(contract.file.sheet, str) else "Sheet1"


_WRITERS: dict[str, Callable[[Contract, Delivered], bytes]] = {
    "csv": _delimited, "tsv": _delimited, "fixed": _fixed, "json": _json, "jsonl": _jsonl, "xml": _xml, "xls": _xls,
    "xlsx": _xlsx,
}  # fmt: skip
