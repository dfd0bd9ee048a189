"""Clerical review of links by name: what waits for a person, his answers, and what they say of the rule."""

from collections.abc import Sequence
from dataclasses import dataclass

from chengxin.errors import JudgementRefused
from chengxin.home import Home
from chengxin.identity import clerical_review, ledger, supersession
from chengxin.identity.clerical_review import Case
from chengxin.identity.ledger import Judgement, Outcome, Said
from chengxin.identity.precision import Precision, measured
from chengxin.identity.registry import Registry
from chengxin.identity.supersession import Merge, Twins
from chengxin.pipeline import at_home
from chengxin.publishing import commit
from chengxin.publishing.reader import open_snapshot
from chengxin.publishing.suppression import candidates
from chengxin.records import journal
from chengxin.store.layout import ASSEMBLY

REASON = "人工核对"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a person said of a pair, or of all pairs of a case. about: its id."""

    about: str
    outcome: Outcome


@dataclass(frozen=True)
class Queue:
    """What waits, what the answers so far say of the rule, and which subjects are said to be one."""

    cases: list[Case]
    precision: Precision
    merges: list[Merge]


def queue(home: Home) -> Queue:
    """Return the cases that wait for a person. home: as a folder of this machine."""
    judgements, accounts = ledger.read(home.layout), journal.accounts(home.layout)
    found = clerical_review.cases(home.layout, accounts, judgements, home.clock.today())
    return Queue(found, measured(judgements), supersession.merges(judgements))


@at_home.linking
def answer(
    home: Home, answers: Sequence[Answer], *, by: str, reason: str = REASON
) -> list[Judgement | JudgementRefused]:
    """Enter answers, or confirm what another person proposed; return what became of each. Retrying follows them."""
    cases, said, refused = queue(home).cases, list[Said](), list[Judgement | JudgementRefused]()
    for one in answers:
        try:
            said += clerical_review.answered(cases, one.about, one.outcome, reason)
        except JudgementRefused as error:
            refused.append(error)
    return [*ledger.judge_all(home.layout, said, at=home.clock.now(), author=by), *refused]


@at_home.linking
def undo(home: Home, judgement: int, *, by: str, reason: str) -> Judgement:
    """Take a judgement back; see ledger.undo."""
    return ledger.undo(home.layout, judgement, at=home.clock.now(), author=by, reason=reason)


@at_home.linking
def merge(home: Home, subjects: tuple[int, int], *, by: str, reason: str) -> Judgement:
    """Propose that two subjects are one, or confirm it; the next publication follows. See supersession."""
    registry = Registry(home.layout, journal.accounts(home.layout))
    said = supersession.merged(registry, home.resources, subjects, reason)
    return ledger.judge(home.layout, said, at=home.clock.now(), author=by)


def shared(home: Home, subjects: tuple[int, int]) -> int:
    """Return how many published decisions two subjects share: each of them stays on record twice. home: a folder."""
    if commit.current(home.layout, ASSEMBLY) is None:
        return 0
    return candidates.shared(open_snapshot(home.settings.home, ASSEMBLY, mark=False), subjects)


@at_home.linking
def split(home: Home, subject: int, *, by: str, reason: str) -> list[Judgement]:
    """Take back all that stands of a subject being another one. Raise JudgementRefused where nothing does."""
    found = [j for j in ledger.standing(ledger.read(home.layout)) if j.part == ledger.SUBJECT]
    found = [j for j in found if subject in (j.subject_id, int(j.value))]
    if not found:
        raise JudgementRefused(f"主体 {subject} 没有合并")
    return [ledger.undo(home.layout, j.id, at=home.clock.now(), author=by, reason=reason) for j in found]


def twins(home: Home, most: int) -> list[Twins]:
    """Return subjects that may be one. home: as a folder of this machine."""
    registry = Registry(home.layout, journal.accounts(home.layout))
    return supersession.proposals(registry, home.resources, ledger.read(home.layout), most)


@at_home.linking
def resume(home: Home, *, by: str, reason: str) -> Judgement:
    """Let the rule name_like link again; see precision."""
    return ledger.resume(home.layout, "name_like", at=home.clock.now(), author=by, reason=reason)
