"""Commit a draft as an immutable snapshot, and put right what a killed commit left. The only mover of the pointer.

Order of a commit: link data and write the manifest -> fsync the data files, their folders, the manifest, the snapshot's
folder -> rename it into place -> fsync its parent -> check it through the public reader -> move the pointer -> fsync ->
open it again as a reader does.
A kill before the rename leaves a `.building-` folder, after it a whole snapshot that no pointer names: `resume` deletes
the first and completes the second.
"""

import errno
import hashlib
import json
import logging
import os
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chengxin.errors import CommitConflict, CommitUnknown, InvariantBroken, SnapshotDamaged
from chengxin.publishing import reader
from chengxin.store import atomic, lock, pointer
from chengxin.store import manifest as manifests
from chengxin.store.layout import Layout
from chengxin.store.manifest import FileEntry, Manifest, TableEntry
from chengxin.store.parquet import footer_problem

log = logging.getLogger(__name__)

_READ_ONLY = stat.S_IRUSR
_CANNOT_LINK = {errno.EXDEV, errno.EMLINK, errno.EPERM, errno.ENOTSUP}


@dataclass(frozen=True)
class Resumed:
    """What `resume` found: the current snapshot and, in Chinese, each thing it did."""

    current: Manifest | None
    messages: tuple[str, ...]


def current(layout: Layout, tier: str) -> Manifest | None:
    """Return the snapshot that readers are served; None when there is none."""
    return pointer.locate(layout, tier).manifest


def commit(
    layout: Layout,
    manifest: Manifest,
    draft: Path,
    previous: Manifest | None,
    *,
    catalogue: dict[str, Any] | None = None,
    key: bytes | None = None,
) -> Manifest:
    """Publish a draft and return the manifest as committed (previous, sequence and catalogue digest filled in).

    draft: `<table>/<file>` for new files; files that it lacks are taken from `previous` by hard link. It is deleted
    on success and left alone otherwise. key: of a tier whose files are encrypted.

    Raise CommitConflict when the pointer does not name `previous`, CommitUnknown when the pointer may have moved,
    SnapshotDamaged when a file is not what the manifest states.
    """
    tier = manifest.tier
    with lock.held(layout, f"publish-{tier}"):
        _expect(layout, tier, previous)
        body = _catalogue_bytes(catalogue)
        final = replace(
            manifest,
            snapshot_id=_free_id(layout, manifest, previous),
            previous=previous.snapshot_id if previous else None,
            sequence=_next_sequence(layout, tier, previous),
            basis=replace(manifest.basis, catalogue_sha256=hashlib.sha256(body).hexdigest() if body else ""),
        )
        land(layout, final, draft, previous, catalogue=body, key=key)
        reader.open_snapshot(layout.home, tier, final.snapshot_id, mark=False)
        pointer.move(
            layout, tier, expected=final.previous, target=final, manifest_sha256=manifest_sha256(layout, final)
        )
        _read_back(layout, final)
        shutil.rmtree(draft, ignore_errors=True)
    log.info("快照 %s（%s 层）已提交，共 %d 个文件", final.snapshot_id, tier, sum(1 for _ in final.files()))
    return final


def _expect(layout: Layout, tier: str, previous: Manifest | None) -> None:
    try:
        now = pointer.load(layout, tier)
    except ValueError as error:
        raise SnapshotDamaged(f"{tier} 层的指针损坏，须先恢复（resume）再提交") from error
    named = now.snapshot_id if now else None
    wanted = previous.snapshot_id if previous else None
    if named != wanted:
        raise CommitConflict(f"{tier} 层的当前快照是 {named or '（无）'}，草稿却基于 {wanted or '（无）'}；请重做")


def _free_id(layout: Layout, manifest: Manifest, previous: Manifest | None) -> str:
    """Return the snapshot's id; another one when, within the same second, its very content was published before."""
    if previous is None:
        return manifest.snapshot_id
    if manifest.same_content(previous) and manifest.journal == previous.journal:
        raise InvariantBroken(f"内容与当前快照 {previous.snapshot_id} 完全相同，不应再提交")
    name = manifest.snapshot_id
    while layout.snapshot(manifest.tier, name).exists() and name in _chain(layout, manifest.tier)[0]:
        stamp = name.partition("-")[0]
        name = f"{stamp}-{hashlib.sha256(f'{name} after {previous.snapshot_id}'.encode()).hexdigest()[:6]}"
    return name


def _next_sequence(layout: Layout, tier: str, previous: Manifest | None) -> int:
    """Return one more than the predecessor's; with none left, one more than any snapshot that can still be read."""
    if previous:
        return previous.sequence + 1
    highest = 0
    for name in pointer.snapshot_ids(layout, tier):
        with suppress(ValueError):
            highest = max(highest, pointer.read_link(layout.snapshot(tier, name))[0])
    return highest + 1


def _catalogue_bytes(catalogue: dict[str, Any] | None) -> bytes | None:
    if catalogue is None:
        return None
    return (json.dumps(catalogue, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def land(
    layout: Layout,
    final: Manifest,
    draft: Path,
    previous: Manifest | None,
    *,
    catalogue: bytes | None,
    key: bytes | None,
) -> None:
    """Build the snapshot folder under a temporary name, make it durable, rename it into place.

    Its files are new ones of `draft`, all others those of `previous`. The caller holds the tier's publication lock.
    """
    target = layout.snapshot(final.tier, final.snapshot_id)
    before = layout.snapshot(final.tier, previous.snapshot_id) if previous else None
    with atomic.building(target) as folder:
        for name, table in final.every_table().items():
            (folder / name).mkdir()
            for entry in table.files:
                _place(entry, table, draft, before, folder, key=key)
        if catalogue is not None:
            _write_read_only(folder / pointer.CATALOGUE, catalogue)
        _write_read_only(folder / manifests.NAME, final.to_bytes())


def _place(
    entry: FileEntry, table: TableEntry, draft: Path, before: Path | None, folder: Path, *, key: bytes | None
) -> None:
    name = Path(entry.table, entry.name)
    new = (draft / name).is_file()
    if not new and (before is None or not (before / name).is_file()):
        raise SnapshotDamaged(f"{name}：草稿和上一快照中都没有这个文件")
    origin = draft if new or before is None else before
    problem = pointer.file_problem(origin, entry)
    if new and not problem:
        problem = footer_problem(origin / name, entry, table.schema, key=key)
    if problem:
        raise SnapshotDamaged(problem)
    if not link(origin / name, folder / name) or new:
        (folder / name).chmod(_READ_ONLY)


def link(origin: Path, target: Path) -> bool:
    """Give a file a second name; where that cannot be, copy it and return False."""
    try:
        os.link(origin, target)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        shutil.copyfile(origin, target)
        return False
    return True


def _write_read_only(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    path.chmod(_READ_ONLY)


def _read_back(layout: Layout, final: Manifest) -> None:
    try:
        seen = reader.open_snapshot(layout.home, final.tier, mark=False)
    except (SnapshotDamaged, OSError) as error:
        raise CommitUnknown(f"快照 {final.snapshot_id} 提交后读不回来；请先核对再重试") from error
    if seen.id != final.snapshot_id or seen.warnings:
        raise CommitUnknown(f"提交了 {final.snapshot_id}，读回的却是 {seen.id}；请先核对再重试")


def resume(layout: Layout, tier: str) -> Resumed:
    """Put a tier in order before writing to it; run it at the start of every publication.

    Deletes folders under construction; completes a whole snapshot that follows the current one and was not pointed to;
    deletes any other that no pointer ever named; leads the pointer back from a damaged snapshot to the newest intact
    one (the damaged one is marked and kept as evidence). Readers see no change except the last two.
    """
    with lock.held(layout, f"publish-{tier}"):
        messages = _sweep(layout, tier)
        messages += _lead_back(layout, tier)
        messages += _settle_landed(layout, tier)
        found = pointer.locate(layout, tier).manifest
        _sweep_draft(layout, tier, found)
    return Resumed(found, tuple(messages))


def _sweep(layout: Layout, tier: str) -> list[str]:
    home = layout.tier(tier)
    if not home.is_dir():
        return []
    left = [*home.glob(f"{atomic.BUILDING}*"), *home.glob(f"snapshots/{atomic.BUILDING}*")]
    left += home.glob(f"snapshots/*/{atomic.BUILDING}*")
    for path in left:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)  # it may have gone with its folder
    return [f"清除了中断的发布留下的 {len(left)} 个半成品"] if left else []


def _sweep_draft(layout: Layout, tier: str, now: Manifest | None) -> None:
    """Delete what is left of a draft that was committed: its files are those of the current snapshot, by inode."""
    draft = layout.drafts / tier
    if now is None or not draft.is_dir():
        return
    folder = layout.snapshot(tier, now.snapshot_id)
    for path in draft.glob("*/*"):
        published = folder / path.relative_to(draft)
        if published.exists() and published.samefile(path):
            path.unlink()
    for path in [*draft.iterdir(), draft]:
        with suppress(OSError):  # not empty: a draft that a check stopped, kept as evidence
            path.rmdir()


def _lead_back(layout: Layout, tier: str) -> list[str]:
    """Rewrite a pointer that is torn, missing or names a damaged snapshot."""
    located = pointer.locate(layout, tier)
    first = located.manifest
    if first and first.previous is None and not located.damaged and not layout.pointer(tier).exists():
        pointer.reset(layout, tier, target=first, manifest_sha256=manifest_sha256(layout, first))
        return [f"快照 {first.snapshot_id} 已写完而指针未移动：现已完成发布"]
    if not located.warnings:
        return []
    for name, problems in located.damaged.items():
        pointer.mark(layout.snapshot(tier, name), problems)
    found = located.manifest
    if found is None:
        pointer.remove(layout, tier)
        return [*located.warnings, f"{tier} 层已没有完好的快照，将由批次重新生成"]
    pointer.reset(layout, tier, target=found, manifest_sha256=manifest_sha256(layout, found))
    return [*located.warnings, f"指针已指回 {found.snapshot_id}"]


def _settle_landed(layout: Layout, tier: str) -> list[str]:
    """Complete or delete snapshots that no pointer ever named."""
    now = pointer.load(layout, tier)
    named, oldest = _chain(layout, tier)
    messages: list[str] = []
    for name in pointer.snapshot_ids(layout, tier):
        folder = layout.snapshot(tier, name)
        if name in named or (folder / pointer.MARK).exists():
            continue
        found, problems = pointer.check(folder)
        if found is None or problems:
            pointer.mark(folder, problems)
            messages.append(f"快照 {name} 损坏，已标记：{pointer.summary(problems)}")
        elif now and found.previous == now.snapshot_id:
            digest = manifest_sha256(layout, found)
            pointer.move(layout, tier, expected=now.snapshot_id, target=found, manifest_sha256=digest)
            now = pointer.load(layout, tier)
            messages.append(f"快照 {name} 已写完而指针未移动：现已完成发布")
        elif found.sequence >= oldest:
            shutil.rmtree(folder)
            messages.append(f"快照 {name} 从未发布过：已删除")
    return messages


def _chain(layout: Layout, tier: str) -> tuple[set[str], int]:
    """Return the ids that pointers have named and the lowest sequence that this is known for."""
    now = pointer.load(layout, tier)
    named: set[str] = set()
    oldest = now.sequence if now else 0
    following = now.snapshot_id if now else None
    while following and following not in named:
        named.add(following)
        try:
            oldest, following = pointer.read_link(layout.snapshot(tier, following))
        except ValueError:
            break
    return named, oldest


def manifest_sha256(layout: Layout, manifest: Manifest) -> str:
    """Return the sha256 of a snapshot's manifest as it lies in its folder."""
    return atomic.sha256_file(layout.snapshot(manifest.tier, manifest.snapshot_id) / manifests.NAME)
