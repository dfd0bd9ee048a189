"""Which legal acts wait for a person, and since when an objection is late."""

from datetime import UTC, date, datetime
from pathlib import Path

from chengxin.operations.cases import deadlines, unanswered, waiting
from chengxin.records import acts
from chengxin.records.acts import Record
from chengxin.records.withdrawal_notices import Notice
from chengxin.store.layout import Layout

AT = datetime(2026, 4, 10, tzinfo=UTC)


def record(n: int) -> Record:
    return Record(record_id=f"{n:032x}", kind="penalty", subject_id=n, number=f"示{n}号", event_on="2026-01-15")


def test_an_objection_is_due_in_five_working_and_twenty_days(tmp_path: Path):
    layout = Layout(tmp_path)
    entered = {"at": AT, "by": "甲", "document": "异〔2026〕1号", "day": date(2026, 4, 8)}
    case = acts.enter(layout, "objection", [record(1)], **entered)
    assert deadlines(case) == (date(2026, 4, 15), date(2026, 4, 28))
    assert waiting(layout, date(2026, 4, 15)) == [], "the fifth working day"
    assert "2026-04-15 前核查" in waiting(layout, date(2026, 4, 16))[0][1]
    assert "前核查" in waiting(layout, date(2026, 4, 28))[0][1]
    assert "已逾期" in waiting(layout, date(2026, 4, 29))[0][1]
    acts.answer(layout, 0, "rejected", at=AT, by="乙", document="答〔2026〕1号", day=date(2026, 4, 10))
    assert waiting(layout, date(2026, 4, 29)) == []


def test_what_waits_for_another_person_is_named_at_once(tmp_path: Path):
    layout = Layout(tmp_path)
    entered = {"at": AT, "by": "甲", "document": "撤〔2026〕1号", "day": date(2026, 4, 9)}
    acts.enter(layout, "withdrawal", [record(1)], **entered)
    acts.enter(layout, "repair", [record(2), record(3)], **entered)
    acts.enter(layout, "repair", [record(4)], **entered)
    assert [number for number, _ in waiting(layout, date(2026, 4, 10))] == [0, 1]
    acts.confirm(layout, 0, [], at=AT, by="乙")
    assert [number for number, _ in waiting(layout, date(2026, 4, 10))] == [1]


def test_who_answers_no_notice_in_time_is_named():
    late = {"record_id": "0" * 32, "kind": "penalty", "tier": "government", "day": "2026-04-08"}
    days = {"due": "2026-04-13", "last": "2026-04-22"}
    found = [
        Notice(number=1, holder="city", act=0, **late, **days),
        Notice(number=2, holder="city", act=1, **late, **days),
        Notice(number=3, holder="far", act=0, received="2026-04-09T08:00:00+08:00", **late, **days),
        Notice(number=4, holder="void", act=2, is_void=True, **late, **days),
    ]
    assert unanswered(found, date(2026, 4, 13)) == []
    [(holder, text)] = unanswered(found, date(2026, 4, 22))
    assert holder == "city" and "2 件" in text and "第 1 号" in text and "2026-04-22 后" in text
    assert "已中止" in unanswered(found, date(2026, 4, 23))[0][1]
