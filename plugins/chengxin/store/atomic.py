"""Durable, all-or-nothing writes: data, fsync, rename, fsync of the folder.

A folder under construction is called `.building-<name>`; whoever finds one without holding the lock may delete it.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

BUILDING = ".building-"


class HashedFile:
    """A new file that is hashed while it is written from front to back; a context manager."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("wb")
        self._hash = hashlib.sha256()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Whether nothing more can be written."""
        return self._stream.closed

    def write(self, data: bytes) -> int:
        """Write the next bytes."""
        self._hash.update(data)
        return self._stream.write(data)

    def flush(self) -> None:
        """Hand what was written to the system."""
        self._stream.flush()

    def close(self) -> None:
        """End the file."""
        self._stream.close()

    def sha256(self) -> str:
        """Return the digest of what was written, in hex."""
        return self._hash.hexdigest()


def fsync_file(path: Path) -> None:
    """Force a file's bytes to the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


fsync_folder = fsync_file  # a folder is opened and synced the same way on POSIX


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the system that names no file name this one: what a full disk says of a write is no place."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that readers see the old content or the new, also after power loss."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(BUILDING + path.name)
    with naming(path), temporary.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.rename(path)
    fsync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically: readable Chinese, sorted keys, final newline."""
    write_bytes(path, (json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_bytes())


@contextmanager
def building(target: Path) -> Iterator[Path]:
    """Give a fresh folder to fill; on success fsync all of it and rename it to `target`.

    An existing `target` is replaced only at the rename. On an exception nothing is left.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(BUILDING + target.name)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        sync_tree(temporary)
        if target.exists():
            shutil.rmtree(target)
        temporary.rename(target)
        fsync_folder(target.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def sync_tree(folder: Path) -> None:
    """Fsync every file below a folder, then the folder itself, deepest first: what lies on top comes last."""
    for root, _, files in os.walk(folder, topdown=False):
        for name in files:
            fsync_file(Path(root) / name)
        fsync_folder(Path(root))


def sweep(folder: Path, *, deep: bool = True) -> int:
    """Delete what interrupted writers left directly or, if `deep`, anywhere below a folder. Return how many."""
    removed = 0
    for root, folders, files in os.walk(folder):
        for name in [n for n in folders if n.startswith(BUILDING)]:
            shutil.rmtree(Path(root) / name, ignore_errors=True)
            folders.remove(name)
            removed += 1
        for name in files:
            if name.startswith(BUILDING):
                (Path(root) / name).unlink(missing_ok=True)
                removed += 1
        if not deep:
            break
    return removed


def sha256_file(path: Path) -> str:
    """Return a file's sha256 in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def append_line(path: Path, line: str) -> None:
    """Append one line to a file that several processes may append to; it outlives them, not the power."""
    with naming(path):
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, f"{line}\n".encode())
        finally:
            os.close(handle)
