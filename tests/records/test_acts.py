"""The journal of legal acts: what may be entered, and what state follows from it."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from chengxin.errors import ActRefused, HomeDamaged
from chengxin.records import acts
from chengxin.records.acts import Record
from chengxin.store.layout import Layout

AT, DAY = datetime(2026, 4, 10, tzinfo=UTC), date(2026, 4, 9)


def record(n: int, **more: object) -> Record:
    given = {"number": f"湘示罚〔2026〕{n}号", "authority": "示例市监局", "event_on": "2026-01-15"} | more
    return Record(record_id=f"{n:032x}", kind="penalty", subject_id=n, **given)


def enter(layout: Layout, act: str, *records: Record, by: str = "甲", day: date = DAY, document: str = "修〔2026〕1号"):
    return acts.enter(layout, act, records, at=AT, by=by, document=document, day=day)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def test_a_repair_removes_at_once_and_a_lifting_ends_it(layout):
    assert enter(layout, "repair", record(1)).state == "in_force"
    assert acts.read(layout).removed() == [record(1)]
    assert acts.lift(layout, 0, at=AT, by="乙", document="复〔2026〕1号").state == "lifted"
    register = acts.read(layout)
    assert register.removed() == [] and not register.cases[0].hides
    assert acts.read(layout, 0).removed() == [record(1)], "as it stood before"
    assert enter(layout, "repair", record(1)).state == "in_force", "lifted, so it may be repaired again"


def test_a_withdrawal_hides_at_once_and_goes_when_confirmed(layout):
    case = enter(layout, "withdrawal", record(1))
    assert (case.state, case.hides, case.removes) == ("proposed", True, False)
    with pytest.raises(ActRefused, match="另一人"):
        acts.confirm(layout, 0, [], at=AT, by="甲")
    confirmed = acts.confirm(layout, 0, [], at=AT, by="乙")
    assert (confirmed.state, confirmed.removes, confirmed.confirmed.by) == ("in_force", True, "乙")


def test_an_act_that_fits_several_decisions_hides_all(layout):
    case = enter(layout, "repair", record(1), record(2))
    assert (case.state, case.hides, case.removes) == ("waiting", True, False)
    with pytest.raises(ActRefused, match="候选"):
        acts.confirm(layout, 0, [record(3).record_id], at=AT, by="乙")
    assert acts.confirm(layout, 0, [record(2).record_id], at=AT, by="甲").removes
    assert acts.read(layout).removed() == [record(2)]


def test_one_decision_by_two_ways_is_no_choice(layout):
    twin = record(1, number="湘示罚[2026] １号")
    other = Record(**{**twin.__dict__, "record_id": "f" * 32})
    assert enter(layout, "repair", record(1), other).removes


def test_an_objection_is_of_the_open_tier_until_answered(layout):
    case = enter(layout, "objection", record(1))
    assert (case.is_objection, case.removes) == (True, False)
    answered = {"at": AT, "document": "答〔2026〕1号", "day": date(2026, 4, 10)}
    with pytest.raises(ActRefused, match="另一人"):
        acts.answer(layout, 0, "upheld", by="甲", **answered)
    assert acts.answer(layout, 0, "rejected", by="乙", **answered).state == "answered"
    assert acts.read(layout).objected() == []
    enter(layout, "objection", record(1))
    assert acts.answer(layout, 2, "upheld", by="乙", **answered).removes
    assert acts.read(layout).removed() == [record(1)]


@pytest.mark.parametrize(
    ("records", "more", "message"),
    [
        ([], {}, "没有找到"),
        ([record(1)], {"day": date(2026, 1, 14)}, "早于决定日期"),
        ([record(1)], {"day": date(2026, 4, 11)}, "晚于今天"),
        ([record(1)], {"by": " "}, "录入人"),
        ([record(1)], {"document": ""}, "文书号"),
    ],
)
def test_what_names_no_record_or_is_too_early_is_refused(layout, records, more, message):
    with pytest.raises(ActRefused, match=message):
        enter(layout, "repair", *records, **more)
    assert acts.read(layout).cases == {}


def test_a_second_act_on_a_record_is_refused(layout):
    enter(layout, "repair", record(1))
    for act in ("repair", "withdrawal", "objection"):
        with pytest.raises(ActRefused, match="第 0 号修复"):
            enter(layout, act, record(1))
    again = Record(**{**record(1).__dict__, "record_id": "e" * 32})
    with pytest.raises(ActRefused, match="第 0 号修复"):
        enter(layout, "repair", again)
    enter(layout, "objection", record(2))
    assert enter(layout, "repair", record(2)).removes, "a repair may overtake an open objection"
    with pytest.raises(ActRefused, match="没有第 9 号"):
        acts.lift(layout, 9, at=AT, by="乙", document="复〔2026〕1号")


def test_a_changed_entry_is_noticed(layout):
    enter(layout, "repair", record(1))
    enter(layout, "repair", record(2))
    first = layout.acts / "00000000.json"
    first.write_text(first.read_text().replace("湘示罚", "湘例罚"))
    with pytest.raises(HomeDamaged):
        acts.read(layout)
