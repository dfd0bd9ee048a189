"""The records of an xls workbook, for what the calamine library does not tell.

Layout by [MS-CFB] (the file system inside the file) and [MS-XLS] (the records of a workbook and of its sheets).
"""

import struct
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from chengxin.errors import DeliveryCorrupt

FORMULA = 0x0006
_END = 0xFFFFFFFA  # sector numbers from here on mean something else
_EOF, _SHEET, _BOF = 0x000A, 0x0085, 0x0809
_FILE, _ROOT = 2, 5  # kinds of entries in the file system
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
        return _records(self.stream, self.sheets()[number][0])

    def sheets(self) -> list[tuple[int, bool]]:
        """Return where each sheet begins, and whether it is one of cells (no chart, no module)."""
        places = (at for kind, at, _ in self.records() if kind == _SHEET)
        return [(struct.unpack_from("<I", self.stream, at)[0], not self.stream[at + 5]) for at in places]


@contextmanager
def checked(path: Path) -> Iterator[None]:
    """Raise DeliveryCorrupt where the file is put together in a way that cannot be checked."""
    try:
        yield
    except (struct.error, IndexError, ValueError) as fault:
        raise DeliveryCorrupt(
            f"文件 {path.name} 已损坏，或内部结构不合规范，单元格可能缺失或错位；"
            "请重新传送原文件，或用 Excel、WPS 打开核对各行后另存，重新报送"
        ) from fault


def _records(stream: bytes, at: int) -> Iterator[Record]:
    """Yield (kind, where its content begins, size) up to the end of a part; charts inside it are passed through.

    Raises ValueError where the part has no end, or zeros stand in it: cells would be missing without a word.
    """
    depth = 0
    while at < len(stream):
        kind, size = struct.unpack_from("<HH", stream, at)
        at += 4
        if not kind or (not depth and kind != _BOF):
            raise ValueError("no record")
        if kind in {_BOF, _EOF}:
            depth += 1 if kind == _BOF else -1
            if not depth:
                return
        elif depth == 1:
            yield kind, at, size
        at += size
    raise ValueError("a part without an end")


def _stream(file: bytes) -> bytes:
    """Return the stream called Workbook (Book in files of Excel 95).

    Raises ValueError where it is shorter than it says, or any chain of sectors of the file goes in circles.
    """
    sector = 1 << struct.unpack_from("<H", file, 30)[0]
    first, cutoff, mini_table = *struct.unpack_from("<I", file, 48), *struct.unpack_from("<II", file, 56)
    table = _table(file, sector)
    entries = _chained(file, table, first, sector)
    raw = _chained(file, table, mini_table, sector)
    small = struct.unpack(f"<{len(raw) // 4}I", raw)
    root = b""
    found: bytes | None = None
    for at in range(0, len(entries), 128):
        name = entries[at : at + 64].decode("utf-16-le", "replace").partition("\0")[0]
        start, size = struct.unpack_from("<II", entries, at + 116)
        if entries[at + 66] == _ROOT:
            root = _chained(file, table, start, sector)
        elif entries[at + 66] == _FILE and size:
            chain = _chain(table if size >= cutoff else small, start)
            if found is None and name.lower() in {"workbook", "book"}:
                parts = (file[(n + 1) * sector : (n + 2) * sector] for n in chain)
                mini = (root[n * 64 : n * 64 + 64] for n in chain)
                found = b"".join(parts if size >= cutoff else mini)[:size]
                if len(found) < size:
                    raise ValueError("a stream that is cut off")
            else:
                deque(chain, maxlen=0)
    if found is None:
        raise ValueError("no workbook")
    return found


def _table(file: bytes, sector: int) -> tuple[int, ...]:
    """Return which sector follows which."""
    places = [n for n in struct.unpack_from("<109I", file, 76) if n < _END]
    more = struct.unpack_from("<I", file, 68)[0]
    for _ in range(len(file) // sector):
        if more >= _END:
            break
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
