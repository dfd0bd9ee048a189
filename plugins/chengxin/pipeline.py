"""The stages of one batch and of one snapshot. No Airflow, no global state; every stage may be run again.

discover -> land -> standardise -> validate -> admit (link and account)      for a batch
retry_waiting -> publish (assemble, reconcile, gate, commit, derive)         for a snapshot
"""

import hashlib
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from chengxin import __version__
from chengxin.clock import SHANGHAI, Clock
from chengxin.connectors import landing
from chengxin.contracts.derived import contract_for, mode_for, replayed
from chengxin.contracts.models import Contract
from chengxin.contracts.plan import contract_digest, kind_of
from chengxin.dataset import journal, reconcile
from chengxin.dataset.assemble import Assembly, Draft
from chengxin.dataset.settling import Settling, link_batch
from chengxin.errors import CommitConflict, ContractError, DeliveryCorrupt, InvariantBroken, NotReleasable
from chengxin.feedback import answering
from chengxin.feedback import replay as replaying
from chengxin.feedback.answering import Answered
from chengxin.feedback.outcomes import Outcome, ended
from chengxin.handover import Admission, Batch, Delivery, Finding, SnapshotRef, StandardBatch, TierRef, Verdict, as_json
from chengxin.model.kinds import kinds
from chengxin.publish import catalogue, snapshot, tiers
from chengxin.resolve.registry import Registry
from chengxin.settings import Settings
from chengxin.standardise import run as standardising
from chengxin.store import atomic, lock, scratch
from chengxin.store.layout import Layout
from chengxin.store.manifest import Manifest
from chengxin.validate import runner

log = logging.getLogger(__name__)
HISTORY = 12
RELEASED = "released"  # the finding that says that a person let a held batch in


def discover(contract: Contract, settings: Settings) -> list[Delivery]:
    """List what the source offers and has not surely landed yet."""
    offered = landing.offered(contract, settings)
    for gap in landing.missing(contract, settings, offered):
        log.warning("%s：报送序号不连续，%s；已到的照常处理，请向提供部门核实", contract.id, gap)
    return offered


def land(contract: Contract, delivery: Delivery, settings: Settings, clock: Clock) -> Batch:
    """Fetch a delivery; the same bytes twice are the same batch."""
    return landing.land(contract, delivery, settings, clock)


def batch(settings: Settings, dataset: str, batch_id: str) -> Batch:
    """Return a landed batch by its id."""
    for landed in landing.batches(settings, dataset):
        if landed.batch_id == batch_id:
            return landed
    raise DeliveryCorrupt(f"没有名为 {batch_id} 的批次（数据集 {dataset}）；请核对批次号")


def pending(contract: Contract, settings: Settings) -> list[Batch]:
    """Return landed batches that are neither admitted nor held under the present contract, in order."""
    layout = Layout(settings.home)
    admitted = journal.latest(journal.admissions(layout))
    return [
        b
        for b in landing.batches(settings, contract.id)
        if (contract.id, b.batch_id) not in admitted and not _held(contract, b, settings)
    ]


def standardise(contract: Contract, landed: Batch, settings: Settings) -> StandardBatch:
    """Turn the received bytes into standard, quarantine and issue rows; done already = return what is there.

    An admitted batch stays as it was admitted, whatever its contract says now: its links refer to these rows.
    """
    layout = Layout(settings.home)
    contract = contract_for(contract, landed)
    target = layout.standard(contract.id, landed.batch_id)
    with lock.held(layout, f"dataset-{contract.id}"):
        summary = _summary(target)
        current = summary is not None and summary.digest == standardising.standard_digest(contract)
        if summary and (current or _admitted(contract, landed, settings)):
            return summary
        payload = layout.landing(contract.id, landed.batch_id) / landing.PAYLOAD
        return standardising.run(contract, landed, payload, target, workers=settings.workers, limits=settings.limits)


def _admitted(contract: Contract, landed: Batch, settings: Settings) -> Admission | None:
    return journal.latest(journal.admissions(Layout(settings.home))).get((contract.id, landed.batch_id))


def validate(contract: Contract, landed: Batch, settings: Settings, clock: Clock) -> Verdict:
    """Judge a standardised batch with its suite; done already under the same contract and suite = return it."""
    layout = Layout(settings.home)
    contract = contract_for(contract, landed)
    target = layout.validation(contract.id, landed.batch_id)
    standard = layout.standard(contract.id, landed.batch_id)
    with lock.held(layout, f"dataset-{contract.id}"):
        if _admitted(contract, landed, settings):
            return Verdict.from_json(atomic.read_json(target / "verdict.json"))
        done = _verdict(contract, landed, settings)
        if done:
            return done
        counts = _summary(standard)
        if counts is None:
            raise InvariantBroken(f"{landed.batch_id} 尚未标准化，不能校验")
        with atomic.building(target) as folder:
            verdict = runner.run(
                contract,
                kind_of(contract),
                sorted(standard.glob("standard-*.parquet")),
                counts,
                expectations=settings.expectations,
                history=_history(contract, landed, settings),
                target=folder,
                memory_limit_mib=settings.memory_limit_mib,
                threads=settings.workers,
                today=landed.received_at.astimezone(SHANGHAI).date(),
                registry=Registry(layout, journal.admissions(layout)).files("identifiers"),
            )
            atomic.write_json(folder / "made_under.json", {"digest": _validation_digest(contract, settings)})
    return verdict


def release(contract: Contract, landed: Batch, settings: Settings, clock: Clock, reason: str) -> Verdict:
    """Let a held batch in because a person has looked at it; done already = return its verdict as it is.

    The reason stands in the verdict and, once admitted, in the account. Raise NotReleasable where nothing is usable.
    """
    layout = Layout(settings.home)
    with lock.held(layout, f"dataset-{contract.id}"):
        verdict = _verdict(contract, landed, settings)
        counts = _summary(layout.standard(contract.id, landed.batch_id))
        if _admitted(contract, landed, settings) or (verdict and verdict.status != "hold"):
            return Verdict.from_json(atomic.read_json(layout.validation(contract.id, landed.batch_id) / "verdict.json"))
        if verdict is None or counts is None:
            raise NotReleasable(f"{landed.batch_id} 尚未按现行合同校验，不能放行；请先运行 chengxin run {contract.id}")
        if counts.mismatch is not None or (counts.received and not counts.passed):
            why = counts.mismatch or "没有一行可用"
            raise NotReleasable(f"{landed.batch_id} 不能放行：{why}。请修改合同后重跑，或请提供部门重报")
        said = Finding(RELEASED, "info", f"人工放行：{reason}", clock.now().isoformat())
        verdict = replace(verdict, status="warn", findings=(*verdict.findings, said))
        atomic.write_json(layout.validation(contract.id, landed.batch_id) / "verdict.json", as_json(verdict))
    return verdict


def admit(contract: Contract, landed: Batch, settings: Settings, clock: Clock) -> Admission | None:
    """Link a batch and enter its account into the journal; None when its verdict is hold."""
    layout = Layout(settings.home)
    with lock.held(layout, "registry"):
        done = _admitted(contract, landed, settings)
        if done:
            return done
        verdict = _verdict(contract, landed, settings)
        counts = _summary(layout.standard(contract.id, landed.batch_id))
        if verdict is None or counts is None:
            raise InvariantBroken(f"{landed.batch_id} 尚未校验，不能入库")
        if verdict.status == "hold":
            return None
        everything = journal.admissions(layout)
        before = Admission(
            contract.id,
            landed.batch_id,
            -1,
            -1,
            counts.received,
            0,
            counts.quarantined,
            0,
            counts.passed,
            0,
            0,
            verdict.status,
            contract.department.code,
            contract.kind,
            mode_for(contract, landed),
            contract.basis.share,
            landed.received_at.isoformat(),
            tuple(counts.sources or (f.name for f in landed.files)),
            _versions(contract, settings),
            next((f.message for f in verdict.findings if f.rule == RELEASED), None),
            _route(contract, everything),
        )
        return link_batch(contract, landed, before, everything, settings)


def _route(contract: Contract, everything: Sequence[Admission]) -> str | None:
    """Return the group of routes of a contract; raise ContractError where its earlier batches are of another."""
    group = contract.delivery.route.group if contract.delivery.route else None
    before = next((a.route for a in everything if a.dataset == contract.id), group)
    if before != group:
        raise ContractError(
            f"{contract.id}：已有批次按 delivery.route.group = {before or '（无）'} 入库，现为 {group or '（无）'}；"
            "记录的编号由此而来，不能中途改变。请恢复原值，或清空数据目录中的 admissions 和 batches 后重新入库"
        )
    return group


def retry_waiting(contracts: Mapping[str, Contract], settings: Settings, clock: Clock) -> list[Admission]:
    """Try waiting rows (未关联) again where the registry or the ledger has grown. Return the accounts that changed."""
    with lock.held(Layout(settings.home), "registry"):
        return Settling(contracts, settings, lambda dataset, batch_id: batch(settings, dataset, batch_id)).run()


def publish(contracts: Mapping[str, Contract], settings: Settings, clock: Clock) -> SnapshotRef | None:
    """Assemble, reconcile, gate and commit what changed, tier by tier; None when there is nothing new."""
    layout = Layout(settings.home)
    with lock.held(layout, "publish"):
        for tier in ("government", "open"):
            for message in snapshot.resume(layout, tier).messages:
                log.warning("%s", message)
        everything = journal.admissions(layout)
        if not everything:
            return None
        government, changed = _publish_government(contracts, everything, settings, clock)
        if government is None:
            return None
        opened, open_changed = tiers.publish_open(
            layout,
            government,
            token_key=settings.token_key,
            now=clock.now(),
            today=clock.today(),
            workers=settings.workers,
        )
        if not (changed or open_changed):
            return None
        return SnapshotRef(government.snapshot_id, {m.tier: _tier_ref(layout, m) for m in (government, opened) if m})


def _publish_government(
    contracts: Mapping[str, Contract], everything: tuple[Admission, ...], settings: Settings, clock: Clock
) -> tuple[Manifest | None, bool]:
    layout = Layout(settings.home)
    now = snapshot.current(layout, "government")
    sealed = _sealed(contracts, everything, now)
    digest = _assembly_digest(sealed, contracts)
    base = now if now and now.extra["assembly"] == digest else None
    if base and base.extra["last_order"] == everything[-1].order:
        return base, False
    limits = {"memory_limit_mib": settings.memory_limit_mib, "threads": settings.workers}
    last = base.extra["last_order"] if base else -1
    reconcile.check_batches(layout, [a for a in journal.latest(everything).values() if a.order > last], **limits)
    draft = Assembly(
        layout,
        contracts,
        everything,
        sealed,
        base,
        layout.drafts / "government",
        **limits,
    ).run()
    extra = {"last_order": everything[-1].order, "assembly": digest, "sealed": sorted(sealed)}
    manifest = _checked(contracts, everything, base, draft, settings, clock, extra)
    if manifest.same_content(now) or not (now or draft.tables):
        shutil.rmtree(draft.folder)
        return now, False
    entry = catalogue.catalogue(contracts)
    return snapshot.commit(layout, manifest, draft.folder, now, catalogue=entry), True


def _checked(
    contracts: Mapping[str, Contract],
    everything: tuple[Admission, ...],
    base: Manifest | None,
    draft: Draft,
    settings: Settings,
    clock: Clock,
    extra: dict[str, Any],
) -> Manifest:
    """Reconcile and gate a draft and return its manifest; a red check raises and the draft stays as evidence."""
    layout = Layout(settings.home)
    accounts = journal.latest(everything)
    last = base.extra["last_order"] if base else -1
    limits = {"memory_limit_mib": settings.memory_limit_mib, "threads": settings.workers}
    reconcile.check_draft(layout, draft, base, {a.dataset: a.kind for a in everything})
    reconcile.check_subjects(layout, draft, base, **limits)
    reconcile.check_sources(layout, draft, base, **limits)
    fresh = sorted((draft.folder / "subject").glob("*.parquet"))
    if fresh:
        verdict = runner.run_subject(fresh, expectations=settings.expectations, today=clock.today(), **limits)
        if verdict.status == "hold":
            raise InvariantBroken("主体表未通过发布检查：" + "；".join(f.message for f in verdict.findings))
    return Manifest.new(
        "government",
        clock.now(),
        clock.today(),
        _reason(everything, last),
        draft.tables,
        batches=[_batch_entry(a) for a in accounts.values()],
        sources=_sources(accounts.values(), base, draft),
        versions={
            "library": __version__,
            **_engines(),
            "contracts": {c: contract_digest(contracts[c]) for c in sorted(contracts)},
            "suites": _suites(settings.expectations),
        },
        extra=extra,
    )


def _reason(everything: Sequence[Admission], last: int) -> str:
    fresh = [a for a in everything if a.order > last]
    return f"{len(fresh)} 个批次入库或补关联：{'、'.join(sorted({a.dataset for a in fresh}))}"


def _batch_entry(a: Admission) -> dict[str, Any]:
    counts = ("received", "accepted", "quarantined", "duplicate", "unlinked", "withdrawn")
    return {
        "dataset": a.dataset,
        "batch_id": a.batch_id,
        "revision": a.revision,
        "received_at": a.received_at,
        "verdict": a.verdict,
        **{n: getattr(a, n) for n in counts},
        **({"released": a.released} if a.released else {}),
        "versions": a.versions,
    }


def _sources(accounts: Any, base: Manifest | None, draft: Draft) -> dict[str, Any]:
    sources: dict[str, Any] = {}
    for a in accounts:
        entry = sources.setdefault(a.dataset, {"department": a.department, "batches": 0})
        entry["batches"] += 1
        for name in ("received", "accepted", "quarantined", "duplicate", "unlinked", "withdrawn"):
            entry[name] = entry.get(name, 0) + getattr(a, name)
    for dataset, entry in sources.items():
        before = base.sources.get(dataset, {}).get("rows", 0) if base else 0
        entry["rows"] = before + draft.inserted.get(dataset, 0) - draft.removed.get(dataset, 0)
    return sources


def _tier_ref(layout: Layout, manifest: Manifest) -> TierRef:
    return TierRef(str(layout.snapshot(manifest.tier, manifest.snapshot_id)), manifest.rows())


def tidy(settings: Settings) -> int:
    """Remove what killed runs left: half-written files, spill, links that no account names. Return how many.

    What another process is busy with is left alone: it holds the lock of its data set, or of its scratch folder.
    """
    layout = Layout(settings.home)
    removed = scratch.sweep(layout.work)
    for folder in sorted((layout.home / "batches").glob("*")):
        busy = lock.held(layout, f"dataset-{folder.name}", seconds=0)
        with suppress(CommitConflict), busy, lock.held(layout, "registry"):
            removed += _stray_links(layout, folder) + atomic.sweep(folder)
    with lock.held(layout, "registry"):
        return removed + atomic.sweep(layout.journal)


def _stray_links(layout: Layout, folder: Path) -> int:
    known = {(a.batch_id, a.revision) for a in journal.admissions(layout)}
    stray = [p for p in folder.glob("*/links-*") if (p.parent.name, int(p.name[6:])) not in known]
    for path in stray:
        shutil.rmtree(path)
    return len(stray)


def counts_of(contract: Contract, landed: Batch, settings: Settings) -> dict[str, Any]:
    """Return the account of a batch as the CLI prints it; a held batch counts all its rows as quarantined."""
    layout = Layout(settings.home)
    account = _admitted(contract, landed, settings)
    if account:
        counts = {n: getattr(account, n) for n in ("received", "accepted", "quarantined", "duplicate", "unlinked")}
        return {"dataset": contract.id, "batch_id": landed.batch_id, **counts, "verdict": account.verdict}
    summary = _summary(layout.standard(contract.id, landed.batch_id))
    verdict = _verdict(contract, landed, settings)
    received = summary.received if summary else 0
    return {
        "dataset": contract.id,
        "batch_id": landed.batch_id,
        "received": received,
        "accepted": 0,
        "quarantined": received,
        "duplicate": 0,
        "unlinked": 0,
        "verdict": verdict.status if verdict else "hold",
    }


def ingest(
    contract: Contract, landed: Batch, settings: Settings, clock: Clock, step: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Run a landed batch through standardise, validate and admit; return its account."""
    step("标准化")
    standardise(contract, landed, settings)
    step("校验")
    validate(contract, landed, settings, clock)
    step("关联入库")
    admit(contract, landed, settings, clock)
    return counts_of(contract, landed, settings)


def answer(contract: Contract, settings: Settings, clock: Clock, *, again: Sequence[str] = ()) -> list[Answered]:
    """Answer the department: build what is new or changed of its batches' receipts, hand over what was not yet.

    again: batches whose newest answer is handed over once more. A receiver that fails is told in the result.
    """
    found = outcomes(contract, settings)
    return answering.answer(contract, found, settings, clock, again=again)


def replay(contract: Contract, settings: Settings, only: str | None = None) -> list[tuple[str, int, Batch | None]]:
    """Land the refused rows that pass under the present contract as batches of their own; see feedback.replay."""
    return replaying.replay(contract, outcomes(contract, settings), settings, only)


def outcomes(contract: Contract, settings: Settings) -> list[Outcome]:
    """Return what became of each landed batch that is admitted or held under the present contract, in order."""
    return ended(contract, settings, lambda landed: _verdict(contract, landed, settings))


def _summary(folder: Path) -> StandardBatch | None:
    path = folder / "summary.json"
    return StandardBatch(**atomic.read_json(path)) if path.exists() else None


def _verdict(contract: Contract, landed: Batch, settings: Settings) -> Verdict | None:
    contract = contract_for(contract, landed)
    folder = Layout(settings.home).validation(contract.id, landed.batch_id)
    made = folder / "made_under.json"
    if not made.exists() or atomic.read_json(made)["digest"] != _validation_digest(contract, settings):
        return None
    return Verdict.from_json(atomic.read_json(folder / "verdict.json"))


def _held(contract: Contract, landed: Batch, settings: Settings) -> bool:
    verdict = _verdict(contract, landed, settings)
    return verdict is not None and verdict.status == "hold"


def _history(contract: Contract, landed: Batch, settings: Settings) -> list[Any]:
    layout = Layout(settings.home)
    place = {
        a.batch_id: (datetime.fromisoformat(a.received_at), a.order)
        for a in reversed(journal.admissions(layout))
        if a.dataset == contract.id
    }
    partial = {b.batch_id for b in landing.batches(settings, contract.id) if replayed(b)}
    earlier = sorted((p, b) for b, p in place.items() if p[0] <= landed.received_at and b not in partial)
    files = [layout.validation(contract.id, b) / "facts.json" for _, b in earlier[-HISTORY:]]
    return [atomic.read_json(f) for f in files if f.exists()]


def _validation_digest(contract: Contract, settings: Settings) -> str:
    pack = settings.expectations / f"{contract.kind}.json"
    body = pack.read_bytes() if pack.exists() else b""
    return f"{standardising.standard_digest(contract)}+{hashlib.sha256(body).hexdigest()[:12]}"


def _suites(folder: Path) -> dict[str, str]:
    return {p.stem: hashlib.sha256(p.read_bytes()).hexdigest()[:12] for p in sorted(folder.glob("*.json"))}


def _versions(contract: Contract, settings: Settings) -> dict[str, str]:
    return {
        "library": __version__,
        "contract": contract_digest(contract),
        "suite": _validation_digest(contract, settings).rsplit("+", 1)[1],
        **_engines(),
    }


def _engines() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("duckdb", "pyarrow", "great-expectations")}


def _sealed(contracts: Mapping[str, Contract], everything: Sequence[Admission], now: Manifest | None) -> frozenset[str]:
    """Return the data sets that must not be published. One whose contract is gone stays as it was."""
    before = set(now.extra.get("sealed", ())) if now else set()
    gone = {a.dataset for a in everything if a.dataset not in contracts and a.share == "不予"} | (
        before - set(contracts)
    )
    by_kind = {a.dataset for a in everything if kinds()[a.kind].sealed}
    return frozenset({c.id for c in contracts.values() if c.basis.share == "不予"} | gone | by_kind)


def _assembly_digest(sealed: frozenset[str], contracts: Mapping[str, Contract]) -> str:
    """Return what, when it changes, makes every published file stale: kinds, columns, sealing, routes, library."""
    body = repr([(k.id, k.model_dump(mode="json")) for k in kinds().values()]) + repr(sorted(sealed)) + __version__
    body += "".join(f"{c.id} {c.delivery.route!r}" for _, c in sorted(contracts.items()) if c.delivery.route)
    return hashlib.sha256(body.encode()).hexdigest()[:12]
