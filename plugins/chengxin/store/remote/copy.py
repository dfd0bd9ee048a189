"""A working copy: the files of a home in a folder of this machine, up to date before a stage, published after it.

    <work>/home                  the URL of the home that all this is a copy of
    <work>/contents/<ab>/<sha>   every content once; the copies are hard links to it
    <work>/copies/<n>/           one working copy; <n>.lock is held by the process that uses it, <n>.sqlite is its index
    <work>/inbox, outbox         what lies here is of this machine, and the same for all copies

What counts is one entry of the log: it is created by one process only, and names all that a stage changed. So a stage
appears in the home whole or not at all, and what a killed process left in its copy is thrown away by the next one.
"""

import itertools
import logging
import os
import random
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from threading import RLock
from typing import TypeVar

from filelock import FileLock, Timeout

from chengxin.clock import Clock
from chengxin.errors import ChengxinError, CommitConflict, ContractError, SnapshotDamaged
from chengxin.store import atomic, privacy
from chengxin.store.remote import publishing
from chengxin.store.remote.index import File, opened
from chengxin.store.remote.objects import Objects
from chengxin.store.remote.scopes import EVERYTHING, Scope, belongs

log = logging.getLogger(__name__)
T = TypeVar("T")
_AT_ONCE = 16  # requests
_RERUNS = 8
_TELLS, _POINTER = ("/manifest.json", "/receipt.json", "/summary.json", "/made_under.json"), "/current.json"


class WorkingCopy:
    """One working copy, used by this process alone until it ends. home: where the files lie."""

    def __init__(self, url: str, work: Path) -> None:
        self.objects = Objects(url)
        self.clock = Clock()
        self._work = work
        self._claim(url)
        privacy.close(work)
        self.home, self._slot = self._free_copy()
        self.index = opened(self.home.with_suffix(".sqlite"))
        self._lock = RLock()
        self._inside = False
        self._base = -1

    def run(self, what: str, scope: Scope, call: Callable[[], T]) -> T:
        """Run a stage on the newest state and publish what it made; run it again when another one was faster.

        Raise CommitConflict when that happened again and again. What a failing stage had finished is published too,
        as it stays on one machine.
        """
        with self._lock:
            if self._inside:
                return call()
            for attempt in range(_RERUNS):
                self.pull(scope)
                with self._stage(scope):
                    try:
                        result = call()
                    except Exception:
                        with suppress(ChengxinError):
                            self._publish(what, scope)
                        raise
                try:
                    self._publish(what, scope)
                except CommitConflict as error:
                    log.info("%s: %s", what, error)
                    time.sleep(random.uniform(0, 0.2 * (attempt + 1)))  # noqa: S311  # no secret
                else:
                    return result
            raise CommitConflict(f"其他机器同时写入数据目录，{what} 重做了 {_RERUNS} 次仍未写成；请稍后重试")

    @contextmanager
    def changing(self, what: str, scope: Scope = EVERYTHING) -> Iterator[None]:
        """Bring the copy up to date, and publish what was changed in it. Raise CommitConflict as `run`, at once."""
        with self._lock:
            if self._inside:
                yield
                return
            self.pull(scope)
            with self._stage(scope):
                yield
            self._publish(what, scope)

    def pull(self, scope: Scope = EVERYTHING) -> None:
        """Make the copy what the home is now, as far as the scope goes; what was never published is thrown away."""
        with self._lock:
            if self._inside:
                return
            lost: list[str] = []
            for _ in range(3):  # what was replaced meanwhile has another entry in the log
                self.index.follow(self.objects)
                self._base = self.index.head
                lost = self._pull(scope)
                if not lost:
                    return
            # Readers and publications are made to meet a damaged snapshot; without anything else none may go on.
            if all(path.startswith("published/") for path in lost):
                log.warning("对象存储中已发布的 %s 缺失或损坏", "、".join(lost[:3]))
                return
            raise SnapshotDamaged(f"对象存储中的 {lost[0]} 等 {len(lost)} 个文件缺失或损坏；请从备份恢复这些对象")

    def _pull(self, scope: Scope) -> list[str]:
        """Do so once; return what could not be fetched."""
        roots = {*scope.roots, *self.index.dirty()}
        local = self._scan(roots)
        held = self.index.held()
        wanted = {f.path: f for f in self.index.files(scope.reads, scope.but)}
        missing = [f for f in wanted.values() if held.get(f.path) != (f.sha256, self._stamp(f.path, local))]
        extra = [p for p in local if p not in wanted and not self._is_current(p, local[p], held)]
        extra += [p for p in self.index.orphans() if p not in local]
        for path in extra:
            self._remove(path)
        self.index.hold((), extra)
        lost = self._fetch_all(missing)
        self.index.note_dirty(())
        return lost

    def fetch_anew(self, pattern: str) -> list[str]:
        """Fetch files whether they are here or not; say in Chinese which are not what was published."""
        with self._lock:
            lost = self._fetch_all(self.index.files((pattern,)), anew=True)
            return [f"对象存储中的 {path} 缺失，或与数据目录的日志不符（大小或 sha256）" for path in lost]

    def _fetch_all(self, files: Sequence[File], *, anew: bool = False) -> list[str]:
        """Fetch files, each content once, and what tells readers at work in this copy of others after those."""
        once = set({file.sha256: file for file in files}.values())
        ranks: dict[int, list[File]] = {}
        for file in files:
            told = 3 if file.path.endswith(_POINTER) else 2 if file.path.endswith(_TELLS) else 0
            ranks.setdefault(told or int(not anew and file not in once), []).append(file)
        found: dict[File, tuple[str, str, str] | None] = {}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _, group in sorted(ranks.items()):
                found |= zip(group, pool.map(lambda file: self._fetch(file, anew), group), strict=True)
        lost = [file.path for file, note in found.items() if note is None]
        for path in lost:
            self._remove(path)
        self.index.hold([note for note in found.values() if note], lost)
        return lost

    def _is_current(self, path: str, stamp: str, held: dict[str, tuple[str, str]]) -> bool:
        now = self.index.file(path)
        return now is not None and held.get(path) == (now.sha256, stamp)

    def _fetch(self, file: File, anew: bool) -> tuple[str, str, str] | None:
        """Put a file of the home into its place; return what to note of it, None when the store has it not."""
        content = self._content(file.sha256)
        if anew or _size_of(content) != file.size:
            content.parent.mkdir(parents=True, exist_ok=True)
            part = content.with_name(f"{atomic.BUILDING}{file.sha256}-{uuid.uuid4().hex}")
            try:
                self.objects.download(file.place, part)
                if part.stat().st_size != file.size or atomic.sha256_file(part) != file.sha256:
                    return None  # not the object that the log means: a newer one, or damaged
                atomic.fsync_file(part)
                part.rename(content)
            except FileNotFoundError:
                return None
            finally:
                part.unlink(missing_ok=True)
        target = self.home / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        linked = target.with_name(atomic.BUILDING + target.name)
        linked.unlink(missing_ok=True)
        try:
            os.link(content, linked)
        except FileNotFoundError:
            return self._fetch(file, anew=True)  # another process has just found it unused
        except OSError:
            shutil.copyfile(content, linked)  # the file system takes no more names of it
        linked.rename(target)
        linked.unlink(missing_ok=True)  # renaming a name of a file over another name of it leaves both
        return file.path, file.sha256, _stamp_of(target)

    def _publish(self, what: str, scope: Scope) -> None:
        """Publish what lies in the copy and not in the home. Raise CommitConflict when another one was faster."""
        local, held = self._scan(scope.roots), self.index.held()
        fresh = [p for p, stamp in local.items() if held.get(p, ("", ""))[1] != stamp]
        gone = [p for p in held if p not in local and _within(p, scope.roots) and self.index.file(p)]
        put = [File(p, (self.home / p).stat().st_size, atomic.sha256_file(self.home / p)) for p in fresh]
        changed = [f for f in put if not self._same(f)]
        if changed or gone:
            about = {"what": what, "host": socket.gethostname(), "at": self.clock.now().isoformat()}
            publishing.publish(self, self._base, changed, gone, about)
        self.index.hold([(f.path, f.sha256, local[f.path]) for f in put], gone)
        for file in put:
            self._keep(file)
        self.index.note_dirty(())
        self._base = self.index.head

    def _same(self, file: File) -> bool:
        now = self.index.file(file.path)
        return now is not None and now.sha256 == file.sha256

    def _keep(self, file: File) -> None:
        """Give a published file's content to the other copies of this machine."""
        content = self._content(file.sha256)
        content.parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):
            os.link(self.home / file.path, content)

    def forget_unused(self, young: timedelta) -> int:
        """Delete contents that no working copy holds, and downloads left in the middle. Return how many.

        young: what came later than that may be what another process is just fetching.
        """
        old, count = time.time() - young.total_seconds(), 0
        for path in (self._work / "contents").glob("*/*"):
            with suppress(FileNotFoundError):
                found = path.stat()
                if found.st_nlink == 1 and found.st_mtime < old:
                    path.unlink()
                    count += 1
        return count

    def close(self) -> None:
        """Let another process have this copy."""
        self.index.close()
        self._slot.release()

    @contextmanager
    def _stage(self, scope: Scope) -> Iterator[None]:
        self.index.note_dirty(scope.roots)
        self._inside = True
        try:
            yield
        finally:
            self._inside = False

    def _claim(self, url: str) -> None:
        """Note whose copies lie here; raise ContractError when they are another home's."""
        mark = self._work / "home"
        if not mark.exists():
            for name in ("inbox", "outbox"):
                (self._work / name).mkdir(parents=True, exist_ok=True)
            with FileLock(self._work / "home.lock"):  # the processes of a new machine all begin at once
                self.objects.make_bucket()
                atomic.write_bytes(mark, url.encode())
        if mark.read_text() != url:
            raise ContractError(f"{self._work} 是另一个数据目录的工作副本；请为 {url} 另设 CHENGXIN_WORK")

    def _free_copy(self) -> tuple[Path, FileLock]:
        copies = self._work / "copies"
        copies.mkdir(parents=True, exist_ok=True)
        for number in itertools.count():
            lock = FileLock(copies / f"{number}.lock", timeout=0)
            with suppress(Timeout):
                lock.acquire()
                home = copies / str(number)
                home.mkdir(exist_ok=True)
                for name in ("inbox", "outbox"):
                    if not (home / name).is_symlink():
                        (home / name).symlink_to(Path("..", "..", name))
                return home, lock
        raise AssertionError

    def _scan(self, roots: Iterable[str]) -> dict[str, str]:
        return scan(self.home, roots)

    def _stamp(self, path: str, local: dict[str, str]) -> str:
        if path in local:
            return local[path]
        with suppress(FileNotFoundError):
            return _stamp_of(self.home / path)
        return ""

    def _remove(self, path: str) -> None:
        (self.home / path).unlink(missing_ok=True)
        with suppress(OSError):
            for folder in (self.home / path).parents:
                if folder == self.home:
                    break
                folder.rmdir()

    def _content(self, sha256: str) -> Path:
        return self._work / "contents" / sha256[:2] / sha256


def scan(home: Path, roots: Iterable[str] = ("",)) -> dict[str, str]:
    """Return the stamp of every file of a home below some of its folders."""
    found: dict[str, str] = {}
    for root in roots:
        for folder, folders, names in os.walk(home / root):
            base = os.path.relpath(folder, home)
            base = "" if base == "." else f"{base}/"
            folders[:] = [n for n in folders if belongs(f"{base}{n}/x")]
            for name in names:
                if belongs(path := base + name):
                    found[path] = _stamp_of(home / path)
    return found


def _stamp_of(path: Path) -> str:
    found = path.stat()
    return f"{found.st_size}-{found.st_mtime_ns}-{found.st_ino}"


def _size_of(path: Path) -> int | None:
    """Return a file's size, None when it is not there (any more)."""
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return None


def _within(path: str, roots: Iterable[str]) -> bool:
    return any(not root or path.startswith(f"{root}/") for root in roots)
