"""Bytes of a delivered file -> Arrow string batches and the source row of each, for every declared format.

A damaged file loses only its bad rows: each comes out as `Damaged` with its row, its text and the rule it broke.
Exceptions are for whole files: DeliveryCorrupt (not the declared format), DeliveryMismatch (evidently another encoding,
or no such sheet or array).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from chengxin.contracts.models import FileSpec
from chengxin.errors import ChengxinError
from chengxin.parsing.documents.json import plan_json, read_json, read_jsonl
from chengxin.parsing.documents.xml import read_xml
from chengxin.parsing.encoding.decoder import Text
from chengxin.parsing.fixed_width.reader import read_fixed
from chengxin.parsing.layout import Layout
from chengxin.parsing.shapes import CUT_OFF, Damaged, Piece, RawChunk
from chengxin.parsing.text.csv import read_text
from chengxin.parsing.text.file import line_header, lines_above, plan_lines, texts
from chengxin.parsing.workbooks.number_formats import FormatRows
from chengxin.parsing.workbooks.sheets import number_formats as sheet_formats
from chengxin.parsing.workbooks.sheets import plan_sheet, read_sheet, rows_above, rows_below, sheet_header

__all__ = [
    "Damaged",
    "Piece",
    "RawChunk",
    "above",
    "header_at",
    "headers",
    "number_formats",
    "plan",
    "read",
    "rows_of_sheet",
]

_CUT = frozenset({"row.width", "row.undecodable", "row.quote_unclosed", "row.not_a_record"})  # what a cut looks like


def plan(path: Path, spec: FileSpec, *, piece_bytes: int = 32 << 20) -> list[Piece]:
    """Cut a file into pieces of about `piece_bytes`, at least one, in file order; only line formats are cut."""
    match spec.format:
        case "csv" | "tsv":
            return plan_lines(path, spec, Layout.of(spec), piece_bytes)
        case "jsonl" | "fixed":
            return plan_lines(path, spec, None, piece_bytes)
        case "json" | "xml":
            return plan_json(path, spec)
        case "xlsx" | "xls":
            return plan_sheet(path, spec)


def read(piece: Piece, spec: FileSpec) -> Iterator[RawChunk]:
    """Yield the rows of a piece in file order, at least one chunk (perhaps without rows).

    A chunk holds about 8 MiB of source text and at most some 200,000 rows; for xlsx and xls see `sheets`.
    """
    match spec.format:
        case "csv" | "tsv":
            return _mark_cut_line(_read_delimited(piece, spec), piece, Layout.of(spec).declared)
        case "jsonl":
            return _mark_cut_line(read_jsonl(piece), piece, "{")
        case "fixed":
            return read_fixed(piece, spec)
        case "json":
            return read_json(piece, spec)
        case "xml":
            return read_xml(piece, spec)
        case "xlsx" | "xls":
            return read_sheet(piece, spec)


def _read_delimited(piece: Piece, spec: FileSpec) -> Iterator[RawChunk]:
    layout = Layout.of(spec)
    has_header = spec.header > 0
    empty = True
    for text, first, damaged in texts(piece, layout):
        chunk = read_text(text, first, layout, piece.names, has_header=has_header, blank=piece.blank)
        chunk = replace(chunk, unended=_unended(text.data, layout, chunk))
        yield replace(chunk, damaged=(*damaged, *chunk.damaged)) if damaged else chunk
        empty = False
    if empty:
        yield read_text(Text(b""), piece.line, layout, piece.names, blank=piece.blank)


def _unended(data: bytes, layout: Layout, chunk: RawChunk) -> bool:
    """Return whether text stops within its last row, after others that end with a line break and not behind a quote."""
    last = chunk.rows[-1].as_py() if len(chunk.rows) else 0
    if layout.trusted or not last or any(row.row > last for row in chunk.damaged):
        return False
    return not data.endswith((b"\n", b"\r", b"\x1a", layout.quote or b"\n"))


def _mark_cut_line(chunks: Iterator[RawChunk], piece: Piece, mark: str) -> Iterator[RawChunk]:
    """Say of a last line that it was cut off: without line break, and a record as far as it goes (`mark` is in it)."""
    before: RawChunk | None = None
    for chunk in chunks:
        if before:
            yield before
        before = chunk
    if before is None:
        return
    last = before.damaged[-1] if before.damaged else None
    rows = before.rows
    if last and last.rule in _CUT and mark in last.raw and not (len(rows) and rows[-1].as_py() > last.row):
        short = last.rule != "row.width" or last.raw.count(mark) < piece.width - 1
        if short and _ends_within_line(piece):
            before = replace(before, damaged=(*before.damaged[:-1], replace(last, rule=CUT_OFF)))
    yield before


def _ends_within_line(piece: Piece) -> bool:
    with Path(piece.path).open("rb") as stream:
        if stream.seek(0, 2) != piece.end:
            return False
        stream.seek(max(piece.end - 4, 0))
        return stream.read().rstrip(b"\x00\x1a")[-1:] not in (b"\n", b"\r")


def headers(path: Path, spec: FileSpec, pieces: Sequence[Piece] = ()) -> tuple[str, ...]:
    """Return the source headers; for json, jsonl and xml the union over the first chunk, in order of appearance.

    pieces: the plan of the file where it has been made already; planning reads the whole file.
    """
    if spec.format == "fixed":
        return tuple(field.source for field in spec.fields)
    piece = (pieces or plan(path, spec))[0]
    if spec.format in {"json", "jsonl", "xml"}:
        return tuple(name for chunk in islice(read(piece, spec), 1) for name in chunk.table.column_names)
    return piece.names


def above(path: Path, spec: FileSpec) -> list[str]:
    """Return what stands above the header of a table, line by line; first the names of the sheets."""
    if not path.stat().st_size:
        return []
    match spec.format:
        case "csv" | "tsv":
            return lines_above(path, spec) if spec.header > 1 else []
        case "xlsx" | "xls":
            return rows_above(path, spec)
    return []


def number_formats(piece: Piece, spec: FileSpec) -> dict[str, FormatRows]:
    """Return column name -> what number formats state of its cells, and of which; only workbooks have any."""
    return sheet_formats(piece, spec) if spec.format in {"xlsx", "xls"} else {}


def rows_of_sheet(path: Path, spec: FileSpec) -> int:
    """Return how many filled rows stand below the header of the sheets that are read; 0 where that is not known."""
    try:
        return rows_below(path, spec)
    except ChengxinError:
        return 0


def header_at(path: Path, spec: FileSpec, line: int) -> tuple[str, ...]:
    """Return what the header of a table would be if it stood on another line; nothing where that cannot be read."""
    moved = spec.model_copy(update={"header": line})
    try:
        return sheet_header(path, moved) if spec.format in {"xlsx", "xls"} else line_header(path, moved)
    except ChengxinError:
        return ()
