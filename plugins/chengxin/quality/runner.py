"""Judge one standardised batch, or the subject table of a draft: compose, let GX judge, write the evidence."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

from chengxin.contracts.models import Contract
from chengxin.errors import ContractError, InvariantBroken
from chengxin.facts import Resources, StandardBatch, Verdict
from chengxin.model.kinds import Kind
from chengxin.model.schema import ColumnSpec, kind_columns
from chengxin.quality import evidence, plausibility, report, suites, sums
from chengxin.quality.evidence import BatchFacts
from chengxin.quality.expectations import load_pack
from chengxin.quality.metrics import ROWS, Need, Scalar, fill_need, needs_of
from chengxin.quality.scan import DELIVERY_STATUS, Scan
from chengxin.quality.verdict import (
    Answering,
    Outcome,
    as_result,
    batch_doubts,
    finding,
    findings_of,
    is_unended,
    outcome,
    status_of,
)
from chengxin.store import atomic

# failing rows named in a result; the count is always complete
_NAMED_ROWS = 5
_SHOWN_TYPES = ("date", "instant", "money", "integer", "decimal", "year", "code")


def run(
    contract: Contract,
    kind: Kind,
    parts: Sequence[Path],
    counts: StandardBatch,
    *,
    expectations: Path,
    history: Sequence[BatchFacts],
    target: Path,
    made_under: str,
    resources: Resources,
    today: date,
    registry: Sequence[Path] = (),
    restates: str | None = None,
    ahead: date | None = None,
    answering: Callable[[], Answering] = Answering,
) -> Verdict:
    """Judge a batch and write its evidence to `target`.

    made_under: the digest of contract, suite and library. parts: standard-*.parquet. history: facts of earlier admitted
    batches, oldest first. registry: identifier files of the subject registry, for the relation to other data sets.
    restates, ahead: see quality.verdict.batch_doubts. answering: counts the rows that answer known refusals; asked
    where some share is doubtful. Equal input gives equal files.
    Raises ContractError for a rule that cannot be used and InvariantBroken for a failure of the engine.
    """
    suite = suites.compose(contract, kind, expectations, history)
    related = suites.relation(contract, kind) if registry else None
    suite["expectations"] += [suites.with_enough(related, contract.quality.min_rows)] if related else []
    bound = _usable(suite, today)
    doubts = batch_doubts(contract, counts, history, restates, ahead)
    outcomes: list[Outcome] = []
    fill: dict[str, float] = {}
    found: dict[str, Any] = {}
    rows = 0
    if counts.passed > 0 and counts.mismatch is None:
        columns = kind_columns(kind)
        other = registry if related else ()
        deletions = DELIVERY_STATUS in suites.mapped(contract)
        with (
            tempfile.TemporaryDirectory(prefix=atomic.BUILDING, dir=_existing(target.parent)) as spill,
            Scan(parts, resources, spill=Path(spill), registry=other, without_deletions=deletions) as scan,
        ):
            asked = plausibility.needs(contract, kind, scan.types, parts)
            asked |= sums.needs(contract, kind, scan.types, counts)
            rows, fill = _fill(scan, bound, columns, asked.values())
            found = dict(zip(asked, scan.ask(asked.values()).values(), strict=True)) if rows else {}
            if rows > counts.passed or (rows < counts.passed and not deletions):
                raise InvariantBroken(f"标准化文件有 {rows} 行，而账上通过 {counts.passed} 行")
            outcomes = _judge(bound, scan, rows, _shown(columns)) if rows else []
    doubts += plausibility.doubts(found, history, contract.quality.min_rows)
    doubts += sums.doubts(found, counts, is_placed=contract.file.format not in {"json", "xml"})
    findings = findings_of(contract, counts, suite, doubts=doubts, outcomes=outcomes, answering=answering)
    verdict = Verdict(counts.dataset, counts.batch_id, status_of(findings), tuple(findings), digest_of(suite))
    facts = BatchFacts(
        batch_id=counts.batch_id,
        mode=contract.delivery.mode,
        received=counts.received,
        rows=rows,
        quarantined=counts.quarantined,
        fill=fill,
        unended=is_unended(counts),
        sizes=plausibility.sizes(found, contract.quality.min_rows),
    )
    titles = {c.name: c.title or c.name for c in kind_columns(kind)}
    page = report.render(contract.title, counts, verdict, outcomes, fill=fill, titles=titles, history=history)
    results = [as_result(done) for done in outcomes]
    evidence.write(
        target,
        made_under=made_under,
        suite=suite,
        results=results,
        facts=facts,
        verdict=verdict,
        page=page,
    )
    return verdict


def run_subject(parts: Sequence[Path], *, expectations: Path, today: date, resources: Resources) -> Verdict:
    """Judge the `subject` table of a draft by expectations/subject.json; writes nothing."""
    rules = load_pack(expectations, "subject")
    suite = {"name": "subject", "expectations": rules, "meta": {"title": "主体登记簿"}}
    bound = _usable(suite, today)
    if not rules or not parts:
        return Verdict("subject", "", "accept", (), digest_of(suite))
    with (
        tempfile.TemporaryDirectory(prefix=atomic.BUILDING) as spill,
        Scan(parts, resources, spill=Path(spill)) as scan,
    ):
        rows = int(scan.ask([ROWS, *_plan(bound, scan)])[ROWS])
        outcomes = _judge(bound, scan, rows, frozenset())
    findings = tuple(finding(done) for done in outcomes if done.failed)
    return Verdict("subject", "", status_of(findings), findings, digest_of(suite))


def import_ahead() -> None:
    """Begin to import Great Expectations (3 CPU seconds) beside what comes before: workers standardise meanwhile."""
    Thread(target=import_module, args=("chengxin.quality.engine",)).start()


def digest_of(suite: Mapping[str, Any]) -> str:
    """Return the sha256 of a composed suite."""
    return hashlib.sha256(json.dumps(suite, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def _usable(suite: Mapping[str, Any], today: date) -> dict[str, Any]:
    unknown = suites.unsupported(suite)
    if unknown:
        raise ContractError(f"规则集 {suite['name']} 用到校验引擎不支持的规则类型：{'、'.join(unknown)}")
    return suites.bind(suite, today)


def _plan(bound: Mapping[str, Any], scan: Scan) -> list[Need]:
    return [need for rule in bound["expectations"] for need in needs_of(rule, scan.types)]


def _fill(
    scan: Scan, bound: Mapping[str, Any], columns: Sequence[ColumnSpec], more: Iterable[Need]
) -> tuple[int, dict[str, float]]:
    """Ask everything the suite needs and the filled values of every column, in one scan; return rows and shares."""
    filled: dict[str, Scalar] = {c.name: fill_need(c.name, scan.types) for c in columns}
    known = scan.ask([ROWS, *filled.values(), *more, *_plan(bound, scan)])
    rows = int(known[ROWS])
    return rows, {name: round(known[need] / rows, 6) for name, need in filled.items() if rows}


def _judge(bound: Mapping[str, Any], scan: Scan, rows: int, shown: frozenset[str]) -> list[Outcome]:
    from chengxin.quality.engine import judge  # here, because it imports Great Expectations: 3 seconds

    pairs = zip(bound["expectations"], judge(bound, scan), strict=True)
    done = [outcome(rule, judged, rows, shown) for rule, judged in pairs]
    failed = [n for n, one in enumerate(done) if one.failed]
    named = scan.failing_rows([done[n].rule for n in failed], _NAMED_ROWS)
    for n, failing in zip(failed, named, strict=True):
        done[n] = replace(done[n], failing=tuple(failing))
    return done


def _shown(columns: Sequence[ColumnSpec]) -> frozenset[str]:
    """Return the columns whose smallest or largest value reveals nothing about a person."""
    open_columns = (c for c in columns if c.element is not None and c.element.sensitivity == "open")
    return frozenset(c.name for c in open_columns if c.element is not None and c.element.type in _SHOWN_TYPES)


def _existing(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
