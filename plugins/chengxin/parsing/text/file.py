"""Text files in lines: opening, column names, pieces, and decoded chunks with the number of their first line."""

import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from chengxin.contracts.models import FileSpec
from chengxin.errors import DeliveryMismatch
from chengxin.parsing.encoding.decoder import Text, count_lines, stream, strike, to_utf8
from chengxin.parsing.encoding.detection import encoding_of
from chengxin.parsing.layout import Layout, Lines
from chengxin.parsing.shapes import CHUNK_BYTES, CHUNK_ROWS, Damaged, Piece, joined_header, kept, unique_names
from chengxin.parsing.text.quotes import stray_quote
from chengxin.parsing.text.splitter import GIANT, Span, spans

_HEAD = 1 << 20
_WIDTH_SAMPLE = 50
_ORDERS = {"utf-16-le": "utf-16-be", "utf-16-be": "utf-16-le"}
_FEED_WITHIN = re.compile(rb"\xe0[\xa8-\xab]")
_EMPTY = " \t\r\n\u3000\xa0\ufeff\u200b"


@contextmanager
def mapped(path: Path | str) -> Iterator[bytes | mmap.mmap]:
    """Map a file for reading; an empty file (which cannot be mapped) is b""."""
    with Path(path).open("rb") as file:
        if not file.seek(0, 2):
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def release(data: bytes | mmap.mmap, start: int, end: int) -> None:
    """Let go of mapped pages that have been read: else a process seems to hold the whole file."""
    if isinstance(data, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        first, last = start // mmap.PAGESIZE * mmap.PAGESIZE, end // mmap.PAGESIZE * mmap.PAGESIZE
        if last > first:
            data.madvise(mmap.MADV_DONTNEED, first, last - first)


def plan_lines(path: Path, spec: FileSpec, layout: Layout | None, piece_bytes: int) -> list[Piece]:
    """Cut a text file into pieces. layout: None where records are lines and name their own fields.

    UTF-16 is one piece, transcoded while it streams: cutting it by bytes would need its line breaks aligned, and such
    files are small exports of office programs.
    """
    encoding, bom = encoding_of(path, spec)
    size = path.stat().st_size
    head = _header(path, spec, layout, encoding, bom) if layout else _Head((), (), bom, 1)
    names, blank, start, line = head.names, head.blank, head.start, head.line
    if encoding.startswith("utf-16"):
        return [Piece(str(path), 0, bom, size, line, encoding, names, blank)]
    cuts = []
    with mapped(path) as data:
        for cut in spans(data, start, size, piece_bytes, layout=layout, width=len(names) + len(blank)):
            cuts.append(cut)
            release(data, cut.start, cut.end)
    pieces = [Piece(str(path), n, c.start, c.end, line + c.lines, encoding, names, blank) for n, c in enumerate(cuts)]
    return pieces or [Piece(str(path), 0, start, size, line, encoding, names, blank)]


def line_header(path: Path, spec: FileSpec) -> tuple[str, ...]:
    """Return the column names of a delimited file."""
    return _header(path, spec, Layout.of(spec), *encoding_of(path, spec)).names


def lines_above(path: Path, spec: FileSpec) -> list[str]:
    """Return the lines that stand above the header."""
    encoding, bom = encoding_of(path, spec)
    with path.open("rb") as file:
        file.seek(bom)
        data = _decoded_head(file.read(_HEAD), encoding).data
    lines = Lines.of(data)
    ends = zip(lines.starts.tolist(), lines.ends.tolist(), strict=True)
    return [data[start:end].decode() for start, end in islice(ends, spec.header - 1)]


@dataclass(frozen=True)
class _Head:
    """Column names, nameless empty columns, and the byte and line where the records begin."""

    names: tuple[str, ...]
    blank: tuple[int, ...]
    start: int
    line: int


def _header(path: Path, spec: FileSpec, layout: Layout, encoding: str, bom: int) -> _Head:
    """Read the header. Raises DeliveryMismatch where it cannot be decoded or another delimiter evidently splits it."""
    with path.open("rb") as file:
        file.seek(bom)
        raw = file.read(_HEAD)
    text = _decoded_head(raw, encoding)
    data = text.data
    lines = Lines.of(data)
    if encoding in _ORDERS and not _feeds(raw, encoding) and _feeds(raw, _ORDERS[encoding]):
        raise DeliveryMismatch(
            f"文件 {path.name} 的字节序标记（BOM）与内容的字节序不符，读不出各行；请从源系统按约定编码重新导出"
        )
    if spec.header == 0:
        return _Head(tuple(str(n) for n in range(1, _usual_width(data, lines, layout) + 1)), (), bom, 1)
    at = spec.header - 1
    if at + spec.header_rows > len(lines):
        return _Head((), (), bom + len(raw), len(lines) + 1)
    if any(at <= number < at + spec.header_rows for number, _, _ in text.bad):
        raise DeliveryMismatch(
            f"文件 {path.name} 第 {spec.header} 行（列名）无法按 {encoding} 解码；请按约定编码重新报送"
        )
    block: list[list[str]] = []
    after = int(lines.starts[at])
    for _ in range(spec.header_rows):
        fields, after = _record(data, lines, after, layout)
        block.append(fields)
    if len(block[0]) == 1 and (other := _other_delimiter(data, lines, at, layout)):
        raise DeliveryMismatch(
            f"文件 {path.name} 约定的分隔符是 {layout.declared!r}，列名行里没有；实际很可能是 {other!r}。"
            "请核对合同 file.delimiter，或按约定格式重新报送"
        )
    if mark := stray_quote(block[0]):
        raise DeliveryMismatch(
            f"文件 {path.name} 的列名带着引号（{mark}），与合同 file.quote（{spec.quote or '无'}）不符，"
            "或者引号前有空格、引号加了两层；请核对合同 file.quote，或按约定格式重新报送"
        )
    line = 1 + int(np.searchsorted(lines.nexts, after, "right"))
    start = bom + _source_length(raw, line - 1) if not encoding.startswith("utf-16") else bom
    given = joined_header(block) if len(block) > 1 else block[0]
    if _all_end_delimited(data, lines, line - 1, layout, len(given), is_cut=len(raw) == _HEAD):
        given = [*given, ""]
    blank = _blank_columns(data, lines, line - 1, layout, given)
    names = [name for n, name in enumerate(unique_names(given)) if n not in blank]
    return _Head(tuple(names), blank, start, line)


def _record(data: bytes, lines: Lines, start: int, layout: Layout) -> tuple[list[str], int]:
    """Return the fields of the record that begins at `start`, and where the next line begins."""
    walk = layout.walk(data, start)
    n = int(np.searchsorted(lines.ends, start))
    end = walk.end if walk.is_strict and not walk.is_open else int(lines.ends[n])
    fields = layout.fields(layout.prepared(data[start:end]))
    return fields, int(lines.nexts[np.searchsorted(lines.ends, end)])


def _other_delimiter(data: bytes, lines: Lines, at: int, layout: Layout) -> str | None:
    """Return what splits the header and the next lines alike where the declared delimiter splits nothing."""
    shown = [
        data[a:b] for a, b in zip(lines.starts[at : at + 6].tolist(), lines.ends[at : at + 6].tolist(), strict=True)
    ]
    shown = [line for line in shown if line.strip()]
    for other in (",", ";", "\t", "|", "，", "｜", "^", "~"):
        counts = {line.count(other.encode()) for line in shown}
        if other != layout.declared and len(shown) > 1 and len(counts) == 1 and 0 not in counts:
            return other
    return None


def _all_end_delimited(data: bytes, lines: Lines, below: int, layout: Layout, width: int, *, is_cut: bool) -> bool:
    """Return whether each row of the head has one empty field behind the columns of the header: `a,b` over `1,2,`."""
    ends = lines.ends[below:-1] if is_cut else lines.ends[below:]
    found = False
    for start, end in zip(lines.starts[below:].tolist(), ends.tolist(), strict=False):
        if end > start:
            record = layout.prepared(data[start:end])
            if not record.endswith(layout.delimiter) or layout.walk(record).width != width + 1:
                return False
            found = True
    return found


def _blank_columns(data: bytes, lines: Lines, below: int, layout: Layout, given: list[str]) -> tuple[int, ...]:
    """Return the columns that have no name and nothing in the lines of the head (below the header); 0-based."""
    unnamed = {n for n, name in enumerate(given) if not name.strip(_EMPTY)}
    if not unnamed or len(unnamed) == len(given):
        return ()
    for start, end in zip(lines.starts[below:].tolist(), lines.ends[below:].tolist(), strict=True):
        fields = layout.fields(layout.prepared(data[start:end])) if end > start else []
        if len(fields) == len(given):
            unnamed = {n for n in unnamed if not fields[n].strip(_EMPTY)}
        if not unnamed:
            break
    return tuple(sorted(unnamed))


def _decoded_head(raw: bytes, encoding: str) -> Text:
    if not encoding.startswith("utf-16"):
        return to_utf8(raw, encoding)
    return strike(Text(raw[: len(raw) // 2 * 2].decode(encoding, "chengxin.escape").encode()), None, encoding)


def _feeds(raw: bytes, encoding: str) -> int:
    text = raw.decode(encoding, "ignore")
    return text.count("\n") + text.count("\r")


def _source_length(raw: bytes, lines: int) -> int:
    """Return how many bytes the first lines take in the source encoding."""
    found = Lines.of(raw)
    return int(found.nexts[lines - 1]) if 0 < lines <= len(found) else (len(raw) if lines else 0)


def _usual_width(data: bytes, lines: Lines, layout: Layout) -> int:
    """Return the commonest width of the first records; the smaller of two equally common ones."""
    widths = [
        layout.walk(layout.prepared(data[start:end])).width
        for start, end in zip(lines.starts.tolist()[:_WIDTH_SAMPLE], lines.ends.tolist(), strict=False)
        if end > start
    ]
    return max(sorted(set(widths)), key=widths.count) if widths else 0


def texts(piece: Piece, layout: Layout | None) -> Iterator[tuple[Text, int, list[Damaged]]]:
    """Yield decoded chunks of a piece, the number of their first line, and lines too long to be decoded at all."""
    if piece.encoding.startswith("utf-16"):
        yield from _utf16_texts(piece, layout)
        return
    with mapped(piece.path) as data:
        size = _chunk_size(data[piece.start : min(piece.start + (64 << 10), piece.end)])
        for span in spans(data, piece.start, piece.end, size, layout=layout, width=piece.width):
            first = piece.line + span.lines
            if span.end - span.start > max(size, GIANT) + GIANT:
                head = data[span.start : span.start + (64 << 10)].decode(piece.encoding, "backslashreplace")
                note = f"{kept(head)}…（该行共 {span.end - span.start} 字节，此处截断）"
                yield Text(b""), first, [Damaged(first, "row.oversize", note)]
                continue
            raw = data[span.start : span.end]
            release(data, span.start, span.end)
            yield to_utf8(raw, piece.encoding), first, []


def _chunk_size(sample: bytes) -> int:
    mean = len(sample) // (sample.count(b"\n") + 1)
    return max(min(CHUNK_BYTES, mean * CHUNK_ROWS), 1 << 10)


def _utf16_texts(piece: Piece, layout: Layout | None) -> Iterator[tuple[Text, int, list[Damaged]]]:
    """Transcode while streaming; what follows the last safe line break waits for the next block."""
    carry = b""
    line = 1
    skip = piece.line - 1
    for block in _with_end(stream(Path(piece.path), piece.encoding, piece.start)):
        carry += (block or "").encode()
        if block is not None and len(carry) < CHUNK_BYTES:
            continue
        if skip:
            found = Lines.of(carry)
            carry = carry[found.nexts[min(skip, len(found)) - 1] :] if len(found) else carry
            line, skip = piece.line, 0
        size = min(_chunk_size(carry[: 64 << 10]), CHUNK_BYTES // 2)
        cuts = list(spans(carry, 0, len(carry), size, layout=layout, width=piece.width))
        held = cuts.pop() if block is not None else None
        for cut in cuts:
            _refuse_slipped(carry, cut, line, Path(piece.path))
            yield strike(Text(carry[cut.start : cut.end]), None, piece.encoding), line + cut.lines, []
        line += held.lines if held else count_lines(carry)
        carry = carry[held.start :] if held else b""


def _refuse_slipped(data: bytes, cut: Span, line: int, path: Path) -> None:
    """Raise DeliveryMismatch where a line feed shares a pair of bytes with another character: U+0A00 to U+0AFF.

    Such characters (Gurmukhi, Gujarati) stand in no text of ours. A byte is missing or too many, or a line is in
    another encoding: what follows may read as one row of nonsense up to the end of the file.
    """
    found = _FEED_WITHIN.search(data, cut.start, cut.end)
    if found:
        at = line + cut.lines + count_lines(data[cut.start : found.start()])
        raise DeliveryMismatch(
            f"文件 {path.name} 第 {at} 行或其后字节错位：少了或多了一个字节，或混有不是 UTF-16 的行，其后的内容读不准；"
            "请核对传输是否完整，从源系统重新导出整个文件后报送"
        )


def _with_end(blocks: Iterator[str]) -> Iterator[str | None]:
    yield from blocks
    yield None
