"""The admissions of a home: what has entered the data set, in order."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from chengxin.errors import HomeDamaged, HomeOutdated
from chengxin.facts import Admission, as_json
from chengxin.identity import digests
from chengxin.store import journal, pointer
from chengxin.store.journal import Head
from chengxin.store.layout import Layout

_GOVERNMENT = "government"  # the tier that is made from the journal

# Journal folder -> what this process has read of it, where that ends, and the stamp of the last entry. Entries never
# change; another home in the same place, or a copy that was set back, has another last entry.
_read: dict[Path, tuple[tuple[Admission, ...], Head, object]] = {}


def admissions(layout: Layout) -> tuple[Admission, ...]:
    """Return all admissions in order; several of one batch are its revisions. A process reads each entry once.

    Raise HomeDamaged at a gap, at an entry that does not follow the one before, and where the journal is not the one
    that the current snapshot was made from; HomeOutdated where it, or the digests in it, are of another format.
    """
    folder = layout.journal
    published = pointer.journal_head(layout, _GOVERNMENT)  # first: the journal never ends before it, it only grows
    known, head, stamp = _read.get(folder, ((), Head(), None))
    if known and journal.stamp(folder, head.order) != stamp:
        known, head = (), Head()
    fresh: list[Admission] = []
    for place, body in journal.since(folder, head):
        fresh.append(_admission(layout, place, body))
        _refuse_other(layout, published, place)
        head = place
    if fresh:
        known = (*known, *fresh)
        _read.clear()  # one home at a time
        _read[folder] = (known, head, journal.stamp(folder, head.order))
    _refuse_shorter(layout, published, head.order)
    _refuse_other(layout, published, head)
    return known


def head(layout: Layout, order: int | None = None) -> Head:
    """Return where the journal ends, or where it ended at the admission of this order."""
    order = len(admissions(layout)) - 1 if order is None else order
    if order < 0:
        return Head()
    _, newest, stamp = _read.get(layout.journal, ((), Head(), None))
    if newest.order == order and journal.stamp(layout.journal, order) == stamp:
        return newest
    return Head(order, journal.digest(layout.journal, order))


def check(layout: Layout) -> None:
    """Raise as `admissions` does, judging by the newest entry and by the one that the current snapshot ends with."""
    published = pointer.journal_head(layout, _GOVERNMENT)
    _refuse_shorter(layout, published, _newest(layout))
    if published:
        _refuse_other(layout, published, head(layout, published.order))


def refuse_outdated(layout: Layout) -> None:
    """Raise HomeOutdated as `admissions` does, by the newest entry; what else is wrong is no concern of readers."""
    with suppress(HomeDamaged):
        _newest(layout)


def _newest(layout: Layout) -> int:
    """Return the number of the newest entry, which is opened unless this process has read it."""
    number = max(journal.numbers(layout.journal), default=-1)
    _, head, stamp = _read.get(layout.journal, ((), Head(), None))
    if number >= 0 and (head.order != number or journal.stamp(layout.journal, number) != stamp):
        _refuse_digests(layout, journal.chained(layout.journal, number))
    return number


def _refuse_shorter(layout: Layout, published: Head | None, order: int) -> None:
    if published and order < published.order:
        raise HomeDamaged(
            f"入库日志 {layout.journal.name} 只到第 {order} 条，而已发布的快照依据到第 {published.order} 条，"
            "它是较早的副本；已停止写入，未作任何改动。请用较新的备份恢复整个数据目录，再用 chengxin verify 核验"
        )


def _refuse_other(layout: Layout, published: Head | None, head: Head) -> None:
    if published and head.order == published.order and head.digest != published.digest:
        raise HomeDamaged(
            f"入库日志 {layout.journal.name} 第 {head.order} 条不是已发布的快照所依据的那一条，"
            "两者并非同一份；已停止写入，未作任何改动。请用较新的备份恢复整个数据目录，再用 chengxin verify 核验"
        )


def _admission(layout: Layout, head: Head, body: dict[str, Any]) -> Admission:
    _refuse_digests(layout, body)
    try:
        found = Admission.from_json(body)
    except (ValueError, TypeError, KeyError, AttributeError):
        found = None
    if found is None or found.order != head.order:
        raise HomeDamaged(f"入库日志 {layout.journal.name} 第 {head.order} 条已损坏，请从备份恢复")
    return found


def _refuse_digests(layout: Layout, body: dict[str, Any]) -> None:
    """Raise HomeOutdated where an entry stores digests of another format; its other fields may be others as well."""
    version = str((body.get("versions") or {}).get(digests.KEY, "1"))
    if version != digests.VERSION:
        raise HomeOutdated(
            f"数据目录 {layout.home} 由另一版本的程序入库（摘要格式 {version}，本版本为 {digests.VERSION}），"
            "不能接着使用：请改用当时的版本，或换一个新的数据目录，从 landing 中保存的来文重新入库"
        )


def account(layout: Layout, dataset: str, batch_id: str) -> Admission | None:
    """Return the present account of a batch; None while it is not admitted."""
    mine = (a for a in reversed(admissions(layout)) if a.batch_id == batch_id and a.dataset == dataset)
    return next(mine, None)


def latest(all_admissions: tuple[Admission, ...]) -> dict[tuple[str, str], Admission]:
    """Return the present account of every admitted batch, by (dataset, batch_id)."""
    return {(a.dataset, a.batch_id): a for a in all_admissions}


def admit(layout: Layout, admission: Admission) -> None:
    """Append an admission to the journal. Raise CommitConflict when its place is taken."""
    before = head(layout, admission.order - 1)
    journal.append_chained(layout.journal, before, as_json(admission))
