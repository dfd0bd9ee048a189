"""What a never-seen file looks like: format, encoding, dialect, header and a few rows, from its beginning only.

For drafting a contract. What is found here is a proposal that the contract then pins; the readers never guess.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from charset_normalizer import from_bytes

from chengxin.contracts.models import FileSpec
from chengxin.errors import ChengxinError, DeliveryCorrupt
from chengxin.parsing.documents.json import plan_json, read_json, read_jsonl
from chengxin.parsing.documents.outline import json_records_path, xml_outline
from chengxin.parsing.documents.xml import read_xml
from chengxin.parsing.encoding.detection import BOMS, encoding_of, refuse_binary, utf16_order
from chengxin.parsing.fixed_width.places import UNSURE, places_of
from chengxin.parsing.layout import Layout, Lines
from chengxin.parsing.shapes import Piece, joined_header, unique_names
from chengxin.parsing.workbooks.sheets import seen_sheets, sheet_names, sheet_rows

_SHOWN = {"utf-16-le": "utf-16", "utf-16-be": "utf-16"}
_DELIMITERS = (",", "\t", "|", ";", "｜", "||", "|+|", "|@|", "@|@", "^|^", "!^", "\x01", "\x1f", "^", "~", "  ", " ")
_QUOTES = (('"', "", 1.0), ('"', "\\", 1.02), ("'", "", 0.97), ("", "", 0.96))
_VALUE = re.compile(r"[\d\s.,:%/+\-¥￥元万年月日()（）]+|(?=[A-Z]*\d)[0-9A-Z]{8,}|\d{6,}[0-9A-Za-z*]+", re.ASCII)
#: 填报单位：某局 above a table is about the whole; a unit in brackets (单位：万元) is part of a name.
_ABOUT_ALL = re.compile(r"[^(（\[【]{1,12}[:：]")
_GUESSED = ("gb18030", "big5")  # encodings between which only the characters speak
_SEARCHED = 40  # records in which a header is looked for


__all__ = ["SampleDialect", "describe", "encoding_of", "find_header"]


@dataclass(frozen=True)
class SampleDialect:
    """What the beginning of a file looks like; `spec` turns it into the `file` block of a contract.

    format, encoding, delimiter, quote, escape, header, header_rows, records, wrapped, sheet: as in FileSpec; encoding
    is "" for workbooks. confidence: 0..1, of the encoding; alternatives: other encodings that are possible.
    columns: the header as the readers name it (positions "1", "2", ... where there is none). rows: texts in the order
    of `columns`. sheets: all sheets of a workbook. fields: source, start and length, of fixed width. notes: in Chinese,
    what a person should look at.
    """

    format: str
    encoding: str = ""
    confidence: float = 1.0
    alternatives: tuple[str, ...] = ()
    delimiter: str | None = None
    quote: str = '"'
    escape: str = ""
    header: int = 1
    header_rows: int = 1
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str | None, ...], ...] = ()
    records: str = ""
    wrapped: str | None = None
    sheet: str | tuple[str, ...] | None = None
    sheets: tuple[str, ...] = ()
    fields: tuple[tuple[str, int, int], ...] = ()
    notes: tuple[str, ...] = ()

    def spec(self) -> dict[str, Any]:
        """Return the keys of a contract's `file` block that differ from the defaults, ready for FileSpec(**...)."""
        chosen: dict[str, Any] = {"format": self.format}
        if self.encoding:
            chosen["encoding"] = self.encoding
        usual = {"delimiter": "\t" if self.format == "tsv" else ",", "quote": '"', "header": 1, "header_rows": 1}
        for name in ("delimiter", "quote", "escape", "header", "header_rows", "records", "wrapped", "sheet"):
            value = getattr(self, name)
            if value is not None and value != usual.get(name, ""):
                chosen[name] = list(value) if isinstance(value, tuple) else value
        if self.fields:
            chosen["fields"] = [{"source": name, "start": at, "length": size} for name, at, size in self.fields]
        return chosen


def describe(path: Path, *, head_bytes: int = 1 << 20, rows: int = 200) -> SampleDialect:
    """Look at the first `head_bytes` of a file (a workbook is opened whole) and say how to read it.

    rows: at most so many sample rows. Raises DeliveryCorrupt for what no reader takes (PDF, RAR, HTML, empty ...).
    """
    with path.open("rb") as file:
        head = file.read(head_bytes)
    if not head.strip(b"\x00\r\n\t \xef\xbb\xbf"):
        raise DeliveryCorrupt(f"文件 {path.name} 是空的")
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return _workbook(path, "xlsx" if head.startswith(b"PK") else "xls", rows)
    refuse_binary(path, head, "文本")
    encoding, bom, confidence, alternatives = _encoding(head)
    text = head[bom:].decode(encoding, "replace")
    if len(head) == head_bytes:
        text = text[: max(text.rfind("\n"), text.rfind("\r"), text.rfind(">"), text.rfind("}"), 0) + 1] or text
    found = SampleDialect("csv", _SHOWN.get(encoding, encoding), confidence, alternatives)
    start = text.lstrip("\ufeff \t\r\n")
    if re.match(r"(?i)<(!doctype\s+html|html|head|body|table|meta)\b", start):
        raise DeliveryCorrupt(f"文件 {path.name} 实际是 HTML 网页（常见于“导出为 Excel”）；请另存为 xlsx 或 csv 后报送")
    whole = Piece(str(path), 0, bom, path.stat().st_size, 1, encoding, ())
    if start.startswith("<"):
        return _xml(whole, found, start, rows)
    if start.startswith(("{", "[")):
        return _json(whole, found, start, rows)
    return _delimited(found, text, rows)


def _encoding(head: bytes) -> tuple[str, int, float, tuple[str, ...]]:
    """Return encoding, length of the BOM, confidence and the other possible encodings."""
    for mark, name in BOMS:
        if head.startswith(mark):
            return name, len(mark), 1.0, ()
    if order := utf16_order(head):
        return order, 0, 0.95, ()
    if head.isascii():
        return "utf-8", 0, 1.0, ("gb18030",)
    if _decodes(head, "utf-8"):
        return "utf-8", 0, 1.0, ()
    lines = head[: head.rfind(b"\n") + 1] or head
    found = from_bytes(lines, cp_isolation=list(_GUESSED), threshold=1.0, enable_fallback=False)
    names = [match.encoding for match in found if match.encoding in _GUESSED]
    if not names:
        return "gb18030", 0, 0.3, ("big5",)
    others = tuple(name for name in _GUESSED if name != names[0] and _decodes(head, name))
    return names[0], 0, 0.6 if others else 0.95, others


def _decodes(head: bytes, encoding: str) -> bool:
    """Return whether the bytes decode, up to a character cut off at the end."""
    try:
        head.decode(encoding)
    except UnicodeDecodeError as fault:
        return fault.start >= len(head) - 4
    return True


def _delimited(found: SampleDialect, text: str, rows: int) -> SampleDialect:
    data = text.lstrip("\ufeff").encode("utf-8", "replace")
    lines = _of_one_length(text, found.encoding)
    best: tuple[float, Layout, list[tuple[int, list[str]]]] | None = None
    for delimiter in _DELIMITERS:
        if delimiter.encode() not in data or (lines and delimiter.isspace() and delimiter != "\t"):
            continue
        for quote, escape, weight in _QUOTES:
            needed = b"" if (quote, escape) == ('"', "") else (escape + quote).encode()
            if needed not in data or (not quote and b'"' not in data):
                continue
            layout = Layout.of(FileSpec.model_validate({"delimiter": delimiter, "quote": quote, "escape": escape}))
            records, fair = _records(data, layout, max(rows + _SEARCHED, 100))
            if quote == "'" and data.count((delimiter + quote).encode()) > len(records):
                weight = 1.03  # it stands around most values
            score = _regularity(records) * fair * weight * _trust(delimiter, data)
            if best is None or score > best[0] + 1e-9:
                best = (score, layout, records)
            if fair > 0.95 and quote.encode() in data and b'\\"' not in data:
                break
    if best is None or best[0] < 0.2:
        return _fixed(found, lines, rows) if lines else _one_column(found, data, rows)
    _, layout, records = best
    kind = "tsv" if layout.declared == "\t" else "csv"
    quote, escape = layout.quote.decode(), layout.escape.decode()
    found = replace(found, format=kind, delimiter=layout.declared, quote=quote, escape=escape)
    return _with_header(found, records, rows)


def _trust(delimiter: str, data: bytes) -> float:
    """Weigh a delimiter: blanks stand in texts too; one of several characters must not occur in part."""
    if delimiter.isspace() and delimiter != "\t":
        return 0.8
    if len(delimiter) == 1:
        return 1.0
    whole, part = data.count(delimiter.encode()), data.count(delimiter[0].encode())
    return 1.3 if part == whole * delimiter.count(delimiter[0]) else 0.5


def _records(data: bytes, layout: Layout, limit: int) -> tuple[list[tuple[int, list[str]]], float]:
    """Return (line, fields) of the first records, and the share of them whose quotes stand right."""
    prepared = layout.prepared(data)
    lines = Lines.of(prepared)
    starts = lines.starts.tolist()
    out: list[tuple[int, list[str]]] = []
    at = fair = 0
    while at < len(starts) and len(out) < limit:
        start, end = starts[at], int(lines.ends[at])
        walk = layout.walk(prepared, start)
        if walk.is_open or not walk.is_strict or walk.end - start > 64 << 10:
            walk = replace(walk, end=end)
        else:
            fair += 1
        record = prepared[start : walk.end]
        while at < len(starts) and starts[at] <= walk.end:
            at += 1
        line = int((lines.starts <= start).sum())
        if record.strip():
            out.append((line, layout.fields(record)))
        else:
            fair -= 1
    return out, max(fair, 0) / max(len(out), 1)


def _regularity(records: list[tuple[int, list[str]]]) -> float:
    """Score how regular the widths are: the share of the usual width, and wider is better."""
    widths = [len(fields) for _, fields in records]
    usual = max(sorted(set(widths)), key=widths.count) if widths else 1
    if usual < 2:
        return 0.0
    filled = [f for _, f in records if len(f) == usual]
    empty = sum(1 for fields in filled for f in fields if not f.strip()) / (usual * len(filled))
    return widths.count(usual) / len(widths) * (1 - 1 / usual) * (1 - empty / 2)


def _of_one_length(text: str, encoding: str) -> list[bytes]:
    """Return the lines of a fixed-width file: nearly all of one length in bytes, padded; nothing of any other file."""
    if encoding.startswith("utf-16"):
        return []
    lines = [line.encode(encoding, "replace") for line in text.splitlines()[:500] if line.strip()]
    lengths = [len(line) for line in lines]
    usual = _usual(lengths)
    whole = [line for line in lines if len(line) == usual]
    if len(lines) < 2 or usual < 12 or len(whole) < 0.9 * len(lines):
        return []
    one_blank = all(b"  " not in line.strip() and line == line.strip() and b" " in line for line in whole)
    return [] if one_blank else whole


def _fixed(found: SampleDialect, lines: list[bytes], rows: int) -> SampleDialect:
    encoding = found.encoding
    labels, below = (line.decode(encoding, "replace").split() for line in lines[:2])
    header = lines[0] if len(labels) > 1 and _is_label_row(labels) and not _is_label_row(below) else None
    body = lines[1:] if header else lines
    places = places_of(body, encoding, header)
    unsure = sum(name.startswith(UNSURE) for name, _, _ in places)
    notes = [
        f"每行都是 {len(lines[0])} 字节，像是定长文件（fixed）；起止位置由空白、列名和内容推断，请按接口说明逐个核对"
    ]
    notes.append("一段里可能还有几个字段（值都填满时看不出）；没有写小数点的金额请加 decimals")
    notes += [f"有 {unsure} 个字段的起止位置没有把握，列名写作“{UNSURE}”，请改好"] if unsure else []
    notes += ["第 1 行是列名：定长格式不跳过它，每次会有一行列为疑问数据"] if header else []
    cut = [tuple(line[s - 1 : s - 1 + n].decode(encoding, "replace").strip() for _, s, n in places) for line in body]
    return replace(
        found, format="fixed", header=1, fields=tuple(places), columns=tuple(name for name, _, _ in places),
        rows=tuple(cut[:rows]), notes=(*found.notes, *notes),
    )  # fmt: skip


def _one_column(found: SampleDialect, data: bytes, rows: int) -> SampleDialect:
    lines = [line for line in data.decode().splitlines() if line.strip()]
    note = "没有找到分隔符：可能只有一列，或不是表格"
    return _with_header(replace(found, notes=(*found.notes, note)), [(n, [x]) for n, x in enumerate(lines, 1)], rows)


def _with_header(found: SampleDialect, records: Sequence[tuple[int, list[str]]], rows: int) -> SampleDialect:
    """Find the header among the first records, and take the rows below it."""
    place, depth = find_header([fields for _, fields in records[:_SEARCHED]])
    usual = _usual([len(fields) for _, fields in records])
    notes = list(found.notes)
    if place is None:
        columns = tuple(str(n) for n in range(1, usual + 1))
        notes.append("没有找到表头行：各列只能按位置对应")
        body, header = records, 0
    else:
        block = [fields for _, fields in records[place : place + depth]]
        columns = unique_names(joined_header(block))
        body, header = records[place + depth :], records[place][0]
        if header > 1:
            notes.append(f"表头在第 {header} 行，其上 {header - 1} 行是标题或说明")
        if blank := [n for n, name in enumerate(joined_header(block), 1) if not name.strip()]:
            notes.append(f"第 {'、'.join(map(str, blank))} 列没有列名")
    taken = [fields for _, fields in body if len(fields) == len(columns)]
    if len(taken) < len(body):
        notes.append(f"样本中有 {len(body) - len(taken)} 行的字段数与表头不符，将列为疑问数据")
    kept = tuple(tuple(fields) for fields in taken[:rows])
    return replace(found, header=header, header_rows=depth, columns=columns, rows=kept, notes=tuple(notes))


def _usual(widths: list[int]) -> int:
    return max(sorted(set(widths)), key=widths.count) if widths else 0


def find_header(records: Sequence[Sequence[str | None]]) -> tuple[int | None, int]:
    """Return the place of the header among the first records (None: there is none) and how many rows it takes."""
    usual = _usual([len(r) for r in records])
    for place, cells in enumerate(records):
        texts = [(c or "").strip() for c in cells]
        filled = [t for t in texts if t]
        if len(cells) != usual or not filled:
            continue
        if len(filled) < usual and any(_ABOUT_ALL.match(t) for t in filled):
            continue
        if 2 * len(filled) < usual and usual > 2:
            below = [(c or "").strip() for c in records[place + 1]] if place + 1 < len(records) else []
            named = sum(bool(a or b) for a, b in zip(texts, below, strict=False))
            are_labels = len(filled) > 1 and _is_label_row(below) and _is_label_row(filled)
            if len(below) == usual and are_labels and 10 * named >= 9 * usual:
                return place, 2
            continue  # a title or a note
        if not _is_label_row(filled):
            return None, 1
        if len(filled) < usual and place + 1 < len(records) and len(records[place + 1]) == usual:
            below = [(c or "").strip() for c in records[place + 1]]
            gaps = [n for n, t in enumerate(texts) if not t]
            under = [c for c in records[place + 2] if c] if place + 2 < len(records) else []
            is_group = len(gaps) > 1 and not _is_label_row(under)  # 当事人 above 名称 and 代码, all names below
            if all(below[n] for n in gaps) and _is_label_row([t for t in below if t]) and (is_group or not all(below)):
                return place, 2
        return place, 1
    return None, 1


def _is_label_row(filled: Sequence[str]) -> bool:
    """Distinguish column names from values: short, different from each other, and hardly any number, date or code."""
    labels = [t for t in filled if t]
    values = sum(bool(_VALUE.fullmatch(t)) for t in labels)
    long = sum(len(t) > 40 for t in labels)
    return bool(labels) and 5 * values <= len(labels) and not long and 10 * len(set(labels)) >= 7 * len(labels)


def _json(whole: Piece, found: SampleDialect, start: str, rows: int) -> SampleDialect:
    first, _, rest = start.partition("\n")
    if first.rstrip().endswith("}") and rest.lstrip().startswith("{"):
        found = replace(found, format="jsonl", header=1)
        return _with_sample(found, read_jsonl(whole), rows)
    found = replace(found, format="json", records=json_records_path(start))
    spec = FileSpec(**found.spec())
    try:
        return _with_sample(found, read_json(plan_json(Path(whole.path), spec)[0], spec), rows)
    except ChengxinError as fault:
        return replace(found, notes=(*found.notes, str(fault)))


def _xml(whole: Piece, found: SampleDialect, start: str, rows: int) -> SampleDialect:
    outline = xml_outline(start)
    found = replace(found, format="xml", records=outline.records, wrapped=outline.wrapped)
    if outline.is_single:
        found = replace(found, notes=(*found.notes, "样本中只有一条记录，记录所在的元素须人工核对（records）"))
    spec = FileSpec(**found.spec())
    try:
        return _with_sample(found, read_xml(whole, spec), rows)
    except ChengxinError as fault:
        return replace(found, notes=(*found.notes, str(fault)))


def _with_sample(found: SampleDialect, chunks: Any, rows: int) -> SampleDialect:
    for chunk in islice(chunks, 1):
        head = chunk.table.slice(0, rows)
        texts = tuple(tuple(row.values()) for row in head.to_pylist())
        return replace(found, columns=tuple(head.column_names), rows=texts)
    return found


def _workbook(path: Path, kind: str, rows: int) -> SampleDialect:
    """Describe the first sheet that holds a table (a cover sheet is none), and those with the same column names."""
    names = sheet_names(path, kind)
    seen = seen_sheets(path, kind)
    tables = {name: found for name in seen or names if (found := _sheet(path, kind, name, rows))}
    if not tables:
        return SampleDialect(kind, sheets=names)
    lists = [name for name, found in tables.items() if found.header and len(found.columns) > 1 and found.rows]
    first = (lists or list(tables))[0]
    alike = [
        n for n in lists if tables[n].columns == tables[first].columns and tables[n].header == tables[first].header
    ]
    found, notes = replace(tables[first], sheets=names), []
    if len(alike) > 1:
        found = replace(found, sheet="*" if len(alike) == len(names) else tuple(alike))
        notes = [f"{'、'.join(alike)} 这 {len(alike)} 张表列名相同，暂定全部读取，请核对 sheet"]
    elif first != names[0]:
        found = replace(found, sheet=first)
    if len(names) > 1:
        others = f"，其中 {'、'.join(n for n in names if n not in seen)} 是隐藏的" if len(seen) < len(names) else ""
        notes.append(f'工作簿有 {len(names)} 张表：{"、".join(names)}{others}；所有表列名相同时可写 sheet: "*"')
    return replace(found, notes=(*notes, *found.notes))


def _sheet(path: Path, kind: str, name: str, rows: int) -> SampleDialect | None:
    cells = list(islice(sheet_rows(path, kind, name), rows + _SEARCHED))
    filled = [(row, list(c)) for row, c in cells if any(c)]
    if not filled:
        return None
    width = max(len(c) - next((n for n, x in enumerate(reversed(c)) if x), len(c)) for _, c in filled)
    shaped = [(row, [x or "" for x in c[:width]]) for row, c in filled]
    return _with_header(SampleDialect(kind), shaped, rows)
