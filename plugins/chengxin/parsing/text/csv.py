"""Delimited text -> Arrow columns and line numbers: Arrow's CSV reader for the good lines, salvage for the rest."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from chengxin.parsing.encoding.decoder import Text
from chengxin.parsing.layout import Ints, Layout, Lines
from chengxin.parsing.notes import inner_headers, is_note, not_records
from chengxin.parsing.shapes import OVERSIZE, Damaged, RawChunk, kept, miscounted, row_numbers
from chengxin.parsing.text.quotes import misquoted, wrapped
from chengxin.parsing.text.salvage import Block, Records, find_records
from chengxin.parsing.trailers import is_counting

_BLANKS = " \t\u3000\xa0\ufeff\x1a"
_NOTE = 300  # bytes of a line that may be a total or a note
_BLOCK = 1 << 16  # bytes whose temporary arrays stay in the cache
_SLICE = 2 << 20  # bytes; Arrow's buffers grow by being moved, so that 8 MiB at once take it twice the time


def read_text(
    text: Text,
    first: int,
    layout: Layout,
    names: tuple[str, ...],
    *,
    has_header: bool = True,
    blank: tuple[int, ...] = (),
) -> RawChunk:
    """Split decoded lines into columns. first: the 1-based number of the first line; blank: columns to leave out.

    Each record that Arrow hands over is tied to a line by counting: Arrow never makes more records than there are
    filled lines, so equal numbers prove one record a line. Anything else goes through salvage.
    """
    frame = _Frame(text, first, layout, names, blank, has_header)
    data = layout.prepared(text.data)
    found = _line_by_line(data, layout, frame.width)
    if found and not (found.wrong or found.has_gaps or text.bad):
        each = np.arange(len(found.table), dtype=np.int64)
        return _finished(frame, found.table, Records(each, each), [])
    lines = Lines.of(data)
    if found:
        filled = np.flatnonzero(lines.ends > lines.starts)
        records, table, wrong = Records(filled, filled), found.table, found.wrong
    else:
        breaks = frozenset(line for line, _, _ in text.bad)
        records, table, wrong = _salvaged(Block(data, lines, layout, frame.width, breaks))
    source = lines if data is text.data else Lines.of(text.data)
    lost = np.array(list(wrong), np.int64)
    damaged = text.damage(first)
    damaged += [Damaged(first + n, "row.quote_unclosed", frame.raw(source, n, n)) for n in records.unclosed]
    damaged += [
        _misfit(frame, source, (a, b), fields)
        for a, b, fields in zip(records.first[lost].tolist(), records.last[lost].tolist(), wrong.values(), strict=True)
    ]
    whole = Records(np.delete(records.first, lost), np.delete(records.last, lost))
    return _finished(frame, table, whole, damaged)


@dataclass(frozen=True)
class _Frame:
    """A decoded text and what its columns are. first: the number of its first line; blank: columns to leave out."""

    text: Text
    first: int
    layout: Layout
    names: tuple[str, ...]
    blank: tuple[int, ...]
    has_header: bool

    @property
    def width(self) -> int:
        """Return how many fields a record has."""
        return len(self.names) + len(self.blank)

    def raw(self, lines: Lines, first: int, last: int) -> str:
        """Return the text of some lines as a damaged row keeps it."""
        return kept(self.text.data[lines.starts[first] : lines.ends[last]].decode("utf-8", "backslashreplace"))


def _salvaged(block: Block) -> tuple[Records, pa.Table, dict[int, int]]:
    """Split where lines and records differ; a record over several lines that does not fit is taken line by line."""
    records = find_records(block)
    table, wrong = _split_records(block, records)
    if not block.layout.trusted and (records.last[list(wrong)] > records.first[list(wrong)]).any():
        records = find_records(block, trusting=False)
        table, wrong = _split_records(block, records)
    return records, table, wrong


def _misfit(frame: _Frame, lines: Lines, of: tuple[int, int], fields: int) -> Damaged:
    size, row = int(lines.ends[of[1]] - lines.starts[of[0]]), frame.first + of[0]
    raw = frame.raw(lines, *of)
    if size > OVERSIZE:
        return Damaged(row, "row.oversize", raw)
    if size <= _NOTE:  # 共 120 条 without its separators
        cells = frame.layout.fields(frame.layout.prepared(raw.encode()))
        if is_note(cells) or is_counting("|".join(cells)):
            return Damaged(row, "row.not_a_record", raw)
    note = miscounted(frame.width, fields)
    return Damaged(row, "row.width", raw, note=note)


@dataclass(frozen=True)
class _Lines:
    """Text in which each filled line is a record. wrong: ordinal -> width of those that `table` lacks for theirs.

    has_gaps: whether there may be empty lines.
    """

    table: pa.Table
    wrong: dict[int, int]
    has_gaps: bool


def _line_by_line(data: bytes, layout: Layout, width: int) -> _Lines | None:
    """Split text slice by slice if each filled line is a record of its own, else return None."""
    tables: list[pa.Table] = []
    wrong: dict[int, int] = {}
    count, has_gaps = 0, False
    for part in _slices(data):
        table, lost = _split(part, layout, width)
        filled = _filled_lines(part)
        if filled is None:
            has_gaps = True
            lines = Lines.of(part)
            filled = int(np.count_nonzero(lines.ends > lines.starts))
        if len(table) + len(lost) != filled or _is_open_at_end(part, layout):
            return None
        tables.append(table)
        wrong |= {count + n: fields for n, fields in lost.items()}
        count += filled
    return _Lines(pa.concat_tables(tables).combine_chunks() if len(tables) > 1 else tables[0], wrong, has_gaps)


def _slices(data: bytes) -> Iterator[bytes]:
    """Cut text behind line breaks into slices of about `_SLICE`; one at least."""
    start = 0
    while len(data) - start > _SLICE and (end := data.rfind(b"\n", start, start + _SLICE) + 1) > start:
        yield data[start:end]
        start = end
    if start < len(data) or not data:
        yield data[start:] if start else data


def _filled_lines(data: bytes) -> int | None:
    """Return the number of lines that are not empty if none is, else None: then the lines must be looked up."""
    if data.startswith((b"\n", b"\r")):
        return None
    buffer = np.frombuffer(data, np.uint8)
    with_returns = b"\r" in data
    breaks = 0
    for at in range(0, len(buffer), _BLOCK):
        is_break = buffer[at : at + _BLOCK + 1] == 10
        breaks += int(np.count_nonzero(is_break[:_BLOCK]))
        if not with_returns and (is_break[1:] & is_break[:-1]).any():
            return None
    if with_returns and not (data.count(b"\r") == data.count(b"\r\n") == breaks and b"\n\r\n" not in data):
        return None
    return breaks + (bool(data) and not data.endswith(b"\n"))


def _is_open_at_end(data: bytes, layout: Layout) -> bool:
    """Return whether the last line leaves a quote open; Arrow takes that for the end of the value."""
    end = len(data)
    while end and data[end - 1] in b"\r\n":
        end -= 1
    start = data.rfind(b"\n", 0, end) + 1
    start = max(start, data.rfind(b"\r", start, end) + 1)
    return bool(layout.quote) and layout.walk(data[start:end]).is_open


def _split(data: bytes, layout: Layout, width: int) -> tuple[pa.Table, dict[int, int]]:
    """Let Arrow split the fields: the rows of the right width; of the others the 0-based ordinal and the width."""
    columns = [str(n) for n in range(width)]
    text = {name: pa.string() for name in columns}
    wrong: dict[int, int] = {}

    def keep(row: pyarrow.csv.InvalidRow) -> str:
        wrong[row.number - 1] = row.actual_columns
        return "skip"

    if not data or (data[0] in b"\r\n" and not data.strip(b"\r\n")):
        return pa.table({name: pa.array([], pa.string()) for name in columns}), wrong
    table = pyarrow.csv.read_csv(
        pa.BufferReader(data),
        # one block: a record never straddles two, each column is one chunk, and row numbers are known
        read_options=pyarrow.csv.ReadOptions(use_threads=False, column_names=columns, block_size=len(data) + 64),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=layout.delimiter.decode(),
            quote_char=layout.quote.decode() or False,
            invalid_row_handler=keep,
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=text, check_utf8=False, strings_can_be_null=False, null_values=[]
        ),
    )
    return table, wrong


def _split_records(block: Block, records: Records) -> tuple[pa.Table, dict[int, int]]:
    """Split known records; where Arrow counts otherwise, halve until the one that confuses it stands alone."""
    tables: list[pa.Table] = []
    wrong: dict[int, int] = {}
    todo = [(0, len(records.first))]
    while todo:
        low, high = todo.pop()
        table, lost = _split(_text_of(block, records, low, high), block.layout, block.width)
        if len(table) + len(lost) == high - low:
            tables.append(table)
            wrong |= {low + n: fields for n, fields in lost.items()}
        elif high - low == 1:
            wrong[low] = 0
        else:
            middle = (low + high) // 2
            todo += [(middle, high), (low, middle)]
    whole = pa.concat_tables(tables).combine_chunks() if tables else _split(b"", block.layout, block.width)[0]
    return whole, dict(sorted(wrong.items()))


def _text_of(block: Block, records: Records, low: int, high: int) -> bytes:
    """Return the bytes of records low..high without the lines between them that belong to none."""
    first, last = records.first[low:high], records.last[low:high]
    if not len(first):
        return b""
    gaps = np.flatnonzero(first[1:] != last[:-1] + 1)
    begin = block.lines.starts[first[np.concatenate([[0], gaps + 1])]].tolist()
    end = block.lines.nexts[last[np.concatenate([gaps, [len(last) - 1]])]].tolist()
    return b"".join(block.data[a:b] for a, b in zip(begin, end, strict=True))


def _finished(frame: _Frame, table: pa.Table, records: Records, damaged: list[Damaged]) -> RawChunk:
    """Take out rows that are no records or whose fields cannot be trusted, and name the columns."""
    text, first, layout, names, blank = frame.text, frame.first, frame.layout, frame.names, frame.blank
    rows = records.first + first
    stray = _filled(table, blank)
    if blank:
        table = table.select([n for n in range(table.num_columns) if n not in blank])
    table = layout.restored(table)
    out = not_records(table)
    if frame.has_header:
        out |= inner_headers(table, names, rows)
    large, size = np.zeros(len(table), bool), np.zeros(len(table), np.int64)
    for column in table.columns:
        lengths = _lengths(column)
        large |= lengths > OVERSIZE
        size += lengths
    empty = _empty(table, size) & ~stray if not layout.trusted else np.zeros(len(table), bool)
    cut = misquoted(text.data, records.first, layout)
    worn = wrapped(table, text.data, layout)
    damaged = [d for d in damaged if d.rule != "row.width" or d.raw.strip(layout.declared + _BLANKS)]
    if out.any() or large.any() or stray.any() or cut.any() or worn.any() or empty.any():
        lines = Lines.of(text.data)
        gone = empty
        for rule, mask in (
            ("row.oversize", large),
            ("row.quote_unclosed", cut),
            ("row.quote_stray", worn),
            ("row.width", stray),
            ("row.not_a_record", out),
        ):
            at = np.flatnonzero(mask & ~gone)
            damaged += [
                Damaged(first + a, rule, frame.raw(lines, a, b))
                for a, b in zip(records.first[at].tolist(), records.last[at].tolist(), strict=True)
            ]
            gone |= mask
        table, rows = table.filter(pa.array(~gone)).combine_chunks(), rows[~gone]
    if not len(table):
        table = pa.table({str(n): pa.array([], pa.string()) for n in range(len(names))})
    found = tuple(sorted(damaged, key=lambda item: item.row))
    return RawChunk(table.rename_columns(list(names)), row_numbers(rows), found)


def _empty(table: pa.Table, size: Ints) -> npt.NDArray[np.bool_]:
    """Mark rows without any text: `,,,,` below an exported sheet is a blank line. size: bytes of each row's values."""
    found: npt.NDArray[np.bool_] = size == 0
    for row in np.flatnonzero((size > 0) & (size <= 3 * table.num_columns)).tolist():
        found[row] = not any(column[row].as_py().strip(_BLANKS) for column in table.columns)
    return found


def _filled(table: pa.Table, columns: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Mark rows with something in columns that have no name: a value nobody declared."""
    hit = np.zeros(len(table), bool)
    for n in columns:
        for row in np.flatnonzero(_lengths(table.column(n)) > 0).tolist():
            hit[row] |= bool(table.column(n)[row].as_py().strip(_BLANKS))
    return hit


def _lengths(column: pa.ChunkedArray) -> Ints:
    offsets = [
        np.frombuffer(c.buffers()[1], np.int32)[c.offset : c.offset + len(c) + 1] for c in column.chunks if len(c)
    ]
    return np.concatenate([np.diff(o) for o in offsets]).astype(np.int64) if offsets else np.zeros(0, np.int64)
