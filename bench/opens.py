"""Which files below a folder are opened while something runs.

By inotify: an audit hook of Python sees nothing of what DuckDB and pyarrow open.
"""

import ctypes
import os
import select
import struct
import threading
from pathlib import Path

_OPEN, _ONLYDIR, _OVERFLOW, _ISDIR = 0x20, 0x01000000, 0x4000, 0x40000000
_HEADER = struct.Struct("iIII")


class Opens:
    """Notes the files that are opened, each once, in the folders that are there at the start; of newer ones none."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: set[Path] = set()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._folders: dict[int, Path] = {}
        self._missed = False
        self._stop, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Opens":
        self._queue = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        for folder, *_ in os.walk(self.root):
            watch = self._libc.inotify_add_watch(self._queue, os.fsencode(folder), _OPEN | _ONLYDIR)
            if watch < 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), folder)
            self._folders[watch] = Path(folder)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self._wake, b".")
        self._thread.join()
        self._read()
        for number in (self._queue, self._stop, self._wake):
            os.close(number)
        if self._missed:
            raise RuntimeError("more files were opened at once than the kernel notes")

    def below(self, *tops: str) -> list[Path]:
        """Return the files that were opened below these folders of the root."""
        mine = tuple(self.root / top for top in tops)
        return sorted(path for path in self.files if any(path.is_relative_to(top) for top in mine))

    def _run(self) -> None:
        while self._stop not in select.select([self._queue, self._stop], [], [])[0]:
            self._read()

    def _read(self) -> None:
        try:
            data = os.read(self._queue, 1 << 20)
        except BlockingIOError:
            return
        while data:
            watch, mask, _, length = _HEADER.unpack_from(data)
            name = os.fsdecode(data[_HEADER.size : _HEADER.size + length].rstrip(b"\0"))
            data = data[_HEADER.size + length :]
            self._missed |= bool(mask & _OVERFLOW)
            if watch in self._folders and not mask & _ISDIR and name:
                self.files.add(self._folders[watch] / name)
