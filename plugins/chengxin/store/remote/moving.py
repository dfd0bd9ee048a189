"""Take a home from a folder of this machine into an object store: all of it lies there before any of it counts.

Every file is uploaded, read back and compared. Then one entry of the log makes them the home, and only then do the
pointers appear by which outside readers find snapshots. A copy that was killed left objects that nothing names; run
again, it keeps those that are whole.
"""

import socket
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from chengxin.clock import Clock
from chengxin.errors import ContractError, SnapshotDamaged
from chengxin.settings import Settings
from chengxin.store import atomic
from chengxin.store.remote import publishing
from chengxin.store.remote.copy import WorkingCopy, scan
from chengxin.store.remote.index import VERSIONS, Entry, File
from chengxin.store.remote.objects import Objects

_AT_ONCE = 16
_POINTER = "/current.json"
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Moved:
    """What was taken into a store. kept: files that an earlier, killed copy had brought there already."""

    files: int
    bytes: int
    kept: int
    done_before: bool = False


def copy_home(source: Path, settings: Settings, clock: Clock, progress: Progress = lambda *_: None) -> Moved:
    """Copy the home in a folder into the store of these settings, whose prefix must hold no home yet.

    Raise ContractError when there is another one, when `source` is none, or when it changed meanwhile; SnapshotDamaged
    when the store gives back other bytes than it was given. progress: files done, of how many.
    """
    assert settings.origin is not None
    stamps = scan(source)
    if not stamps:
        raise ContractError(f"{source} 里没有数据目录的文件")
    copy = WorkingCopy(settings.origin, settings.work)
    try:
        with ThreadPoolExecutor() as pool:
            files = list(pool.map(lambda path: _file(source, path), sorted(stamps)))
        copy.index.follow(copy.objects)
        if copy.index.head >= 0:
            return _done_before(copy, files)
        with TemporaryDirectory(dir=settings.work) as folder:
            put, kept = _Bringing(source, copy, Path(folder), progress).all(files)
        if scan(source) != stamps:
            raise ContractError(f"{source} 在复制期间有变动；请停止在其上运行的任务后重跑，已传到的部分不会重传")
        about = {"what": "home copy", "host": socket.gethostname(), "at": clock.now().isoformat()}
        entry = Entry(0, uuid.uuid4().hex, tuple(put), about=about)
        publishing.enter(copy.objects, copy.index, entry, -1)
        _complete(copy, put)
        return Moved(len(put), sum(f.size for f in put), kept)
    finally:
        copy.close()


def _file(source: Path, path: str) -> File:
    return File(path, (source / path).stat().st_size, atomic.sha256_file(source / path))


def _done_before(copy: WorkingCopy, files: Sequence[File]) -> Moved:
    """Complete a copy that was killed at its very end; refuse a store that holds another home."""
    there = {f.path: f.sha256 for f in copy.index.files()}
    if there != {f.path: f.sha256 for f in files}:
        raise ContractError(f"{copy.objects.url} 已有数据目录，内容与此不同；请另选一个空的前缀")
    _complete(copy, copy.index.files())
    return Moved(len(files), sum(f.size for f in files), len(files), done_before=True)


def _complete(copy: WorkingCopy, files: Iterable[File]) -> None:
    publishing.settle(copy, [f.path for f in files if f.key])
    copy.index.checkpoint(copy.objects)


class _Bringing:
    """Brings files into the store, each content once where the store can copy, and reads every one back."""

    def __init__(self, source: Path, copy: WorkingCopy, folder: Path, progress: Progress) -> None:
        self._source, self._folder, self._progress = source, folder, progress
        self._copy, self._objects = copy, copy.objects
        self._there = {found.key: found.size for found in self._objects.listing()[0]}
        self._token = uuid.uuid4().hex
        self._kept = self._done = 0

    def all(self, files: Sequence[File]) -> tuple[list[File], int]:
        """Return the files as they lie in the store, and how many lay there before."""
        first = {file.sha256: file for file in reversed(files)}
        rest = [file for file in files if first[file.sha256] is not file]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            put = list(pool.map(lambda f: self._counted(self._bring(f, {}), len(files)), first.values()))
            twins = {f.sha256: f for f in put}
            put += pool.map(lambda f: self._counted(self._bring(f, twins), len(files)), rest)
        return put, self._kept

    def _counted(self, file: File, of: int) -> File:
        self._done += 1
        self._progress(self._done, of)
        return file

    def _bring(self, file: File, twins: Mapping[str, File]) -> File:
        """Bring one file; a pointer to a key of its own, so that outside readers do not meet it yet."""
        if file.path.endswith(_POINTER):
            placed = replace(file, key=f"{VERSIONS}{self._token}/{file.path}")
            self._objects.create_file(placed.place, self._source / file.path, file.sha256)
        elif self._there.get(file.path) == file.size and self._objects.digest(file.path) == file.sha256:
            placed = file
            self._kept += 1
        else:
            twin = twins.get(file.sha256)
            placed = publishing.upload(self._copy, self._source, file, self._token, twin)
        self._read_back(placed, self._objects)
        return placed

    def _read_back(self, file: File, objects: Objects) -> None:
        part = self._folder / uuid.uuid4().hex
        try:
            objects.download(file.place, part)
            same = atomic.sha256_file(part) == file.sha256
        except FileNotFoundError:
            same = False
        finally:
            part.unlink(missing_ok=True)
        if not same:
            raise SnapshotDamaged(f"{file.path} 写入对象存储后读回的内容不符；请检查存储后重跑")
