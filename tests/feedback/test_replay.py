"""Replay: refused rows that a mended contract can use become a batch of their own, once."""

import csv
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from chengxin import pipeline
from chengxin.cli.quarantine import export, quarantine
from chengxin.clock import Clock
from chengxin.home import Home
from deliveries import REGISTRATION, START, Office, built_once, company, uscc

CLOCK = Clock(START)
RATING = ("subject_name", "uscc", "rating_year", "tax_grade_code")
MENDED = {"tax_grade_code": {"优秀": "A"} | {code: code for code in "ABCDM"}}


@pytest.fixture(params=["incremental", "full"])
@built_once
def office(tmp_path: Path, request: pytest.FixtureRequest) -> Office:
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("rat", "tax_rating", RATING, mode=request.param)
    office.deliver("reg", *(company(n) for n in range(1, 6)), day=0)
    grades = ((1, "A"), (2, "优秀"), (3, "怪"), (4, "B"), (5, "优秀"))
    rows = [rating(n, grade) for n, grade in grades]
    path = office.write("rat", rows, day=1)
    add_line(path, "一行,多,出,几,个,字段\n")
    office.ingest("rat", path)
    return office


def rating(n: int, grade: str) -> dict[str, str]:
    return {
        "subject_name": f"湖南示例{n}有限公司", "uscc": uscc(n), "rating_year": "2025", "tax_grade_code": grade
    }  # fmt: skip


def add_line(path: Path, line: str) -> None:
    """Add a line to a delivery, which keeps its time."""
    times = path.stat().st_atime, path.stat().st_mtime
    with path.open("a", encoding="utf-8") as stream:
        stream.write(line)
    os.utime(path, times)


def mend(office: Office, **more) -> None:
    mode = office.contracts["rat"].delivery.mode
    office.contract("rat", "tax_rating", RATING, mode=mode, codes=MENDED, **more)


def replay(office: Office) -> list[tuple[str, int]]:
    found = pipeline.replay(Home(office.settings), office.contracts["rat"])
    for landed in pipeline.pending(Home(office.settings), office.contracts["rat"]):
        pipeline.ingest(Home(office.settings, CLOCK), office.contracts["rat"], landed)
    return [(batch, passed) for batch, _, passed, _ in found]


def grades(office: Office) -> list[tuple]:
    office.publish(5)
    return office.table("tax_rating", "subject_id, tax_grade_code, source_row")


def test_a_mended_contract_takes_in_what_it_refused(office):
    original = office.account("rat")
    mend(office)
    assert replay(office) == [(original.batch_id, 2)]
    account = office.account("rat", 1)
    assert (account.received, account.accepted, account.mode) == (2, 2, "incremental")
    assert account.received_at == office.account("rat").received_at
    assert office.account("rat") == original
    assert grades(office) == [(1, "A", 2), (2, "A", 3), (4, "B", 5), (5, "A", 6)]
    shown = quarantine(Home(office.settings), office.contracts["rat"], None, 0, raw=False)
    assert (shown["total"], shown["open"]) == (4, 2)
    assert [r["mended_by"] for r in shown["rows"]] == [account.batch_id, None, account.batch_id, None]


def test_replaying_twice_does_nothing_new(office):
    mend(office)
    replay(office)
    before = grades(office)
    accounts = office.accounts()
    assert [passed for _, passed in replay(office)] == [0]
    assert office.accounts() == accounts
    assert grades(office) == before


def test_a_replay_killed_after_landing_is_ingested_next(office):
    mend(office)
    (first,) = pipeline.replay(Home(office.settings), office.contracts["rat"])
    (second,) = pipeline.replay(Home(office.settings), office.contracts["rat"])
    assert first.batch == second.batch
    replay(office)
    assert len(grades(office)) == 4


def test_without_a_mended_contract_nothing_is_replayed(office):
    assert [passed for _, passed in replay(office)] == [0]
    assert len(office.accounts()) == 2


def test_what_came_later_is_not_overtaken_by_a_replay(office):
    office.deliver("rat", rating(1, "A"), rating(2, "C"), rating(4, "B"), rating(5, "D"), day=3)
    mend(office)
    replay(office)
    assert [(s, g) for s, g, _ in grades(office)] == [(1, "A"), (2, "C"), (4, "B"), (5, "D")]


@pytest.mark.slow
def test_a_replayed_full_batch_withdraws_nothing_it_lacks(office):
    mend(office)
    replay(office)
    office.deliver("rat", rating(1, "A"), rating(2, "A"), rating(4, "B"), day=3)
    withdrawn = office.contracts["rat"].delivery.mode == "full"
    assert [s for s, _, _ in grades(office)] == ([1, 2, 4] if withdrawn else [1, 2, 4, 5])


@pytest.mark.slow
def test_lines_that_could_not_be_split_are_read_again(tmp_path):
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("rat", "tax_rating", RATING)
    office.deliver("reg", company(1), company(2), day=0)
    path = office.write("rat", [rating(1, "A")], day=1)
    add_line(path, f'"湖南示例2有限公司,{uscc(2)},2025,B\n')
    office.ingest("rat", path)
    assert office.account("rat").quarantined == 1
    office.contract("rat", "tax_rating", RATING, file={"quote": ""})
    assert [passed for _, passed in replay(office)] == [1]
    assert [(s, g) for s, g, _ in grades(office)] == [(1, "A"), (2, "B")]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_exports_every_refused_row_with_its_text(office, tmp_path, suffix):
    target = tmp_path / f"out{suffix}"
    assert export(Home(office.settings), office.contracts["rat"], None, target)["rows"] == 4
    if suffix == ".csv":
        rows = list(csv.DictReader(target.read_text("utf-8-sig").splitlines()))
        assert [r["行号"] for r in rows] == ["3", "4", "6", "7"]
        assert "优秀" in rows[0]["原文"]
    if suffix == ".parquet":
        assert pq.read_table(target).column("source_row").to_pylist() == [3, 4, 6, 7]
    if suffix == ".jsonl":
        assert len(target.read_text("utf-8").splitlines()) == 4
