"""Issue snapshots again without the records that legal acts removed: every retained one, of every tier.

A snapshot with such a row, and each that follows one, is written anew under `<id>-r1` beside the old one: unchanged
files are links, the others are written by the project's own writer. When all of a tier stand, its pointer moves; then
the old folders go. A kill before the pointer leaves folders that no pointer names, one after it old folders that none
names any more: `commit.resume` clears both, and the next run does what is left.
"""

import logging
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chengxin.errors import SnapshotDamaged
from chengxin.home import Home
from chengxin.identity import ledger, supersession
from chengxin.publishing import commit, key, pseudonyms, retention
from chengxin.publishing.reader import Snapshot
from chengxin.publishing.suppression import entries, reissued
from chengxin.publishing.suppression.rows import Found, Hits, Rewriter, affected
from chengxin.records import acts
from chengxin.store import lock, pointer
from chengxin.store.atomic import read_json, write_json
from chengxin.store.layout import ASSEMBLY, Layout
from chengxin.store.manifest import Basis, Manifest

log = logging.getLogger(__name__)
_SOURCES = {"assembled": ASSEMBLY, "government": "government"}  # in the basis of a manifest -> of which tier that is
_ENCRYPTED = "authorised"


def tiers(layout: Layout) -> tuple[str, ...]:
    """Return all tiers, each after that of whose snapshots its manifests name one."""
    return (ASSEMBLY, "government", _ENCRYPTED, "open", *pointer.cut_tiers(layout))


def run(home: Home, *, everything: bool = False) -> dict[str, list[str]]:
    """Issue again what holds removed records; return by tier the ids that are gone. The caller holds `publish`.

    everything: also look for records that an earlier run found to be gone.
    """
    layout = home.layout
    register = acts.read(layout)
    entries.renew(home)
    epoch, removed = register.head.order + 1, register.removed()
    merged = supersession.rows(ledger.read(layout))
    if not everything and _done(layout)["superseded"] == merged:
        before = set(acts.read(layout, _done(layout)["acts"] - 1).removed())
        removed = [r for r in removed if r not in before]
    gone: dict[str, list[str]] = {tier: [] for tier in tiers(layout)}
    if removed:
        found = Found(removed, pseudonyms.all_keys(home))
        scratch = layout.drafts / "reissue"
        shutil.rmtree(scratch, ignore_errors=True)
        encrypting = key.derive(key.master(home), _ENCRYPTED)
        done: dict[str, Tier] = {}
        for name in tiers(layout):
            rewriter = Rewriter(scratch / name, encrypting if name == _ENCRYPTED else None)
            tier = done[name] = Tier(layout, name, found, rewriter, epoch, done)
            with lock.held(layout, f"publish-{name}"):
                tier.write()
                tier.move()
                gone[name] = tier.clear()
        shutil.rmtree(scratch, ignore_errors=True)
    done_now = {"acts": epoch, "superseded": merged}
    if done_now != _done(layout):
        write_json(_mark(layout), done_now)
    return gone


def _mark(layout: Layout) -> Path:
    return layout.state / "reissued.json"


def _done(layout: Layout) -> dict[str, Any]:
    """Return for how many acts, and under which merges, all snapshots are clear; for none where that is not known."""
    try:
        found = read_json(_mark(layout))
        return {"acts": int(found["acts"]), "superseded": found["superseded"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {"acts": 0, "superseded": []}


def _named(manifest: Manifest) -> dict[str, str]:
    return {name: named for name in _SOURCES if (named := getattr(manifest.basis, name))}


@dataclass
class Tier:
    """What is done in one tier. done: the tiers that were done already, by name.

    issued: old id -> manifest in its place, those of earlier runs included. going: folders that go.
    """

    layout: Layout
    name: str
    found: Found
    rewriter: Rewriter
    epoch: int
    done: Mapping[str, "Tier"]
    issued: dict[str, Manifest] = field(default_factory=dict)
    going: list[str] = field(default_factory=list)

    def now(self, snapshot_id: str | None) -> str | None:
        """Return under which id a snapshot is found now."""
        while snapshot_id in self.issued:
            snapshot_id = self.issued[snapshot_id].snapshot_id
        return snapshot_id

    def write(self) -> None:
        """Land what takes the place of the affected snapshots, oldest first."""
        present = list(self._snapshots())
        self.issued = {old: s.manifest for s in present for old in reissued.superseded(s.manifest)}
        for snapshot in present:
            if snapshot.id in self.issued:  # an earlier run was killed before this one went
                self.going.append(snapshot.id)
            elif (hits := affected(snapshot, self.found)) or self._follows(snapshot.manifest):
                self.issued[snapshot.id] = made = self._landed(snapshot, hits)
                log.info("快照 %s（%s 层）重新签发为 %s", snapshot.id, self.name, made.snapshot_id)
                self.going.append(snapshot.id)

    def _snapshots(self) -> Iterator[Snapshot]:
        """Give the snapshots that can be written anew, oldest first; the others go, for what is in them stays.

        Those are damaged ones, and earlier ones of the open tier whose handles another key made.
        """
        now = pointer.load(self.layout, self.name)
        good = []
        for name in pointer.snapshot_ids(self.layout, self.name):
            folder = self.layout.snapshot(self.name, name)
            manifest, problems = pointer.check(folder)
            if manifest is None or problems:
                log.warning("快照 %s（%s 层）已损坏，不能重新签发，已删除", name, self.name)
            elif self._has_another_key(manifest) and (self._is_encrypted or not (now and now.snapshot_id == name)):
                log.warning("快照 %s（%s 层）用的是另一密钥，不能重新签发，已删除", name, self.name)
            else:
                good.append(Snapshot(manifest, folder, key=self.rewriter.key))
                continue
            self.going.append(name)
        yield from sorted(good, key=lambda s: (s.manifest.sequence, s.id))

    @property
    def _is_encrypted(self) -> bool:
        """Return whether the files of the tier cannot even be read without its key."""
        return self.name == _ENCRYPTED

    def _has_another_key(self, manifest: Manifest) -> bool:
        own = [key.key_id(self.rewriter.key)] if self._is_encrypted else self.found.keys
        return manifest.basis.key_id not in ("", *own)

    def _follows(self, manifest: Manifest) -> bool:
        """Return whether a snapshot names another that has a new id now."""
        return self.now(manifest.previous) != manifest.previous or self._sources(manifest) != _named(manifest)

    def _sources(self, manifest: Manifest) -> dict[str, str]:
        """Return under which ids the snapshots that a manifest comes from are found now."""
        found = {}
        for name, snapshot_id in _named(manifest).items():
            tier = self.done.get(_SOURCES[name])
            found[name] = (tier.now(snapshot_id) if tier and tier is not self else None) or snapshot_id
        return found

    def _landed(self, snapshot: Snapshot, hits: Hits) -> Manifest:
        """Land a snapshot without these rows; return its manifest."""
        made = self._manifest(snapshot, hits)
        catalogue = snapshot.folder / pointer.CATALOGUE
        body = catalogue.read_bytes() if catalogue.exists() else None
        folder, sealing = self.rewriter.folder, self.rewriter.key
        commit.land(self.layout, made, folder, snapshot.manifest, catalogue=body, key=sealing)
        if problems := pointer.check(self.layout.snapshot(self.name, made.snapshot_id))[1]:
            raise SnapshotDamaged(f"重新签发的快照 {made.snapshot_id} 不完整：{pointer.summary(problems)}")
        return made

    def _manifest(self, snapshot: Snapshot, hits: Hits) -> Manifest:
        old = snapshot.manifest
        tables, gone = self.rewriter.tables(snapshot, hits)
        sealed = commit.manifest_sha256(self.layout, old)
        stands_for = {"snapshot": old.snapshot_id, "manifest_sha256": sealed, "epoch": self.epoch}
        supersedes = [*old.basis.supersedes, stands_for]
        return replace(
            old,
            snapshot_id=reissued.following(old.snapshot_id),
            previous=self.now(old.previous),
            tables={name: table for name, table in tables.items() if name not in old.history},
            history={name: table for name, table in tables.items() if name in old.history},
            sources={d: {**s, "rows": s["rows"] - gone[d]} if gone[d] else s for d, s in old.sources.items()},
            basis=Basis(**{**vars(old.basis), "supersedes": supersedes, **self._sources(old)}),
        )

    def move(self) -> None:
        """Let the pointer name what takes the place of the current snapshot."""
        now = pointer.load(self.layout, self.name)
        wanted = self.now(now.snapshot_id) if now else None
        if now and now.snapshot_id in self.going and wanted == now.snapshot_id:
            pointer.remove(self.layout, self.name)  # it cannot be read; the next publication makes the tier anew
        elif now and wanted and wanted != now.snapshot_id:
            target = pointer.read_manifest(self.layout.snapshot(self.name, wanted))
            digest = commit.manifest_sha256(self.layout, target)
            pointer.reset(self.layout, self.name, target=target, manifest_sha256=digest)

    def clear(self) -> list[str]:
        """Take the old folders away, each at once for every reader."""
        for name in self.going:
            retention.remove(self.layout.snapshot(self.name, name))
        return self.going
