"""What a month's assessment is made of: numerators and denominators of each data set. They add up over any group."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from chengxin.connectors.receivers import RECEIPT
from chengxin.contracts.cadence import due_after, periods
from chengxin.contracts.models import Contract
from chengxin.contracts.plan import Plan, plan_of
from chengxin.facts import COUNTS
from chengxin.feedback.answers import newest
from chengxin.model.assessment import MEASURES, Assessment
from chengxin.model.schema import element_columns
from chengxin.model.working_days import WorkingDays
from chengxin.operations import deliveries
from chengxin.quality import evidence
from chengxin.records import journal
from chengxin.store import atomic
from chengxin.store.layout import Layout

COUNTED = (
    "batches", "held", "pending", *COUNTS, "replayed", "late", "late_days", "missing", "mended",
    "mended_days", "unmended", "answers", "answered",
)  # fmt: skip
_UNUSABLE = ("error:field.required_missing", "error:field.required_unusable")
_DAY_OFF = 45  # calendar days that hold any correction term and the longest holidays, above twice the working days


@dataclass
class Figures:
    """The counts of one data set, or of several added up.

    parts: numerator and denominator by measure. counts: by name, see COUNTED; days are working days. late, missing:
    what a department needs to check its timeliness, of one data set only.
    """

    parts: dict[str, tuple[int, int]] = field(default_factory=lambda: dict.fromkeys(MEASURES, (0, 0)))
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))
    late: list[dict[str, Any]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    last_arrival: date | None = None

    def add(self, measure: str, numerator: int, denominator: int) -> None:
        """Count further."""
        known = self.parts[measure]
        self.parts[measure] = (known[0] + numerator, known[1] + denominator)

    def count(self, **more: int) -> None:
        """Count further, by name."""
        for name, value in more.items():
            self.counts[name] += value

    def __iadd__(self, other: Self) -> Self:
        """Take in the counts of another data set."""
        for measure, (numerator, denominator) in other.parts.items():
            self.add(measure, numerator, denominator)
        self.count(**other.counts)
        return self


@dataclass(frozen=True)
class Month:
    """What is assessed: the days from `first` to `last`, by which rules and calendar."""

    first: date
    last: date
    rules: Assessment
    days: WorkingDays


@dataclass(frozen=True)
class _Landed:
    """The deliveries of one data set up to the last day, in order. sent: by a department, with their day."""

    sent: dict[str, date]
    replays: dict[str, str]


def figures(contracts: Mapping[str, Contract], layout: Layout, month: Month) -> dict[str, Figures]:
    """Return the figures of every data set that has a contract, by id."""
    landed, _ = deliveries.deliveries(layout)
    by_dataset = _landed(landed.filter(pc.less_equal(landed["arrived_on"], pa.scalar(month.last, pa.date32()))))
    known = _accounts(journal.accounts(layout).table())
    nothing = _Landed({}, {})
    return {
        dataset: _Measuring(contract, by_dataset.get(dataset, nothing), known.get(dataset, {}), layout, month).run()
        for dataset, contract in sorted(contracts.items())
    }


def _landed(table: pa.Table) -> dict[str, _Landed]:
    found: dict[str, _Landed] = {}
    columns = (table[name].to_pylist() for name in ("dataset", "batch_id", "arrived_on", "replay_of"))
    for dataset, batch_id, day, replay_of in zip(*columns, strict=True):
        mine = found.setdefault(dataset, _Landed({}, {}))
        if replay_of:
            mine.replays[batch_id] = replay_of
        else:
            mine.sent[batch_id] = day
    return found


def _accounts(table: pa.Table) -> dict[str, dict[str, tuple[int, ...]]]:
    found: dict[str, dict[str, tuple[int, ...]]] = {}
    columns = (table[name].to_pylist() for name in ("dataset", "batch_id", *COUNTS))
    for dataset, batch_id, *counts in zip(*columns, strict=True):
        found.setdefault(dataset, {})[batch_id] = tuple(counts)
    return found


class _Measuring:
    """The figures of one data set. accounts: counts of its admitted batches in the order of COUNTS."""

    def __init__(
        self,
        contract: Contract,
        landed: _Landed,
        accounts: Mapping[str, tuple[int, ...]],
        layout: Layout,
        month: Month,
    ) -> None:
        self._contract, self._landed, self._accounts = contract, landed, accounts
        self._layout, self._month = layout, month
        self._found = Figures()

    def run(self) -> Figures:
        """Measure everything."""
        arrived = sorted(set(self._landed.sent.values()))
        self._found.last_arrival = arrived[-1] if arrived else None
        self._found.add("in_place", int(bool(arrived)), 1)
        if arrived:
            self._timeliness(arrived)
            self._coverage(arrived)
            self._quality([b for b, day in self._landed.sent.items() if self._within(day)])
            self._corrections()
        return self._found

    def _within(self, day: date) -> bool:
        return self._month.first <= day <= self._month.last

    def _timeliness(self, arrived: Sequence[date]) -> None:
        """Judge each arrival of the month against the day by which it was due, and what is overdue at its end."""
        month, delivery = self._month, self._contract.delivery
        start = next((n for n, day in enumerate(arrived) if day >= month.first), len(arrived))
        for n in range(max(start, 1), len(arrived)):
            due = due_after(arrived[n - 1], delivery, month.days)
            if due is None:
                return
            late = arrived[n] > due
            self._found.add("timely", int(not late), 1)
            if late:
                days = month.days.between(due, arrived[n])
                self._found.count(late=1, late_days=days)
                self._found.late.append({"due": due.isoformat(), "arrived": arrived[n].isoformat(), "days": days})
        due = due_after(arrived[-1], delivery, month.days)
        if due and due <= month.last:
            days = month.days.between(due, month.last + timedelta(days=1))
            self._found.add("timely", 0, 1)
            self._found.count(late=1, late_days=days)
            self._found.late.append({"due": due.isoformat(), "arrived": None, "days": days})

    def _coverage(self, arrived: Sequence[date]) -> None:
        """Count the periods of the month in which something came."""
        month, delivery = self._month, self._contract.delivery
        for first, last in periods(delivery.cadence, month.first, month.last, month.days):
            if last >= arrived[0]:
                came = any(first <= day <= last for day in arrived)
                self._found.add("delivered", int(came), 1)
                if not came:
                    self._found.count(missing=1)
                    self._found.missing.append(f"{first}～{last}" if first != last else str(last))

    def _quality(self, batches: Sequence[str]) -> None:
        """Count rows and values of the batches of the month."""
        plan = plan_of(self._contract)
        replayed: dict[str, int] = {}
        for batch_id, origin in self._landed.replays.items():
            received, _, quarantined, *_ = self._accounts.get(batch_id, (0,) * len(COUNTS))
            replayed[origin] = replayed.get(origin, 0) + received - quarantined
        for batch_id in batches:
            account = self._accounts.get(batch_id)
            if account is None:
                self._open(batch_id)
                continue
            counts = dict(zip(COUNTS, account, strict=True))
            mended = min(replayed.get(batch_id, 0), counts["quarantined"])
            self._found.count(batches=1, replayed=mended, **counts)
            self._found.add("passed", counts["received"] - counts["quarantined"] + mended, counts["received"])
            self._values(plan, batch_id, counts["received"])
            self._answer(batch_id)

    def _open(self, batch_id: str) -> None:
        """Count a batch that is held, all of its rows as refused; or one that nobody has judged yet."""
        folder = self._layout.batch(self._contract.id, batch_id)
        verdict = evidence.readable_verdict(self._layout.validation(self._contract.id, batch_id))
        summary = _read(folder, "standard/summary.json")
        if not verdict or not summary or verdict.status != "hold":
            self._found.count(pending=1)
            return
        received = summary["received"]
        self._found.count(batches=1, held=1, received=received, quarantined=received)
        self._found.add("passed", 0, received)
        self._answer(batch_id)

    def _values(self, plan: Plan, batch_id: str, received: int) -> None:
        folder = self._layout.batch(self._contract.id, batch_id)
        required = len({column.source for column in plan.columns if column.required})
        rules = (_read(folder, "standard/summary.json") or {}).get("rules", {})
        wanted = received * required
        self._found.add("required", max(wanted - sum(rules.get(name, 0) for name in _UNUSABLE), 0), wanted)
        facts = evidence.readable_facts(self._layout.validation(self._contract.id, batch_id))
        fill, rows = facts.fill, facts.rows
        filled: dict[str, float] = defaultdict(float)  # source -> share; of several identifiers in a column any counts
        for column in plan.columns:
            shares = [fill[c.name] for c in element_columns(column.element) if c.name in fill]
            if shares and column.constant is None:
                filled[column.source] += max(shares)
        for share in filled.values():
            self._found.add("fill", round(share * rows), rows)

    def _answer(self, batch_id: str) -> None:
        if self._contract.feedback.to != "none":
            folder = newest(self._layout, self._contract.id, batch_id)
            self._found.count(answers=1, answered=int(folder is not None and (folder / "sent.json").exists()))

    def _corrections(self) -> None:
        """Judge the refused rows whose term for correction ended in the month."""
        month, allowed = self._month, self._month.rules.correction_days
        earliest = month.first - timedelta(days=2 * allowed + _DAY_OFF)
        for batch_id, day in self._landed.sent.items():
            account = self._accounts.get(batch_id)
            if not account or not account[2] or day < earliest:
                continue
            until = month.rules.correction_deadline(day, month.days)
            answer = newest(self._layout, self._contract.id, batch_id) if self._within(until) else None
            refused = (_read(answer, RECEIPT) or {}).get("refused") if answer else None
            if refused:
                self._add_corrected(day, until, refused)

    def _add_corrected(self, day: date, until: date, refused: Mapping[str, Any]) -> None:
        month, sent = self._month, self._landed.sent
        ours = sum(n for by, n in refused["mended"].items() if by in self._landed.replays)
        owed = refused["total"] - refused["overtaken"] - refused.get("again", 0) - ours
        by_day = [(sent[by], n) for by, n in refused["mended"].items() if by in sent]
        intime = sum(n for at, n in by_day if at <= until)
        mended = sum(n for _, n in by_day)
        self._found.add("mended", intime, owed)
        self._found.count(
            mended=mended, unmended=owed - mended, mended_days=sum(n * month.days.between(day, at) for at, n in by_day)
        )


def _read(folder: Path, name: str) -> dict[str, Any] | None:
    """Read a JSON object of a stage; None where the stage has not been there."""
    try:
        return dict(atomic.read_json(folder / name))
    except (FileNotFoundError, ValueError):
        return None
