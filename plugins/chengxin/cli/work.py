"""The working commands: what `run`, `ingest` and `publish` do with the pipeline."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import Progress, TaskID

from chengxin import pipeline
from chengxin.cli.terminal import Steps
from chengxin.connectors.files.drop import file_delivery
from chengxin.contracts.models import Contract
from chengxin.contracts.plan import registers_first
from chengxin.errors import SourceUnavailable
from chengxin.facts import Batch, Delivery, as_json
from chengxin.feedback.answers import Answered
from chengxin.operations.alerts.book import Book
from chengxin.pipeline import Failures
from chengxin.store.remote import scopes

if TYPE_CHECKING:
    from chengxin.cli.context import Context

APPROVED = "发布"
Show = Callable[[str], None]


def run_datasets(context: "Context", known: dict[str, Contract], datasets: Sequence[str]) -> dict[str, Any]:
    """Discover and ingest everything new of these data sets, registers first, then settle and publish."""
    pipeline.tidy(context.home)
    batches: list[dict[str, Any]] = []
    failures = pipeline.Failures(context.home)
    ordered = sorted((known[d] for d in datasets), key=lambda c: (registers_first(c), c.id))
    with _progress(context) as progress:
        task = progress.add_task("", total=len(ordered))
        for contract in ordered:
            progress.update(task, description=f"{contract.title}：发现")
            _receive(context, contract, failures)
            batches += _ingest_all(context, contract, _steps_of(progress, task), failures)
            progress.advance(task)
    return _merge(settle(context, known, failures, whole=datasets), batches, failures)


def _receive(context: "Context", contract: Contract, failures: Failures) -> None:
    """Land what is new; a delivery that cannot be landed does not keep the others waiting."""
    offered: list[Delivery] = []
    with failures.of(contract, "发现报送"):
        offered = pipeline.discover(context.home, contract)
    for delivery in offered:
        with failures.of(contract, "接收", delivery.name):
            pipeline.land(context.home, contract, delivery)


def ingest_files(context: "Context", dataset: str, files: Sequence[Path], *, publish: bool) -> dict[str, Any]:
    """Land and ingest these files, one batch each, in the order given; then settle and publish."""
    pipeline.tidy(context.home)
    known = context.contracts()
    contract = known[dataset]
    batches: list[dict[str, Any]] = []
    failures = pipeline.Failures(context.home)
    with _progress(context) as progress:
        task = progress.add_task("", total=len(files))
        for path in files:
            progress.update(task, description=f"{contract.title}：接收 {path.name}")
            with failures.of(contract, "接收", path.name):
                landed = pipeline.land(context.home, contract, file_delivery(context.home, contract, path))
                batches += _ingest(context, contract, landed, _steps_of(progress, task), failures)
            progress.advance(task)
    if publish:
        return _merge(settle(context, known, failures), batches, failures)
    answer_all(context, {dataset: contract}, failures)
    failures.tell()
    return _merge({"batches": [], "snapshot": None}, batches, failures)


def release_batch(
    context: "Context", contract: Contract, batch_id: str, reason: str, by: str, *, publish: bool
) -> dict[str, Any]:
    """Let a held batch in, take it through to its account, settle and publish. Done already = nothing changes."""
    landed = pipeline.batch(context.home, contract.id, batch_id)
    pipeline.release(context.home, contract, landed, reason, by)
    failures = pipeline.Failures(context.home)
    with _progress(context) as progress:
        account = _ingest(context, contract, landed, _steps_of(progress), failures)
    if account:
        with context.home.changing("alerts", scopes.alerts()) as here:
            Book(here.layout).drop_items("held", [batch_id], context.given.clock.now())
    if publish:
        return _merge(settle(context, context.contracts(), failures), account, failures)
    failures.tell()
    return _merge({"batches": [], "snapshot": None}, account, failures)


def retry_batch(context: "Context", contract: Contract, batch_id: str) -> dict[str, Any]:
    """Forget how often a batch has failed and try it again, then settle and publish."""
    landed = pipeline.batch(context.home, contract.id, batch_id)
    pipeline.forgive(context.home, contract, batch_id)
    failures = pipeline.Failures(context.home)
    with _progress(context) as progress:
        account = _ingest(context, contract, landed, _steps_of(progress), failures)
    return _merge(settle(context, context.contracts(), failures), account, failures)


def ingest_pending(context: "Context", contract: Contract) -> dict[str, Any]:
    """Take in all landed batches of a data set that have no outcome yet, then settle and publish."""
    failures = pipeline.Failures(context.home)
    with _progress(context) as progress:
        batches = _ingest_all(context, contract, _steps_of(progress), failures)
    return _merge(settle(context, context.contracts(), failures), batches, failures)


def approval_of(
    context: "Context", known: Mapping[str, Contract], by: str | None, reason: str
) -> pipeline.Approval | None:
    """Return the approval that the options of `publish` state. Raise UsageError where that is none.

    The names are unverified: the command line cannot prove them, as Airflow's accounts do.
    """
    by, reason = (by or "").strip(), reason.strip()
    if not by and not reason:
        return None
    if not by or not reason:
        raise click.UsageError("批准发布须同时写明 --approve-as 和 --reason")
    own = [a.batch_id for a in pipeline.released(context.home, known) if a.released and a.released.by == by]
    if own:
        raise click.UsageError(f"{by} 是放行人，不能批准自己放行的批次：{'、'.join(own)}；请由另一人批准")
    return pipeline.Approval(APPROVED, reason, by, context.given.clock.now().isoformat())


def settle(
    context: "Context",
    known: dict[str, Contract],
    failures: Failures | None = None,
    whole: Sequence[str] = (),
    approval: pipeline.Approval | None = None,
) -> dict[str, Any]:
    """Try waiting rows again, publish what changed, answer, and report what went wrong.

    Return the accounts that changed, the snapshot, the failures, and the released batches that wait for somebody's
    approval. whole: data sets of which everything was done.
    """
    failures = failures or pipeline.Failures(context.home)
    changed = pipeline.retry_waiting(context.home, known, failures)
    snapshot = None
    with failures.of_publication():
        snapshot = pipeline.publish(context.home, known, approval)
    answer_all(context, known, failures)
    failures.tell(whole)
    again = {a.batch_id: pipeline.as_account(a) for a in changed}
    awaiting = [
        {"dataset": a.dataset, "batch_id": a.batch_id, "released": as_json(a.released)}
        for a in pipeline.released(context.home, known)
    ]
    return {
        "batches": list(again.values()),
        "snapshot": as_json(snapshot) if snapshot else None,
        "failures": failures.said,
        **({"awaiting": awaiting} if awaiting else {}),
    }


def answer_all(context: "Context", known: Mapping[str, Contract], failures: Failures) -> None:
    """Answer the departments of all data sets that have landed batches; the next run sends what could not be sent."""
    for _, contract in sorted(known.items()):
        done: list[Answered] = []
        with failures.of(contract, "反馈"):
            done = pipeline.answer(context.home, contract)
        for answered in done:
            with failures.of(contract, "反馈", answered.batch_id):
                if answered.problem:
                    raise SourceUnavailable(f"反馈未送达，下次运行时再送：{answered.problem}")


def _merge(settled: dict[str, Any], batches: list[dict[str, Any]], failures: Failures) -> dict[str, Any]:
    """Put this run's batches first, each with its newest account, then older ones that gained by it."""
    newest = {b["batch_id"]: b for b in settled["batches"]}
    mine = [newest.pop(b["batch_id"], b) for b in batches]
    return {**settled, "batches": mine + list(newest.values()), "failures": failures.said}


def _ingest_all(context: "Context", contract: Contract, show: Show, failures: Failures) -> list[dict[str, Any]]:
    waiting: list[Batch] = []
    with failures.of(contract, "查找待处理批次"):
        waiting = pipeline.pending(context.home, contract)
    return [account for landed in waiting for account in _ingest(context, contract, landed, show, failures)]


def _ingest(
    context: "Context", contract: Contract, landed: Batch, show: Show, failures: Failures
) -> list[dict[str, Any]]:
    """Return the account of a batch; nothing where it failed."""

    def step(name: str) -> None:
        show(f"{contract.title}：{name} {landed.delivery}")

    with failures.of(contract, "处理批次", f"{landed.delivery}（{landed.batch_id}）"):
        return [pipeline.ingest(context.home, contract, landed, step)]
    return []


def _steps_of(progress: Progress, task: TaskID | None = None) -> Show:
    """Return what shows a text at a task of the progress, by default at a new one without an end."""
    shown = progress.add_task("", total=None) if task is None else task
    return lambda text: progress.update(shown, description=text)


def _progress(context: "Context") -> Progress:
    return Steps(context.console)
