"""Accepted and published differ, and the pages say by what: numbers that add up, over homes made by the pipeline."""

from datetime import timedelta

import pytest

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.home import Home
from chengxin.operations.index import follower, index, lists, snapshots, whereabouts
from deliveries import PENALTY, PERSON, REGISTRATION, SEALED, START, Office, company, penalty, person_doc, uscc

PARTS = ("shown", "repeated", "newer", "gone", "unsplit", "later", "withheld")


@pytest.fixture
def office(tmp_path):
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION, mode="full")
    office.contract("pen", "penalty", PENALTY)
    return office


def where(office):
    """Return where the accepted rows of every batch are, by order of admission; only what is not 0."""
    follower.refresh(Home(office.settings))
    found = []
    with index.reading(index.path_of(Home(office.settings))) as connection:
        for account in sorted(office.accounts().values(), key=lambda a: a.order):
            row = lists.batch(connection, account.dataset, account.batch_id)
            told = whereabouts.of_batch(connection, Home(office.settings), row, account.kind)
            if told:
                assert told.accepted == account.accepted == sum(getattr(told, part) for part in PARTS)
                found.append({part: n for part in PARTS if (n := getattr(told, part))})
    return found


def sources(office):
    follower.refresh(Home(office.settings))
    with index.reading(index.path_of(Home(office.settings))) as connection:
        last = snapshots.version(connection, "government", snapshots.current(office.layout, "government"))
        return {s.dataset: s for s in whereabouts.of_snapshot(last)}, last


@pytest.mark.slow
def test_newer_repeated_withdrawn_unpublished_rows_differ(office):
    office.deliver("reg", *(company(n) for n in range(1, 6)), day=0)
    office.deliver("pen", penalty(1, uscc=uscc(1)), penalty(1, uscc=uscc(1), penalty_content="警告"),
        penalty(2, uscc=uscc(2)), day=1)  # fmt: skip
    assert where(office) == [{"later": 5}, {"later": 3}]
    office.publish(day=2)
    assert where(office) == [{"shown": 5}, {"shown": 2, "repeated": 1}]
    office.deliver("pen", penalty(2, uscc=uscc(2), penalty_content="警告"), day=3)
    office.deliver("reg", *(company(n) for n in range(1, 5)), day=4)
    office.publish(day=5)
    first, pen, newer = where(office)[:3]
    assert first == {"shown": 4, "gone": 1}, "the fifth company was withdrawn"
    assert pen == {"shown": 1, "repeated": 1, "newer": 1}
    assert newer == {"shown": 1}
    office.deliver("pen", penalty(3, uscc=uscc(3)), day=6)
    assert where(office)[-1] == {"later": 1}


@pytest.mark.slow
def test_the_accounts_of_a_snapshot_add_up_to_its_records(office):
    office.contract("per", "person_base", PERSON)
    office.contract("sec", "security_penalty", SEALED, basis={"legal": "测试", "share": "不予"})
    office.deliver("reg", *(company(n) for n in range(1, 4)), day=0)
    office.deliver("per", {"person_name": "示例甲", "person_doc_no": person_doc(1)}, day=0)
    office.deliver("pen", penalty(1, uscc=uscc(1)), penalty(1, uscc=uscc(1), penalty_content="警告"), day=1)
    sealed = {"person_name": "示例甲", "person_doc_no": person_doc(1), "decision_no": "示〔2026〕1号",
        "decision_on": "2026-01-15", "violation_facts": "示例", "authority_name": "示例局"}  # fmt: skip
    office.deliver("sec", sealed, day=1)
    office.publish(day=2)
    found, last = sources(office)
    told = {d: (s.accepted, s.published, s.rest, s.withheld) for d, s in found.items()}
    assert told == {"reg": (3, 3, 0, 0), "per": (1, 0, 0, 1), "pen": (2, 1, 1, 0), "sec": (1, 0, 0, 1)}
    assert sum(s.published for s in found.values()) == last["records"] == 4
    assert where(office)[-1] == {"withheld": 1}


@pytest.mark.slow
def test_a_source_left_out_waits_and_shows_its_published_rows(office):
    office.deliver("reg", *(company(n) for n in range(1, 4)), day=0)
    office.deliver("pen", penalty(1, uscc=uscc(1)), day=1)
    office.publish(day=2)
    office.deliver("pen", penalty(2, uscc=uscc(2)), day=3)
    office.deliver("reg", *(company(n) for n in range(1, 5)), day=3)
    without = pipeline.Approval("不含所选来源发布", "待核", "op", "2026-03-08T00:00:00+00:00", ("pen",))
    pipeline.publish(Home(office.settings, Clock(START + timedelta(days=4))), office.contracts, without)
    told = where(office)
    assert told[1:3] == [{"shown": 1}, {"later": 1}]
    assert {"shown": 1} in told[3:]


def test_many_rows_are_not_told_apart_but_still_add_up(office, monkeypatch):
    monkeypatch.setattr(whereabouts, "MOST_RECORDS", 0)
    office.deliver("reg", *(company(n) for n in range(1, 4)), day=0)
    office.deliver("reg", *(company(n) for n in range(1, 3)), day=1)
    office.publish(day=2)
    assert where(office)[0] == {"shown": 2, "unsplit": 1}
