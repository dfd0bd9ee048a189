"""What is open in a home, with and without Airflow: the one answer of `chengxin alerts` and `chengxin overdue`.

What the home itself shows (a held batch, a late delivery, ...) is derived from it each time, as the pages do; what only
happened (a failed task, a source that did not answer) stands in the book of alerts.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time

from chengxin.clock import SHANGHAI
from chengxin.connectors import landing
from chengxin.contracts.loader import Problem
from chengxin.contracts.models import Contract
from chengxin.errors import DeliveryCorrupt
from chengxin.facts import Batch, Verdict
from chengxin.home import Home
from chengxin.operations import deliveries
from chengxin.operations.alerts.book import Book, Entry
from chengxin.operations.alerts.causes import (
    Cause,
    contract_cause,
    held_cause,
    of_contract,
    overdue_cause,
    waiting_cause,
)
from chengxin.operations.alerts.holds import hold_of
from chengxin.operations.housekeeping import overdue
from chengxin.operations.punctuality import standings
from chengxin.pipeline.review import released
from chengxin.quality import evidence
from chengxin.records import journal

DERIVED = ("held", "overdue", "waiting", "contracts")


def open_troubles(home: Home, contracts: Mapping[str, Contract], problems: Iterable[Problem]) -> list[Entry]:
    """Return what is open, the oldest first: one entry a cause, since when the trouble is there."""
    book = {entry.id: entry for entry in Book(home.layout).open_entries()}
    found = [entry for entry in book.values() if entry.cause.kind not in DERIVED]
    asked = any(entry.cause.kind == "approval" for entry in found)
    seen: dict[str, Entry] = {}
    for cause, since in [
        *_held(home, contracts),
        *_overdue(home, contracts),
        *_others(home, contracts, problems),
        *([] if asked else _unapproved(home, contracts)),
    ]:
        before = seen.get(cause.id)
        items = (*(before.items if before else ()), *([cause.item] if cause.item else []))
        at = min(since, before.opened_at) if before else since
        told = book.get(cause.id)
        entry = Entry(
            id=cause.id,
            cause=cause,
            opened_at=at,
            seen_at=home.clock.now().isoformat(),
            times=told.times if told else 1,
            items=items,
        )
        seen[cause.id] = entry if not before else replace(entry, cause=before.cause)
    return sorted([*found, *seen.values()], key=lambda e: (e.opened_at, e.id))


def held(home: Home, contracts: Mapping[str, Contract]) -> list[tuple[Contract, Batch, Verdict]]:
    """Return the held batches that nothing has settled: nothing of their data set that came after was admitted."""
    layout = home.layout
    landed, _ = deliveries.deliveries(layout)
    left = landed.join(journal.accounts(layout).table(), ["dataset", "batch_id"], join_type="left anti")
    found, last = [], dict[str, datetime]()
    for dataset, batch_id in sorted(zip(left["dataset"].to_pylist(), left["batch_id"].to_pylist(), strict=True)):
        folder = layout.validation(dataset, batch_id)
        verdict = evidence.read_verdict(folder) if evidence.is_judged(folder) else None
        if dataset in contracts and verdict and verdict.status == "hold":
            with suppress(DeliveryCorrupt):  # it is told by whatever reads received files again
                found.append((contracts[dataset], landing.landed(home, dataset, batch_id), verdict))
    for a in journal.accounts(layout).all() if found else ():
        at = datetime.fromisoformat(a.as_of)
        last[a.dataset] = max(last.get(a.dataset, at), at)
    return [one for one in found if one[1].as_of >= last.get(one[1].dataset, one[1].as_of)]


def _held(home: Home, contracts: Mapping[str, Contract]) -> list[tuple[Cause, str]]:
    layout = home.layout
    found = held(home, contracts)
    return [(held_cause(c, hold_of(layout, c.id, b.batch_id)), _utc(b.received_at)) for c, b, _ in found]


def _overdue(home: Home, contracts: Mapping[str, Contract]) -> list[tuple[Cause, str]]:
    return [
        (overdue_cause(contracts[one.dataset], one.message), _utc(_end_of(date.fromisoformat(one.due))))
        for one in overdue(home, contracts)
    ]


def _others(home: Home, contracts: Mapping[str, Contract], problems: Iterable[Problem]) -> list[tuple[Cause, str]]:
    now = _utc(home.clock.now())
    growing = [s for s in standings(home, home.clock.today()) if s.growing and s.dataset in contracts]
    causes = [waiting_cause(contracts[s.dataset], s.words()) for s in growing]
    return [(cause, now) for cause in (*causes, *(contract_cause(str(p.path), p.message) for p in problems))]


def _unapproved(home: Home, contracts: Mapping[str, Contract]) -> list[tuple[Cause, str]]:
    """Tell of released batches that wait for a second person where no question of Airflow's is open."""
    found = []
    for a in released(home, contracts):
        if a.released and a.dataset in contracts:
            text = (
                f"{a.released.by} 已放行，须由另一人批准后发布（chengxin publish --approve-as，或触发 snapshot 流程）"
            )
            cause = of_contract("approval", contracts[a.dataset], text, reason="released", item=a.batch_id)
            found.append((cause, _utc(datetime.fromisoformat(a.released.at))))
    return found


def _end_of(day: date) -> datetime:
    return datetime.combine(day, time(23, 59, 59), SHANGHAI)


def _utc(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat()
