"""What the pages count: deliveries and not replays, refused rows that are still open, and days of arrival."""

import json
from datetime import timedelta

import pytest

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.home import Home
from chengxin.operations.index import arrivals, follower, index, lists
from deliveries import REGISTRATION, START, Office, company, uscc

CLOCK = Clock(START)
RATING = ("subject_name", "uscc", "rating_year", "tax_grade_code")
MENDED = {"tax_grade_code": {"优秀": "A"} | {code: code for code in "ABCDM"}}


def rating(n: int, grade: str) -> dict[str, str]:
    name = f"湖南示例{n}有限公司"
    return {"subject_name": name, "uscc": uscc(n), "rating_year": "2025", "tax_grade_code": grade}


@pytest.fixture
def office(tmp_path):
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("rat", "tax_rating", RATING)
    office.deliver("reg", *(company(n) for n in range(1, 6)), day=0)
    office.deliver("rat", rating(1, "A"), rating(2, "优秀"), rating(3, "怪"), day=1)
    answer(office)
    return office


def answer(office):
    pipeline.answer(Home(office.settings, CLOCK), office.contracts["rat"])


def replay(office):
    """Mend the contract and let in what passes now."""
    office.contract("rat", "tax_rating", RATING, codes=MENDED)
    pipeline.replay(Home(office.settings), office.contracts["rat"])
    (landed,) = pipeline.pending(Home(office.settings), office.contracts["rat"])
    pipeline.ingest(Home(office.settings, CLOCK), office.contracts["rat"], landed)
    answer(office)


def read(office, question):
    follower.refresh(Home(office.settings))
    with index.reading(index.path_of(Home(office.settings))) as connection:
        return question(connection)


def refused(office):
    """Return the refused rows that are open, and all there ever were: on the overview and in the queue."""
    totals = read(office, lists.totals)
    (row,) = read(office, lambda c: lists.queue_by_dataset(c, "quarantined", lists.Filter()))
    assert (row["waiting"], row["ever"]) == (totals["open_refused"], totals["quarantined"])
    return row["waiting"], row["ever"]


def test_refused_rows_mended_by_a_later_delivery_are_closed(office):
    assert refused(office) == (2, 2)
    office.deliver("rat", rating(3, "B"), day=2)
    answer(office)
    assert refused(office) == (1, 2)
    index.remove(index.path_of(Home(office.settings)))
    assert refused(office) == (1, 2), "a new index says the same"


def test_rows_of_a_held_batch_are_open_until_a_later_one_comes(office):
    quality = {"min_rows": 1, "quarantined": {"warn": 0.3, "hold": 0.7}}
    office.contract("rat", "tax_rating", RATING, quality=quality)
    held = office.deliver("rat", *(rating(n, "怪") for n in range(1, 5)), day=2)
    assert held["verdict"] == "hold"
    assert refused(office) == (6, 6)
    office.deliver("rat", *(rating(n, "C") for n in range(1, 6)), day=3)
    assert refused(office) == (2, 6)


def test_a_replay_is_no_delivery_and_closes_what_it_lets_in(office):
    before = read(office, lists.totals)
    replay(office)
    after = read(office, lists.totals)
    assert refused(office) == (1, 2)
    assert after["received"] == before["received"], "its rows had been received before"
    assert (after["accepted"], after["batches"]) == (before["accepted"] + 1, before["batches"] + 1)
    heat = read(office, lambda c: arrivals.heat(c, (START + timedelta(days=1)).date(), 5))
    assert sum(cell.arrived for _, _, cells in heat.rows for cell in cells) == 2


@pytest.mark.slow
def test_a_replay_does_not_make_its_data_set_late_or_in_time(office):
    office.deliver("rat", rating(4, "A"), day=5)
    due = lambda c: [o.last_day for o in arrivals.overdue(c, (START + timedelta(days=60)).date())]  # noqa: E731
    before = read(office, due)
    replay(office)
    assert read(office, due) == before


def test_a_file_counts_on_its_arrival_whatever_its_period(office):
    (receipt,) = office.layout.landing("rat", "").glob("*/receipt.json")
    body = json.loads(receipt.read_bytes())
    assert body["received_at"] == (START + timedelta(days=1)).isoformat()
    at = START - timedelta(days=20)
    receipt.write_text(json.dumps(body | {"as_of": at.isoformat()}))
    row = read(office, lambda c: lists.batch(c, "rat", body["batch_id"]))
    assert row["as_of"] == at.isoformat(timespec="seconds")
    assert row["day"] == (START + timedelta(days=1)).date().isoformat()
    assert row["received_at"] == (START + timedelta(days=1)).isoformat(timespec="seconds")
