"""An append-only journal: numbered JSON files, each created exactly once. Its order is the order of the world.

A chained journal begins with 0, and each entry names its format and the sha256 of the bytes of the entry before. The
digest of an entry so stands for all up to it: two journals with the same head are the same. Its older entries are
sealed, BLOCK of them in one immutable file, so that a folder never lists more than a few thousand:

    00002051.json ...                                      open entries
    sealed/00000000-00001023-<sha256, 12 digits>.jsonl.zst   their bytes, a line each, compressed (zstd)
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from chengxin.errors import CommitConflict, HomeDamaged, HomeOutdated
from chengxin.store.atomic import BUILDING, fsync_folder, write_bytes

FORMAT = 2  # of the entries of a chained journal; the first one had no chain
BLOCK = 1024  # entries of a sealed file; at least as many stay open
SEALED = "sealed"
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
    data = json.dumps(entry, ensure_ascii=False, sort_keys=True).encode()  # one line
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
    for number in range(after.order + 1, _contiguous(folder) + 1):
        after, body = _following(folder, number, after)
        yield after, body


def _contiguous(folder: Path) -> int:
    """Return the newest number of a chained journal; raise HomeDamaged where one before it is missing."""
    here, sealed = _open(folder), _sealed(folder)  # in this order: an entry that is sealed meanwhile is in both
    firsts = [-1, *(s.last for s in sealed)]
    missing = {n for s, before in zip(sealed, firsts, strict=False) for n in range(before + 1, s.first)}
    here = [n for n in here if n > firsts[-1]]
    if here:
        missing |= set(range(firsts[-1] + 1, here[-1])) - set(here)
    if missing:
        raise HomeDamaged(f"入库日志 {folder.name} 缺第 {'、'.join(map(str, sorted(missing)))} 条，请从备份恢复")
    return here[-1] if here else firsts[-1]


def chained(folder: Path, number: int) -> dict[str, Any]:
    """Return one entry of a chained journal. Raises as `since`, but does not ask what it follows."""
    return _parsed(folder, number, _bytes(folder, number))


def digest(folder: Path, number: int) -> str:
    """Return the sha256 of the bytes of an entry. A process reads it once while its time of change stays the same."""
    path, found = _path(folder, number), stamp(folder, number)
    if found is None or _digests.get(path, ("", None))[1] != found:
        if len(_digests) >= _FEW:
            _digests.clear()
        _digests[path] = (hashlib.sha256(_bytes(folder, number)).hexdigest(), found)
    return _digests[path][0]


def seal(folder: Path) -> None:
    """Seal the oldest entries of a chained journal until fewer than 2 * BLOCK are open. Only who appends may call this.

    An entry is deleted after the file that holds it is durable; what a kill leaves is deleted here the next time.
    """
    newest = _contiguous(folder)
    first = _last_sealed(folder) + 1
    while newest - first + 1 >= 2 * BLOCK:
        numbers = range(first, first + BLOCK)
        data = pa.compress(b"".join(_bytes(folder, n) + b"\n" for n in numbers), codec="zstd", asbytes=True)
        name = f"{first:08d}-{numbers[-1]:08d}-{hashlib.sha256(data).hexdigest()[:12]}.jsonl.zst"
        (folder / SEALED).mkdir(exist_ok=True)
        write_bytes(folder / SEALED / name, data)
        first += BLOCK
    fsync_folder(folder)
    for number in _open(folder):
        if number < first:
            _path(folder, number).unlink()


def _following(folder: Path, number: int, before: Head) -> tuple[Head, dict[str, Any]]:
    data = _bytes(folder, number)
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
    return dict(json.loads(_bytes(folder, number)))


def numbers(folder: Path) -> list[int]:
    """Return the numbers of all entries, ascending."""
    here, sealed = _open(folder), _sealed(folder)
    return sorted({*here, *(n for s in sealed for n in range(s.first, s.last + 1))})


def newest(folder: Path) -> int:
    """Return the newest number, -1 where there is none."""
    return max([*_open(folder)[-1:], _last_sealed(folder)])


def files(folder: Path, upto: int) -> list[Path]:
    """Return the files of a journal that hold no entry after `upto`, those of sealed entries first."""
    here, sealed = _open(folder), _sealed(folder)
    return [*(s.path for s in sealed if s.last <= upto), *(_path(folder, n) for n in here if n <= upto)]


def stamp(folder: Path, number: int) -> tuple[int, int, int] | None:
    """Return what tells one file of this number from another: inode, size, time of change; None where it is gone."""
    for path in (_path(folder, number), _holding(folder, number)):
        try:
            found = path.stat() if path else None
        except FileNotFoundError:
            continue
        if found:
            return found.st_ino, found.st_size, found.st_mtime_ns
    return None


@dataclass(frozen=True)
class _Sealed:
    """A file of sealed entries, from the first to the last."""

    path: Path
    first: int
    last: int


def _open(folder: Path) -> list[int]:
    """Return the numbers of entries in files of their own, ascending."""
    try:
        names = os.listdir(folder)  # noqa: PTH208  a tenth of what glob() takes
    except FileNotFoundError:
        return []
    return sorted(int(name[:-5]) for name in names if name.endswith(".json") and name[:-5].isdecimal())


def _sealed(folder: Path) -> list[_Sealed]:
    paths = sorted((folder / SEALED).glob("[0-9]*-[0-9]*-*.jsonl.zst"))
    return [_Sealed(path, *map(int, path.name.split("-")[:2])) for path in paths]


def _last_sealed(folder: Path) -> int:
    return max((s.last for s in _sealed(folder)), default=-1)


def _holding(folder: Path, number: int) -> Path | None:
    """Return the file of sealed entries that holds this one."""
    return next((s.path for s in _sealed(folder) if s.first <= number <= s.last), None)


def _bytes(folder: Path, number: int) -> bytes:
    """Return the bytes of an entry, wherever it lies; another process may be sealing it. Raise FileNotFoundError."""
    try:
        return _path(folder, number).read_bytes()
    except FileNotFoundError:
        holding = _holding(folder, number)
        if holding is None:
            raise
    return _lines(holding)[number - int(holding.name[:8])]


@lru_cache(maxsize=2)
def _lines(path: Path) -> list[bytes]:
    """Return the entries of a file of sealed ones, whose name holds the digest of its bytes."""
    data = path.read_bytes()
    if not path.name.endswith(f"-{hashlib.sha256(data).hexdigest()[:12]}.jsonl.zst"):
        raise HomeDamaged(f"入库日志 {path.parent.parent.name} 的封存文件 {path.name} 已损坏，请从备份恢复")
    with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
        return bytes(stream.read()).splitlines()


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}.json"
