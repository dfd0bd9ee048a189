"""The admissions of a home: what has entered the data set, in order."""

from chengxin.errors import InvariantBroken
from chengxin.handover import Admission, as_json
from chengxin.resolve.registry import Registry
from chengxin.store import journal
from chengxin.store.layout import Layout


def admissions(layout: Layout) -> tuple[Admission, ...]:
    """Return all admissions in order; several of one batch are its revisions. Raise InvariantBroken at a gap."""
    found = tuple(Admission.from_json(e) for e in journal.entries(layout.journal))
    if [a.order for a in found] != list(range(len(found))):
        missing = sorted(set(range(len(found))) - {a.order for a in found})
        raise InvariantBroken(
            f"入库日志 {layout.journal.name} 缺第 {'、'.join(map(str, missing)) or '?'} 条，请从备份恢复"
        )
    return found


def latest(all_admissions: tuple[Admission, ...]) -> dict[tuple[str, str], Admission]:
    """Return the present account of every admitted batch, by (dataset, batch_id)."""
    return {(a.dataset, a.batch_id): a for a in all_admissions}


def registry(layout: Layout, all_admissions: tuple[Admission, ...]) -> Registry:
    """Return the subject registry that these admissions make."""
    return Registry(layout, all_admissions)


def admit(layout: Layout, admission: Admission) -> None:
    """Append an admission to the journal. Raise CommitConflict when its place is taken."""
    journal.append(layout.journal, admission.order, as_json(admission))
