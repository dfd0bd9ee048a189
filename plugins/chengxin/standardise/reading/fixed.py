"""Fixed-width lines: fields are byte ranges of the declared encoding (a Chinese character in GBK fills two)."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.contracts.models import FileSpec
from chengxin.errors import ContractError
from chengxin.standardise.reading.cutting import GIANT, spans
from chengxin.standardise.reading.decode import to_utf8
from chengxin.standardise.reading.layout import Ints, Lines
from chengxin.standardise.reading.shapes import (
    CHUNK_BYTES,
    CHUNK_ROWS,
    OVERSIZE,
    Damaged,
    Piece,
    RawChunk,
    kept,
    miscounted,
    row_numbers,
)
from chengxin.standardise.reading.text_file import mapped, release

#: After a value of a field with unwritten decimals whose digits are not written as agreed.
UNCLEAR = "（小数位不明）"


def read_fixed(piece: Piece, spec: FileSpec) -> Iterator[RawChunk]:
    """Yield the lines as columns, blanks around values trimmed.

    A line must be as long as the last field's end; more, or less in a file trimmed throughout, is accepted where it is
    blank. Raises ContractError for UTF-16,
    whose lines are not counted in these bytes.
    """
    if piece.encoding.startswith("utf-16"):
        raise ContractError("定长格式（fixed）不支持 utf-16 编码")
    length = max(field.start + field.length - 1 for field in spec.fields)
    size = max(min(CHUNK_BYTES, (length + 1) * CHUNK_ROWS), 1 << 10)
    with mapped(piece.path) as data:
        for span in spans(data, piece.start, piece.end, size):
            first = piece.line + span.lines
            if span.end - span.start > max(size, GIANT) + GIANT:
                raw = _shown(data[span.start : span.start + (64 << 10)], piece.encoding)
                yield _columns(b"", np.zeros(0, np.int64), [Damaged(first, "row.oversize", raw)], first, piece, spec)
                continue
            raw_lines = data[span.start : span.end]
            release(data, span.start, span.end)
            yield _chunk(raw_lines, first, length, piece, spec)
        if piece.start >= piece.end:
            yield _columns(b"", np.zeros(0, np.int64), [], piece.line, piece, spec)


def _shown(raw: bytes, encoding: str) -> str:
    return kept(raw.decode(encoding, "backslashreplace"))


def _chunk(data: bytes, first: int, length: int, piece: Piece, spec: FileSpec) -> RawChunk:
    unended = not data.endswith((b"\n", b"\r", b"\x1a"))
    data, lines = _untrimmed(data, length)
    sizes = lines.ends - lines.starts
    if first == 1 and _is_header(data, lines, piece, spec):
        sizes[0] = 0  # no record: as a blank line
    fits = sizes == length
    damaged: list[Damaged] = []
    for n in np.flatnonzero((sizes > 0) & ~fits).tolist():
        raw = data[lines.starts[n] : lines.ends[n]]
        if len(raw) > length and not raw[length:].strip(b" \t\x1a"):
            fits[n] = True
        elif raw.strip(b" \t\x1a\x00"):
            rule = "row.oversize" if len(raw) > OVERSIZE else "row.width"
            note = miscounted(length, len(raw), "个字节") if rule == "row.width" else ""
            damaged.append(Damaged(first + n, rule, _shown(raw, piece.encoding), note=note))
    chunk = _columns(data, np.flatnonzero(fits), damaged, first, piece, spec, lines)
    last = chunk.rows[-1].as_py() if len(chunk.rows) else 0
    return replace(chunk, unended=unended and last == first + len(lines) - 1)


def _is_header(data: bytes, lines: Lines, piece: Piece, spec: FileSpec) -> bool:
    """Tell whether the first line holds the names of the fields and nothing else, wherever in it they stand."""
    if not len(lines):
        return False
    shown = _shown(data[lines.starts[0] : lines.ends[0]], piece.encoding)
    return "".join(shown.split()) == "".join("".join(field.source for field in spec.fields).split())


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


def _columns(
    data: bytes,
    index: Ints,
    damaged: list[Damaged],
    first: int,
    piece: Piece,
    spec: FileSpec,
    lines: Lines | None = None,
) -> RawChunk:
    """Cut the lines `index` into fields; a line with a field that cannot be decoded is set aside whole."""
    starts = lines.starts[index] if lines is not None else index
    buffer = np.frombuffer(data, np.uint8)
    bad: set[int] = set()
    columns: dict[str, pa.Array] = {}
    for field in spec.fields:
        column, faulty = _field(buffer, starts + field.start - 1, field.length, piece.encoding)
        columns[field.source] = pointed(column, field.decimals) if field.decimals else column
        bad |= faulty
    table = pa.table(columns)
    rows = index + first
    if bad and lines is not None:
        for n in sorted(bad):
            raw = data[lines.starts[index[n]] : lines.ends[index[n]]]
            damaged.append(Damaged(int(rows[n]), "row.undecodable", _shown(raw, piece.encoding), raw))
        keep = np.ones(len(rows), bool)
        keep[list(bad)] = False
        table, rows = table.filter(pa.array(keep)).combine_chunks(), rows[keep]
    return RawChunk(table, row_numbers(rows), tuple(sorted(damaged, key=lambda item: item.row)))


def _field(buffer: npt.NDArray[np.uint8], starts: Ints, length: int, encoding: str) -> tuple[pa.Array, set[int]]:
    """Return one field of all lines as text, and the lines where it is no text."""
    if not len(starts):
        return pa.array([], pa.string()), set()
    cells = np.empty((len(starts), length + 1), np.uint8)
    cells[:, :length] = buffer[starts[:, None] + np.arange(length)]
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
    plain = pc.utf8_normalize(column, form="NFKC")
    signed = pc.replace_substring_regex(plain, r"^(\d+)([+-])$", r"\2\1")
    agreed = pc.match_substring_regex(signed, r"^[+-]?\d+$")
    short = rf"^([+-]?)(\d{{1,{decimals}}})$"
    padded = pc.replace_substring_regex(signed, short, rf"\1{'0' * decimals}\2")
    values = pc.replace_substring_regex(padded, rf"^([+-]?\d+)(\d{{{decimals}}})$", r"\1.\2")
    unclear = pc.match_substring_regex(plain, r"^[^.]*\d[^.]*$")
    marked = pc.if_else(unclear, pc.binary_join_element_wise(column, UNCLEAR, ""), column)
    return pc.if_else(agreed, values, marked)
