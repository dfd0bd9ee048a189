"""The overlay: which records readers are not to see although snapshots may still hold them.

    published/overlay.json   {epoch, sequence, previous_sha256, entries}

It is derived from the journal of legal acts and rewritten whole. It lists who was repaired, so it is served to nobody.
A process reads it again whenever the file changed: that costs one stat.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from chengxin.errors import HomeDamaged
from chengxin.store.atomic import read_json, write_json
from chengxin.store.layout import Layout

Scope = Literal["all", "open"]
_MOST = 16  # files that a process keeps


@dataclass(frozen=True)
class Entry:
    """One record, once for each id of its subject.

    handles: key id -> what stands for its number where that is hidden: in the open tier, in the cut of a recipient.
    since: ISO day.
    """

    record_id: str
    kind: str
    subject_id: int
    scope: Scope
    since: str
    handles: dict[str, str] = field(default_factory=dict, hash=False)

    def numbers(self, key_id: str) -> list[str]:
        """Return what may name the record in a snapshot whose handles this key made."""
        return [number for number in (self.record_id, self.handles.get(key_id)) if number]


@dataclass(frozen=True)
class Overlay:
    """The file. epoch: how many acts it is made of; sequence: number of the last, -1 = none."""

    epoch: int = 0
    sequence: int = -1
    previous_sha256: str = ""
    entries: tuple[Entry, ...] = ()

    def of(self, tier: str) -> dict[str, tuple[Entry, ...]]:
        """Return the entries that bind the readers of a tier, by kind."""
        return self._by_tier["open" if tier == "open" else "all"]

    @cached_property
    def _by_tier(self) -> dict[str, dict[str, tuple[Entry, ...]]]:
        found: dict[str, dict[str, tuple[Entry, ...]]] = {"open": {}, "all": {}}
        for entry in self.entries:
            for tier, kinds in found.items():
                if entry.scope in {"all", tier}:
                    kinds[entry.kind] = (*kinds.get(entry.kind, ()), entry)
        return found


_EMPTY = Overlay()
_known: dict[str, tuple[tuple[int, int, int], Overlay]] = {}


def load(layout: Layout) -> Overlay:
    """Return the overlay of a home, an empty one where there is none. Raise HomeDamaged where it cannot be read."""
    path = str(layout.overlay)
    try:
        seen = os.stat(path)  # noqa: PTH116  asked for with each request
    except FileNotFoundError:
        return _EMPTY
    stamp = (seen.st_ino, seen.st_size, seen.st_mtime_ns)
    known = _known.get(path)
    if known is None or known[0] != stamp:
        if len(_known) >= _MOST:
            _known.clear()
        known = _known[path] = (stamp, _read(layout.overlay))
    return known[1]


def _read(path: Path) -> Overlay:
    try:
        body = read_json(path)
        return Overlay(**{**body, "entries": tuple(Entry(**entry) for entry in body["entries"])})
    except (ValueError, TypeError, KeyError) as error:
        raise HomeDamaged("overlay.json 已损坏；请运行 chengxin acts reissue 重建，其间不提供数据") from error


def write(layout: Layout, sequence: int, entries: Iterable[Entry]) -> Overlay:
    """Write the overlay as of an act, durably; the same again is not written. Return what stands there."""
    ordered = tuple(sorted(entries, key=lambda e: (e.kind, e.record_id, e.subject_id, e.scope)))
    try:
        before = layout.overlay.read_bytes()
        now = _read(layout.overlay)
    except (FileNotFoundError, HomeDamaged):
        before, now = b"", _EMPTY
    if now.sequence == sequence and now.entries == ordered:
        return now
    digest = hashlib.sha256(before).hexdigest() if before else ""
    made = Overlay(sequence + 1, sequence, digest, ordered)
    write_json(layout.overlay, json.loads(json.dumps(asdict(made))))
    return made
