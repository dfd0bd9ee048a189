"""The stages of one snapshot: retry what waits, then assemble, reconcile, gate, commit, cut into tiers, derive."""

import hashlib
import logging
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from chengxin import __version__
from chengxin.contracts.models import Contract
from chengxin.contracts.plan import contract_digest
from chengxin.errors import InvariantBroken
from chengxin.facts import Admission, SnapshotRef, TierRef, as_json
from chengxin.home import Home
from chengxin.identity import ledger, supersession
from chengxin.model.kinds import kinds
from chengxin.model.lawful_terms import lawful_terms
from chengxin.pipeline import at_home, repairs
from chengxin.pipeline.approval import Approval, approved, awaiting, published, served, shown, with_opinions, without
from chengxin.pipeline.batches import batch
from chengxin.pipeline.failures import Failures, guarded
from chengxin.pipeline.recipients import apply_recipients
from chengxin.pipeline.versions import engines, suites
from chengxin.publishing import catalogue, commit, key, reconciliation, retention
from chengxin.publishing.assembly import batch_table
from chengxin.publishing.assembly.assembly import Assembly, Draft
from chengxin.publishing.assembly.history import History
from chengxin.publishing.assembly.tables import LAYOUT_FORMAT
from chengxin.publishing.disclosure import renewal
from chengxin.publishing.levels import tiers
from chengxin.publishing.open_tier import derivation
from chengxin.publishing.suppression import reissue, reissued
from chengxin.quality import runner
from chengxin.records import acts, journal
from chengxin.records.relink import Settling
from chengxin.state import seals
from chengxin.store import lock
from chengxin.store.layout import ASSEMBLY, VALIDATION
from chengxin.store.manifest import Basis, Manifest

log = logging.getLogger(__name__)


@at_home.linking
def retry_waiting(home: Home, contracts: Mapping[str, Contract], failures: Failures | None = None) -> list[Admission]:
    """Try waiting rows (未关联) again where the registry or the ledger has grown. Return the accounts that changed.

    failures: takes what goes wrong with one batch, and the others go on; without it the first one is raised.
    """

    def guard(dataset: str, batch_id: str) -> AbstractContextManager[None]:
        return failures.of(contracts[dataset], "补关联", batch_id) if failures else guarded("补关联")

    with lock.held(home.layout, "registry"):
        return Settling(home, contracts, lambda dataset, batch_id: batch(home, dataset, batch_id), guard).run()


@at_home.publication
def publish(home: Home, contracts: Mapping[str, Contract], approval: Approval | None = None) -> SnapshotRef | None:
    """Assemble, reconcile, gate and commit what changed, tier by tier; None when there is nothing new.

    approval: what a person said of this publication; stands in the manifest. What was admitted after the question
    waits for the next one. Data sets that it leaves out stay as they are; the publication after it builds anew.
    """
    layout = home.layout
    home.settle()
    with lock.held(layout, "publish"):
        for tier in reissue.tiers(layout):
            for message in commit.resume(layout, tier).messages:
                log.warning("%s", message)
        everything = journal.accounts(layout).all()
        if not everything:
            return None
        repairs.take_in(home, everything)
        again = any(reissue.run(home).values())
        assembled = _assemble(home, contracts, everything, approval)
        if assembled is None:
            return None
        retention.forget(layout)
        government, changed = tiers.publish(
            layout,
            assembled,
            master=key.master(home),
            now=home.clock.now(),
            today=home.clock.today(),
            listed=lambda: catalogue.catalogue(contracts),
        )
        opened, open_changed = derivation.publish_open(
            layout,
            government,
            token_key=key.master(home),
            now=home.clock.now(),
            today=home.clock.today(),
            workers=home.settings.workers,
            objected=acts.read(layout).objected(),
        )
        if sentence := derivation.withheld(home):
            log.info("%s", sentence)
        apply_recipients(home, contracts)
        if not (changed or open_changed or again):
            return None
        return SnapshotRef(government.snapshot_id, {m.tier: _tier_ref(home, m) for m in (government, opened) if m})


@at_home.publication
def current(home: Home) -> SnapshotRef | None:
    """Return the snapshot that readers are served; None when there is none."""
    layout = home.layout
    government, opened = (commit.current(layout, tier) for tier in ("government", "open"))
    if government is None:
        return None
    return SnapshotRef(government.snapshot_id, {m.tier: _tier_ref(home, m) for m in (government, opened) if m})


def _assemble(
    home: Home, contracts: Mapping[str, Contract], everything: tuple[Admission, ...], approval: Approval | None
) -> Manifest | None:
    """Bring the tables that all tiers are cut from up to date; None where nothing was ever published."""
    layout = home.layout
    now = served(layout)
    left_out = set(approval.without) if approval else set()
    everything = without(contracts, shown(everything, approval, now), left_out, now)
    sealed = sealed_of(contracts, everything, now)
    waiting = awaiting(layout, everything, now, sealed, approval)
    if waiting:
        log.warning("%s：放行后尚须另一人批准，其后入库的一并等候", "、".join(a.batch_id for a in waiting))
        everything, behind = approved(everything, waiting, now)
        left_out |= behind
        everything = without(contracts, everything, left_out, now)
    if not everything:
        return commit.current(layout, ASSEMBLY)
    digest = _assembly_digest(sealed, contracts)
    before = now if now and now.tier == ASSEMBLY else None
    base = before if before and before.basis.assembly == digest and not before.basis.left_out else None
    today = home.clock.today()
    effects = _effects(home, base)
    if effects.restores:
        base = None
    superseded, aliases = supersession.rows(ledger.read(layout)), supersession.Aliases.read(layout)
    same = base is not None and base.basis.superseded == superseded
    if not same and any(len(aliases.ever_of(r.subject_id)) > 1 for r in effects.removed):
        base = None  # by its decision a record may be out, or in again, because of what its firm is called now
    if base and same and base.last_order == everything[-1].order and not (renewal.due(base, today) or effects.rejudged):
        return base
    last = base.last_order if base else -1
    fresh = [a for a in journal.latest(everything).values() if a.order > last]
    seals.check(layout, fresh, seals.STANDARD, seals.QUARANTINE, seals.LINKS, VALIDATION)
    reconciliation.check_batches(layout, fresh, home.resources)
    draft = Assembly(
        layout,
        contracts,
        everything,
        sealed,
        base,
        layout.drafts / ASSEMBLY,
        home.resources,
        today,
        effects,
        superseded,
    ).run()
    basis = Basis(
        assembly=digest,
        sealed=sorted(sealed),
        acts=effects.acts,
        left_out={d: now.upto(d) if now else -1 for d in sorted(left_out)},
        superseded=superseded,
        released=_released(everything, now),
    )
    basis = with_opinions(basis, approval, layout, now, {a.batch_id for a in everything})
    manifest = _checked(home, contracts, everything, draft, replaces=now, basis=basis)
    if manifest.same_content(before) or not (now or draft.tables):
        shutil.rmtree(draft.folder)
        return before
    return commit.commit(layout, manifest, draft.folder, before)


def _effects(home: Home, base: Manifest | None) -> acts.Effects:
    """Return what legal acts mean for a publication that builds on `base`."""
    judged = base.basis.acts if base else 0
    return acts.effects(home.layout, judged, reissued.cleared(base) if base else [])


def _checked(
    home: Home,
    contracts: Mapping[str, Contract],
    everything: tuple[Admission, ...],
    draft: Draft,
    *,
    replaces: Manifest | None,
    basis: Basis,
) -> Manifest:
    """Reconcile and gate a draft and return its manifest; a red check raises and the draft stays as evidence.

    replaces: the snapshot that readers have.
    """
    layout, resources, now = home.layout, home.resources, home.clock.now()
    accounts = journal.latest(everything)
    reconciliation.check_draft(draft, {a.dataset: a.kind for a in everything})
    reconciliation.check_subjects(layout, draft, resources)
    reconciliation.check_sources(layout, draft, resources)
    fresh = sorted((draft.folder / "subject").glob("*.parquet"))
    if fresh:
        today, rules = home.clock.today(), home.settings.expectations
        verdict = runner.run_subject(fresh, expectations=rules, today=today, resources=resources)
        if verdict.status == "hold":
            raise InvariantBroken("主体表未通过发布检查：" + "；".join(f.message for f in verdict.findings))
    before = replaces if replaces and replaces.tier == ASSEMBLY else None
    sealed = basis.sealed
    return Manifest.new(
        ASSEMBLY,
        now,
        home.clock.today(),
        _reason(contracts, accounts.values(), replaces, sealed),
        draft.tables,
        journal=journal.accounts(layout).at(everything[-1].order),
        batch=batch_table.write(layout, everything, replaces, draft.folder, now),
        history=History(layout, before, draft.tables, draft.folder, sealed, now, resources).run() if before else {},
        sources=_sources(accounts.values(), draft),
        versions={
            "library": __version__,
            "layout_format": LAYOUT_FORMAT,
            **engines(),
            "contracts": {c: contract_digest(contracts[c]) for c in sorted(contracts)},
            "suites": suites(home.settings.expectations),
        },
        basis=basis,
    )


def _reason(
    contracts: Mapping[str, Contract], accounts: Iterable[Admission], now: Manifest | None, sealed: Collection[str]
) -> str:
    """Return in Chinese how many batches are new, or linked further, since the one that readers have; and whose."""
    fresh = [a for a in accounts if a.dataset not in sealed and (not now or a.order > now.upto(a.dataset))]
    if not fresh:
        return "没有新批次，按现行规则和当日日期重新汇编"
    titles = {d: contracts[d].title if d in contracts else d for d in sorted({a.dataset for a in fresh})}
    return f"{len(fresh)} 个批次入库或补关联：{'、'.join(titles.values())}"


def _released(everything: Sequence[Admission], now: Manifest | None) -> list[dict[str, Any]]:
    """Return what the manifest keeps of batches that somebody let in, and that readers have for the first time."""
    let_in = [a for a in everything if a.released and a.revision == 0]
    known = published(everything, now) if let_in else set()
    let_in = [a for a in let_in if (a.dataset, a.batch_id) not in known]
    return [{"dataset": a.dataset, "batch_id": a.batch_id, "released": as_json(a.released)} for a in let_in]


def _sources(accounts: Any, draft: Draft) -> dict[str, Any]:
    sources: dict[str, Any] = {}
    for a in accounts:
        entry = sources.setdefault(a.dataset, {"department": a.department, "batches": 0})
        entry["batches"] += 1
        for name, rows in {**a.counts.as_dict(), "withdrawn": a.withdrawn}.items():
            entry[name] = entry.get(name, 0) + rows
    for dataset, entry in sources.items():
        before = draft.base.sources.get(dataset, {}).get("rows", 0) if draft.base else 0
        entry["rows"] = before + draft.inserted.get(dataset, 0) - draft.removed.get(dataset, 0)
    return sources


def _tier_ref(home: Home, manifest: Manifest) -> TierRef:
    folder = home.layout.snapshot(manifest.tier, manifest.snapshot_id)
    return TierRef(home.settings.shown(folder), manifest.rows())


def sealed_of(
    contracts: Mapping[str, Contract], everything: Sequence[Admission], now: Manifest | None
) -> frozenset[str]:
    """Return the data sets that must not be published. One whose contract is gone stays as it was."""
    before = set(now.basis.sealed) if now else set()
    gone = {a.dataset for a in everything if a.dataset not in contracts and a.share == "不予"} | (
        before - set(contracts)
    )
    by_kind = {a.dataset for a in everything if kinds()[a.kind].sealed}
    return frozenset({c.id for c in contracts.values() if c.basis.share == "不予"} | gone | by_kind)


def _assembly_digest(sealed: frozenset[str], contracts: Mapping[str, Contract]) -> str:
    """Return what, when it changes, makes every published file stale: kinds, terms, sealing, routes, the layout."""
    body = repr([(k.id, k.model_dump(mode="json")) for k in kinds().values()]) + repr((sorted(sealed), LAYOUT_FORMAT))
    body += lawful_terms().digest()
    body += "".join(f"{c.id} {c.delivery.route!r}" for _, c in sorted(contracts.items()) if c.delivery.route)
    return hashlib.sha256(body.encode()).hexdigest()[:12]
