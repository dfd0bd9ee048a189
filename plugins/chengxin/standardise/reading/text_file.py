"""Text files in lines: opening, column names, pieces, and decoded chunks with the number of their first line."""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from chengxin.contracts.models import FileSpec
from chengxin.errors import DeliveryMismatch
from chengxin.standardise.reading.cutting import GIANT, spans
from chengxin.standardise.reading.decode import Text, count_lines, stream, strike, to_utf8
from chengxin.standardise.reading.encoding import encoding_of
from chengxin.standardise.reading.layout import Layout, Lines
from chengxin.standardise.reading.shapes import CHUNK_BYTES, CHUNK_ROWS, Damaged, Piece, kept, unique_names

_HEAD = 1 << 20
_WIDTH_SAMPLE = 50


@contextmanager
def mapped(path: Path | str) -> Iterator[bytes | mmap.mmap]:
    """Map a file for reading; an empty file (which cannot be mapped) is b""."""
    with Path(path).open("rb") as file:
        if not file.seek(0, 2):
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def plan_lines(path: Path, spec: FileSpec, layout: Layout | None, piece_bytes: int) -> list[Piece]:
    """Cut a text file into pieces. layout: None where records are lines and name their own fields.

    UTF-16 is one piece, transcoded while it streams: cutting it by bytes would need its line breaks aligned, and such
    files are small exports of office programs.
    """
    encoding, bom = encoding_of(path, spec)
    size = path.stat().st_size
    names, start, line = _header(path, spec, layout, encoding, bom) if layout else ((), bom, 1)
    if encoding.startswith("utf-16"):
        return [Piece(str(path), 0, bom, size, line, encoding, names)]
    with mapped(path) as data:
        cuts = list(spans(data, start, size, piece_bytes, layout, len(names)))
    pieces = [Piece(str(path), n, c.start, c.end, line + c.lines, encoding, names) for n, c in enumerate(cuts)]
    return pieces or [Piece(str(path), 0, start, size, line, encoding, names)]


def _header(path: Path, spec: FileSpec, layout: Layout, encoding: str, bom: int) -> tuple[tuple[str, ...], int, int]:
    """Return the column names, and the byte and line where the records begin."""
    with path.open("rb") as file:
        file.seek(bom)
        raw = file.read(_HEAD)
    text = _decoded_head(raw, encoding)
    data = text.data
    lines = Lines.of(data)
    if spec.header == 0:
        return tuple(str(n) for n in range(1, _usual_width(data, lines, layout) + 1)), bom, 1
    at = spec.header - 1
    if at >= len(lines):
        return (), bom + len(raw), len(lines) + 1
    if any(number == at for number, _, _ in text.bad):
        raise DeliveryMismatch(
            f"文件 {path.name} 第 {spec.header} 行（列名）无法按 {encoding} 解码；请按约定编码重新报送"
        )
    walk = layout.walk(data, int(lines.starts[at]))
    end = walk.end if walk.is_strict and not walk.is_open else int(lines.ends[at])
    record = layout.prepared(data[lines.starts[at] : end])
    after = int(lines.nexts[np.searchsorted(lines.ends, end)])
    line = 1 + int(np.searchsorted(lines.nexts, after, "right"))
    start = bom + _source_length(raw, line - 1) if not encoding.startswith("utf-16") else bom
    return unique_names(layout.fields(record)), start, line


def _decoded_head(raw: bytes, encoding: str) -> Text:
    if not encoding.startswith("utf-16"):
        return to_utf8(raw, encoding)
    return strike(Text(raw[: len(raw) // 2 * 2].decode(encoding, "chengxin.escape").encode()), None, encoding)


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
        for span in spans(data, piece.start, piece.end, size, layout, len(piece.names)):
            first = piece.line + span.lines
            if span.end - span.start > max(size, GIANT) + GIANT:
                head = data[span.start : span.start + (64 << 10)].decode(piece.encoding, "backslashreplace")
                note = f"{kept(head)}…（该行共 {span.end - span.start} 字节，此处截断）"
                yield Text(b""), first, [Damaged(first, "row.oversize", note)]
                continue
            yield to_utf8(data[span.start : span.end], piece.encoding), first, []


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
        cuts = list(spans(carry, 0, len(carry), size, layout, len(piece.names)))
        held = cuts.pop() if block is not None else None
        for cut in cuts:
            yield strike(Text(carry[cut.start : cut.end]), None, piece.encoding), line + cut.lines, []
        line += held.lines if held else count_lines(carry)
        carry = carry[held.start :] if held else b""


def _with_end(blocks: Iterator[str]) -> Iterator[str | None]:
    yield from blocks
    yield None
