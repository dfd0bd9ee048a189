"""What a person said of a publication, and what may be published because of it.

What is published is what the person saw: what was admitted while the question was open comes with the next publication.
A batch that was held, and that a person released, is published only when another person approved it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from chengxin.contracts.models import Contract
from chengxin.contracts.plan import kind_of
from chengxin.errors import ContractError
from chengxin.facts import Admission, as_json
from chengxin.home import Home
from chengxin.publishing import commit
from chengxin.quality import evidence
from chengxin.store import journal as numbered
from chengxin.store import lock
from chengxin.store.layout import ASSEMBLY, Layout
from chengxin.store.manifest import Basis, Manifest


@dataclass(frozen=True)
class Opinion:
    """What the second person said who approved a publication. at: ISO 8601."""

    by: str
    reason: str
    at: str


@dataclass(frozen=True)
class Approval:
    """What a person said of a review; stands in the manifest. at: ISO 8601. without: data sets that stay as they were.

    held: batches that the person saw held; nobody is asked again about them. upto: the last admission that the person
    was shown; None = all that there are. second: what another person said, where two were asked.
    """

    decision: str
    reason: str
    by: str
    at: str
    without: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    upto: int | None = None
    second: Opinion | None = None

    def people(self) -> set[str]:
        """Return the names of those who approved."""
        return {self.by, self.second.by if self.second else ""} - {""}


def served(layout: Layout) -> Manifest | None:
    """Return the snapshot that tells what was published; else the government's, which says the same."""
    return commit.current(layout, ASSEMBLY) or commit.current(layout, "government")


def reject(home: Home, approval: Approval) -> None:
    """Keep that a person rejected a publication, and why; kept already = nothing happens."""
    layout = home.layout
    with lock.held(layout, "rejections"):
        known = numbered.entries(layout.rejections)
        if as_json(approval) not in known:
            numbered.append(layout.rejections, len(known), as_json(approval))


def rejections(layout: Layout, now: Manifest | None) -> list[dict[str, Any]]:
    """Return the rejections of which no manifest up to `now` tells."""
    return numbered.entries(layout.rejections, after=(now.basis.rejections_told if now else 0) - 1)


def with_opinions(
    basis: Basis, approval: Approval | None, layout: Layout, now: Manifest | None, admitted: Collection[str]
) -> Basis:
    """Return the basis of the next manifest with the approval, the rejections since the one before, what was seen held.

    admitted: batches that are held no more.
    """
    before, rejected = now.basis if now else Basis(), rejections(layout, now)
    return replace(
        basis,
        held=sorted({*before.held, *(approval.held if approval else ())} - set(admitted)),
        approval=asdict(approval) if approval else {},
        rejected=rejected,
        rejections_told=before.rejections_told + len(rejected),
    )


def shown(everything: Sequence[Admission], approval: Approval | None, now: Manifest | None) -> tuple[Admission, ...]:
    """Return the admissions that the person was shown, and those that are published already."""
    if approval is None or approval.upto is None:
        return tuple(everything)
    last = max(approval.upto, now.last_order if now else -1)
    return tuple(a for a in everything if a.order <= last)


def without(
    contracts: Mapping[str, Contract], everything: Sequence[Admission], left_out: Collection[str], now: Manifest | None
) -> tuple[Admission, ...]:
    """Return the admissions without what is new of some data sets, which so stay as readers have them now.

    Raise ContractError for a data set that registers subjects: records of others may be about them.
    """
    wanted = [contracts[d] for d in left_out if d in contracts]
    registering = sorted(c.title for c in wanted if kind_of(c).registers != "none")
    if registering:
        raise ContractError(
            f"{'、'.join(registering)}：登记主体的来源不能单独排除，其他来源的记录可能关联到它的主体；"
            "请清除（Clear）审批任务，改选“发布”或“不发布”"
        )
    return tuple(a for a in everything if a.dataset not in left_out or a.order <= (now.upto(a.dataset) if now else -1))


def published(everything: Sequence[Admission], now: Manifest | None) -> set[tuple[str, str]]:
    """Return the batches (dataset, batch_id) that readers have."""
    return {(a.dataset, a.batch_id) for a in everything if now and a.order <= now.upto(a.dataset)}


def awaiting(
    layout: Layout,
    everything: Sequence[Admission],
    now: Manifest | None,
    sealed: Collection[str],
    approval: Approval | None = None,
) -> list[Admission]:
    """Return the released batches that nobody but whoever released them has approved, and that readers do not have.

    Only those of which something grave was found: that is why they were held.
    """
    known = published(everything, now)
    people = approval.people() if approval else set()
    found: dict[tuple[str, str], Admission] = {}
    for a in everything:
        if a.released is None or a.dataset in sealed or (a.dataset, a.batch_id) in known:
            continue
        if not people - {a.released.by} and is_grave(layout, a):
            found.setdefault((a.dataset, a.batch_id), a)
    return list(found.values())


def is_grave(layout: Layout, admission: Admission) -> bool:
    """Return whether something grave was found of an admitted batch."""
    verdict = evidence.read_verdict(layout.validation(admission.dataset, admission.batch_id))
    return any(f.severity == "critical" for f in verdict.findings)


def approved(
    everything: Sequence[Admission], waiting: Sequence[Admission], now: Manifest | None
) -> tuple[tuple[Admission, ...], set[str]]:
    """Return what may be published while batches await approval, and the data sets that stay as readers have them.

    A publication is a statement about the journal up to a place: it ends before the first of them. What an approval
    left out lies before what readers have, so its data set stays out.
    """
    last = now.last_order if now else -1
    behind = {a.dataset for a in waiting if a.order <= last}
    until = min((a.order for a in waiting if a.order > last), default=None)
    return tuple(a for a in everything if until is None or a.order < until), behind
