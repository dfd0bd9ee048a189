"""Our numbers, by Airflow's own way out: what [metrics] of airflow.cfg configures (OpenTelemetry, StatsD) carries them.

Off by default, and then they cost nothing. Names get Airflow's prefix: airflow.chengxin.rows.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from chengxin.contracts.models import Contract
from chengxin.facts import STATES
from chengxin.home import Home
from chengxin.orchestration.airflow_internals.metrics_client import stats

if TYPE_CHECKING:
    from chengxin.operations.punctuality import Standing

P = ParamSpec("P")
R = TypeVar("R")
# name -> kind, tags, meaning; docs/deployment.md has a row for each
METRICS = {
    "chengxin.rows": ("counter", "dataset, department, state", "rows of batches that ended, by the state they are in"),
    "chengxin.batches": ("counter", "dataset, department, verdict", "batches that ended: accept, warn or hold"),
    "chengxin.stage": ("timing", "stage, dataset, department", "milliseconds of a stage, without Airflow's share"),
    "chengxin.snapshots": ("counter", "", "snapshots published"),
    "chengxin.delivery.age_days": ("gauge", "dataset, department", "calendar days since the last delivery arrived"),
    "chengxin.rows.waiting": ("gauge", "dataset, department", "rows whose subject is not known yet (未关联)"),
    "chengxin.batches.held": ("gauge", "dataset, department", "held batches that nobody has settled"),
    "chengxin.snapshot.age_hours": ("gauge", "", "hours since the current snapshot was made"),
    "chengxin.alerts.open": ("gauge", "kind", "open alerts"),
}


def _of(contract: Contract) -> dict[str, str]:
    return {"dataset": contract.id, "department": contract.department.code}


def timed(
    stage: Callable[Concatenate[Contract, P], R],
) -> Callable[Concatenate[Contract, P], R]:
    """Measure how long a stage of a data set takes."""

    @functools.wraps(stage)
    def measured(contract: Contract, /, *args: P.args, **keywords: P.kwargs) -> R:
        with stats.timer("chengxin.stage", tags={"stage": stage.__name__, **_of(contract)}):
            return stage(contract, *args, **keywords)

    return measured


def batch_ended(contract: Contract, verdict: str, counts: Mapping[str, int]) -> None:
    """Count a batch and its rows. counts: rows by state; of a held batch all are quarantined."""
    stats.incr("chengxin.batches", tags={"verdict": verdict, **_of(contract)})
    for state in STATES:
        if counts.get(state):
            stats.incr("chengxin.rows", counts[state], tags={"state": state, **_of(contract)})


def published() -> None:
    """Count a snapshot."""
    stats.incr("chengxin.snapshots")


def gauges(home: Home, contracts: Mapping[str, Contract], standings: Iterable["Standing"]) -> dict[str, int]:
    """Report ages and what is waiting, for every data set that ever delivered; return how many of each gauge."""
    from chengxin.operations.alerts.book import Book
    from chengxin.publishing import commit

    layout, reported = home.layout, dict.fromkeys(METRICS, 0)

    def report(name: str, value: float, tags: dict[str, Any]) -> None:
        stats.gauge(name, value, tags=tags)
        reported[name] += 1

    entries = Book(layout).open_entries()
    held = {e.cause.about: len(e.items) for e in entries if e.cause.kind == "held"}
    for standing in standings:
        if contract := contracts.get(standing.dataset):
            report("chengxin.delivery.age_days", (home.clock.today() - standing.last_arrival).days, _of(contract))
            report("chengxin.rows.waiting", standing.waiting, _of(contract))
            report("chengxin.batches.held", held.get(contract.id, 0), _of(contract))
    now = commit.current(layout, "government")
    if now:
        report("chengxin.snapshot.age_hours", (home.clock.now() - now.created_at).total_seconds() / 3600, {})
    kinds = [entry.cause.kind for entry in entries]
    for kind in sorted(set(kinds)):
        report("chengxin.alerts.open", kinds.count(kind), {"kind": kind})
    return {name: count for name, count in reported.items() if count}
