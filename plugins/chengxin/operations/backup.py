"""A copy of a home that is consistent while the home is in use, and the check of such a copy before it is used.

What refers to something is copied after it: pointers are read first and written last, entries of the journal are
written after the folders of their batches. So the copy is a home at any moment, also where copying was interrupted.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chengxin.connectors import landing
from chengxin.errors import DeliveryCorrupt, HomeDamaged
from chengxin.facts import Admission
from chengxin.home import Home
from chengxin.publishing.retention import remove
from chengxin.publishing.suppression.reissued import superseded
from chengxin.publishing.verify import verify
from chengxin.records import journal
from chengxin.state import seals
from chengxin.store import atomic, lock, pointer
from chengxin.store import journal as numbered
from chengxin.store.layout import Layout
from chengxin.store.mirror import Mirror
from chengxin.store.remote import scopes

TIERS = ("government", "authorised", "open")
_LAST = ("admissions", "batches", "published", "assembly")  # in an order of their own; the last is made again


@dataclass(frozen=True)
class Copied:
    """What a copy holds. files, bytes: those that were copied now. order: the last admission, -1 = none."""

    files: int
    bytes: int
    order: int


def copy(source: Layout, target: Path) -> Copied:
    """Copy a home to a folder, or bring the copy there up to date.

    Admissions wait only for the last round, which copies what came meanwhile. Snapshots that were issued again without
    some records leave the copy. Raise HomeDamaged where the folder holds
    another home, or more than the home has.
    """
    _refuse_other(source, Layout(target))
    mirror = Mirror(source.home, target)
    pointers = {tier: path.read_bytes() for tier in TIERS if (path := source.pointer(tier)).exists()}
    _copy_snapshots(source, mirror)
    done = _copy_admitted(source, mirror, ())
    for top in sorted(p for p in source.home.iterdir() if p.is_dir() and scopes.belongs(f"{p.name}/any")):
        if top.name not in _LAST:
            mirror.copy_tree(top)
    with lock.held(source, "registry"):
        done = _copy_admitted(source, mirror, done)
        mirror.copy_tree(source.home / "registry")
        mirror.copy_tree(source.home / "landing", but=tuple(a.batch_id for a in done))
    for tier, data in pointers.items():
        atomic.write_bytes(Layout(target).pointer(tier), data)
    if source.overlay.exists():
        atomic.write_bytes(Layout(target).overlay, source.overlay.read_bytes())
    _forget_superseded(source, Layout(target))
    return Copied(mirror.copied, mirror.bytes, len(done) - 1)


def problems(home: Home) -> list[str]:
    """Describe in Chinese what is wrong with a copy: the chain of its journal, seals, received files, snapshots.

    Nothing is written. A copy without a journal is none.
    """
    layout = home.layout
    try:
        everything = journal.admissions(layout)
    except HomeDamaged as error:
        return [str(error)]
    if not everything:
        return [f"{layout.home} 里没有入库日志，不是数据目录的副本"]
    found = seals.problems(layout, everything)
    for dataset, batch_id in dict.fromkeys((a.dataset, a.batch_id) for a in everything):
        try:
            found += landing.verify_landed(home, landing.landed(home, dataset, batch_id))
        except (FileNotFoundError, DeliveryCorrupt):
            found.append(f"数据集 {dataset} 批次 {batch_id}：来文或回执缺失")
    for tier in TIERS:
        if layout.tier(tier).is_dir():
            found += verify(layout, tier, mark=False)
    return found


def _refuse_other(source: Layout, target: Layout) -> None:
    here, there = numbered.numbers(source.journal), numbered.numbers(target.journal)
    if there and (there[-1] not in here or _digest(source, there[-1]) != _digest(target, there[-1])):
        raise HomeDamaged(
            f"{target.home} 里的副本到入库日志第 {there[-1]} 条，本数据目录没有这一条，或与之不同：它属于另一数据目录，"
            "或比本数据目录新；未作任何改动。请另选一个空目录，并查明本数据目录是否由旧备份恢复"
        )


def _digest(layout: Layout, number: int) -> str:
    return numbered.digest(layout.journal, number)


def _forget_superseded(source: Layout, target: Layout) -> None:
    """Delete from the copy the snapshots that were issued again: they hold records that legal acts removed."""
    for tier in TIERS:
        gone: set[str] = set()
        for name in pointer.snapshot_ids(source, tier):
            with suppress(ValueError):  # a damaged one
                gone |= set(superseded(pointer.read_manifest(source.snapshot(tier, name))))
        for name in gone & set(pointer.snapshot_ids(target, tier)):
            remove(target.snapshot(tier, name))


def _copy_snapshots(source: Layout, mirror: Mirror) -> None:
    for tier in TIERS:
        for name in pointer.snapshot_ids(source, tier):
            mirror.copy_tree(source.snapshot(tier, name))


def _copy_admitted(source: Layout, mirror: Mirror, known: tuple[Admission, ...]) -> tuple[Admission, ...]:
    """Copy what came after `known`: received files, batches, then the entries. Return all admissions."""
    everything = journal.admissions(source)
    for a in {(a.dataset, a.batch_id): a for a in everything[len(known) :]}.values():
        mirror.copy_tree(source.landing(a.dataset, a.batch_id))
        mirror.copy_tree(source.batch(a.dataset, a.batch_id))
    for path in numbered.files(source.journal, len(everything) - 1):
        with suppress(FileNotFoundError):  # sealed meanwhile: the last round, in which nobody seals, copies that file
            mirror.copy(path)
    mirror.settle(source.journal / numbered.SEALED)
    mirror.settle(source.journal)
    return everything
