"""The looking commands: status, verify, show. They change nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime, time
from typing import Any

import pyarrow as pa

from chengxin import pipeline
from chengxin.clock import SHANGHAI
from chengxin.connectors import landing, options_problem
from chengxin.contracts.models import Contract
from chengxin.contracts.plan import kind_of
from chengxin.errors import ChengxinError, DeliveryCorrupt, InvariantBroken, SnapshotDamaged, failure_text
from chengxin.facts import COUNTS
from chengxin.home import Home
from chengxin.model.kinds import kinds
from chengxin.model.schema import kind_columns
from chengxin.publishing import commit as snapshots
from chengxin.publishing import key, reader, reconciliation
from chengxin.publishing.assembly.tables import CREDIT_RECORD
from chengxin.publishing.open_tier import derivation
from chengxin.publishing.verify import verify as verify_snapshot
from chengxin.quality import suites
from chengxin.records import closings, journal
from chengxin.settings import Settings
from chengxin.state import seals
from chengxin.store import lock, pointer
from chengxin.store.layout import ASSEMBLY

TIERS = ("government", "authorised", "open")
SHORTEST_IDENTIFIER = 9  # digits; anything shorter is a subject number


def lint_suites(settings: Settings, contracts: Mapping[str, Contract]) -> list[dict[str, str]]:
    """Check what the contracts layer cannot: delivery options, and that every composed suite can be judged."""
    found = []
    for contract in contracts.values():
        wrong = options_problem(contract)
        found += [{"path": contract.id, "message": wrong}] if wrong else []
        try:
            kind = kind_of(contract)
            suite = suites.compose(contract, kind, settings.expectations, [])
            messages = suites.problems(suite, [c.name for c in kind_columns(kind)])
        except ChengxinError as error:
            messages = [str(error)]
        found += [{"path": contract.id, "message": message} for message in dict.fromkeys(messages)]
    return found


def status(home: Home, contracts: Mapping[str, Contract]) -> dict[str, Any]:
    """Return per data set its batches and counts, the current snapshots, and who holds which lock."""
    layout = home.layout
    accounts = journal.accounts(layout)
    sums = accounts.sums()
    rows = []
    for contract in contracts.values():
        problem, others, open_ones, gaps = "", [], [], []
        admitted = sums.get(contract.id, {})
        try:
            others = landing.batches(home, contract.id, but=accounts.batches(contract.id))
            open_ones = [pipeline.counts_of(home, contract, b) for b in others]
            gaps = landing.missing(home, contract)
        except Exception as error:  # damage of one data set hides no other
            problem = failure_text(error, "查看")
        aside = [found for b in others if (found := pipeline.aside(home, contract, b.batch_id))]
        rows.append(
            {
                "dataset": contract.id,
                "title": contract.title,
                "department": contract.department.name,
                "problem": problem,
                "aside": [asdict(a) for a in aside],
                "batches": admitted.get("batches", 0) + len(others),
                "last_received_at": _newest([*(b.received_at for b in others), *admitted.get("last", [])]),
                **{n: admitted.get(n, 0) + sum(a[n] for a in open_ones) for n in COUNTS},
                "held": [a["batch_id"] for a in open_ones if a["verdict"] == "hold"],
                "closed": sum(map(len, closings.in_force(closings.read(layout, contract.id)).values())),
                "gaps": gaps,
                "pending": len(others),
            }
        )
    current = {}
    for tier in TIERS:
        now = snapshots.current(layout, tier)
        current[tier] = {"id": now.snapshot_id, "tables": now.rows(), "reason": now.reason} if now else None
    locks = [asdict(holder) for holder in lock.holders(layout)]
    return {"datasets": rows, "snapshots": current, "withheld": derivation.withheld(home), "locks": locks}


def _newest(instants: Sequence[datetime]) -> str | None:
    return max(instants).astimezone(SHANGHAI).isoformat() if instants else None


def verify(home: Home, snapshot_id: str | None) -> dict[str, Any]:
    """Check snapshots, received bytes and accounts; return how much was checked and what is wrong, in Chinese."""
    layout = home.layout
    problems: list[str] = []
    checked = 0
    for tier in (ASSEMBLY, *TIERS, *pointer.cut_tiers(layout)):
        if snapshot_id and not layout.snapshot(tier, snapshot_id).is_dir():
            continue
        if layout.tier(tier).is_dir():
            problems += verify_snapshot(layout, tier, snapshot_id, master=key.master(home))
            checked += 1
    if snapshot_id:
        return {"checked": checked, "problems": problems if checked else [f"没有快照 {snapshot_id}"]}
    for folder in sorted(p for p in (layout.home / "landing").glob("*") if p.is_dir()):
        try:
            for batch in landing.batches(home, folder.name):
                problems += landing.verify_landed(home, batch)
                checked += 1
        except DeliveryCorrupt as error:
            problems.append(str(error))
    try:
        everything = journal.admissions(layout)
        altered = seals.problems(layout, everything)
        accounts = list(journal.latest(everything).values())
        problems += altered
        if not altered:  # what was altered may not even be read
            reconciliation.check_batches(layout, accounts, home.resources)
        checked += 1
    except InvariantBroken as error:
        problems.append(str(error))
    return {"checked": checked, "problems": problems}


def show(home: Home, wanted: str, tier: str, as_of: date | None = None) -> dict[str, Any]:
    """Return the subjects that an id, identifier or name names, each with all its rows.

    as_of: with the records that were published at the end of that day (Shanghai); the subject itself is as it is now.
    """
    try:
        opened = reader.open_snapshot(home.settings.home, tier)
    except SnapshotDamaged as error:
        raise SnapshotDamaged(f"没有可读的快照：{error}") from error
    by_number = wanted.isdecimal() and len(wanted) < SHORTEST_IDENTIFIER
    ids = [int(wanted)] if by_number else sorted(set(opened.find(wanted)["subject_id"].drop_null().to_pylist()))
    stays = {i: opened.current_id(i) for i in ids[:20]}
    found = {i: tables for i in stays if (tables := opened.lookup(stays[i])).get("subject") is not None}
    if as_of:
        found = {i: _at(opened, (i, stays[i]), tables, as_of) for i, tables in found.items()}
    return {
        "snapshot": opened.id,
        "as_of": as_of.isoformat() if as_of else None,
        "warnings": list(opened.warnings),
        "subjects": [
            {
                "subject_id": stays[i],
                **({"superseded": i} if stays[i] != i else {}),
                "tables": {n: _plain(t) for n, t in tables.items() if t.num_rows},
            }
            for i, tables in found.items()
        ],
        "more": max(0, len(ids) - 20),
    }


def _at(opened: reader.Snapshot, ids: Iterable[int], now: dict[str, pa.Table], day: date) -> dict[str, pa.Table]:
    """Return the rows of a subject with the records of a day in place of those of today.

    ids: the one that was asked for, and the one that stands for it today; the first that had records then counts.
    """
    end = datetime.combine(day, time.max, SHANGHAI)
    then: dict[str, pa.Table] = {}
    for i in ids:
        then = then or {n: r for n, r in opened.as_of(known=end, subject_id=i).items() if r.num_rows}
    common = []
    for name, rows in then.items():
        kind = kinds()[name]
        days = {n: getattr(kind, n) for n in ("event_on", "effective_to_on")}
        common += [
            {"kind": name, "record_id": row["record_id"], "dataset": row["dataset"]}
            | {n: row.get(column) if column else None for n, column in days.items()}
            for row in rows.to_pylist()
        ]
    kept = {name: rows for name, rows in now.items() if name.startswith("subject")}
    return {**kept, **then, **({CREDIT_RECORD: pa.Table.from_pylist(common)} if common else {})}


def _plain(table: pa.Table) -> list[dict[str, Any]]:
    return [
        {k: v if isinstance(v, int | str | bool | None) else str(v) for k, v in row.items()}
        for row in table.to_pylist()
    ]
