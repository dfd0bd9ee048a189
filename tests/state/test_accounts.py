"""The accounts by data set are what the journal says, however their file came about, and as of one moment."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from chengxin.facts import COUNTS, as_json
from chengxin.records import journal
from chengxin.state.accounts import registers
from deliveries import PENALTY, REGISTRATION, Office, built_once, company, penalty, uscc

FILE = "accounts.db"


@pytest.fixture
@built_once
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", PENALTY)
    office.contract("other", "penalty", PENALTY)
    office.deliver("reg", *(company(n) for n in range(1, 5)), day=0)
    office.deliver("pen", penalty(1, uscc=uscc(1)), penalty(2, uscc=uscc(7)), day=1)
    office.deliver("other", penalty(3, uscc=uscc(8)), day=2)
    office.deliver("reg", company(7), day=3)
    office.retry()
    return office


def test_every_question_is_answered_as_the_journal_would(office: Office) -> None:
    accounts, everything = journal.accounts(office.layout), journal.admissions(office.layout)
    assert [a.revision for a in everything] == [0, 0, 0, 0, 1]
    assert accounts.all() == everything
    assert accounts.newest == everything[-1] and accounts.next_order == 5
    assert accounts.datasets() == ["other", "pen", "reg"]
    newest = journal.latest(everything)
    for dataset in ("reg", "pen", "other", "unknown"):
        mine = tuple(a for a in everything if a.dataset == dataset)
        assert accounts.of(dataset) == mine
        assert accounts.latest(dataset) == {b: a for (d, b), a in newest.items() if d == dataset}
        assert accounts.batches(dataset) == {a.batch_id for a in mine}
        assert accounts.registering(dataset) == tuple(a for a in mine if registers(a))
    assert all(accounts.account(*place) == a for place, a in newest.items())
    assert accounts.account("reg", everything[1].batch_id) is None
    assert [a.dataset for a in accounts.waiting()] == ["other"]
    assert accounts.registering() == tuple(a for a in everything if a.dataset == "reg")
    assert (accounts.registered(), accounts.founded(), accounts.grown()) == (5, 5, 3)
    assert [accounts.at(n).order for n in (-1, 0, 4, 5)] == [-1, 0, 4, -1]
    assert [(n, entry["batch_id"]) for n, entry in accounts.since(2)] == [(a.order, a.batch_id) for a in everything[3:]]
    table = accounts.table().to_pylist()
    assert {(r["dataset"], r["batch_id"]): tuple(r[n] for n in COUNTS) for r in table} == {
        place: tuple(getattr(a, n) for n in COUNTS) for place, a in newest.items()
    }


def test_one_moment_is_seen_while_others_admit(office: Office) -> None:
    before = journal.accounts(office.layout)
    office.deliver("pen", penalty(5, uscc=uscc(2)), day=9)
    assert before.next_order == 5 and len(before.of("pen")) == 2
    assert journal.accounts(office.layout).next_order == 6


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def of_another_format(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


def of_another_journal(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE meta SET digest = 'another'")
        connection.execute("DELETE FROM accounts WHERE adm_order = 1")


def unwritable(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.write_text("no folder")


@pytest.mark.parametrize("harm", [Path.unlink, torn, of_another_format, of_another_journal, unwritable])
def test_a_file_that_cannot_be_used_changes_no_answer(office: Office, harm) -> None:
    before = journal.accounts(office.layout)
    expected = [as_json(a) for a in before.all()], before.waiting(), before.table()
    harm(office.layout.state / FILE)
    after = journal.accounts(office.layout)
    assert ([as_json(a) for a in after.all()], after.waiting(), after.table()) == expected


def test_a_home_without_a_journal_gets_no_file(tmp_path: Path) -> None:
    office = Office(tmp_path)
    assert journal.accounts(office.layout).all() == () and not office.layout.state.exists()
