"""The working commands: what `run`, `ingest` and `publish` do with the pipeline."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import Progress

from chengxin import pipeline
from chengxin.alerting.book import Book
from chengxin.cli.terminal import Steps
from chengxin.connectors.file_drop import file_delivery
from chengxin.contracts.models import Contract
from chengxin.contracts.plan import kind_of
from chengxin.errors import ContractError, DeliveryCorrupt, DeliveryMismatch, SourceUnavailable
from chengxin.feedback.answering import Answered
from chengxin.handover import as_json
from chengxin.store import remote
from chengxin.store.layout import Layout
from chengxin.store.remote import scopes

if TYPE_CHECKING:
    from chengxin.cli.commands import Context

# a contract that does not fit its source is trouble of one department as well
_NOT_TAKEN = (SourceUnavailable, DeliveryCorrupt, DeliveryMismatch, ContractError)
APPROVED = "发布"
_FIRST = {"found": 0, "names": 1, "none": 2}


def run_datasets(context: "Context", known: dict[str, Contract], datasets: Sequence[str]) -> dict[str, Any]:
    """Discover and ingest everything new of these data sets, registers first, then settle and publish."""
    pipeline.tidy(context.settings)
    batches: list[dict[str, Any]] = []
    failures: list[str] = []
    ordered = sorted((known[d] for d in datasets), key=lambda c: (_FIRST[kind_of(c).registers], c.id))
    with _progress(context) as progress:
        task = progress.add_task("", total=len(ordered))
        for contract in ordered:
            progress.update(task, description=f"{contract.title}：发现")
            _receive(context, contract, failures)
            batches += [
                _ingest(context, contract, landed, progress, task, failures)
                for landed in pipeline.pending(contract, context.settings)
            ]
            progress.advance(task)
    batches = [b for b in batches if b]
    return _merge(settle(context, known), batches, failures)


def _receive(context: "Context", contract: Contract, failures: list[str]) -> None:
    """Land what is new; a delivery that cannot be landed does not keep the others waiting."""
    try:
        offered = pipeline.discover(contract, context.settings)
    except _NOT_TAKEN as error:
        failures.append(f"{contract.id}：{error}")
        return
    for delivery in offered:
        try:
            pipeline.land(contract, delivery, context.settings, context.clock)
        except _NOT_TAKEN as error:
            failures.append(f"{contract.id} / {delivery.name}：{error}")


def ingest_files(context: "Context", dataset: str, files: Sequence[Path], *, publish: bool) -> dict[str, Any]:
    """Land and ingest these files, one batch each, in the order given; then settle and publish."""
    pipeline.tidy(context.settings)
    known = context.contracts()
    contract = known[dataset]
    batches: list[dict[str, Any]] = []
    failures: list[str] = []
    with _progress(context) as progress:
        task = progress.add_task("", total=len(files))
        for path in files:
            progress.update(task, description=f"{contract.title}：接收 {path.name}")
            landed = pipeline.land(contract, file_delivery(contract, path), context.settings, context.clock)
            batches.append(_ingest(context, contract, landed, progress, task, failures))
            progress.advance(task)
    batches = [b for b in batches if b]
    result = settle(context, known) if publish else {"batches": [], "snapshot": None}
    if not publish:
        answer_all(context, {dataset: contract})
    return _merge(result, batches, failures)


def release_batch(
    context: "Context", contract: Contract, batch_id: str, reason: str, by: str, *, publish: bool
) -> dict[str, Any]:
    """Let a held batch in, take it through to its account, settle and publish. Done already = nothing changes."""
    landed = pipeline.batch(context.settings, contract.id, batch_id)
    pipeline.release(contract, landed, context.settings, context.clock, reason, by)
    account = pipeline.ingest(contract, landed, context.settings, context.clock)
    with remote.changing(context.settings, "alerts", scopes.alerts()) as here:
        Book(Layout(here.home)).drop_items("held", [batch_id], context.clock.now())
    result = settle(context, context.contracts()) if publish else {"batches": [], "snapshot": None}
    return _merge(result, [account], [])


def ingest_pending(context: "Context", contract: Contract) -> dict[str, Any]:
    """Take in all landed batches of a data set that have no outcome yet, then settle and publish."""
    failures: list[str] = []
    with _progress(context) as progress:
        task = progress.add_task("", total=None)
        batches = [
            _ingest(context, contract, landed, progress, task, failures)
            for landed in pipeline.pending(contract, context.settings)
        ]
    return _merge(settle(context, context.contracts()), [b for b in batches if b], failures)


def approval_of(
    context: "Context", known: Mapping[str, Contract], by: str | None, reason: str
) -> pipeline.Approval | None:
    """Return the approval that the options of `publish` state. Raise UsageError where that is none.

    The names are what people say of themselves: the command line cannot prove them, as Airflow's accounts do.
    """
    by, reason = (by or "").strip(), reason.strip()
    if not by and not reason:
        return None
    if not by or not reason:
        raise click.UsageError("批准发布须同时写明 --approve-as 和 --reason")
    own = [a.batch_id for a in pipeline.released(known, context.settings) if a.released and a.released.by == by]
    if own:
        raise click.UsageError(f"{by} 是放行人，不能批准自己放行的批次：{'、'.join(own)}；请由另一人批准")
    return pipeline.Approval(APPROVED, reason, by, context.clock.now().isoformat())


def settle(context: "Context", known: dict[str, Contract], approval: pipeline.Approval | None = None) -> dict[str, Any]:
    """Try waiting rows again and publish what changed.

    Return the accounts that changed, the snapshot, and the released batches that wait for somebody's approval.
    """
    changed = pipeline.retry_waiting(known, context.settings, context.clock)
    snapshot = pipeline.publish(known, context.settings, context.clock, approval)
    answer_all(context, known)
    again = {
        a.batch_id: {
            "dataset": a.dataset,
            "batch_id": a.batch_id,
            "received": a.received,
            "accepted": a.accepted,
            "quarantined": a.quarantined,
            "duplicate": a.duplicate,
            "unlinked": a.unlinked,
            "verdict": a.verdict,
        }
        for a in changed
    }
    awaiting = [
        {"dataset": a.dataset, "batch_id": a.batch_id, "released": as_json(a.released)}
        for a in pipeline.released(known, context.settings)
    ]
    return {
        "batches": list(again.values()),
        "snapshot": as_json(snapshot) if snapshot else None,
        **({"awaiting": awaiting} if awaiting else {}),
    }


def answer_all(context: "Context", known: Mapping[str, Contract]) -> list[Answered]:
    """Answer the departments of all data sets that have landed batches; the next run sends what could not be sent."""
    return [
        answered
        for _, contract in sorted(known.items())
        for answered in pipeline.answer(contract, context.settings, context.clock)
    ]


def _merge(settled: dict[str, Any], batches: list[dict[str, Any]], failures: list[str]) -> dict[str, Any]:
    """Put this run's batches first, each with its newest account, then older ones that gained by it."""
    newest = {b["batch_id"]: b for b in settled["batches"]}
    mine = [newest.pop(b["batch_id"], b) for b in batches]
    return {**settled, "batches": mine + list(newest.values()), "failures": failures}


def _ingest(
    context: "Context", contract: Contract, landed: Any, progress: Progress, task: Any, failures: list[str]
) -> dict[str, Any]:
    def step(name: str) -> None:
        progress.update(task, description=f"{contract.title}：{name} {landed.delivery}")

    try:
        return pipeline.ingest(contract, landed, context.settings, context.clock, step)
    except (DeliveryCorrupt, ContractError) as error:
        failures.append(f"{contract.id} / {landed.delivery}：{error}")
        return {}


def _progress(context: "Context") -> Progress:
    return Steps(context.console)
