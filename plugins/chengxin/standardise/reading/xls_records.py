"""The records of an xls workbook, for what the calamine library does not tell.

Layout by [MS-CFB] (the file system inside the file) and [MS-XLS] (the records of a workbook and of its sheets).
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from chengxin.standardise.reading.workbook_zip import irregular

FORMULA = 0x0006
_END = 0xFFFFFFFA  # sector numbers from here on mean something else
_EOF, _SHEET, _BOF = 0x000A, 0x0085, 0x0809
#: What a record is: its kind, where its content begins, its size.
Record = tuple[int, int, int]


class Workbook(NamedTuple):
    """The stream of records of a workbook; what stands before the first sheet holds for all."""

    stream: bytes

    @classmethod
    def of(cls, path: Path) -> "Workbook":
        """Take the workbook out of a file."""
        return cls(_stream(path.read_bytes()))

    def records(self) -> Iterator[Record]:
        """Yield the records that hold for all sheets."""
        return _records(self.stream, 0)

    def sheet(self, number: int) -> Iterator[Record]:
        """Yield the records of the n-th sheet, from 0 on."""
        starts = [struct.unpack_from("<I", self.stream, at)[0] for kind, at, _ in self.records() if kind == _SHEET]
        return _records(self.stream, starts[number])


@contextmanager
def checked(path: Path) -> Iterator[None]:
    """Raise DeliveryCorrupt where the file is put together in a way that cannot be checked."""
    try:
        yield
    except (struct.error, IndexError, ValueError) as fault:
        raise irregular(path) from fault


def _records(stream: bytes, at: int) -> Iterator[Record]:
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


def _stream(file: bytes) -> bytes:
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
