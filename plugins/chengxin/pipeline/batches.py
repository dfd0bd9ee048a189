"""The stages of one batch: discover, land, standardise, validate, admit. Every stage may be run again."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from chengxin.cleaning import run as standardising
from chengxin.cleaning.corrections import recognised
from chengxin.clock import SHANGHAI, Clock
from chengxin.connectors import landing
from chengxin.connectors.files.drop import inbox_delivery
from chengxin.contracts.derivation import contract_for, mode_for, replayed
from chengxin.contracts.lint import refuse_unfinished
from chengxin.contracts.models import Contract
from chengxin.contracts.plan import kind_of
from chengxin.errors import ContractError, DeliveryCorrupt, InvariantBroken, NotReleasable
from chengxin.facts import Admission, Batch, Counts, Delivery, Release, StandardBatch, Verdict, as_json
from chengxin.identity.registry import Registry
from chengxin.pipeline import at_home, attempts
from chengxin.pipeline.failures import guarded
from chengxin.pipeline.versions import VERSIONS_BY, validation_digest, versions_of
from chengxin.quality import report, runner
from chengxin.quality.verdict import Answering
from chengxin.records import answers, journal
from chengxin.records.relink import link_batch
from chengxin.settings import Settings
from chengxin.store import atomic, lock, remote
from chengxin.store.layout import Layout

log = logging.getLogger(__name__)
HISTORY = 12


@guarded("发现报送")
@at_home.landing
def discover(contract: Contract, settings: Settings, since: datetime | None = None) -> list[Delivery]:
    """List what the source offers and has not surely landed yet; with `since`, all that it offers from then on.

    A pull goes on from the newest one that was admitted: the rows of a held one, which may never be let in, come again.
    """
    refuse_unfinished(contract)
    counted = {a.batch_id for a in journal.admissions(Layout(settings.home)) if a.dataset == contract.id}
    offered = landing.offered(contract, settings, since, counted)
    for gap in landing.missing(contract, settings, offered):
        log.warning("%s：报送序号不连续，%s；已到的照常处理，请向提供部门核实", contract.id, gap)
    return offered


def given(contract: Contract, path: str, settings: Settings) -> Delivery:
    """Return one file below the inbox as a delivery of a contract; raise DeliveryCorrupt when there is none."""
    return inbox_delivery(contract, path, settings)


@guarded("接收")
@at_home.landing
def land(contract: Contract, delivery: Delivery, settings: Settings, clock: Clock) -> Batch:
    """Fetch a delivery; the same bytes twice are the same batch. Raises ContractError for an unfinished contract."""
    refuse_unfinished(contract)
    return landing.land(contract, delivery, settings, clock, lambda path: recognised(path, contract))


@at_home.landing
def batch(settings: Settings, dataset: str, batch_id: str) -> Batch:
    """Return a landed batch by its id."""
    try:
        return landing.landed(settings, dataset, batch_id)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DeliveryCorrupt(f"没有名为 {batch_id} 的批次（数据集 {dataset}）；请核对批次号") from error


@guarded("查找待处理批次")
def pending(contract: Contract, settings: Settings) -> list[Batch]:
    """Return landed batches that are neither admitted, nor held under the present contract, nor set aside, in order."""
    attempts.settle_killed(contract, settings)
    here = remote.opened(settings)
    return [b for b in _open(contract, settings) if attempts.aside(contract, b.batch_id, here) is None]


@at_home.landing
def _open(contract: Contract, settings: Settings) -> list[Batch]:
    admitted = {a.batch_id for a in journal.admissions(Layout(settings.home)) if a.dataset == contract.id}
    return [b for b in landing.batches(settings, contract.id, but=admitted) if not _held(contract, b, settings)]


@attempts.counted("标准化")
@at_home.batch_stage
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
    return journal.account(Layout(settings.home), contract.id, landed.batch_id)


@attempts.counted("校验")
@at_home.batch_stage
def validate(contract: Contract, landed: Batch, settings: Settings, clock: Clock) -> Verdict:
    """Judge a standardised batch with its suite; done already under the same contract and suite = return it."""
    layout = Layout(settings.home)
    contract = contract_for(contract, landed)
    target = layout.validation(contract.id, landed.batch_id)
    standard = layout.standard(contract.id, landed.batch_id)
    with lock.held(layout, f"dataset-{contract.id}"):
        if _admitted(contract, landed, settings):
            return Verdict.from_json(atomic.read_json(target / "verdict.json"))
        done = verdict_of(contract, landed, settings)
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
                restates=landed.restates,
                answering=lambda: _answering(contract, landed, settings),
            )
            atomic.write_json(folder / "made_under.json", {"digest": validation_digest(contract, settings)})
    return verdict


@at_home.batch_stage
def release(contract: Contract, landed: Batch, settings: Settings, clock: Clock, reason: str, by: str) -> Verdict:
    """Let a held batch in because a person has looked at it; done already = return its verdict as it is.

    Reason and name stand in verdict and, once admitted, account. Raise NotReleasable where nothing is usable.
    """
    layout = Layout(settings.home)
    with lock.held(layout, f"dataset-{contract.id}"):
        verdict = verdict_of(contract, landed, settings)
        counts = _summary(layout.standard(contract.id, landed.batch_id))
        if _admitted(contract, landed, settings) or (verdict and verdict.status != "hold"):
            folder = layout.validation(contract.id, landed.batch_id)
            known = Verdict.from_json(atomic.read_json(folder / "verdict.json"))
            _note_release(folder / "report.html", known)
            return known
        if verdict is None or counts is None:
            raise NotReleasable(f"{landed.batch_id} 尚未按现行合同校验，不能放行；请先运行 chengxin run {contract.id}")
        if counts.mismatch is not None or (counts.received and not counts.passed):
            why = counts.mismatch or "没有一行可用"
            raise NotReleasable(f"{landed.batch_id} 不能放行：{why}。请修改合同后重跑，或请提供部门重报")
        verdict = replace(verdict, status="warn", released=Release(by, reason, clock.now().isoformat()))
        atomic.write_json(layout.validation(contract.id, landed.batch_id) / "verdict.json", as_json(verdict))
        _note_release(layout.validation(contract.id, landed.batch_id) / "report.html", verdict)
    return verdict


def _note_release(page: Path, verdict: Verdict) -> None:
    """Make the report say that a person let the batch in, and why."""
    said = verdict.released
    if said is None or not page.exists():
        return
    before = page.read_text("utf-8")
    at = datetime.fromisoformat(said.at).astimezone(SHANGHAI)
    after = report.released(before, said.reason, f"{said.by} {at:%Y-%m-%d %H:%M}")
    if after != before:
        atomic.write_bytes(page, after.encode())


@attempts.counted("入库", last=True)
@at_home.batch_stage
def admit(contract: Contract, landed: Batch, settings: Settings, clock: Clock) -> Admission | None:
    """Link a batch and enter its account into the journal; None when its verdict is hold."""
    layout = Layout(settings.home)
    with lock.held(layout, "registry"):
        done = _admitted(contract, landed, settings)
        if done:
            return done
        verdict = verdict_of(contract, landed, settings)
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
            landed.as_of.isoformat(),
            tuple(counts.sources or (f.name for f in landed.files)),
            versions_of(contract, settings),
            verdict.released,
            _route(contract, everything),
        )
        _same_versions(contract, before, everything)
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


def _same_versions(contract: Contract, now: Admission, everything: Sequence[Admission]) -> None:
    """Raise ContractError where earlier batches of the data set named their records by something else."""
    before = next((a for a in everything if a.dataset == contract.id), now).versions.get(VERSIONS_BY, "key")
    if before != contract.delivery.versions_by:
        raise ContractError(
            f"{contract.id}：已有批次按 delivery.versions_by = {before} 入库，现为 {contract.delivery.versions_by}；"
            "记录的编号由此而来，不能中途改变。请恢复原值，或清空数据目录中的 admissions 和 batches 后重新入库"
        )


def counts_of(contract: Contract, landed: Batch, settings: Settings) -> dict[str, Any]:
    """Return the account of a batch as the CLI prints it; a held batch counts all its rows as quarantined."""
    layout = Layout(settings.home)
    account = _admitted(contract, landed, settings)
    if account:
        return as_account(account)
    summary = _summary(layout.standard(contract.id, landed.batch_id))
    verdict = verdict_of(contract, landed, settings)
    counts = Counts.held(summary.received if summary else 0).as_dict()
    named = {"dataset": contract.id, "batch_id": landed.batch_id}
    return {**named, **counts, "verdict": verdict.status if verdict else "hold"}


def as_account(admission: Admission) -> dict[str, Any]:
    """Return the account of an admitted batch as the CLI prints it."""
    named = {"dataset": admission.dataset, "batch_id": admission.batch_id}
    return {**named, **admission.counts.as_dict(), "verdict": admission.verdict}


def ingest(
    contract: Contract, landed: Batch, settings: Settings, clock: Clock, step: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Run a landed batch through standardise, validate and admit; return its account."""
    step("标准化")
    runner.import_ahead()
    standardise(contract, landed, settings)
    step("校验")
    validate(contract, landed, settings, clock)
    step("关联入库")
    admit(contract, landed, settings, clock)
    return counts_of(contract, landed, settings)


def _summary(folder: Path) -> StandardBatch | None:
    path = folder / "summary.json"
    return StandardBatch(**atomic.read_json(path)) if path.exists() else None


def verdict_of(contract: Contract, landed: Batch, settings: Settings) -> Verdict | None:
    """Return the verdict made under the present contract and suite; None before there is one."""
    contract = contract_for(contract, landed)
    folder = Layout(settings.home).validation(contract.id, landed.batch_id)
    made = folder / "made_under.json"
    if not made.exists() or atomic.read_json(made)["digest"] != validation_digest(contract, settings):
        return None
    return Verdict.from_json(atomic.read_json(folder / "verdict.json"))


def _answering(contract: Contract, landed: Batch, settings: Settings) -> Answering:
    admitted = {
        b: a for (d, b), a in journal.latest(journal.admissions(Layout(settings.home))).items() if d == contract.id
    }
    return Answering(*answers.count(contract, landed, landing.batches(settings, contract.id), admitted, settings))


def _held(contract: Contract, landed: Batch, settings: Settings) -> bool:
    verdict = verdict_of(contract, landed, settings)
    return verdict is not None and verdict.status == "hold"


def _history(contract: Contract, landed: Batch, settings: Settings) -> list[Any]:
    layout = Layout(settings.home)
    place = {
        a.batch_id: (datetime.fromisoformat(a.as_of), a.order)
        for a in reversed(journal.admissions(layout))
        if a.dataset == contract.id
    }
    if replayed(landed) or landed.corrects:
        return []  # what is usual of deliveries is not asked of some rows
    earlier = sorted(((p, b) for b, p in place.items() if p[0] <= landed.as_of), reverse=True)
    whole = (b for _, b in earlier if not _of_some_rows(contract, b, settings))
    files = [layout.validation(contract.id, b) / "facts.json" for b in islice(whole, HISTORY)]
    return [atomic.read_json(f) for f in reversed(files) if f.exists()]


def _of_some_rows(contract: Contract, batch_id: str, settings: Settings) -> bool:
    try:
        batch = landing.landed(settings, contract.id, batch_id)
    except FileNotFoundError:
        return False
    return bool(replayed(batch) or batch.corrects)
