"""What a person must see before a snapshot is published, and what the person said.

Asked is only where there is something to publish and something to doubt: a new batch whose verdict is a warning (a full
list that shrank is one), or a batch that is held and was not there when somebody was asked last. What is published
afterwards is what the person saw: what was admitted while the question was open comes with the next publication.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from chengxin.connectors import landing
from chengxin.contracts.models import Contract
from chengxin.contracts.plan import kind_of
from chengxin.dataset import journal
from chengxin.errors import ContractError
from chengxin.handover import Admission, Verdict, as_json
from chengxin.pipeline import at_home
from chengxin.pipeline.batches import verdict_of
from chengxin.publish import snapshot
from chengxin.settings import Settings
from chengxin.store import atomic, lock
from chengxin.store import journal as numbered
from chengxin.store.layout import Layout
from chengxin.store.manifest import Manifest

SHRINK = "volume.shrink"


@dataclass(frozen=True)
class Doubt:
    """One batch that a person should look at. why: warn, shrunk or held; counts add up to received.

    findings: what did not hold, in Chinese. report: the page with the evidence, below the home.
    """

    dataset: str
    title: str
    department: str
    batch_id: str
    why: str
    counts: dict[str, int]
    findings: tuple[str, ...]
    report: str


@dataclass(frozen=True)
class Review:
    """What is to be published and what is doubtful in it. previous: the snapshot that readers have now.

    upto: the last admission that is among it. separable: the doubtful data sets that may be left out; the others
    register subjects, and records of all may be about these. rejected: what was said of it before, oldest first.
    """

    previous: str | None
    fresh: int
    rows: int
    doubts: tuple[Doubt, ...]
    upto: int
    separable: tuple[str, ...]
    rejected: tuple[Mapping[str, Any], ...] = ()

    def held(self) -> list[str]:
        """Return the batches that are held."""
        return sorted(d.batch_id for d in self.doubts if d.why == "held")

    def choices(self) -> dict[str, str]:
        """Return the titles of the data sets that a person may leave out."""
        return {d.dataset: d.title for d in self.doubts if d.dataset in self.separable}

    def proposed(self) -> list[str]:
        """Return which of them are left out unless the person says otherwise: those with a held batch, else all."""
        held = {d.dataset for d in self.doubts if d.why == "held"}
        return sorted(held & set(self.separable)) or sorted(self.separable)


@dataclass(frozen=True)
class Approval:
    """What a person said of a review; stands in the manifest. at: ISO 8601. without: data sets that stay as they were.

    held: batches that the person saw held; nobody is asked again about them. upto: the last admission that the person
    was shown; None = all that there are.
    """

    decision: str
    reason: str
    by: str
    at: str
    without: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    upto: int | None = None


@at_home.publication
def review(contracts: Mapping[str, Contract], settings: Settings) -> Review | None:
    """Return what a person must see before the next publication; None when nobody need be asked.

    Reads the journal, verdicts of batches that are new, and folder names: no data file.
    """
    layout = Layout(settings.home)
    now = snapshot.current(layout, "government")
    everything = journal.latest(journal.admissions(layout))
    published = {(b["dataset"], b["batch_id"]) for b in now.batches} if now else set()
    fresh = [a for key, a in everything.items() if key not in published]
    if not fresh:
        return None
    doubts = [_warned(contracts[a.dataset], a, layout) for a in fresh if a.verdict == "warn" and _asks(contracts, a)]
    known = set(now.extra.get("held", ())) if now else set()
    for dataset, contract in sorted(contracts.items()):
        doubts += _held(contract, {b for d, b in everything if d == dataset} | known, settings)
    if not doubts:
        return None
    separable = sorted({d.dataset for d in doubts if kind_of(contracts[d.dataset]).registers == "none"})
    rows, upto = sum(a.received for a in fresh), max(a.order for a in everything.values())
    rejected = tuple(told(None, layout, now).get("rejected", ()))
    return Review(now.snapshot_id if now else None, len(fresh), rows, tuple(doubts), upto, tuple(separable), rejected)


def reject(approval: Approval, settings: Settings) -> None:
    """Keep that a person rejected a publication, and why; kept already = nothing happens."""
    layout = Layout(settings.home)
    with lock.held(layout, "rejections"):
        known = numbered.entries(layout.rejections)
        if as_json(approval) not in known:
            numbered.append(layout.rejections, len(known), as_json(approval))


def told(approval: Approval | None, layout: Layout, now: Manifest | None) -> dict[str, Any]:
    """Return what the next manifest keeps: the approval, the rejections since the one before, what was seen held."""
    held = {*(now.extra.get("held", ()) if now else ()), *(approval.held if approval else ())}
    before = now.extra.get("rejections_told", 0) if now else 0
    rejected = numbered.entries(layout.rejections, after=before - 1)
    return {
        **({"held": sorted(held)} if held else {}),
        **({"approval": asdict(approval)} if approval else {}),
        **({"rejected": rejected} if rejected else {}),
        **({"rejections_told": before + len(rejected)} if before + len(rejected) else {}),
    }


def shown(everything: Sequence[Admission], approval: Approval | None, now: Manifest | None) -> tuple[Admission, ...]:
    """Return the admissions that the person was shown, and those that are published already."""
    if approval is None or approval.upto is None:
        return tuple(everything)
    last = max(approval.upto, now.extra["last_order"] if now else -1)
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
    shown = {(b["dataset"], b["batch_id"]): b["revision"] for b in now.batches} if now else {}
    return tuple(
        a for a in everything if a.dataset not in left_out or a.revision <= shown.get((a.dataset, a.batch_id), -1)
    )


def _asks(contracts: Mapping[str, Contract], admission: Admission) -> bool:
    """Tell whether a warning concerns a publication: not of a sealed data set, nor of one that a person let in."""
    contract = contracts.get(admission.dataset)
    return contract is not None and contract.basis.share != "不予" and not admission.released


def _warned(contract: Contract, account: Admission, layout: Layout) -> Doubt:
    folder = layout.validation(contract.id, account.batch_id)
    verdict = Verdict.from_json(atomic.read_json(folder / "verdict.json"))
    names = ("received", "accepted", "quarantined", "duplicate", "unlinked", "withdrawn")
    doubt = _doubt(contract, verdict, {name: int(getattr(account, name)) for name in names}, folder, layout.home)
    shrunk = any(f.rule.startswith(SHRINK) for f in verdict.findings)
    return replace(doubt, why="shrunk") if shrunk else doubt


def _held(contract: Contract, known: Collection[str], settings: Settings) -> list[Doubt]:
    layout = Layout(settings.home)
    folder = layout.landing(contract.id, "")
    names = {path.parent.name for path in folder.glob(f"*/{landing.RECEIPT}")} - set(known)
    doubts = []
    for landed in landing.batches(settings, contract.id) if names else ():
        verdict = verdict_of(contract, landed, settings) if landed.batch_id in names else None
        if verdict is not None and verdict.status == "hold":
            summary = atomic.read_json(layout.standard(contract.id, landed.batch_id) / "summary.json")
            counts = {"received": int(summary["received"]), "quarantined": int(summary["received"])}
            report = layout.validation(contract.id, landed.batch_id)
            doubts.append(replace(_doubt(contract, verdict, counts, report, layout.home), why="held"))
    return doubts


def _doubt(contract: Contract, verdict: Verdict, counts: dict[str, int], folder: Path, home: Path) -> Doubt:
    found = tuple(f.message for f in verdict.findings if f.severity != "info")
    report = (folder / "report.html").relative_to(home).as_posix()
    return Doubt(contract.id, contract.title, contract.department.name, verdict.batch_id, "warn", counts, found, report)
