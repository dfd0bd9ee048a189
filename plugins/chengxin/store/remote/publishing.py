"""Publish what a stage changed: data first, then one entry of the log, then what others see at its usual place.

No object that counts is ever overwritten: an object is created where there is none, else at a key of its own. What is
not named by the log is a stray; `sweep` first enters the strays' keys into the log, so that nobody relies on them any
more, and then deletes them.
"""

import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from chengxin.errors import CommitConflict, CommitUnknown, StoreUnavailable
from chengxin.store.remote.index import CHECKPOINTS, LOG, VERSIONS, Entry, File, Index
from chengxin.store.remote.objects import Objects
from chengxin.store.remote.scopes import areas

_AT_ONCE = 16
_YOUNG = timedelta(hours=1)  # an upload under way: left alone, because its stage would have to be run again


class Copy(Protocol):
    """What is asked of a working copy; see store.remote.copy.WorkingCopy."""

    home: Path
    index: Index
    objects: Objects


def publish(copy: Copy, base: int, changed: Sequence[File], gone: Sequence[str], about: dict[str, str]) -> None:
    """Publish files of a working copy that was the home after entry `base`.

    Raise CommitConflict when somebody changed the same meanwhile, CommitUnknown when the store went silent at the
    moment that counts.
    """
    objects, index = copy.objects, copy.index
    index.follow(objects)
    _heed(index.tail(objects, base), set(gone) | {f.path for f in changed}, set())
    token = uuid.uuid4().hex
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        put = tuple(pool.map(lambda file: upload(copy, copy.home, file, token), changed))
    known = {f.path: index.file(f.path) for f in put} | {p: index.file(p) for p in gone}
    old = [was for was in known.values() if was is not None]
    swept = {f.place for f in old if f.key or f.path in set(gone)} | set(gone)
    entry = Entry(0, token, put, tuple(sorted(gone)), tuple(sorted(swept)), about)
    enter(objects, index, entry, base)
    for file in put:
        if file.key:
            place(objects, index, file.path)
    objects.delete(swept)
    index.checkpoint(objects)


def upload(copy: Copy, source: Path, file: File, token: str, twin: File | None = None) -> File:
    """Bring a file into the store, at its own path where that place is free; return it with its key.

    source: the folder in which the file lies. twin: one with the same content, by default what the index knows.
    """
    objects, index = copy.objects, copy.index
    unique = replace(file, key=f"{VERSIONS}{token}/{file.path}")
    natural = index.file(file.path) is None and not index.is_swept(file.path)
    twin = twin or index.with_content(file.sha256)
    # Only where the name identifies the content is it the same object whoever writes it: a copy overwrites nothing.
    by_content = file.sha256[:12] in file.path.rpartition("/")[2]
    if natural and by_content and twin and objects.copy(twin.place, file.path, file.size):
        return file
    if natural and objects.create_file(file.path, source / file.path, file.sha256):
        return file
    objects.create_file(unique.place, source / file.path, file.sha256)
    return unique


def enter(objects: Objects, index: Index, entry: Entry, base: int) -> None:
    """Create the next entry of the log: where others were faster, after theirs, if theirs are about other things."""
    keys = {f.place for f in entry.put}
    while True:
        entry = replace(entry, number=index.head + 1)
        try:
            created = objects.create(f"{LOG}{entry.number:08d}.json", entry.to_bytes())
        except StoreUnavailable as error:
            raise CommitUnknown(
                f"写入数据目录日志第 {entry.number} 条时对象存储失去联系，不知是否写成；恢复后重跑即可，重跑会先核对"
            ) from error
        if created:
            index.apply(entry)
            return
        index.follow(objects)
        _heed(index.tail(objects, base), entry.paths(), keys)


def _heed(others: Iterable[Entry], paths: set[str], keys: set[str]) -> None:
    """Raise CommitConflict when others changed what these paths are about, or gave free what was relied on."""
    mine = set(areas(paths))
    for other in others:
        both = mine & set(areas(other.paths()))
        if both or keys & set(other.swept):
            raise CommitConflict(
                f"数据目录日志第 {other.number} 条已改动 {'、'.join(sorted(both)) or '同样的文件'}；请重做"
            )


def place(objects: Objects, index: Index, path: str) -> None:
    """Let the object at a file's usual place have its present content, for readers that know nothing of the log."""
    while True:
        file, now = index.file(path), objects.read(path)
        held = objects.read(file.place) if file else None
        if file is None or held is None or (now is not None and now[0] == held[0]):
            return
        if now is None and objects.create(path, held[0]):
            return
        if now is not None and objects.replace(path, held[0], now[1], file.sha256):
            return
        index.follow(objects)


def sweep(copy: Copy, about: dict[str, str], young: timedelta = _YOUNG) -> int:
    """Delete the objects that the log does not name, and put back what is missing at its usual place. Return how many.

    young: objects are left alone for so long after they were written, by the store's own clock.
    """
    objects, index = copy.objects, copy.index
    found, now = objects.listing()
    base = None
    while True:
        index.follow(objects)
        base = index.head
        files = index.files()
        named = {f.path for f in files} | {f.place for f in files}
        strays = {
            o.key
            for o in found
            if o.key not in named and not o.key.startswith((LOG, CHECKPOINTS)) and o.modified <= now - young
        }
        fresh = {key for key in strays if not index.is_swept(key)}
        if not fresh:
            break
        entry = Entry(base + 1, uuid.uuid4().hex, swept=tuple(sorted(fresh)), about=about)
        if objects.create(f"{LOG}{entry.number:08d}.json", entry.to_bytes()):
            index.apply(entry)
            break
    objects.delete(strays)
    settle(copy, [f.path for f in files if f.key])
    return len(strays)


def settle(copy: Copy, paths: Iterable[str]) -> None:
    """Complete what a killed process may have left: what these files are at their usual places."""
    for path in paths:
        file = copy.index.file(path)
        if file and file.key:
            place(copy.objects, copy.index, path)
