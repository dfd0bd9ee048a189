"""依法共享: legal acts with their clocks, and the recipients with what they are granted. Nothing here names anybody."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from chengxin.contracts.recipients import Grant, Recipient
from chengxin.orchestration.pages.access import IndexDep, ReaderDep
from chengxin.orchestration.pages.home_index import HomeIndex
from chengxin.orchestration.pages.rendering import page

router = APIRouter()
NEWEST = 100  # cases that are ended
_BADGES = {"proposed": "warn", "waiting": "warn", "in_force": "accept"}


@dataclass(frozen=True)
class Row:
    """One legal act. kinds: titles; until: what it waits for, None = for nothing. badge: how its state is shown."""

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


@dataclass(frozen=True)
class Holder:
    """One recipient. gives: each grant in words; rows: of its cut, None where it has none."""

    recipient: Recipient
    holds: bool
    gives: list[str]
    tokens: list[dict[str, Any]]
    rows: int | None


@router.get("/sharing")
def sharing(request: Request, reader: ReaderDep, home: IndexDep) -> Response:
    """Show open acts, then ended ones, newest first; and all recipients."""
    if reader.only is not None:
        raise HTTPException(403, "依法共享涉及全部数据集 (legal acts are about all data sets)")
    cases, more = _cases(home)
    holders, problems = _holders(home)
    return page(
        request, reader, "sharing.html.j2", section="sharing", cases=cases, more=more, holders=holders,
        problems=problems,
    )  # fmt: skip


def _cases(home: HomeIndex) -> tuple[list[Row], int]:
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
            until=waits.get(case.act.id),
        )
        for case in register.cases.values()
    ]
    rows.sort(key=lambda row: (row.until is None, row.badge == "", -row.number))
    return rows[:NEWEST], max(0, len(rows) - NEWEST)


def _holders(home: HomeIndex) -> tuple[list[Holder], list[str]]:
    from chengxin.contracts import recipients
    from chengxin.publishing import commit
    from chengxin.publishing.cuts.cut import Cut
    from chengxin.records.recipients import tokens

    loaded = recipients.load(home.home.settings.recipients, {})
    valid = tokens(home.layout, home.clock.now())
    today = home.clock.today()
    found = []
    for one in loaded.recipients.values():
        cut = commit.current(home.layout, Cut.of(one).tier)
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
