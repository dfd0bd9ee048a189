"""Legal acts on published records (修复、撤回、异议): a chained journal, and the state of each case after it.

    <home>/acts/00000000.json ...

Repair and withdrawal take records out of every snapshot; an objection takes them out of the open tier until it is
answered. A withdrawal is proposed by one person and confirmed by another; an act that fits several decisions waits
until a person chooses. What waits already hides all that it may mean. A lifting ends an act.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, Self

from chengxin.errors import ActRefused
from chengxin.identity.supersession import Aliases
from chengxin.model.kinds import Kind
from chengxin.store import journal
from chengxin.store.journal import Head
from chengxin.store.layout import Layout
from chengxin.store.lock import held

ActName = Literal["repair", "withdrawal", "objection", "answer", "confirmation", "lifting"]
Outcome = Literal["rejected", "corrected", "upheld"]
State = Literal["proposed", "waiting", "in_force", "answered", "lifted"]
_known: "dict[Path, list[tuple[Head, Act]]]" = {}
NAMES = {"repair": "修复", "withdrawal": "撤回", "objection": "异议", "answer": "异议答复", "confirmation": "确认",
    "lifting": "解除"}  # fmt: skip
AUTHORITY = "authority_name"
_BRACKETS = str.maketrans("〔〕[]【】", "()()()")


@dataclass(frozen=True, kw_only=True)
class Record:
    """A record that an act may be about. number, authority: of its decision, "" where its kind has none.

    subject_id: the one that its row was linked to.
    """

    record_id: str
    kind: str
    subject_id: int
    number: str = ""
    authority: str = ""
    event_on: str = ""

    @property
    def decision(self) -> tuple[str, int, str, str] | None:
        """Return what names the decision, however it is delivered again; None where its kind has no number."""
        return decision(self.kind, self.subject_id, self.number, self.authority)


@dataclass(frozen=True, kw_only=True)
class Act:
    """One entry. at: when it was entered; document, day: number and day of the legal document.

    records: what it may be about, or several that bear one decision; without a number where none is known yet. of: the
    act that an answer, a confirmation or a lifting is about. source: the delivered row that it comes from,
    `<batch>/<row id>`. doubt: why a person has to look at it first; "early" = dated before the decision.
    """

    id: int
    act: ActName
    at: str
    by: str
    document: str
    day: str
    records: tuple[Record, ...] = ()
    of: int | None = None
    outcome: Outcome | None = None
    source: str | None = None
    doubt: str | None = None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Rebuild from what the journal holds."""
        known = {name: data[name] for name in cls.__dataclass_fields__}
        return cls(**{**known, "records": tuple(Record(**r) for r in data["records"])})


@dataclass
class Case:
    """A repair, withdrawal or objection and what became of it. records: those that it is about, as known by now."""

    act: Act
    records: tuple[Record, ...]
    confirmed: Act | None = None
    closed: Act | None = None

    @property
    def state(self) -> State:
        """Return where the case stands."""
        if self.closed and self.closed.act == "lifting":
            return "lifted"
        if self.closed and self.closed.outcome != "upheld":
            return "answered"
        if (self.act.doubt or self._is_ambiguous) and not self.confirmed:
            return "waiting"
        return "proposed" if self.act.act == "withdrawal" and not self.confirmed else "in_force"

    @property
    def _is_ambiguous(self) -> bool:
        return len({r.decision[1:] if r.decision else r.record_id for r in self.records}) > 1

    @property
    def hides(self) -> bool:
        """Return whether readers are not to see its records."""
        return self.state in {"proposed", "waiting", "in_force"}

    @property
    def removes(self) -> bool:
        """Return whether its records leave every snapshot."""
        upheld = self.closed is not None and self.closed.outcome == "upheld"
        return self.state == "in_force" and (upheld or self.act.act != "objection")

    @property
    def is_objection(self) -> bool:
        """Return whether its records are hidden in the open tier alone."""
        return self.act.act == "objection" and self.hides and not self.removes


@dataclass
class Register:
    """All acts, folded. head: the end of the journal that they come from. aliases: of subjects that were merged."""

    head: Head
    cases: dict[int, Case] = field(default_factory=dict)
    sources: set[str] = field(default_factory=set)
    aliases: Aliases = field(default_factory=Aliases)

    def removed(self) -> list[Record]:
        """Return the records that must be in no snapshot, under each id by which one may name them."""
        return [s for c in self.cases.values() if c.removes for r in c.records for s in self.spread(r)]

    def objected(self) -> list[Record]:
        """Return the records with an open objection, likewise."""
        return [s for c in self.cases.values() if c.is_objection for r in c.records for s in self.spread(r)]

    def spread(self, record: Record) -> Iterator[Record]:
        """Give a record under all ids of its subject: its decision is that of the firm, whatever id names that.

        Under ids that are another firm, but for a time stood for this one, it is known by its number alone.
        """
        firm = self.aliases.of(record.subject_id)
        for subject in sorted(firm | self.aliases.ever_of(record.subject_id)):
            if subject in firm:
                yield replace(record, subject_id=subject)
            elif record.record_id:
                yield replace(record, subject_id=subject, number="")


@dataclass(frozen=True)
class Effects:
    """What acts mean for a publication. removed: records that must not be in it. objected: with an open objection.

    rejudged: those whose objection came or went since the snapshot that it builds on. restores: whether a record that
    this snapshot lacks may be back. acts: how many acts it is made under.
    """

    removed: tuple[Record, ...] = ()
    objected: tuple[Record, ...] = ()
    rejudged: tuple[Record, ...] = ()
    restores: bool = False
    acts: int = 0


NO_ACTS = Effects()


def effects(layout: Layout, judged: int, cleared: Iterable[int]) -> Effects:
    """Return what the acts mean. judged, cleared: under how many acts the snapshot before was made, and issued again.

    What it lacks was removed under any of these: one act may be lifted and another entered before anybody looks.
    """
    now, before = read(layout), read(layout, judged - 1)
    lacking = {r for count in (judged, *cleared) for r in read(layout, count - 1).removed()}
    objections = set(now.objected()) ^ set(before.objected())
    return Effects(
        tuple(now.removed()),
        tuple(now.objected()),
        tuple(sorted(objections, key=lambda r: r.record_id)),
        bool(lacking - set(now.removed())),
        now.head.order + 1,
    )


def read(layout: Layout, upto: int | None = None) -> Register:
    """Fold the journal, or its first entries up to number `upto`. A process reads each entry once."""
    entered = _entries(layout)
    register = Register(Head(), aliases=Aliases.read(layout) if entered else Aliases())
    for head, act in entered:
        if upto is not None and head.order > upto:
            break
        _fold(register, head, act)
    return register


def _entries(layout: Layout) -> list[tuple[Head, Act]]:
    """Return all entries, those before the last known one as they were when it was read."""
    folder = layout.acts
    known = _known.get(folder, [])
    last = known[-1][0] if known else Head()
    if known and (journal.newest(folder) < last.order or journal.digest(folder, last.order) != last.digest):
        known, last = [], Head()  # another home, or one that was restored
    known = [*known, *((head, Act.from_json(body)) for head, body in journal.since(folder, last))]
    _known.clear()
    _known[folder] = known
    return known


def _fold(register: Register, head: Head, act: Act) -> None:
    register.head = head
    if act.source:
        register.sources.add(act.source)
    if act.of is None:
        register.cases[act.id] = Case(act, act.records)
        return
    case = register.cases[act.of]
    if act.act == "confirmation":
        case.confirmed, case.records = act, act.records
    else:
        case.closed = act


def enter(
    layout: Layout,
    act: ActName,
    records: Sequence[Record],
    *,
    at: datetime,
    by: str,
    document: str,
    day: date,
    source: str | None = None,
    is_delivered: bool = False,
) -> Case:
    """Enter a repair, a withdrawal or an objection. records: all that it may be about.

    is_delivered: it comes from a department; what a person would be told to check then waits, and hides meanwhile.
    Raise ActRefused where it names no record, comes before the decision or from the future, or where one of the
    records is under an act already.
    """
    by, document = by.strip(), document.strip()
    if not (by and document):
        raise ActRefused(f"{NAMES[act]}须写明文书号和录入人")
    if not records:
        raise ActRefused(f"没有找到要{NAMES[act]}的记录；请核对主体标识、文书号和作出机关，或写明记录编号")
    if day > at.date():
        raise ActRefused(f"文书日期 {day} 晚于今天")
    early = [r for r in records if r.event_on and day.isoformat() < r.event_on]
    if early and not is_delivered:
        raise ActRefused(f"文书日期 {day} 早于决定日期 {early[0].event_on}，不可能针对该决定；请核对")
    with held(layout, "acts"):
        register = read(layout)
        _refuse_second(register, act, records)
        number = register.head.order + 1
        entry = Act(
            id=number,
            act=act,
            at=at.isoformat(),
            by=by,
            document=document,
            day=day.isoformat(),
            records=tuple(records),
            source=source,
            doubt="early" if early else None,
        )
        return _append(layout, register, entry)


def _refuse_second(register: Register, act: ActName, records: Iterable[Record]) -> None:
    """Refuse an act on a record that is under one; a repair or a withdrawal may overtake an open objection."""
    ids, decisions = {r.record_id for r in records}, {r.decision for r in records} - {None}
    for case in register.cases.values():
        if not case.hides or (case.is_objection and act != "objection"):
            continue
        if any(r.record_id in ids or r.decision in decisions for r in case.records):
            raise ActRefused(
                f"该记录已有第 {case.act.id} 号{NAMES[case.act.act]}（{case.act.document}）；如须改变，请先解除（lift）"
            )


def confirm(layout: Layout, number: int, wanted: Sequence[str], *, at: datetime, by: str) -> Case:
    """Confirm a proposed withdrawal, or choose from the records that an act may be about.

    wanted: record ids; empty = all that it names. Who proposed a withdrawal cannot confirm it.
    """
    with held(layout, "acts"):
        register = read(layout)
        case = _case(register, number, {"proposed", "waiting"})
        if case.act.act == "withdrawal" and by.strip() == case.act.by:
            raise ActRefused(f"第 {number} 号撤回由 {case.act.by} 提出，须由另一人确认")
        chosen = tuple(r for r in case.records if not wanted or r.record_id in wanted)
        if unknown := set(wanted) - {r.record_id for r in chosen}:
            raise ActRefused(f"第 {number} 号{NAMES[case.act.act]}的候选记录中没有 {'、'.join(sorted(unknown))}")
        return _append(layout, register, _next(register, "confirmation", case, at, by, records=chosen))


def answer(layout: Layout, number: int, outcome: Outcome, *, at: datetime, by: str, document: str, day: date) -> Case:
    """Answer an objection: rejected, corrected (by a delivery of the department), or upheld (the record goes).

    Raise ActRefused where there is no such open objection, or the person who entered it upholds it.
    """
    with held(layout, "acts"):
        register = read(layout)
        case = _case(register, number, {"waiting", "in_force"})
        if not case.is_objection:
            raise ActRefused(f"第 {number} 号不是尚未答复的异议")
        if day.isoformat() < case.act.day:
            raise ActRefused(f"答复日期 {day} 早于异议日期 {case.act.day}")
        if outcome == "upheld" and by.strip() == case.act.by:
            raise ActRefused(f"第 {number} 号异议由 {case.act.by} 录入，认定成立须由另一人答复")
        if outcome == "upheld" and case.state == "waiting":
            raise ActRefused(f"第 {number} 号异议对应多条记录，请先确认是哪一条")
        return _append(
            layout, register, _next(register, "answer", case, at, by, outcome=outcome, document=document, day=str(day))
        )


def lift(layout: Layout, number: int, *, at: datetime, by: str, document: str) -> Case:
    """End an act: its records are published again by the next publication. Raise ActRefused where none is in force."""
    with held(layout, "acts"):
        register = read(layout)
        case = _case(register, number, {"proposed", "waiting", "in_force"})
        return _append(layout, register, _next(register, "lifting", case, at, by, document=document))


def _case(register: Register, number: int, states: set[str]) -> Case:
    case = register.cases.get(number)
    if case is None:
        raise ActRefused(f"没有第 {number} 号修复、撤回或异议")
    if case.state not in states:
        raise ActRefused(f"第 {number} 号{NAMES[case.act.act]}现在不能这样办理：{STATES[case.state]}")
    return case


STATES = {"proposed": "待另一人确认", "waiting": "对应多条记录，待人工确认", "in_force": "有效", "answered": "已答复",
    "lifted": "已解除"}  # fmt: skip


def _next(register: Register, act: ActName, case: Case, at: datetime, by: str, **more: Any) -> Act:
    if not by.strip() or not more.get("document", "-").strip():
        raise ActRefused(f"{NAMES[act]}须写明文书号和录入人")
    given = {"document": case.act.document, "day": at.date().isoformat(), **more}
    return Act(id=register.head.order + 1, act=act, at=at.isoformat(), by=by.strip(), of=case.act.id, **given)


def _append(layout: Layout, register: Register, act: Act) -> Case:
    head = journal.append_chained(layout.acts, register.head, asdict(act))
    journal.seal(layout.acts)
    _fold(register, head, act)
    return register.cases[act.id if act.of is None else act.of]


def decision(kind: str, subject_id: int, number: str, authority: str) -> tuple[str, int, str, str] | None:
    """Return what names a decision: kind, subject, number and authority as they are compared; None without a number."""
    return (kind, subject_id, comparable(number), comparable(authority)) if number else None


def number_column(kind: Kind) -> str | None:
    """Return the element that numbers the decisions of a kind; None where none does."""
    return next((e for e in kind.one_number if e != AUTHORITY), None)


def comparable(text: str | None) -> str:
    """Return a number or a name as it is compared: half width, no blanks, one sort of brackets."""
    plain = re.sub(r"\s", "", unicodedata.normalize("NFKC", text or "")).upper()
    return plain.translate(_BRACKETS)


def open_cases(register: Register) -> Iterator[Case]:
    """Give the cases that a person has to do something about, oldest first."""
    for case in register.cases.values():
        if case.state in {"proposed", "waiting"} or case.is_objection:
            yield case
