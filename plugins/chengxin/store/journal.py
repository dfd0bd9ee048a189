"""An append-only journal: numbered JSON files, each created exactly once. Its order is the order of the world.

A chained journal begins with 0, and each entry names its format and the sha256 of the bytes of the entry before. The
digest of an entry so stands for all up to it: two journals with the same head are the same.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chengxin.errors import CommitConflict, HomeDamaged, HomeOutdated
from chengxin.store.atomic import BUILDING, fsync_folder

FORMAT = 2  # of the entries of a chained journal; the first one had no chain
_FORMAT, _PREVIOUS = "format", "previous"


@dataclass(frozen=True)
class Head:
    """An entry of a chained journal and all before it. digest: sha256 of its bytes, in hex. An empty journal: -1."""

    order: int = -1
    digest: str = ""


_EMPTY = Head()
_FEW = 8  # digests that a process keeps: the newest entry, and the one that the current snapshot ends with
_digests: dict[Path, tuple[str, tuple[int, int, int] | None]] = {}


def append(folder: Path, number: int, entry: dict[str, Any]) -> str:
    """Create entry `number` durably and return the sha256 of its bytes.

    Raise CommitConflict if somebody else created it first.
    """
    data = json.dumps(entry, ensure_ascii=False, indent=1, sort_keys=True).encode()
    folder.mkdir(parents=True, exist_ok=True)
    target = _path(folder, number)
    temporary = folder / f"{BUILDING}{number:08d}"
    with temporary.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(temporary, target)
    except FileExistsError as error:
        raise CommitConflict(f"日志第 {number} 条已由另一个进程写入，请重试") from error
    finally:
        temporary.unlink()
    fsync_folder(folder)
    return hashlib.sha256(data).hexdigest()


def append_chained(folder: Path, after: Head, entry: dict[str, Any]) -> Head:
    """Append an entry to a chained journal that ends with `after`; return where it ends now. Raises as `append`."""
    number = after.order + 1
    return Head(number, append(folder, number, {**entry, _FORMAT: FORMAT, _PREVIOUS: after.digest}))


def since(folder: Path, after: Head = _EMPTY) -> Iterator[tuple[Head, dict[str, Any]]]:
    """Give the entries of a chained journal that follow `after`, each with its place in the chain.

    Raise HomeDamaged where one is missing, cannot be read or does not follow the one before, HomeOutdated where one is
    of another format.
    """
    here = numbers(folder)
    if here != list(range(len(here))):
        missing = sorted(set(range(here[-1] + 1)) - set(here))
        raise HomeDamaged(f"入库日志 {folder.name} 缺第 {'、'.join(map(str, missing))} 条，请从备份恢复")
    for number in here[after.order + 1 :]:
        after, body = _following(folder, number, after)
        yield after, body


def chained(folder: Path, number: int) -> dict[str, Any]:
    """Return one entry of a chained journal. Raises as `since`, but does not ask what it follows."""
    return _parsed(folder, number, _path(folder, number).read_bytes())


def digest(folder: Path, number: int) -> str:
    """Return the sha256 of the bytes of an entry. A process reads it once while its time of change stays the same."""
    path, found = _path(folder, number), stamp(folder, number)
    if found is None or _digests.get(path, ("", None))[1] != found:
        if len(_digests) >= _FEW:
            _digests.clear()
        _digests[path] = (hashlib.sha256(path.read_bytes()).hexdigest(), found)
    return _digests[path][0]


def _following(folder: Path, number: int, before: Head) -> tuple[Head, dict[str, Any]]:
    data = _path(folder, number).read_bytes()
    body = _parsed(folder, number, data)
    if body[_PREVIOUS] != before.digest:
        raise HomeDamaged(
            f"入库日志 {folder.name} 第 {number} 条与前一条不相承接，其中有被改动或混入的条目；请用备份恢复整个数据目录"
        )
    return Head(number, hashlib.sha256(data).hexdigest()), body


def _parsed(folder: Path, number: int, data: bytes) -> dict[str, Any]:
    try:
        body = dict(json.loads(data))
    except (ValueError, TypeError) as error:
        raise HomeDamaged(f"入库日志 {folder.name} 第 {number} 条已损坏，请从备份恢复") from error
    if body.get(_FORMAT, 1) != FORMAT or _PREVIOUS not in body:
        raise HomeOutdated(
            f"数据目录 {folder.parent} 由另一版本的程序入库（日志格式 {body.get(_FORMAT, 1)}，本版本为 {FORMAT}），"
            "不能接着使用：请改用当时的版本，或换一个新的数据目录，从 landing 中保存的来文重新入库"
        )
    return body


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
