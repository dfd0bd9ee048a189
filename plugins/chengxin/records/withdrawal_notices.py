"""Notices of withdrawal: who was handed a record learns that it is to be deleted, and answers by a receipt.

    <home>/notices/00000000.json ...     one notice: act, holder, record; a chained journal
    <home>/accesses/receipts/*.jsonl     receipts, written by the serving app
    <home>/published/notices.json        what the serving app is to know of them; derived

A notice is entered once an act takes effect. Its state follows from the journals and the day: void (the act was
lifted), received, open, overdue (no receipt in time), suspended (its holder is answered no more until it sends one).
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

from chengxin.clock import SHANGHAI
from chengxin.home import Home
from chengxin.model.lawful_terms import lawful_terms
from chengxin.model.working_days import working_days
from chengxin.records import access_log, acts
from chengxin.records.acts import Record, Register
from chengxin.store import atomic, journal, line_log
from chengxin.store.layout import Layout
from chengxin.store.lock import held

State = Literal["void", "received", "open", "overdue", "suspended"]
STATES = {"void": "已撤销", "received": "已回执", "open": "待回执", "overdue": "逾期未回执", "suspended": "已中止授权"}


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One notice, with its days. number: from 1 on. holder: a recipient, or `token-...` of a token that names nobody.

    handle: under which pseudonym the holder was handed the record, "" = under its own number.
    due: the last day for deletion and receipt. last: the last day before the grant is suspended. received: the day of
    deletion as the first receipt states it, "" = none.
    """

    number: int
    holder: str
    act: int
    record_id: str
    kind: str
    tier: str
    day: str
    due: str
    last: str
    handle: str = ""
    is_void: bool = False
    received: str = ""

    def state(self, today: date) -> State:
        """Return where the notice stands on a day."""
        if self.is_void or self.received:
            return "void" if self.is_void else "received"
        day = today.isoformat()
        return "suspended" if day > self.last else "overdue" if day > self.due else "open"


def renew(home: Home, handles: Callable[[str], Mapping[str, str]]) -> list[Notice]:
    """Take in what the serving app wrote, enter the notices that are due, and note what it is to know; return all.

    handles: pseudonyms under which a record may have been handed out, each with the one holder that has it.
    """
    layout = home.layout
    access_log.take_in(home.accesses, layout.accesses)
    register = acts.read(layout)
    if register.head.order < 0:
        return []
    with held(layout, "notices"):
        made_of = _made_of(layout, register)
        with suppress(OSError, ValueError, KeyError, TypeError):
            stands = atomic.read_json(layout.served_notices)
            if stands["made_of"] == made_of:
                return [Notice(**one) for one in stands["notices"]]
        _enter(layout, register, home.clock.now(), handles)
        found = read(layout, register)
        body = {"made_of": _made_of(layout, register), "notices": [asdict(notice) for notice in found]}
        atomic.write_json(layout.served_notices, body)
    return found


def _made_of(layout: Layout, register: Register) -> str:
    """Return a digest of all that the notices follow from but the day."""
    logs = [line_log.stamp(layout.accesses / name) for name in (access_log.SERVED, access_log.RECEIPTS)]
    body = [register.head.digest, journal.newest(layout.notices), lawful_terms().digest(), *logs]
    return hashlib.sha256(json.dumps(body).encode()).hexdigest()


def _enter(layout: Layout, register: Register, now: datetime, handles: Callable[[str], Mapping[str, str]]) -> None:
    """Enter a notice for each (act in force, record as handed out, holder of it) that has none."""
    removing = {c.act.id: _kinds(c.records) for c in register.cases.values() if c.removes}
    wanted = {number for records in removing.values() for number in records}
    names = {number: {"": "", **handles(number)} for number in wanted}  # as handed out -> to whom alone
    who = access_log.holders(layout.accesses, {name or n for n, known in names.items() for name in known})
    entries = list(journal.since(layout.notices))
    known = {(body["act"], body["handle"] or body["record_id"], body["holder"]) for _, body in entries}
    head = entries[-1][0] if entries else journal.Head()
    for act, records in sorted(removing.items()):
        for number, kind in sorted(records.items()):
            handed = [
                (h, name, only, t) for name, only in names[number].items() for h, t in who[name or number].items()
            ]
            for holder, name, only, tier in sorted(handed):
                if only in ("", holder) and (act, name or number, holder) not in known:
                    body = {"act": act, "holder": holder, "record_id": number, "handle": name, "kind": kind}
                    body["tier"] = tier
                    head = journal.append_chained(layout.notices, head, {**body, "at": now.isoformat()})
    if head.order >= 0:
        journal.seal(layout.notices)


def _kinds(records: Iterable[Record]) -> dict[str, str]:
    """Return the kinds of records by their numbers; what has none yet was never handed over."""
    return {r.record_id: r.kind for r in records if r.record_id}


def read(layout: Layout, register: Register | None = None) -> list[Notice]:
    """Return all notices with their receipts, oldest first."""
    register = register or acts.read(layout)
    terms, calendar = lawful_terms().terms, working_days()
    receipts = receipts_in(layout.accesses)
    found = []
    for head, body in journal.since(layout.notices):
        day = datetime.fromisoformat(body["at"]).astimezone(SHANGHAI).date()
        number = head.order + 1
        receipt = receipts.get((number, body["holder"]))
        found.append(
            Notice(
                number=number,
                **{name: body[name] for name in ("holder", "act", "record_id", "handle", "kind")},
                tier=body["tier"] if body["tier"] == "open" else "government",
                day=day.isoformat(),
                due=calendar.after(day, terms["notice_receipt"].value).isoformat(),
                last=calendar.after(day, terms["notice_suspension"].value).isoformat(),
                is_void=not register.cases[body["act"]].removes,
                received=receipt["deleted_at"] if receipt else "",
            )
        )
    return found


def receipts_in(folder: Path) -> dict[tuple[int, str], dict[str, Any]]:
    """Return the receipts below accesses/, the first of each (notice, holder)."""
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for line in sorted(line_log.read_lines(folder / access_log.RECEIPTS), key=lambda one: one["at"]):
        found.setdefault((line["notice"], line["by"]), line)
    return found


def unanswered(found: Iterable[Notice], today: date) -> dict[str, list[Notice]]:
    """Return the notices without a receipt in time, by holder, oldest first."""
    late: dict[str, list[Notice]] = {}
    for notice in found:
        if notice.state(today) in {"overdue", "suspended"}:
            late.setdefault(notice.holder, []).append(notice)
    return late
