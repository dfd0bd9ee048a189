"""The ledger of judgements: who said that a name or a code is a subject's, or is not, and why. Append-only.

Automatic links are the linked.parquet files; here is what people, or a later probabilistic step, add to them. Only this
module writes judgements. Nothing is edited: a judgement is undone by another one, and rows that hung on it are linked
again by the next relink (identity.reopened_links). Judgements count for kinds that register nothing: what founds or
names subjects rests on codes alone.

    <home>/registry/judgements/00000000.json ...
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Literal

import pyarrow as pa

from chengxin.engine.session import Session
from chengxin.errors import InvariantBroken
from chengxin.identity.by_code import CODES
from chengxin.store import journal
from chengxin.store.layout import Layout
from chengxin.store.lock import held

Verdict = Literal["positive", "negative"]


@dataclass(frozen=True)
class Judgement:
    """One entry. Its place in the ledger is its id.

    part, value: what is judged: `name_key` (see cleaning.kernels.names) or a type of identifier, and its value.
    verdict: positive = rows that bear it, and that no code links, are the subject's; negative (names only) = never by
    this name. score: of an automatic judge, 0 to 1; None = a person judged. undoes: the judgement that no longer holds.
    """

    id: int
    at: str
    author: str
    subject_id: int
    part: str
    value: str = field(repr=False)
    verdict: Verdict
    reason: str
    score: float | None = None
    undoes: int | None = None


def read(layout: Layout) -> tuple[Judgement, ...]:
    """Return all judgements ever made, in order."""
    return tuple(Judgement(**entry) for entry in journal.entries(layout.judgements))


def active(judgements: Sequence[Judgement]) -> tuple[Judgement, ...]:
    """Return those that hold: they undo nothing and are not undone."""
    undone = {j.undoes for j in judgements}
    return tuple(j for j in judgements if j.undoes is None and j.id not in undone)


def judge(
    layout: Layout,
    *,
    at: datetime,
    author: str,
    subject_id: int,
    part: str,
    value: str,
    verdict: Verdict,
    reason: str,
    score: float | None = None,
) -> Judgement:
    """Enter a judgement. Raise ValueError when it says nothing that can be followed."""
    if part not in ("name_key", *CODES) or (verdict == "negative" and part != "name_key"):
        raise ValueError("a judgement is about a name_key or an identifier, a negative one about a name_key")
    if not (value and author.strip() and reason.strip()):
        raise ValueError("a judgement needs a value, an author and a reason")
    with held(layout, "registry"):
        entry = Judgement(len(read(layout)), at.isoformat(), author, subject_id, part, value, verdict, reason, score)
        journal.append(layout.judgements, entry.id, asdict(entry))
    return entry


def undo(layout: Layout, judgement: int, *, at: datetime, author: str, reason: str) -> Judgement:
    """Enter that a judgement no longer holds. Raise InvariantBroken when it does not hold now."""
    with held(layout, "registry"):
        everything = read(layout)
        found = next((j for j in active(everything) if j.id == judgement), None)
        if found is None:
            raise InvariantBroken(f"第 {judgement} 号判断不存在或已撤销")
        changed = {"id": len(everything), "at": at.isoformat(), "author": author, "reason": reason, "undoes": judgement}
        entry = Judgement(**{**asdict(found), **changed})
        journal.append(layout.judgements, entry.id, asdict(entry))
    return entry


def attach(session: Session, judgements: Sequence[Judgement]) -> None:
    """Take as inputs judged_for and judged_against (part, value, subject_id) of the active judgements."""
    for table, verdict in (("judged_for", "positive"), ("judged_against", "negative")):
        said = [j for j in active(judgements) if j.verdict == verdict]
        given = {
            "part": pa.array([j.part for j in said], pa.string()),
            "value": pa.array([j.value for j in said], pa.string()),
            "subject_id": pa.array([j.subject_id for j in said], pa.int64()),
        }
        session.rows(table, pa.table(given))
