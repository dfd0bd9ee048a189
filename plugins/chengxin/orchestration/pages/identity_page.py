"""身份核对: names that linking is not sure of, one a screen, with their candidates. Answers go by a run of a DAG."""

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from chengxin.orchestration.pages import actions
from chengxin.orchestration.pages.access import IndexDep, ReaderDep, note_values_shown
from chengxin.orchestration.pages.rendering import page

if TYPE_CHECKING:
    from chengxin.identity.clerical_review import Case, Pair

router = APIRouter()
MOST = 50  # names that are loaded at a time
KEYS = 5  # candidates that have a key


@dataclass(frozen=True)
class Candidate:
    """One candidate. sent, registered: pieces of both names, and whether each is in the other too."""

    id: str
    subject_id: int
    sent: list[tuple[str, bool]]
    registered: list[tuple[str, bool]]
    posterior: float
    evidence: list[tuple[str, float]]
    proposed: str | None
    by: str


@dataclass(frozen=True)
class Asked:
    """One name. datasets: titles. is_mine: it waits for another person than the reader."""

    case: "Case"
    datasets: list[str]
    candidates: list[Candidate]
    is_mine: bool


@router.get("/identity")
def identity(request: Request, reader: ReaderDep, home: IndexDep) -> Response:
    """Show the names whose data sets the reader may see as sent; of the others how many there are."""
    from chengxin.pipeline import judgements

    found = judgements.queue(home.home)
    datasets = {dataset for case in found.cases for dataset, _ in case.batches}
    allowed = {name for name in datasets if reader.may_see_values(name)}
    shown = [case for case in found.cases if {d for d, _ in case.batches} <= allowed]
    asked = sorted((_asked(case, home, reader.name) for case in shown[:MOST]), key=lambda one: one.is_mine)
    for dataset in sorted({d for case in shown[:MOST] for d, _ in case.batches}):
        note_values_shown(reader, dataset, "identity")
    return page(
        request, reader, "identity.html.j2", section="identity", asked=asked, waiting=len(found.cases),
        hidden=len(found.cases) - len(shown), heavy=sum(c.is_heavy for c in found.cases), precision=found.precision,
        merges=found.merges[:MOST], more=max(0, len(found.merges) - MOST),
        action=actions.judge() if reader.may_judge() else None,
    )  # fmt: skip


def _asked(case: "Case", home: Any, name: str) -> Asked:
    with home.reading() as connection:
        contracts = {d: home.contract(connection, d) for d, _ in case.batches}
    titles = [contract.title if contract else dataset for dataset, contract in contracts.items()]
    mine = any(pair.proposal is not None and pair.proposal.author == name for pair in case.pairs)
    return Asked(case, titles, [_candidate(case, pair) for pair in case.pairs[:KEYS]], mine)


def _candidate(case: "Case", pair: "Pair") -> Candidate:
    why = case.explain(pair)
    matched = SequenceMatcher(None, case.sent, pair.registered, autojunk=False).get_opcodes()
    return Candidate(
        id=pair.id,
        subject_id=pair.subject_id,
        sent=[(case.sent[a:b], op == "equal") for op, a, b, _, _ in matched if b > a],
        registered=[(pair.registered[c:d], op == "equal") for op, _, _, c, d in matched if d > c],
        posterior=pair.posterior,
        evidence=sorted(why.evidence, key=lambda said: -abs(said[1])) if why else [],
        proposed=pair.proposal.outcome if pair.proposal else None,
        by=pair.proposal.author if pair.proposal else "",
    )
