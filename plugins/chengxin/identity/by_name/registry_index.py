"""The index of the registry's names below the folder of the state: derived, memory-mapped, extended by what is new.

    <home>/state/names/
      manifest.json                  the last entry of the journal that is in, how many names, and which files count
      <column>                       one number or text a name, in the order of the journal; only appended to
      <first>-<end>-<base>.*.npy     segments: these names as they are searched; few, since the small are merged
      frequencies-<base>.npy         of the first `base` names. base grows by quarters: then all segments are made anew

May be deleted at any time. What an answer depends on is a function of the names alone: neither how they came in
groups, nor how segments were merged, changes it. Only names of enterprises and other organisations are in, by what
their subject was when it was founded. Who extends it holds the registry's lock; what a kill left is cut off.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chengxin.facts import Admission
from chengxin.identity.by_name import characters, registered_rows
from chengxin.identity.by_name.frequencies import Frequencies
from chengxin.identity.by_name.hashes import Hashes, Ints, mix
from chengxin.identity.by_name.index import Index, Names, Segment, merged
from chengxin.identity.by_name.parts import CORE, Parts
from chengxin.identity.by_name.places import places
from chengxin.identity.by_name.registered_rows import Rows
from chengxin.identity.by_name.words import PATH as WORDS
from chengxin.state.accounts import Accounts
from chengxin.store import atomic
from chengxin.store.layout import Layout

_FORMAT = 1
_MANIFEST = "manifest.json"
_SMALL = 4096  # names below which all segments are made anew whenever there are more
_SEGMENTS = 8  # small ones beside the first; more are merged
_LARGEST = 1 << 24  # names of a segment
_AT_ONCE = 50_000  # names that are taken apart at a time
_PARTS = ("length", "province", "prefecture", "county", "form", "note")
_COLUMNS: dict[str, tuple[Any, int]] = {
    "core": (np.uint16, CORE),
    **dict.fromkeys(_PARTS, (np.int64, 1)),
    "whole": (np.uint64, 1),
    "signature": (np.uint64, 1),
    "own_prefecture": (np.int64, 1),
    "subject": (np.int64, 1),
    "order": (np.int64, 1),
    "text_end": (np.int64, 1),
}
_SORTED = ("words", "cores", "wholes", "seen")


@dataclass(frozen=True)
class _Manifest:
    """What counts. subjects: up to which number subjects are known. reps: files of representatives, oldest first."""

    format: str
    order: int = -1
    digest: str = ""
    names: int = 0
    bytes: int = 0
    subjects: int = 0
    base: int = 0
    segments: tuple[tuple[int, int], ...] = ()
    reps: tuple[str, ...] = ()

    def stem(self, segment: tuple[int, int]) -> str:
        return f"{segment[0]}-{segment[1]}-{self.base}"

    def files(self) -> set[str]:
        """Return the names of all files but the columns, which are never deleted."""
        segments = {f"{self.stem(s)}.{name}.npy" for s in self.segments for name in _SORTED}
        return {*segments, *self.reps, *({f"frequencies-{self.base}.npy"} if self.base else ())}


@dataclass(frozen=True)
class RegistryIndex:
    """The registry's names as `Index`, and what else is known of each: its text, and the admission that brought it."""

    index: Index
    base: int
    order: Ints
    ends: Ints
    letters: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.order)

    def text(self, number: int) -> str:
        """Return a name as it was registered."""
        start = self.ends[number - 1] if number else 0
        return self.letters[start : self.ends[number]].tobytes().decode()

    def since(self, order: int) -> Parts:
        """Return the names that admissions after this one brought."""
        return self.index.names.parts.take(slice(int(np.searchsorted(self.order, order, side="right")), None))


def opened(layout: Layout, accounts: Accounts) -> RegistryIndex:
    """Open the index with the names of all admissions up to the head of these accounts."""
    folder = layout.state / "names"
    folder.mkdir(parents=True, exist_ok=True)
    manifest = _usable(folder, accounts) or _Manifest(_fingerprint())
    fresh = accounts.registering(after=manifest.order)
    if fresh or manifest.order < 0:
        builder = _Builder(folder, manifest)
        for rows in _groups(layout, fresh):
            builder.add(rows)
        manifest = builder.commit(accounts.head.order, accounts.head.digest)
    return _read(folder, manifest)


def stamp(layout: Layout) -> tuple[int, int, int] | None:
    """Return what tells one state of the index from another; None where there is none."""
    try:
        found = (layout.state / "names" / _MANIFEST).stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def standing(layout: Layout) -> RegistryIndex | None:
    """Open the index as it stands, for somebody who only reads; None where there is none, or it is being made anew."""
    folder = layout.state / "names"
    try:
        found = _manifest(folder)
        return _read(folder, found) if found.format == _fingerprint() else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _manifest(folder: Path) -> _Manifest:
    body = atomic.read_json(folder / _MANIFEST)
    segments = tuple((first, end) for first, end in body.pop("segments"))
    return _Manifest(**{**body, "segments": segments, "reps": tuple(body["reps"])})


def _usable(folder: Path, accounts: Accounts) -> _Manifest | None:
    """Return what the folder holds; None where it is of another journal or program, or damaged."""
    try:
        found = _manifest(folder)
        sizes = {name: found.names * width * np.dtype(kind).itemsize for name, (kind, width) in _COLUMNS.items()}
        sizes |= {"text": found.bytes, "founded": found.subjects}
        whole = all((folder / name).stat().st_size >= size for name, size in sizes.items())
        there = all((folder / name).exists() for name in found.files())
    except (OSError, ValueError, TypeError, KeyError):
        return None
    same = found.order <= accounts.head.order and accounts.at(found.order).digest == found.digest
    return found if whole and there and same and found.format == _fingerprint() else None


def _fingerprint() -> str:
    """Return what the parts of names depend on."""
    digest = hashlib.sha256(WORDS.read_bytes())
    digest.update(places().hashes.tobytes())
    return f"{_FORMAT} {characters.digest()} {digest.hexdigest()[:12]}"


def _groups(layout: Layout, admissions: Sequence[Admission]) -> Iterator[Rows]:
    """Give what admissions registered, some names at a time."""
    waiting, names = list[Rows](), 0
    for admission in admissions:
        rows = registered_rows.read(layout, admission)
        waiting.append(rows)
        names += len(rows.names)
        if names >= _AT_ONCE:
            yield registered_rows.joined(waiting)
            waiting, names = [], 0
    if waiting:
        yield registered_rows.joined(waiting)


def base_of(names: int) -> int:
    """Return of how many names, the first ones, frequencies are taken where there are so many."""
    if names < _SMALL:
        return names
    base = _SMALL
    while base + base // 4 <= names:
        base += base // 4
    return base


class _Builder:
    """Extends the files. Nothing that it writes counts before `commit`."""

    def __init__(self, folder: Path, manifest: _Manifest) -> None:
        self._folder, self._before, self._new = folder, manifest, manifest
        self._founded = _column(folder / "founded", np.uint8, manifest.subjects).copy()
        self._seen = [np.load(folder / f"{manifest.stem(s)}.seen.npy") for s in manifest.segments]
        self._fresh = [np.zeros(0, np.uint64)]
        self._reps = [np.zeros((3, 0), np.int64)]
        for name, (kind, width) in _COLUMNS.items():
            _cut(folder / name, manifest.names * width * np.dtype(kind).itemsize)
        _cut(folder / "text", manifest.bytes)

    def add(self, rows: Rows) -> None:
        """Append the names that are new."""
        self._founded = rows.founded(self._founded)
        self._reps.append(rows.reps(self._founded))
        rows = rows.asked_for(self._founded)
        seen = mix(rows.normal_forms() ^ mix(rows.subject.astype(np.uint64)))
        _, first = np.unique(seen, return_index=True)
        known = np.zeros(len(seen), np.bool_)
        for array in (*self._seen, *self._fresh):
            place = np.minimum(np.searchsorted(array, seen), len(array) - 1)
            known |= array[place] == seen if len(array) else False
        new = np.sort(first[~known[first]])
        for begin in range(0, len(new), _AT_ONCE):
            self._append(rows.take(new[begin : begin + _AT_ONCE]))
        self._fresh.append(np.sort(seen[new]))

    def _append(self, rows: Rows) -> None:
        names = Names.of(rows.names, rows.prefecture)
        letters = [name.encode() for name in rows.names]
        ends = self._new.bytes + np.cumsum([len(name) for name in letters], dtype=np.int64)
        columns = {
            "core": names.parts.core,
            **{name: getattr(names.parts, name) for name in (*_PARTS, "whole")},
            "signature": names.signature,
            "own_prefecture": rows.prefecture,
            "subject": rows.subject,
            "order": rows.order,
            "text_end": ends,
        }
        for name, (kind, _) in _COLUMNS.items():
            _extend(self._folder / name, np.ascontiguousarray(columns[name], kind).tobytes())
        _extend(self._folder / "text", b"".join(letters))
        self._new = replace(self._new, names=self._new.names + len(rows.names), bytes=int(ends[-1]))

    def commit(self, order: int, digest: str) -> _Manifest:
        """Sort what was added, and let it count. order, digest: of the last entry of the journal that is in."""
        new = replace(self._new, order=order, digest=digest, subjects=len(self._founded), base=base_of(self._new.names))
        atomic.write_bytes(self._folder / "founded", self._founded.tobytes())
        new = self._sort(replace(new, reps=self._write_reps(order)))
        for name in (*_COLUMNS, "text"):
            atomic.fsync_file(self._folder / name)
        atomic.write_json(self._folder / _MANIFEST, asdict(new))
        for file in self._folder.glob("*.npy"):
            if file.name not in new.files():
                file.unlink(missing_ok=True)
        return new

    def _sort(self, new: _Manifest) -> _Manifest:
        """Write the segments that are new: all of them where the base is another one."""
        if new.names == self._before.names:
            return replace(new, segments=self._before.segments)
        parts, fresh = _parts(self._folder, new.names), np.sort(np.concatenate(self._fresh))
        if new.base != self._before.base:
            frequencies = Frequencies.of(parts.take(slice(0, new.base)))
            self._save(f"frequencies-{new.base}", frequencies.packed())
            seen = np.sort(np.concatenate([*self._seen, fresh]))
            segments = []
            for first in range(0, new.names, _LARGEST):
                end = min(first + _LARGEST, new.names)
                whole = Segment.of(parts.take(slice(first, end)), frequencies, first)
                segments.append(self._write(new, whole, end, seen if not first else seen[:0]))
            return replace(new, segments=tuple(segments))
        first, kept = self._before.names, self._before.segments
        frequencies = Frequencies.unpacked(np.load(self._folder / f"frequencies-{new.base}.npy"), new.base)
        segment = Segment.of(parts.take(slice(first, None)), frequencies, first)
        small = len(kept) - (new.names - 1) // _LARGEST
        if small > _SEGMENTS:
            old, kept = kept[1 - small :], kept[: 1 - small]
            segment = merged([*(_segment(self._folder, self._before, s) for s in old), segment])
            fresh = np.sort(np.concatenate([*self._seen[1 - small :], fresh]))
        return replace(new, segments=(*kept, self._write(new, segment, new.names, fresh)))

    def _write(self, new: _Manifest, segment: Segment, end: int, seen: Hashes) -> tuple[int, int]:
        stem = new.stem((segment.first, end))
        for name in _SORTED[:-1]:
            self._save(f"{stem}.{name}", getattr(segment, name))
        self._save(f"{stem}.seen", seen)
        return segment.first, end

    def _write_reps(self, order: int) -> tuple[str, ...]:
        fresh, kept = np.concatenate(self._reps, axis=1), self._before.reps
        if not fresh.shape[1]:
            return kept
        if len(kept) >= _SEGMENTS:
            fresh, kept = np.concatenate([*(np.load(self._folder / name) for name in kept), fresh], axis=1), ()
        self._save(f"reps-{order}", registered_rows.newest(fresh))
        return (*kept, f"reps-{order}.npy")

    def _save(self, name: str, array: npt.NDArray[Any]) -> None:
        path = self._folder / f"{name}.npy"
        path.unlink(missing_ok=True)  # whoever has the one before mapped keeps it
        with atomic.naming(path), path.open("wb") as stream:
            np.save(stream, array)
            stream.flush()
            os.fsync(stream.fileno())


def _read(folder: Path, manifest: _Manifest) -> RegistryIndex:
    n = manifest.names
    names = Names(
        _parts(folder, n),
        _named(folder, "signature", n),
        _named(folder, "own_prefecture", n),
        np.broadcast_to(np.uint64(0), n),
    )
    packed = np.load(folder / f"frequencies-{manifest.base}.npy") if manifest.base else np.zeros((2, 0), np.int64)
    segments = tuple(_segment(folder, manifest, s) for s in manifest.segments)
    reps = [np.load(folder / name, mmap_mode="r") for name in manifest.reps]

    def representatives(subject: Ints) -> Hashes:
        return registered_rows.of_subjects(reps, subject)

    index = Index(
        names,
        Frequencies.unpacked(packed, manifest.base),
        segments,
        _named(folder, "subject", n),
        representatives,
    )
    letters = _column(folder / "text", np.uint8, manifest.bytes)
    return RegistryIndex(index, manifest.base, _named(folder, "order", n), _named(folder, "text_end", n), letters)


def _segment(folder: Path, manifest: _Manifest, segment: tuple[int, int]) -> Segment:
    stem = folder / manifest.stem(segment)
    arrays = (np.asarray(np.load(f"{stem}.{name}.npy", mmap_mode="r")) for name in _SORTED[:-1])
    return Segment(segment[0], *arrays)


def _parts(folder: Path, names: int) -> Parts:
    nowhere = np.broadcast_to(np.int64(0), names)  # where a core stands is asked of no registered name
    columns = {name: _named(folder, name, names) for name in ("core", *_PARTS, "whole")}
    return Parts(**columns, start=nowhere, end=nowhere)


def _named(folder: Path, name: str, names: int) -> npt.NDArray[Any]:
    kind, width = _COLUMNS[name]
    found = _column(folder / name, kind, names * width)
    return found.reshape(names, width) if width > 1 else found


def _column(path: Path, kind: Any, length: int) -> npt.NDArray[Any]:
    return np.asarray(np.memmap(path, kind, "r", shape=(length,))) if length else np.zeros(0, kind)


def _cut(path: Path, size: int) -> None:
    """Leave the first bytes of a file, which is created where there is none; where none are left, a new one."""
    if not size:
        path.unlink(missing_ok=True)  # whoever has it mapped keeps it
    with path.open("ab") as stream:
        stream.truncate(size)


def _extend(path: Path, data: bytes) -> None:
    with atomic.naming(path), path.open("ab") as stream:
        stream.write(data)
