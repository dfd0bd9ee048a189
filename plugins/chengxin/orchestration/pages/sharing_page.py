"""依法共享: legal acts with their clocks, recipients with what they are granted and hold, notices with their receipts.

Nothing here names anybody whom a record is about.
"""

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from chengxin.contracts.recipients import Grant, Recipient
from chengxin.orchestration.pages import actions
from chengxin.orchestration.pages.access import IndexDep, ReaderDep
from chengxin.orchestration.pages.home_index import HomeIndex
from chengxin.orchestration.pages.rendering import page

if TYPE_CHECKING:
    from chengxin.records.access_log import Holding
    from chengxin.records.withdrawal_notices import State

router = APIRouter()
NEWEST = 100  # cases that are ended; notices
_BADGES = {"proposed": "warn", "waiting": "warn", "in_force": "accept"}
_OF_NOTICES: "dict[State, str]" = {
    "suspended": "hold",
    "overdue": "warn",
    "open": "",
    "received": "accept",
    "void": "",
}  # those first


@dataclass(frozen=True)
class Row:
    """One legal act. kinds: titles; until: what it waits for, None = for nothing. badge: how its state is shown.

    confirms: what its button tells a run, where the reader may confirm it; is_mine: another person has to.
    """

    number: int
    name: str
    document: str
    day: str
    by: str
    kinds: str
    records: int
    state: str
    badge: str
    until: str | None
    confirms: dict[str, Any] | None = None
    is_mine: bool = False


@dataclass(frozen=True)
class Holder:
    """One recipient. gives: each grant in words; rows: of its cut, None where it has none."""

    recipient: Recipient
    holds: bool
    gives: list[str]
    tokens: list[dict[str, Any]]
    rows: int | None


@dataclass(frozen=True)
class NoticeRow:
    """One notice of withdrawal. kind: a title; received: the day of deletion, "" = no receipt yet."""

    number: int
    holder: str
    act: int
    kind: str
    day: str
    due: str
    received: str
    state: str
    badge: str


@dataclass(frozen=True)
class Held:
    """What a holder was handed, and how many of its notices are in which state: (words, badge, count)."""

    holder: str
    holding: "Holding"
    notices: list[tuple[str, str, int]]


@router.get("/sharing")
def sharing(request: Request, reader: ReaderDep, home: IndexDep) -> Response:
    """Show open acts, then ended ones, newest first; all recipients, what they hold, and notices of withdrawal."""
    if reader.only is not None:
        raise HTTPException(403, "依法共享涉及全部数据集 (legal acts are about all data sets)")
    may_act = reader.may_act()
    cases, more = _cases(home, reader.name if may_act else None)
    holders, problems = _holders(home)
    held, notices = _handed(home)
    return page(
        request, reader, "sharing.html.j2", section="sharing", cases=cases, more=more, holders=holders,
        problems=problems, held=held, notices=notices[:NEWEST], further=max(0, len(notices) - NEWEST),
        propose=actions.propose() if may_act else None, confirm=actions.confirm() if may_act else None,
    )  # fmt: skip


def _handed(home: HomeIndex) -> tuple[list[Held], list[NoticeRow]]:
    from chengxin.model.kinds import kinds
    from chengxin.records import access_log, withdrawal_notices
    from chengxin.store import line_log

    today, served = home.clock.today(), home.layout.accesses / access_log.SERVED
    found = [(n, n.state(today)) for n in withdrawal_notices.read(home.layout)]
    order = list(_OF_NOTICES)
    found.sort(key=lambda one: (order.index(one[1]), -one[0].number))
    states = Counter((n.holder, state) for n, state in found)
    held = [
        Held(
            holder,
            holding,
            [(withdrawal_notices.STATES[s], _OF_NOTICES[s], states[holder, s]) for s in order if states[holder, s]],
        )
        for holder, holding in _holdings(home.layout.accesses, line_log.stamp(served)).items()
    ]
    rows = [
        NoticeRow(
            n.number, n.holder, n.act, kinds()[n.kind].title, n.day, n.due, n.received[:10],
            withdrawal_notices.STATES[state], _OF_NOTICES[state],
        )
        for n, state in found
    ]  # fmt: skip
    return held, rows


@lru_cache(maxsize=2)
def _holdings(folder: Path, _stamp: object) -> "dict[str, Holding]":
    """Return what each holder was handed; read again when a line was added."""
    from chengxin.records import access_log

    return access_log.holdings(folder)


def _cases(home: HomeIndex, name: str | None) -> tuple[list[Row], int]:
    """Return the newest cases, open ones first, and how many more there are. name: of a reader who may act."""
    from chengxin.model.kinds import kinds
    from chengxin.operations import cases
    from chengxin.records import acts

    register = acts.read(home.layout)
    waits = dict(cases.waiting(home.layout, home.clock.today()))
    rows = [
        Row(
            number=case.act.id,
            name=acts.NAMES[case.act.act],
            document=case.act.document,
            day=case.act.day,
            by=case.act.by,
            kinds="、".join(sorted({kinds()[r.kind].title for r in case.records})),
            records=len(case.records),
            state=acts.STATES[case.state],
            badge=_BADGES.get(case.state, ""),
            until=waits.get(case.act.id) or (cases.clock(case) if case.is_objection else None),
            confirms=actions.confirm(case.act.id).conf
            if name not in (None, case.act.by) and case.state == "proposed"
            else None,
            is_mine=name == case.act.by and case.state == "proposed",
        )
        for case in register.cases.values()
    ]
    rows.sort(key=lambda row: (row.until is None, row.badge == "", -row.number))
    return rows[:NEWEST], max(0, len(rows) - NEWEST)


def _holders(home: HomeIndex) -> tuple[list[Holder], list[str]]:
    from chengxin.contracts import recipients
    from chengxin.publishing import commit
    from chengxin.publishing.cuts.cut import Cut
    from chengxin.records.recipients import Epoch, epochs, tokens

    loaded = recipients.load(home.home.settings.recipients, {})
    valid, begun = tokens(home.layout, home.clock.now()), epochs(home.layout)
    today = home.clock.today()
    found = []
    for one in loaded.recipients.values():
        cut = commit.current(home.layout, Cut.of(one, begun.get(one.id, Epoch()).number).tier)
        found.append(
            Holder(
                recipient=one,
                holds=one.valid.since <= today <= one.valid.to,
                gives=[_in_words(grant) for grant in one.grants],
                tokens=[{"number": t.number, "until": t.expires_at.isoformat()} for t in valid.get(one.id, ())],
                rows=sum(cut.rows().values()) if cut else None,
            )
        )
    return found, [f"{p.path}：{p.message}" for p in loaded.problems]


def _in_words(grant: Grant) -> str:
    from chengxin.model.kinds import kinds

    titles = "、".join(kinds()[name].title for name in grant.kinds)
    limits = [f"地区 {'、'.join(grant.regions)}"] if grant.regions else []
    limits += [f"不含 {len(grant.columns.drop)} 列"] if grant.columns.drop else []
    limits += [f"只有 {len(grant.columns.only)} 列"] if grant.columns.only else []
    limits += ["含自然人"] if grant.persons == "all" else []
    return f"{titles}（{'，'.join(limits)}）" if limits else titles
