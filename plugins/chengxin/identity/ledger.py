"""The ledger of judgements: whether a name or a code is a subject's, who said so, and why. Append-only.

Automatic links are the linked.parquet files; here is what people add to them. Only this module writes judgements.
Nothing is edited: a judgement is undone by another one, and rows that hung on it are linked again by the next relink
(identity.reopened_links). Judgements count for kinds that register nothing: what founds or names subjects rests on
codes alone.

    <home>/registry/judgements/00000000.json ...
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa

from chengxin.engine.session import Session
from chengxin.errors import InvariantBroken, JudgementRefused
from chengxin.identity.by_code import CODES
from chengxin.store import journal
from chengxin.store.layout import Layout
from chengxin.store.lock import held

Outcome = Literal["same", "different", "unsure", "resumed"]
OUTCOMES: tuple[Outcome, ...] = ("same", "different", "unsure")  # of an answer
NAME, RULE, SUBJECT = "name_key", "rule", "subject"


@dataclass(frozen=True, kw_only=True)
class Said:
    """What somebody says of a name or a code, and a subject.

    part, value: `name_key` (see cleaning.kernels.names) or a type of identifier, and its value; `subject`, and another
    one that is the same firm (supersession). region, legal_rep: of the rows that it is about, "" = rows without one,
    None = whatever they give; a prefecture, and the digest of a name.
    outcome: same = rows that bear it, and that no code links, are the subject's; different (names only) = never by
    this name; unsure = nobody can tell now; resumed = the rule `value` runs again (precision). evidence: what was
    known of the pair, as whole numbers (clerical_review.Pair). is_sample: the link was drawn to measure precision.
    needs_second: it holds once another person says the same.
    """

    subject_id: int
    part: str
    value: str = field(repr=False)
    outcome: Outcome
    reason: str
    region: str | None = None
    legal_rep: str | None = field(default=None, repr=False)
    evidence: dict[str, int] = field(default_factory=dict)
    is_sample: bool = False
    needs_second: bool = False

    @property
    def question(self) -> tuple[Any, ...]:
        """Return what was asked: two judgements with the same question contradict or confirm each other."""
        return self.part, self.value, self.region, self.legal_rep, self.subject_id


@dataclass(frozen=True, kw_only=True)
class Judgement(Said):
    """One entry. Its place in the ledger is its id. confirms, undoes: another judgement, which is repeated here."""

    id: int
    at: str
    author: str
    confirms: int | None = None
    undoes: int | None = None


def read(layout: Layout) -> tuple[Judgement, ...]:
    """Return all judgements ever made, in order."""
    return tuple(Judgement(**entry) for entry in journal.entries(layout.judgements))


def standing(judgements: Sequence[Judgement]) -> tuple[Judgement, ...]:
    """Return those that nobody has undone, proposals and doubts included."""
    undone = {j.undoes for j in judgements}
    return tuple(j for j in judgements if j.undoes is None and j.confirms is None and j.id not in undone)


def active(judgements: Sequence[Judgement]) -> tuple[Judgement, ...]:
    """Return those that hold: not undone, no doubt, and confirmed where a second person is needed."""
    confirmed = {j.confirms for j in judgements}
    return tuple(j for j in standing(judgements) if j.outcome != "unsure" and (not j.needs_second or j.id in confirmed))


def proposed(judgements: Sequence[Judgement]) -> tuple[Judgement, ...]:
    """Return those that wait for a second person."""
    holds = {j.id for j in active(judgements)}
    return tuple(j for j in standing(judgements) if _decides(j) and j.id not in holds)


def _decides(judgement: Said) -> bool:
    return judgement.outcome in ("same", "different")


def changes(judgements: Sequence[Judgement]) -> tuple[Judgement, ...]:
    """Return those by which rows are linked otherwise: no doubts, no mere proposals."""
    return tuple(
        j for j in judgements if _decides(j) and (not j.needs_second or j.confirms is not None or j.undoes is not None)
    )


def judge(layout: Layout, said: Said, *, at: datetime, author: str) -> Judgement:
    """Enter a judgement, or confirm one that another person proposed.

    Raise ValueError when it states nothing that can be followed, JudgementRefused where it contradicts one that stands,
    or the person who proposed it confirms it.
    """
    (entered,) = judge_all(layout, [said], at=at, author=author)
    if isinstance(entered, JudgementRefused):
        raise entered
    return entered


def judge_all(layout: Layout, said: Sequence[Said], *, at: datetime, author: str) -> list[Judgement | JudgementRefused]:
    """Enter what one person said, each as `judge` does; return what became of each."""
    author, done = author.strip(), list[Judgement | JudgementRefused]()
    for one in said:
        if one.part not in (NAME, SUBJECT, *CODES) or (one.outcome == "different" and one.part != NAME):
            raise ValueError("a judgement is about a name_key or an identifier, `different` only about a name_key")
        if not (one.value and author and one.reason.strip()):
            raise ValueError("a judgement needs a value, an author and a reason")
    with held(layout, "registry"):
        everything = list(read(layout))
        for one in said:
            try:
                before = _before(everything, one, author)
            except JudgementRefused as refused:
                done.append(refused)
                continue
            place = {"id": len(everything), "at": at.isoformat(), "author": author}
            entry = Judgement(**{**asdict(one), **place, "confirms": before.id if before else None})
            journal.append(layout.judgements, entry.id, asdict(entry))
            everything.append(entry)
            done.append(entry)
    return done


def _before(everything: Sequence[Judgement], said: Said, author: str) -> Judgement | None:
    """Return the proposal that this confirms, None where there is none. Raise JudgementRefused."""
    about = [j for j in standing(everything) if j.question[:-1] == said.question[:-1] and _decides(j)]
    if said.outcome == "unsure":
        return None
    for found in about:
        both = "same" == found.outcome == said.outcome and found.subject_id != said.subject_id
        both = both and said.part != SUBJECT  # one firm may have many entries
        if both or (found.subject_id == said.subject_id and found.outcome != said.outcome):
            raise JudgementRefused(f"与第 {found.id} 号判断（{found.author}）相反；须先撤销该判断")
    mine = next((j for j in about if j.subject_id == said.subject_id), None)
    if mine is None:
        return None
    if mine not in proposed(everything):
        raise JudgementRefused(f"已有第 {mine.id} 号判断，不必重复")
    if mine.author == author:
        raise JudgementRefused(f"第 {mine.id} 号判断由 {author} 提出，须由另一人确认")
    return mine


def undo(layout: Layout, judgement: int, *, at: datetime, author: str, reason: str) -> Judgement:
    """Enter that a judgement no longer holds. Raise InvariantBroken when it does not stand now."""
    with held(layout, "registry"):
        everything = read(layout)
        found = next((j for j in standing(everything) if j.id == judgement), None)
        if found is None:
            raise InvariantBroken(f"第 {judgement} 号判断不存在或已撤销")
        entry = replace(found, id=len(everything), at=at.isoformat(), author=author, reason=reason, undoes=judgement)
        journal.append(layout.judgements, entry.id, asdict(entry))
    return entry


def resume(layout: Layout, rule: str, *, at: datetime, author: str, reason: str) -> Judgement:
    """Enter that a rule which stopped by itself runs again."""
    if not (author.strip() and reason.strip()):
        raise ValueError("a judgement needs an author and a reason")
    with held(layout, "registry"):
        entry = Judgement(
            id=len(read(layout)),
            at=at.isoformat(),
            author=author.strip(),
            subject_id=0,
            part=RULE,
            value=rule,
            outcome="resumed",
            reason=reason.strip(),
        )
        journal.append(layout.judgements, entry.id, asdict(entry))
    return entry


def attach(session: Session, judgements: Sequence[Judgement]) -> None:
    """Take as inputs judged_for and judged_against (part, value, region, legal_rep, subject_id) of what holds."""
    for table, outcome in (("judged_for", "same"), ("judged_against", "different")):
        said = [j for j in active(judgements) if j.outcome == outcome]
        texts = {n: pa.array([getattr(j, n) for j in said], pa.string()) for n in _TEXTS}
        session.rows(table, pa.table({**texts, "subject_id": pa.array([j.subject_id for j in said], pa.int64())}))


_TEXTS = ("part", "value", "region", "legal_rep")


def digest(name: str) -> str:
    """Return a legal representative as the ledger holds him: by_code.representative says the same in SQL."""
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()[:16] if name else ""
