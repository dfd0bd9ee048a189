"""An append-only journal: numbered JSON files, each created exactly once. Its order is the order of the world."""

import json
import os
from pathlib import Path
from typing import Any

from chengxin.errors import CommitConflict
from chengxin.store.atomic import BUILDING, fsync_folder


def append(folder: Path, number: int, entry: dict[str, Any]) -> None:
    """Create entry `number` durably. Raise CommitConflict if somebody else created it first."""
    folder.mkdir(parents=True, exist_ok=True)
    target = _path(folder, number)
    temporary = folder / f"{BUILDING}{number:08d}"
    with temporary.open("w", encoding="utf-8") as stream:
        json.dump(entry, stream, ensure_ascii=False, indent=1, sort_keys=True)
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(temporary, target)
    except FileExistsError as error:
        raise CommitConflict(f"日志第 {number} 条已由另一个进程写入，请重试") from error
    finally:
        temporary.unlink()
    fsync_folder(folder)


def entries(folder: Path, *, after: int = -1) -> list[dict[str, Any]]:
    """Return all entries with a number greater than `after`, in order."""
    return [entry(folder, n) for n in numbers(folder) if n > after]


def entry(folder: Path, number: int) -> dict[str, Any]:
    """Return one entry."""
    return dict(json.loads(_path(folder, number).read_bytes()))


def numbers(folder: Path) -> list[int]:
    """Return the numbers of all entries, ascending."""
    try:
        names = os.listdir(folder)  # noqa: PTH208  a tenth of what glob() takes
    except FileNotFoundError:
        return []
    return sorted(int(name[:-5]) for name in names if name.endswith(".json") and name[:-5].isdecimal())


def stamp(folder: Path, number: int) -> tuple[int, int, int] | None:
    """Return what tells one file of this number from another: inode, size, time of change; None where it is gone."""
    try:
        found = _path(folder, number).stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}.json"
