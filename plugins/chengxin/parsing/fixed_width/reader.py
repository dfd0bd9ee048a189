"""Fixed-width lines: fields are byte ranges of the declared encoding (a Chinese character in GBK fills two)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.contracts.models import FileSpec
from chengxin.errors import ContractError
from chengxin.parsing.encoding.decoder import to_utf8
from chengxin.parsing.half_width import narrowed
from chengxin.parsing.layout import Ints, Lines
from chengxin.parsing.notes import is_note, is_remark
from chengxin.parsing.shapes import (
    CHUNK_BYTES,
    CHUNK_ROWS,
    CUT_OFF,
    OVERSIZE,
    Damaged,
    Piece,
    RawChunk,
    Statements,
    kept,
    miscounted,
    row_numbers,
)
from chengxin.parsing.text.file import mapped, release
from chengxin.parsing.text.splitter import GIANT, spans
from chengxin.parsing.trailers import is_counting, noted

#: After a value of a field with unwritten decimals whose digits are not written as agreed.
UNCLEAR = "（小数位不明）"
_ODD = 100  # lines of another length in a chunk that are looked at for totals and notes
_NO_LINES: Ints = np.zeros(0, np.int64)


@dataclass(frozen=True)
class _Text:
    """Some lines of a file in its own encoding. first: the number of the first line; 1-based."""

    data: bytes
    lines: Lines
    first: int
    encoding: str

    def raw(self, n: int) -> bytes:
        """Return the bytes of a line; 0-based."""
        return self.data[self.lines.starts[n] : self.lines.ends[n]]

    def shown(self, n: int) -> str:
        """Return a line as a damaged row keeps it."""
        return _shown(self.raw(n), self.encoding)


def read_fixed(piece: Piece, spec: FileSpec) -> Iterator[RawChunk]:
    """Yield the lines as columns, blanks around values trimmed.

    A line must be as long as the last field's end; blanks behind it are accepted where most lines have them, and lines
    without their own in a file trimmed throughout. Raises ContractError for UTF-16,
    whose lines are not counted in these bytes.
    """
    if piece.encoding.startswith("utf-16"):
        raise ContractError("定长格式（fixed）不支持 utf-16 编码")
    length = max(field.start + field.length - 1 for field in spec.fields)
    size = max(min(CHUNK_BYTES, (length + 1) * CHUNK_ROWS), 1 << 10)
    nothing = _Text(b"", Lines.of(b""), piece.line, piece.encoding)
    with mapped(piece.path) as data:
        for span in spans(data, piece.start, piece.end, size):
            first = piece.line + span.lines
            if span.end - span.start > max(size, GIANT) + GIANT:
                raw = _shown(data[span.start : span.start + (64 << 10)], piece.encoding)
                yield _columns(nothing, _NO_LINES, [Damaged(first, "row.oversize", raw)], spec)
                continue
            raw_lines = data[span.start : span.end]
            release(data, span.start, span.end)
            yield _chunk(raw_lines, first, length, piece.encoding, spec)
        if piece.start >= piece.end:
            yield _columns(nothing, _NO_LINES, [], spec)


def _shown(raw: bytes, encoding: str) -> str:
    return kept(raw.decode(encoding, "backslashreplace"))


def _chunk(data: bytes, first: int, length: int, encoding: str, spec: FileSpec) -> RawChunk:
    unended = not data.endswith((b"\n", b"\r", b"\x1a"))
    text = _Text(*_untrimmed(data, length), first, encoding)
    lines = text.lines
    sizes = lines.ends - lines.starts
    if first == 1 and _is_header(text, spec):
        sizes[0] = 0  # no record: as a blank line
    damaged, found = _around(text, sizes)
    fits = sizes == length
    # blanks behind most lines are the sender's way; behind a few, something within moved the rest
    blanks_behind = 2 * int(np.count_nonzero(sizes > length)) >= int(np.count_nonzero(sizes))
    for n in np.flatnonzero((sizes > 0) & ~fits).tolist():
        raw = text.raw(n)
        if blanks_behind and len(raw) > length and not raw[length:].strip(b" \t\x1a"):
            fits[n] = True
        elif raw.strip(b" \t\x1a\x00"):
            rule = "row.oversize" if len(raw) > OVERSIZE else "row.width"
            note = miscounted(length, len(raw), "个字节") if rule == "row.width" else ""
            shown = text.shown(n)
            if unended and n == len(lines) - 1 and len(raw) < length and not is_remark(shown):
                rule, note = CUT_OFF, ""
            damaged.append(Damaged(first + n, rule, shown, note=note))
    index = np.flatnonzero(fits)
    if len(index):  # lines of blanks are blank lines
        index = index[(_cells(np.frombuffer(text.data, np.uint8), lines.starts[index], length) > 32).any(axis=1)]
    chunk = _columns(text, index, damaged, spec)
    last = chunk.rows[-1].as_py() if len(chunk.rows) else 0
    return replace(chunk, unended=unended and last == first + len(lines) - 1, statements=found)


def _around(text: _Text, sizes: Ints) -> tuple[list[Damaged], Statements]:
    """Take out lines before and behind the rows that count them, and notes; their size becomes 0.

    Return them as damaged rows, and what they tell.
    """
    damaged: list[Damaged] = []
    found = Statements()
    filled = np.flatnonzero(sizes)
    odd = filled[sizes[filled] != np.median(sizes[filled])] if len(filled) else filled
    for n in sorted({*filled[:1].tolist(), *filled[-1:].tolist(), *odd[:_ODD].tolist()}):
        if len(text.raw(n)) > OVERSIZE:
            continue
        shown = text.shown(n).strip()
        if is_counting(shown, padded=True) or is_note([shown]):
            damaged.append(Damaged(text.first + n, "row.not_a_record", shown))
            found += noted([shown], padded=True)
            sizes[n] = 0
    return damaged, found


def _is_header(text: _Text, spec: FileSpec) -> bool:
    """Return whether the first line holds the names of the fields and nothing else, wherever in it they stand."""
    if not len(text.lines):
        return False
    return "".join(text.shown(0).split()) == "".join("".join(field.source for field in spec.fields).split())


def _untrimmed(data: bytes, length: int) -> tuple[bytes, Lines]:
    """Give lines their blanks at the end back where a program took them off, as most lines and no blank end show.

    A short line among padded ones has lost something within, which would shift its fields.
    """
    lines = Lines.of(data)
    sizes = lines.ends - lines.starts
    filled, short = int(np.count_nonzero(sizes)), int(np.count_nonzero((sizes > 0) & (sizes < length)))
    if not filled or 2 * short < filled:
        return data, lines
    whole = [data[a:b] for a, b in zip(lines.starts.tolist(), lines.ends.tolist(), strict=True)]
    if any(line.endswith((b" ", b"\t")) for line in whole):
        return data, lines
    data = b"".join((line.ljust(length) if line.strip(b" \t\x1a\x00") else line) + b"\n" for line in whole)
    return data, Lines.of(data)


def _columns(text: _Text, index: Ints, damaged: list[Damaged], spec: FileSpec) -> RawChunk:
    """Cut the lines `index` into fields; a line with a field that cannot be decoded is set aside whole."""
    starts = text.lines.starts[index]
    buffer = np.frombuffer(text.data, np.uint8)
    bad: set[int] = set()
    columns: dict[str, pa.Array] = {}
    for field in spec.fields:
        column, faulty = _field(buffer, starts + field.start - 1, field.length, text.encoding)
        columns[field.source] = pointed(column, field.decimals) if field.decimals else column
        bad |= faulty
    table = pa.table(columns)
    rows = index + text.first
    keep = np.ones(len(rows), bool)
    if bad:
        for n in sorted(bad):
            at = int(index[n])
            damaged.append(Damaged(int(rows[n]), "row.undecodable", text.shown(at), text.raw(at)))
        keep[list(bad)] = False
        table, rows = table.filter(pa.array(keep)).combine_chunks(), rows[keep]
    found_damage = tuple(sorted(damaged, key=lambda item: item.row))
    return RawChunk(table, row_numbers(rows), found_damage)


def _cells(buffer: npt.NDArray[np.uint8], starts: Ints, length: int) -> npt.NDArray[np.uint8]:
    """Return the bytes from each start on, as rows; without a copy where the starts are evenly spaced."""
    step = int(starts[1] - starts[0]) if len(starts) > 1 else length
    if len(starts) and (np.diff(starts) == step).all():
        rows: npt.NDArray[np.uint8] = np.lib.stride_tricks.as_strided(
            buffer[starts[0] :], (len(starts), length), (step, 1), writeable=False
        )
        return rows
    return np.asarray(buffer[starts[:, None] + np.arange(length)])


def _field(buffer: npt.NDArray[np.uint8], starts: Ints, length: int, encoding: str) -> tuple[pa.Array, set[int]]:
    """Return one field of all lines as text, and the lines where it is no text."""
    if not len(starts):
        return pa.array([], pa.string()), set()
    cells = np.empty((len(starts), length + 1), np.uint8)
    cells[:, :length] = _cells(buffer, starts, length)
    cells[:, length] = 10
    text = to_utf8(cells.tobytes(), encoding)
    ends = np.flatnonzero(np.frombuffer(text.data, np.uint8) == 10)
    # offsets that jump over the line breaks: each value ends where its break stands
    joined = text.data.replace(b"\n", b"")
    offsets = np.concatenate([[0], ends - np.arange(len(ends))]).astype(np.int32)
    values = pa.StringArray.from_buffers(len(starts), pa.py_buffer(offsets), pa.py_buffer(joined))
    return pc.utf8_trim(values, " \t\x00"), {line for line, _, _ in text.bad}


def pointed(column: pa.Array, decimals: int) -> pa.Array:
    """Write the point that a fixed field leaves out: 000012345 with 2 is 123.45, 12345- is -123.45.

    What has a point or no digit stays as it is. Other digits (12 345, 1E5, 5元) would pass for whole yuan: they are
    marked, so that they are no amount.
    """
    plain = narrowed(column)
    signed = pc.replace_substring_regex(plain, r"^(\d+)([+-])$", r"\2\1")
    agreed = pc.match_substring_regex(signed, r"^[+-]?\d+$")
    short = rf"^([+-]?)(\d{{1,{decimals}}})$"
    padded = pc.replace_substring_regex(signed, short, rf"\1{'0' * decimals}\2")
    values = pc.replace_substring_regex(padded, rf"^([+-]?\d+)(\d{{{decimals}}})$", r"\1.\2")
    unclear = pc.match_substring_regex(plain, r"^[^.]*\d[^.]*$")
    marked = pc.if_else(unclear, pc.binary_join_element_wise(column, UNCLEAR, ""), column)
    return pc.if_else(agreed, values, marked)
