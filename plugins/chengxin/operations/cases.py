"""Legal acts that wait for a person, with their clocks: withdrawals, acts that fit several records, objections."""

from datetime import date, timedelta

from chengxin.model.lawful_terms import lawful_terms
from chengxin.model.working_days import working_days
from chengxin.records import acts
from chengxin.records.acts import NAMES, STATES, Case
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
    terms, since = lawful_terms().terms, date.fromisoformat(case.act.day)
    latest = since + timedelta(days=terms["objection_answer"].value)
    checked = working_days().after(since, terms["objection_check"].value)
    if today > latest:
        return f"{head}：应于 {latest} 前答复，已逾期"
    return f"{head}：部门应于 {checked} 前核查，最迟 {latest} 答复" if today > checked else None
