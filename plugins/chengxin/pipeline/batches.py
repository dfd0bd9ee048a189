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
from chengxin.clock import SHANGHAI
from chengxin.connectors import landing
from chengxin.connectors.files.drop import inbox_delivery
from chengxin.contracts.derivation import contract_for, mode_for, replayed
from chengxin.contracts.lint import refuse_unfinished
from chengxin.contracts.models import Contract
from chengxin.contracts.plan import kind_of
from chengxin.errors import ContractError, DeliveryCorrupt, InvariantBroken, NotReleasable
from chengxin.facts import Admission, Batch, Counts, Delivery, Release, StandardBatch, Verdict
from chengxin.home import Home
from chengxin.identity.registry import Registry
from chengxin.pipeline import at_home, attempts
from chengxin.pipeline.failures import guarded
from chengxin.pipeline.versions import VERSIONS_BY, validation_digest, versions_of
from chengxin.quality import evidence, report, runner
from chengxin.quality.evidence import BatchFacts
from chengxin.quality.verdict import Answering
from chengxin.records import answers, journal
from chengxin.records.relink import link_batch
from chengxin.state import seals
from chengxin.store import atomic, lock
from chengxin.store.scratch import scratch

log = logging.getLogger(__name__)
HISTORY = 12


@guarded("发现报送")
@at_home.landing
def discover(home: Home, contract: Contract, since: datetime | None = None) -> list[Delivery]:
    """List what the source offers and has not surely landed yet; with `since`, all that it offers from then on.

    A pull goes on from the newest one that was admitted: the rows of a held one, which may never be let in, come again.
    """
    refuse_unfinished(contract)
    counted = journal.accounts(home.layout).batches(contract.id)
    offered = landing.offered(home, contract, since, counted)
    for gap in landing.missing(home, contract, offered):
        log.warning("%s：报送序号不连续，%s；已到的照常处理，请向提供部门核实", contract.id, gap)
    return offered


def given(home: Home, contract: Contract, path: str) -> Delivery:
    """Return one file below the inbox as a delivery of a contract; raise DeliveryCorrupt when there is none."""
    return inbox_delivery(home, contract, path)


@guarded("接收")
@at_home.landing
def land(home: Home, contract: Contract, delivery: Delivery) -> Batch:
    """Fetch a delivery; the same bytes twice are the same batch. Raises ContractError for an unfinished contract."""
    refuse_unfinished(contract)
    journal.check(home.layout)
    return landing.land(home, contract, delivery, lambda path: recognised(path, contract))


@at_home.landed
def batch(home: Home, dataset: str, batch_id: str) -> Batch:
    """Return a landed batch by its id."""
    try:
        return landing.landed(home, dataset, batch_id)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DeliveryCorrupt(f"没有名为 {batch_id} 的批次（数据集 {dataset}）；请核对批次号") from error


@guarded("查找待处理批次")
def pending(home: Home, contract: Contract) -> list[Batch]:
    """Return landed batches that are neither admitted, nor held under the present contract, nor set aside, in order."""
    attempts.settle_killed(home, contract)
    here = home.opened()
    return [b for b in _open(home, contract) if attempts.aside(here, contract, b.batch_id) is None]


@at_home.landing
def _open(home: Home, contract: Contract) -> list[Batch]:
    admitted = journal.accounts(home.layout).batches(contract.id)
    return [b for b in landing.batches(home, contract.id, but=admitted) if not _held(home, contract, b)]


@attempts.counted("标准化")
@at_home.batch_stage
def standardise(home: Home, contract: Contract, landed: Batch) -> StandardBatch:
    """Turn the received bytes into standard, quarantine and issue rows; done already = return what is there.

    An admitted batch stays as it was admitted, whatever its contract states now: its links refer to these rows.
    """
    layout = home.layout
    journal.check(layout)
    contract = contract_for(contract, landed)
    target = layout.standard(contract.id, landed.batch_id)
    with lock.held(layout, f"dataset-{contract.id}"):
        summary = _summary(target)
        current = summary is not None and summary.digest == standardising.standard_digest(contract)
        if summary and (current or _admitted(home, contract, landed)):
            return summary
        payload = layout.landing(contract.id, landed.batch_id) / landing.PAYLOAD
        return standardising.run(contract, landed, payload, target, workers=home.settings.workers, limits=home.limits)


def _admitted(home: Home, contract: Contract, landed: Batch) -> Admission | None:
    return journal.accounts(home.layout).account(contract.id, landed.batch_id)


@attempts.counted("校验")
@at_home.batch_stage
def validate(home: Home, contract: Contract, landed: Batch) -> Verdict:
    """Judge a standardised batch with its suite; done already under the same contract and suite = return it."""
    layout = home.layout
    contract = contract_for(contract, landed)
    target = layout.validation(contract.id, landed.batch_id)
    standard = layout.standard(contract.id, landed.batch_id)
    with lock.held(layout, f"dataset-{contract.id}"):
        if _admitted(home, contract, landed):
            return evidence.read_verdict(target)
        done = verdict_of(home, contract, landed)
        if done:
            return done
        counts = _summary(standard)
        if counts is None:
            raise InvariantBroken(f"{landed.batch_id} 尚未标准化，不能校验")
        parts = sorted(standard.glob("standard-*.parquet"))
        with scratch(layout.work) as work:
            return runner.run(
                contract,
                kind_of(contract),
                parts,
                counts,
                expectations=home.settings.expectations,
                history=_history(home, contract, landed),
                target=target,
                made_under=validation_digest(home, contract),
                resources=home.resources,
                today=landed.received_at.astimezone(SHANGHAI).date(),
                registry=Registry(layout, journal.accounts(layout)).identifiers_of(parts, work),
                restates=landed.restates,
                ahead=landed.as_of.astimezone(SHANGHAI).date() if landed.is_ahead else None,
                answering=lambda: _answering(home, contract, landed),
            )


@at_home.batch_stage
def release(home: Home, contract: Contract, landed: Batch, reason: str, by: str) -> Verdict:
    """Let a held batch in because a person has looked at it; done already = return its verdict as it is.

    Reason and name stand in verdict and, once admitted, account. Raise NotReleasable where nothing is usable.
    """
    layout = home.layout
    with lock.held(layout, f"dataset-{contract.id}"):
        path = layout.validation(contract.id, landed.batch_id)
        verdict = verdict_of(home, contract, landed)
        counts = _summary(layout.standard(contract.id, landed.batch_id))
        if _admitted(home, contract, landed) or (verdict and verdict.status != "hold"):
            return evidence.read_verdict(path)
        if verdict is None or counts is None:
            raise NotReleasable(f"{landed.batch_id} 尚未按现行合同校验，不能放行；请先运行 chengxin run {contract.id}")
        if counts.mismatch is not None or (counts.received and not counts.passed):
            why = counts.mismatch or "没有一行可用"
            raise NotReleasable(f"{landed.batch_id} 不能放行：{why}。请修改合同后重跑，或请提供部门重报")
        now = home.clock.now()
        verdict = replace(verdict, status="warn", released=Release(by, reason, now.isoformat()))
        who = f"{by} {now.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
        evidence.change_verdict(path, verdict, lambda page: report.released(page, reason, who))
    return verdict


@attempts.counted("入库", last=True)
@at_home.batch_stage
def admit(home: Home, contract: Contract, landed: Batch) -> Admission | None:
    """Link a batch and enter its account into the journal; None when its verdict is hold."""
    layout = home.layout
    with lock.held(layout, "registry"):
        done = _admitted(home, contract, landed)
        if done:
            return done
        verdict, standard = verdict_of(home, contract, landed), layout.standard(contract.id, landed.batch_id)
        counts = _summary(standard)
        if verdict is None or counts is None:
            raise InvariantBroken(f"{landed.batch_id} 尚未校验，不能入库")
        if verdict.status == "hold":
            return None
        accounts = journal.accounts(layout)
        mine = accounts.of(contract.id)
        before = Admission(
            dataset=contract.id,
            batch_id=landed.batch_id,
            revision=-1,
            order=-1,
            known_from="",
            received=counts.received,
            accepted=0,
            quarantined=counts.quarantined,
            duplicate=0,
            unlinked=counts.passed,
            withdrawn=0,
            new_subjects=0,
            verdict=verdict.status,
            department=contract.department.code,
            kind=contract.kind,
            mode=mode_for(contract, landed),
            share=contract.basis.share,
            received_at=landed.received_at.isoformat(),
            as_of=landed.as_of.isoformat(),
            files=tuple(counts.sources or (f.name for f in landed.files)),
            versions=versions_of(home, contract),
            released=verdict.released,
            route=_route(contract, mine),
            seals=seals.of_files(standard.parent, [standard / "summary.json"])
            | {f"{standard.name}/{name}": digest for name, digest in counts.seals.items()},
        )
        _same_versions(contract, before, mine)
        return link_batch(home, contract, landed, before, accounts)


def _route(contract: Contract, mine: Sequence[Admission]) -> str | None:
    """Return the group of routes of a contract; raise ContractError where its earlier batches are of another."""
    group = contract.delivery.route.group if contract.delivery.route else None
    before = mine[0].route if mine else group
    if before != group:
        raise ContractError(
            f"{contract.id}：已有批次按 delivery.route.group = {before or '（无）'} 入库，现为 {group or '（无）'}；"
            "记录的编号由此而来，不能中途改变。请恢复原值，或清空数据目录中的 admissions 和 batches 后重新入库"
        )
    return group


def _same_versions(contract: Contract, now: Admission, mine: Sequence[Admission]) -> None:
    """Raise ContractError where earlier batches of the data set named their records by something else."""
    before = (mine[0] if mine else now).versions.get(VERSIONS_BY, "key")
    if before != contract.delivery.versions_by:
        raise ContractError(
            f"{contract.id}：已有批次按 delivery.versions_by = {before} 入库，现为 {contract.delivery.versions_by}；"
            "记录的编号由此而来，不能中途改变。请恢复原值，或清空数据目录中的 admissions 和 batches 后重新入库"
        )


def counts_of(home: Home, contract: Contract, landed: Batch) -> dict[str, Any]:
    """Return the account of a batch as the CLI prints it; a held batch counts all its rows as quarantined."""
    layout = home.layout
    account = _admitted(home, contract, landed)
    if account:
        return as_account(account)
    summary = _summary(layout.standard(contract.id, landed.batch_id))
    verdict = verdict_of(home, contract, landed)
    counts = Counts.held(summary.received if summary else 0).as_dict()
    named = {"dataset": contract.id, "batch_id": landed.batch_id}
    return {**named, **counts, "verdict": verdict.status if verdict else "hold"}


def as_account(admission: Admission) -> dict[str, Any]:
    """Return the account of an admitted batch as the CLI prints it."""
    named = {"dataset": admission.dataset, "batch_id": admission.batch_id}
    return {**named, **admission.counts.as_dict(), "verdict": admission.verdict}


def ingest(
    home: Home, contract: Contract, landed: Batch, step: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Run a landed batch through standardise, validate and admit; return its account."""
    step("标准化")
    runner.import_ahead()
    standardise(home, contract, landed)
    step("校验")
    validate(home, contract, landed)
    step("关联入库")
    admit(home, contract, landed)
    return counts_of(home, contract, landed)


def _summary(folder: Path) -> StandardBatch | None:
    path = folder / "summary.json"
    return StandardBatch(**atomic.read_json(path)) if path.exists() else None


def verdict_of(home: Home, contract: Contract, landed: Batch) -> Verdict | None:
    """Return the verdict made under the present contract and suite; None before there is one."""
    contract = contract_for(contract, landed)
    path = home.layout.validation(contract.id, landed.batch_id)
    if evidence.read_made_under(path) != validation_digest(home, contract):
        return None
    return evidence.read_verdict(path)


def _answering(home: Home, contract: Contract, landed: Batch) -> Answering:
    admitted = journal.accounts(home.layout).latest(contract.id)
    return Answering(*answers.count(home, contract, landed, landing.batches(home, contract.id), admitted))


def _held(home: Home, contract: Contract, landed: Batch) -> bool:
    verdict = verdict_of(home, contract, landed)
    return verdict is not None and verdict.status == "hold"


def _history(home: Home, contract: Contract, landed: Batch) -> list[BatchFacts]:
    layout = home.layout
    mine = journal.accounts(layout).of(contract.id)
    place = {a.batch_id: (datetime.fromisoformat(a.as_of), a.order) for a in reversed(mine)}
    if replayed(landed) or landed.corrects:
        return []  # what is usual of deliveries is not asked of some rows
    earlier = sorted(((p, b) for b, p in place.items() if p[0] <= landed.as_of), reverse=True)
    whole = (b for _, b in earlier if not _of_some_rows(home, contract, b))
    found = [evidence.read_facts(layout.validation(contract.id, b)) for b in islice(whole, HISTORY)]
    return [facts for facts in reversed(found) if facts]


def _of_some_rows(home: Home, contract: Contract, batch_id: str) -> bool:
    try:
        batch = landing.landed(home, contract.id, batch_id)
    except FileNotFoundError:
        return False
    return bool(replayed(batch) or batch.corrects)
