"""The admissions of a home: what has entered the data set, in order."""

from contextlib import suppress
from pathlib import Path

from chengxin.errors import HomeOutdated, InvariantBroken
from chengxin.facts import Admission, as_json
from chengxin.identity import digests
from chengxin.store import journal
from chengxin.store.layout import Layout

# Journal folder -> what this process has read of it, and the stamp of the last entry. Entries never change; another
# home in the same place, or a copy that was set back, has another last entry.
_read: dict[Path, tuple[tuple[Admission, ...], object]] = {}


def admissions(layout: Layout) -> tuple[Admission, ...]:
    """Return all admissions in order; several of one batch are its revisions. A process reads each entry once.

    Raise InvariantBroken at a gap, HomeOutdated where digests of another format are stored.
    """
    folder = layout.journal
    known, stamp = _read.get(folder, ((), None))
    if known and journal.stamp(folder, len(known) - 1) != stamp:
        known = ()
    numbers = journal.numbers(folder)
    if numbers != list(range(len(numbers))):
        missing = sorted(set(range(numbers[-1] + 1)) - set(numbers))
        raise InvariantBroken(f"入库日志 {folder.name} 缺第 {'、'.join(map(str, missing))} 条，请从备份恢复")
    fresh = [_entry(layout, n) for n in numbers[len(known) :]]
    known = (*known, *fresh)
    if fresh:
        _read.clear()  # one home at a time
        _read[folder] = (known, journal.stamp(folder, len(known) - 1))
    return known


def _entry(layout: Layout, number: int) -> Admission:
    found = None
    with suppress(ValueError, TypeError, KeyError, AttributeError):
        body = journal.entry(layout.journal, number)
        _refuse(layout, str(body["versions"].get(digests.KEY, "1")))
        found = Admission.from_json(body)
    if found is None or found.order != number:
        raise InvariantBroken(f"入库日志 {layout.journal.name} 第 {number} 条已损坏，请从备份恢复")
    return found


def refuse_outdated(layout: Layout) -> None:
    """Raise HomeOutdated as `admissions` does, by the newest entry; nothing else that is wrong is told."""
    numbers = journal.numbers(layout.journal)
    with suppress(InvariantBroken):
        for number in numbers[-1:]:
            _entry(layout, number)


def _refuse(layout: Layout, version: str) -> None:
    """Raise HomeOutdated where an entry stores digests of another format; its other fields may be others as well."""
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
    journal.append(layout.journal, admission.order, as_json(admission))
