"""Failed formulas in an xls workbook: the calamine library shows them as empty cells.

Layout by [MS-CFB] (the file system inside the file) and [MS-XLS] (the records of a sheet).
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from chengxin.standardise.reading.workbook_zip import irregular

_WORDS = {0: "#NULL!", 7: "#DIV/0!", 15: "#VALUE!", 23: "#REF!", 29: "#NAME?", 36: "#NUM!", 42: "#N/A"}
_END = 0xFFFFFFFA  # sector numbers from here on mean something else
_FORMULA, _EOF, _SHEET, _BOOL_OR_ERROR, _BOF = 0x0006, 0x000A, 0x0085, 0x0205, 0x0809


def failures(path: Path, sheet: int) -> dict[int, dict[int, str]]:
    """Return the failed formulas of the n-th sheet: row -> column -> #REF! and its like, all 0-based.

    Raises DeliveryCorrupt where the file is put together in a way that cannot be checked.
    """
    found: dict[int, dict[int, str]] = {}
    try:
        stream = _workbook(path.read_bytes())
        starts = [struct.unpack_from("<I", stream, at)[0] for kind, at, _ in _records(stream, 0) if kind == _SHEET]
        for kind, at, size in _records(stream, starts[sheet]):
            code = _error(stream, kind, at) if size >= 8 and kind in {_FORMULA, _BOOL_OR_ERROR} else None
            if code is not None:
                row, column = struct.unpack_from("<HH", stream, at)
                found.setdefault(row, {})[column] = _WORDS.get(code, "#VALUE!")
    except (struct.error, IndexError, ValueError) as fault:
        raise irregular(path) from fault
    return found


def _error(stream: bytes, kind: int, at: int) -> int | None:
    if kind == _BOOL_OR_ERROR:
        return stream[at + 6] if stream[at + 7] else None
    return stream[at + 8] if stream[at + 6] == 2 and stream[at + 12 : at + 14] == b"\xff\xff" else None


def _records(stream: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Yield (kind, where its content begins, size) up to the end of a part; charts inside it are passed through."""
    depth = 0
    while at < len(stream):
        kind, size = struct.unpack_from("<HH", stream, at)
        at += 4
        if kind in {_BOF, _EOF}:
            depth += 1 if kind == _BOF else -1
            if not depth:
                return
        elif depth == 1:
            yield kind, at, size
        at += size


def _workbook(file: bytes) -> bytes:
    """Return the stream called Workbook (Book in files of Excel 95)."""
    sector = 1 << struct.unpack_from("<H", file, 30)[0]
    first, cutoff, mini_table = *struct.unpack_from("<I", file, 48), *struct.unpack_from("<II", file, 56)
    table = _table(file, sector)
    entries = _chained(file, table, first, sector)
    root = b""
    for at in range(0, len(entries), 128):
        name = entries[at : at + 64].decode("utf-16-le", "replace").partition("\0")[0]
        start, size = struct.unpack_from("<II", entries, at + 116)
        if entries[at + 66] == 5:
            root = _chained(file, table, start, sector)
        elif name.lower() in {"workbook", "book"}:
            if size >= cutoff:
                return _chained(file, table, start, sector)[:size]
            raw = _chained(file, table, mini_table, sector)
            small = struct.unpack(f"<{len(raw) // 4}I", raw)
            return b"".join(root[n * 64 : n * 64 + 64] for n in _chain(small, start))[:size]
    raise ValueError("no workbook")


def _table(file: bytes, sector: int) -> tuple[int, ...]:
    """Return which sector follows which."""
    places = [n for n in struct.unpack_from("<109I", file, 76) if n < _END]
    more, count = struct.unpack_from("<II", file, 68)
    for _ in range(min(count, len(file) // sector)):
        *numbers, more = struct.unpack_from(f"<{sector // 4}I", file, (more + 1) * sector)
        places += [n for n in numbers if n < _END]
    raw = b"".join(file[(n + 1) * sector : (n + 2) * sector] for n in places)
    return struct.unpack(f"<{len(raw) // 4}I", raw)


def _chain(table: tuple[int, ...], start: int) -> Iterator[int]:
    for _ in range(len(table)):
        if start >= _END:
            return
        yield start
        start = table[start]
    if start < _END:
        raise ValueError("a chain of sectors goes in circles")


def _chained(file: bytes, table: tuple[int, ...], start: int, sector: int) -> bytes:
    return b"".join(file[(n + 1) * sector : (n + 2) * sector] for n in _chain(table, start))
