"""Findings that only linking makes, written into verdict and report before the account is entered."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from chengxin.contracts.models import Contract
from chengxin.contracts.plan import kind_of, plan_of
from chengxin.facts import Admission, Doubt, Finding
from chengxin.identity.batch_links import Outcome
from chengxin.identity.conflicts import name_conflicts, near_duplicates, unmatched_deletions
from chengxin.identity.conflicts.shared_numbers import counted
from chengxin.model.rules import in_words
from chengxin.quality import evidence, report
from chengxin.records import protected
from chengxin.store.layout import Layout

BESIDE, REPLACED, REUSED = "record.same_number", "record.replaced", "record.number_reused"
TWIN, EXCHANGED = "record.twin", "record.exchanged"
MISNAMED, SAME_NAMED, UNKNOWN_NAME = "subject.named_otherwise", "subject.same_named", "subject.name_unknown"
MISSED = "deletion.missed"
OTHER_LIST = "full.other_list"
_OURS = {protected.SPARED, protected.WITHHELD, BESIDE, REPLACED, REUSED, MISNAMED, SAME_NAMED, MISSED, OTHER_LIST}
_OURS |= {TWIN, EXCHANGED, UNKNOWN_NAME}
_FEW = 20  # records; of fewer, most may well be replaced
_SHOWN = 5  # rows that are named in a sentence


def found_by_linking(
    contract: Contract, before: Admission, outcome: Outcome, links: Sequence[Path], mine: Sequence[Admission]
) -> list[Finding]:
    """Return the findings of linking. links: folders of all revisions. mine: accounts of the data set."""
    doubts = [
        *protected.doubts(outcome),
        *_other_list(contract, before, outcome, mine),
        *_same_number(contract, *counted(links)),
        *_alike(contract, *near_duplicates.counted(links)),
        *_misnamed(links),
        *_missed(contract, links),
    ]
    return [in_words(doubt) for doubt in doubts]


def noted(layout: Layout, before: Admission, found: Sequence[Finding], links: Sequence[Path]) -> Admission:
    """Write findings into verdict and report, each once though it is done again. Return the account with the verdict.

    links: the folders of all revisions of the batch.
    """
    if not found and len(links) == 1:
        return before
    path = layout.validation(before.dataset, before.batch_id)
    said = evidence.read_verdict(path)
    if len(links) > 1:  # rows that waited have no part in what was withdrawn
        of_delivery = {protected.SPARED, protected.WITHHELD, OTHER_LIST}
        found = [*found, *(f for f in said.findings if f.rule in of_delivery)]
    others = [f for f in said.findings if f.rule not in _OURS]
    status = "warn" if any(f.severity == "warning" for f in found) else said.status
    verdict = replace(said, status=status, findings=(*others, *found))
    evidence.change_verdict(path, verdict, lambda page: report.admitted(page, status, found))
    return replace(before, verdict=status)


def _other_list(contract: Contract, before: Admission, outcome: Outcome, mine: Sequence[Admission]) -> list[Doubt]:
    """Report that a full delivery lacks most records of the one before, though it may have as many rows.

    It is another list, or its keys are written otherwise.
    """
    earlier = [a for a in mine if a.batch_id != before.batch_id and a.mode == "full"]
    held = earlier[-1].accepted + earlier[-1].duplicate if earlier else 0
    limit = contract.quality.shrink.hold
    if before.mode != "full" or held < _FEW or limit >= 1 or outcome.withdrawn <= held * limit:
        return []
    return [Doubt(rule=OTHER_LIST, stated=held, found=outcome.withdrawn, rows=outcome.withdrawn)]


def _misnamed(links: Sequence[Path]) -> list[Doubt]:
    """Report how many rows bear a name that contradicts their code."""
    told = Counter(name_conflicts.rows_of(links).values())
    cases = (
        (name_conflicts.OTHER, MISNAMED),
        (name_conflicts.SAME, SAME_NAMED),
        (name_conflicts.UNKNOWN, UNKNOWN_NAME),
    )
    return [Doubt(rule=rule, found=told[why], rows=told[why]) for why, rule in cases if told[why]]


def _missed(contract: Contract, links: Sequence[Path]) -> list[Doubt]:
    """Report which deletions found no record, and one that each may mean."""
    rows = unmatched_deletions.rows_of(links)
    if not rows:
        return []
    headers = {c.element: c.source for c in contract.columns}
    key = "".join(f"“{headers[element]}”" for element in plan_of(contract).kind.key if element in headers)
    places = [
        f"{r['source_file']} 第 {r['source_row']} 行"
        f"（可能指 {r['other_batch']} 批次 {r['other_file']} 第 {r['other_row']} 行）"
        for r in rows[:_SHOWN]
    ] + ["……"] * (len(rows) > _SHOWN)
    return [Doubt(rule=MISSED, place="；".join(places), stated=key, found=len(rows), rows=len(rows))]


def _alike(contract: Contract, rows: int, exchanged: int) -> list[Doubt]:
    """Report that rows made second records of what is held already: written otherwise, or with exchanged roles."""
    found, twins = [], rows - exchanged
    if twins:
        found.append(Doubt(rule=TWIN, found=twins, rows=twins))
    if exchanged:
        one, other = (role.title for role in kind_of(contract).roles.values())
        found.append(Doubt(rule=EXCHANGED, place=one, stated=other, found=exchanged, rows=exchanged))
    return found


def number_of(contract: Contract) -> str:
    """Return the header of what should name one record: the source's own key, else the kind's number."""
    wanted = ("source_record_id", *kind_of(contract).one_number)
    headers = {c.element: c.source for c in contract.columns}
    return next((headers[e] for e in wanted if e in headers), "")


def _same_number(contract: Contract, one: int, other: int) -> list[Doubt]:
    """Report that rows bear the source's number of other records: of the same subject (one), of another one (other)."""
    header = number_of(contract)
    if contract.delivery.versions_by == "key":
        rows = one + other
        return [Doubt(rule=BESIDE, place=header, found=rows, rows=rows)] if rows else []
    found = [(REPLACED, one), (REUSED, other)]
    return [Doubt(rule=rule, place=header, found=rows, rows=rows) for rule, rows in found if rows]
