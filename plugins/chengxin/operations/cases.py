"""What legal acts wait for, with their clocks: withdrawals, acts that fit several records, objections, receipts."""

from collections.abc import Iterable
from datetime import date, timedelta

from chengxin.model.lawful_terms import lawful_terms
from chengxin.model.working_days import working_days
from chengxin.records import acts, withdrawal_notices
from chengxin.records.acts import NAMES, STATES, Case
from chengxin.records.withdrawal_notices import Notice
from chengxin.store.layout import Layout


def waiting(layout: Layout, today: date) -> list[tuple[int, str]]:
    """Return (number, what it waits for) of the cases that a person has to act on today, oldest first.

    An objection counts from the day on which it is due at its department.
    """
    found = [(case.act.id, _text(case, today)) for case in acts.open_cases(acts.read(layout))]
    return [(number, text) for number, text in found if text]


def _text(case: Case, today: date) -> str | None:
    head = f"第 {case.act.id} 号{NAMES[case.act.act]}（{case.act.document}）"
    if case.state != "in_force":
        return f"{head}：{STATES[case.state]}，记录已停止提供"
    checked, latest = deadlines(case)
    if today > latest:
        return f"{head}：应于 {latest} 前答复，已逾期"
    return f"{head}：{clock(case)}" if today > checked else None


def clock(objection: Case) -> str:
    """Return in Chinese by when an objection is to be checked and answered."""
    checked, latest = deadlines(objection)
    return f"部门应于 {checked} 前核查，最迟 {latest} 答复"


def deadlines(objection: Case) -> tuple[date, date]:
    """Return by which days its department has to check an objection, and to answer it."""
    terms, since = lawful_terms().terms, date.fromisoformat(objection.act.day)
    checked = working_days().after(since, terms["objection_check"].value)
    return checked, since + timedelta(days=terms["objection_answer"].value)


def unanswered(found: Iterable[Notice], today: date) -> list[tuple[str, str]]:
    """Return (holder, what is missing) of those who have not answered notices of withdrawal in time."""
    texts = []
    for holder, late in sorted(withdrawal_notices.unanswered(found, today).items()):
        first = late[0]
        rests = first.state(today) == "suspended"
        then = "授权已中止，补交回执后恢复" if rests else f"{first.last} 后仍无回执的，中止授权"
        texts.append(
            (holder, f"{len(late)} 件撤回通知逾期未回执，最早第 {first.number} 号（应于 {first.due} 前）；{then}")
        )
    return texts
