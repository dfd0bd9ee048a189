"""What a person must see before a snapshot is published.

Asked is only where there is something to publish and something to doubt: a new batch whose verdict is a warning (a full
list that shrank is one), a held batch that somebody released, or one that is held and was not there when somebody was
asked last. Beside the doubts stands what the publication would change.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from chengxin.connectors import landing
from chengxin.contracts.models import Contract
from chengxin.contracts.plan import kind_of
from chengxin.errors import DeliveryCorrupt
from chengxin.facts import Admission, Release, Verdict
from chengxin.home import Home
from chengxin.model.elements import elements
from chengxin.pipeline import at_home
from chengxin.pipeline.approval import awaiting, is_grave, published, rejections, served
from chengxin.pipeline.batches import verdict_of
from chengxin.pipeline.snapshots import sealed_of
from chengxin.publishing.changes import Change, Example, changes
from chengxin.publishing.open_tier import masking
from chengxin.quality import evidence
from chengxin.records import journal
from chengxin.store import atomic
from chengxin.store.layout import Layout
from chengxin.store.manifest import Manifest

SHRINK = "volume.shrink"


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """One batch that a person should look at. why: warn, shrunk, released or held; counts add up to received.

    findings: what did not hold, in Chinese. released: who let the batch in, and why.
    """

    dataset: str
    title: str
    department: str
    batch_id: str
    why: str
    counts: dict[str, int]
    findings: tuple[str, ...]
    released: Release | None = None


@dataclass(frozen=True, kw_only=True)
class Review:
    """What is to be published and what is doubtful in it. previous: the snapshot that readers have now.

    upto: the last admission that is among it. separable: the doubtful data sets that may be left out; the others
    register subjects, and records of all may be about these. rejected: what was said of it before, oldest first.
    changes: what of the snapshot would change.
    """

    previous: str | None
    fresh: int
    rows: int
    doubts: tuple[Doubt, ...]
    upto: int
    separable: tuple[str, ...]
    rejected: tuple[Mapping[str, Any], ...] = ()
    changes: tuple[Change, ...] = ()

    def held(self) -> list[str]:
        """Return the batches that are held."""
        return sorted(d.batch_id for d in self.doubts if d.why == "held")

    def releasers(self) -> list[str]:
        """Return who let batches in that are among it: somebody else has to approve them."""
        return sorted({d.released.by for d in self.doubts if d.released})

    def choices(self) -> dict[str, str]:
        """Return the titles of the data sets that a person may leave out."""
        return {d.dataset: d.title for d in self.doubts if d.dataset in self.separable}

    def proposed(self) -> list[str]:
        """Return which of them are left out unless the person says otherwise: those with a held batch, else all."""
        held = {d.dataset for d in self.doubts if d.why == "held"}
        return sorted(held & set(self.separable)) or sorted(self.separable)


@at_home.publication
def review(home: Home, contracts: Mapping[str, Contract]) -> Review | None:
    """Return what a person must see before the next publication; None when nobody need be asked.

    Reads the journal, verdicts of batches that are new, and folder names; links of new batches once there is a doubt.
    """
    layout = home.layout
    now = served(layout)
    admissions = journal.accounts(layout).all()
    everything = journal.latest(admissions)
    there = published(admissions, now)
    fresh = [a for key, a in everything.items() if key not in there]
    if not fresh:
        return None
    doubts = [doubt for a in fresh if (doubt := _doubted(contracts, a, layout))]
    known = {b for _, b in everything} | set(now.basis.held if now else ())
    for _, contract in sorted(contracts.items()):
        doubts += _held(home, contract, known)
    if not doubts:
        return None
    separable = sorted({d.dataset for d in doubts if kind_of(contracts[d.dataset]).registers == "none"})
    rows, upto = sum(a.received for a in fresh), max(a.order for a in everything.values())
    return Review(
        previous=now.snapshot_id if now else None,
        fresh=len(fresh),
        rows=rows,
        doubts=tuple(doubts),
        upto=upto,
        separable=tuple(separable),
        rejected=tuple(rejections(layout, now)),
        changes=tuple(_masked(change) for change in _changes(home, contracts, admissions, now)),
    )


@at_home.publication
def released(home: Home, contracts: Mapping[str, Contract]) -> list[Admission]:
    """Return the released batches that are published only when somebody else has approved them."""
    layout = home.layout
    now, everything = served(layout), journal.accounts(layout).all()
    return awaiting(layout, everything, now, sealed_of(contracts, everything, now))


def _changes(
    home: Home, contracts: Mapping[str, Contract], admissions: tuple[Admission, ...], now: Manifest | None
) -> list[Change]:
    sealed = sealed_of(contracts, admissions, now)
    return list(changes(home.layout, contracts, admissions, sealed, now, resources=home.resources))


def _masked(change: Change) -> Change:
    return replace(change, examples=tuple(_without_personal(one) for one in change.examples))


def _without_personal(example: Example) -> Example:
    """Hide what may name somebody after all: long numbers, and a business that is called as a person is."""
    title = elements()["subject_name"].title
    names, texts = list(example.values), pa.array(list(example.values.values()), pa.string())
    hidden = masking.redact(texts).to_pylist()
    person = masking.looks_like_person(texts).to_pylist()
    masked = masking.mask_person_names(texts).to_pylist()
    shown = {n: m if p and n == title else h for n, h, p, m in zip(names, hidden, person, masked, strict=True)}
    return replace(example, values=shown)


def _doubted(contracts: Mapping[str, Contract], admission: Admission, layout: Layout) -> Doubt | None:
    """Return the doubt about a new batch, if any: none about a sealed data set."""
    contract = contracts.get(admission.dataset)
    if contract is None or contract.basis.share == "不予" or admission.verdict != "warn":
        return None
    if admission.released and not is_grave(layout, admission):
        return None
    verdict = evidence.read_verdict(layout.validation(contract.id, admission.batch_id))
    counts = {**admission.counts.as_dict(), "withdrawn": admission.withdrawn}
    doubt = _doubt(contract, verdict, counts)
    if admission.released:
        return replace(doubt, why="released", released=admission.released)
    shrunk = any(f.rule.startswith(SHRINK) for f in verdict.findings)
    return replace(doubt, why="shrunk") if shrunk else doubt


def _held(home: Home, contract: Contract, known: Collection[str]) -> list[Doubt]:
    layout = home.layout
    doubts: list[Doubt] = []
    try:
        batches = landing.batches(home, contract.id, but=known)
    except DeliveryCorrupt:  # told where the data set is worked on; the others are published
        return doubts
    for landed in batches:
        verdict = verdict_of(home, contract, landed)
        if verdict is not None and verdict.status == "hold":
            summary = atomic.read_json(layout.standard(contract.id, landed.batch_id) / "summary.json")
            counts = {"received": int(summary["received"]), "quarantined": int(summary["received"])}
            doubts.append(replace(_doubt(contract, verdict, counts), why="held"))
    return doubts


def _doubt(contract: Contract, verdict: Verdict, counts: dict[str, int]) -> Doubt:
    found = tuple(f.message for f in verdict.findings if f.severity != "info")
    return Doubt(
        dataset=contract.id,
        title=contract.title,
        department=contract.department.name,
        batch_id=verdict.batch_id,
        why="warn",
        counts=counts,
        findings=found,
    )
