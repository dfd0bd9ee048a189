"""Subjects that are one: ids never move, a published table leads from the id that is superseded to the one that stays.

Two entries of the registry may be one firm (a 15-digit number and a later USCC, a branch registered twice). People say
so, two of them, as judgements of the ledger: part `subject`, value the higher id, subject the lower one. Undone, the
table is what it was. Of a chain of judgements the lowest id stays, whatever the order in which they were made.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import pyarrow as pa

from chengxin.engine.session import session
from chengxin.engine.step import Step, literal
from chengxin.errors import JudgementRefused
from chengxin.facts import Resources
from chengxin.identity import ledger
from chengxin.identity.by_name.registered_rows import FOUND
from chengxin.identity.ledger import Judgement, Said
from chengxin.identity.registry import Registry
from chengxin.store.layout import Layout

_NOW = """SELECT subject_id, arg_max(subject_type, (version_at, row_id)) AS subject_type,
        arg_max(name_key, (version_at, row_id)) AS name_key, arg_max(name, (version_at, row_id)) AS name,
        arg_max(legal_rep, (version_at, row_id)) AS legal_rep, max(uscc) AS uscc
    FROM registry_subjects GROUP BY subject_id"""


@dataclass(frozen=True)
class Twins:
    """Two subjects that may be one: the same name and the same representative, and not two USCCs."""

    first: int
    second: int
    name: str = field(repr=False)


def rows(judgements: Sequence[Judgement]) -> list[dict[str, Any]]:
    """Return what holds, as the table `subject_supersession` has it, by subject."""
    merged = [j for j in ledger.active(judgements) if j.part == ledger.SUBJECT]
    confirmed = {j.confirms: j.at for j in judgements if j.confirms is not None}
    stays = _roots(merged)
    # The last judgement that made a subject one of its group: before it, its id stood for itself.
    by = {subject: j for j in merged for subject in (int(j.value), j.subject_id) if subject in stays}
    return [
        {
            "subject_id": subject,
            "superseded_by": stays[subject],
            "since_at": confirmed.get(j.id, j.at),
            "judgement": j.id,
        }
        for subject, j in sorted(by.items())
    ]


def _roots(merged: Iterable[Judgement]) -> dict[int, int]:
    """Return the lowest id of the group of each subject that is not this one itself."""
    stays: dict[int, int] = {}

    def root(subject: int) -> int:
        while subject in stays:
            subject = stays[subject]
        return subject

    for j in merged:
        low, high = sorted((root(j.subject_id), root(int(j.value))))
        if low != high:
            stays[high] = low
    return {subject: root(subject) for subject in stays}


@dataclass(frozen=True)
class Aliases:
    """Under which other ids records of a subject may be found. ever: also by judgements that do not hold (any more)."""

    now: Mapping[int, int] = field(default_factory=dict)
    ever: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def read(cls, layout: Layout) -> Self:
        """Ask the ledger."""
        judgements = ledger.read(layout)
        said = [j for j in judgements if j.part == ledger.SUBJECT]
        return cls(_roots(j for j in ledger.active(judgements) if j.part == ledger.SUBJECT), _roots(said))

    def of(self, subject: int) -> frozenset[int]:
        """Return the ids of the firm that a subject is."""
        return _group(self.now, subject)

    def ever_of(self, subject: int) -> frozenset[int]:
        """Return the ids under which some snapshot may have records of a subject."""
        return _group(self.ever, subject)


def _group(roots: Mapping[int, int], subject: int) -> frozenset[int]:
    root = roots.get(subject, subject)
    return frozenset({subject, root, *(i for i, r in roots.items() if r == root)})


def merged(registry: Registry, resources: Resources, subjects: tuple[int, int], reason: str) -> Said:
    """Return the judgement that two subjects are one. Raise JudgementRefused where one is none, or no firm."""
    low, high = sorted(subjects)
    with session(registry.layout.work, resources) as steps:
        registry.files().attach(steps)
        kinds = ", ".join(map(literal, FOUND))
        sql = f"SELECT count(*) FROM ({_NOW}) WHERE subject_id IN ($low, $high) AND subject_type IN ({kinds})"
        found = steps.fetch(Step("both", ("registry_subjects",), sql, {"low": low, "high": high}))[0][0]
    if low == high or found != 2:
        raise JudgementRefused(f"主体 {low} 与 {high} 不能合并：须是登记库中两个不同的主体，且都不是自然人或个体工商户")
    return Said(subject_id=low, part=ledger.SUBJECT, value=str(high), outcome="same", reason=reason, needs_second=True)


def proposals(registry: Registry, resources: Resources, judgements: Sequence[Judgement], most: int) -> list[Twins]:
    """Ask the registry against itself which subjects may be one; those that somebody has judged are left out."""
    judged = {(j.subject_id, int(j.value)) for j in ledger.active(judgements) if j.part == ledger.SUBJECT}
    kinds = ", ".join(map(literal, FOUND))
    sql = f"""WITH subjects AS (SELECT * FROM ({_NOW})
            WHERE subject_type IN ({kinds}) AND name_key IS NOT NULL AND legal_rep IS NOT NULL)
        SELECT a.subject_id, b.subject_id, a.name FROM subjects a JOIN subjects b USING (name_key, legal_rep)
        WHERE a.subject_id < b.subject_id AND (a.uscc IS NULL OR b.uscc IS NULL) ORDER BY ALL LIMIT $most"""
    with session(registry.layout.work, resources) as steps:
        registry.files().attach(steps)
        step = Step("twins", ("registry_subjects",), sql, {"most": most + len(judged)})
        found = [Twins(*row) for row in steps.fetch(step)]
    return [twins for twins in found if (twins.first, twins.second) not in judged][:most]


@dataclass(frozen=True)
class Merge:
    """What somebody said of two subjects. waits: for another person, before it holds."""

    judgement: int
    first: int
    second: int
    by: str
    on: str
    waits: bool


def merges(judgements: Sequence[Judgement]) -> list[Merge]:
    """Return what stands, what waits for a person first, then the newest first."""
    waiting = {j.id for j in ledger.proposed(judgements)}
    said = (j for j in ledger.standing(judgements) if j.part == ledger.SUBJECT)
    found = [Merge(j.id, j.subject_id, int(j.value), j.author, j.at[:10], j.id in waiting) for j in said]
    return sorted(found, key=lambda m: (not m.waits, -m.judgement))


def table(found: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return such rows as a table of this schema."""
    columns = {f.name: pa.array([row[f.name] for row in found]) for f in schema}
    instants = [pa.scalar(row["since_at"]).cast(pa.timestamp("us", "UTC")) for row in found]
    columns["since_at"] = pa.array([i.as_py() for i in instants], pa.timestamp("us", "UTC"))
    return pa.table({name: column.cast(schema.field(name).type) for name, column in columns.items()}, schema=schema)
