"""What a person must see before a snapshot is published, and what the person said.

Asked is only where there is something to publish and something to doubt: a new batch whose verdict is a warning (a full
list that shrank is one), or a batch that is held and was not there when somebody was asked last.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chengxin.connectors import landing
from chengxin.contracts.models import Contract
from chengxin.contracts.plan import kind_of
from chengxin.dataset import journal
from chengxin.errors import ContractError
from chengxin.handover import Admission, Verdict
from chengxin.pipeline.batches import verdict_of
from chengxin.publish import snapshot
from chengxin.settings import Settings
from chengxin.store import atomic
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
    """What is to be published and what is doubtful in it. previous: the snapshot that readers have now."""

    previous: str | None
    fresh: int
    rows: int
    doubts: tuple[Doubt, ...]

    def held(self) -> list[str]:
        """Return the batches that are held."""
        return sorted(d.batch_id for d in self.doubts if d.why == "held")

    def datasets(self) -> list[str]:
        """Return the data sets in doubt."""
        return sorted({d.dataset for d in self.doubts})


@dataclass(frozen=True)
class Approval:
    """What a person said of a review; stands in the manifest. at: ISO 8601. without: data sets that stay as they were.

    held: batches that the person saw held; nobody is asked again about them.
    """

    decision: str
    reason: str
    by: str
    at: str
    without: tuple[str, ...] = ()
    held: tuple[str, ...] = ()


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
    return Review(now.snapshot_id if now else None, len(fresh), sum(a.received for a in fresh), tuple(doubts))


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
