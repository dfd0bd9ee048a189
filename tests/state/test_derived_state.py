"""The state is a function of journal and links folders, however it came about; deleting it changes nothing."""

import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chengxin.clock import Clock
from chengxin.home import Home
from chengxin.operations.housekeeping import ROUND_DAYS, check_state
from chengxin.records import journal
from chengxin.state import lookups
from chengxin.state.application import TABLES
from chengxin.state.database import caught_up, differing, doubtful, lacks
from chengxin.store.layout import Layout
from deliveries import PENALTY, REGISTRATION, START, Office, company, penalty, uscc

BUILD = """
import sys
from pathlib import Path
from chengxin.state.database import caught_up
from chengxin.store.layout import Layout
layout = Layout(Path(sys.argv[1]))
with caught_up(layout):
    print("caught up", flush=True)
"""


def dump(layout: Layout) -> dict[str, list[tuple]]:
    with caught_up(layout) as state:
        return {table: sorted(state.execute(f"SELECT * FROM {table}").fetchall(), key=repr) for table in TABLES}


def grown(folder: Path) -> Office:
    """A home of several batches: a registry that grows, penalties with repeats, corrections and waiting rows."""
    office, chance = Office(folder), random.Random(7)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", PENALTY)
    office.deliver("reg", *(company(n) for n in range(1, 30)), day=0)
    for day in range(1, 7):
        rows = [penalty(chance.randint(1, 20), uscc=uscc(chance.randint(1, 40)), penalty_content=chance.choice("甲乙"))
                for _ in range(5)]  # fmt: skip
        office.deliver("pen", *rows, day=day)
    office.deliver("reg", *(company(n) for n in range(28, 40)), day=7)
    office.retry()
    return office


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return grown(tmp_path_factory.mktemp("state"))


def test_a_state_that_grew_is_the_one_built_at_once(office: Office) -> None:
    before = dump(office.layout)
    assert len(before["identifiers"]) >= 39
    assert {row[9] for row in before["versions"]} == {0, 1}, "stated and repeated versions"
    shutil.rmtree(office.layout.state)
    assert dump(office.layout) == before


@pytest.mark.parametrize("harm", ["torn", "other", "older"])
def test_a_state_that_cannot_be_used_is_built_anew(office: Office, harm: str) -> None:
    before, path = dump(office.layout), office.layout.state / "state.db"
    if harm == "torn":
        path.write_bytes(b"\0" * 5000)
    else:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DELETE FROM versions")
            what = "UPDATE meta SET digest = 'of another home'" if harm == "other" else "PRAGMA user_version = 99"
            connection.execute(what)
            connection.commit()
    assert dump(office.layout) == before


def test_a_check_names_the_tables_that_differ(office: Office, tmp_path: Path) -> None:
    assert differing(office.layout, tmp_path / "same") == []
    with closing(sqlite3.connect(office.layout.state / "state.db")) as connection:
        connection.execute("UPDATE versions SET subject_id = subject_id + 1 WHERE subject_id = 1")
        connection.commit()
    assert differing(office.layout, tmp_path / "other") == ["versions"]
    shutil.rmtree(office.layout.state)


class Explained:
    """A connection that notes how SQLite finds the rows of what it is asked."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection, self.plans = connection, list[str]()
        self.executemany = connection.executemany

    def execute(self, query: str, values: tuple = ()) -> sqlite3.Cursor:
        if query.lstrip().startswith(("SELECT", "INSERT")):
            found = self.connection.execute(f"EXPLAIN QUERY PLAN {query}", values)
            self.plans += [step for *_, step in found]
        return self.connection.execute(query, values)


def test_lookups_read_whole_only_what_is_asked(office: Office) -> None:
    with caught_up(office.layout) as state:
        noted: Any = Explained(state)
        lookups.touched(noted, "pen", values=[uscc(1)], names=["甲"], also=[1])
        lookups.versions(noted, "pen", records=["00" * 16], twins=[1], nears=[2], subjects=[3])
        lookups.known(noted, "uscc", [uscc(1)])
        lookups.reopened(noted, "pen")
    assert {p for p in noted.plans if p.startswith("SCAN")} == {"SCAN v", "SCAN k", "SCAN t", "SCAN q"}, noted.plans
    searched = [p for p in noted.plans if p.startswith("SEARCH x")]
    assert len(searched) == 11 and not [p for p in searched if "(dataset=?)" in p], searched


def test_a_journal_that_was_set_back_is_followed(office: Office, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(office.settings.home, home)
    layout = Layout(home)
    whole = dump(layout)
    newest = sorted(layout.journal.iterdir())[-1]
    newest.unlink()
    cut = dump(layout)
    assert len(cut["admissions"]) == len(whole["admissions"]) - 1


@pytest.mark.slow
def test_a_killed_build_is_gone_on_with(office: Office, tmp_path: Path) -> None:
    home, chance = tmp_path / "home", random.Random(11)
    expected = dump(office.layout)
    shutil.copytree(office.settings.home, home)
    layout, killed = Layout(home), 0
    for _ in range(6):
        shutil.rmtree(layout.state, ignore_errors=True)
        child = subprocess.Popen([sys.executable, "-c", BUILD, str(home)], stdout=subprocess.PIPE, env=os.environ)
        until = time.monotonic() + 60
        while not (layout.state / "state.db").exists() and time.monotonic() < until:
            time.sleep(0.0005)
        time.sleep(chance.random() * 0.03)
        child.send_signal(signal.SIGKILL)
        killed += child.wait() == -signal.SIGKILL and not (child.stdout.read() if child.stdout else b"")
        assert dump(layout) == expected
    assert killed, "no build was hit"


@pytest.mark.parametrize("kilobytes", [4, 60, 200])
def test_a_build_that_finds_no_room_is_gone_on_with(office: Office, tmp_path: Path, kilobytes: int) -> None:
    home, most = tmp_path / "home", (kilobytes << 10, kilobytes << 10)
    expected = dump(office.layout)
    shutil.copytree(office.settings.home, home)
    shutil.rmtree(home / "state")
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(home)], capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, most),
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},  # Python would leave modules that are cut off
    )  # fmt: skip
    assert done.returncode == 1 and "OSError: [Errno 27] File too large" in done.stderr, done.stderr[-500:]
    assert dump(Layout(home)) == expected


@pytest.mark.slow
def test_deleting_the_state_changes_no_links(tmp_path: Path) -> None:
    def links(office: Office) -> dict[str, bytes]:
        home = office.settings.home
        return {str(p.relative_to(home)): p.read_bytes() for p in sorted(home.glob("batches/*/*/links-*/*.parquet"))}

    kept, deleted = grown(tmp_path / "kept"), Office(tmp_path / "deleted")
    for dataset, kind, names in (("reg", "registration", REGISTRATION), ("pen", "penalty", PENALTY)):
        deleted.contract(dataset, kind, names)
    for path in sorted((kept.folder / "sent").iterdir(), key=lambda p: p.stat().st_mtime):
        shutil.rmtree(deleted.layout.state, ignore_errors=True)
        deleted.ingest(path.name.split("-")[0], path)
    shutil.rmtree(deleted.layout.state)
    deleted.retry()
    assert {n: b for n, b in links(deleted).items() if "linked" not in n} == {
        n: b for n, b in links(kept).items() if "linked" not in n
    }
    assert links(deleted).keys() == links(kept).keys()


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE versions SET subject_id = subject_id + 1 WHERE adm_order = 2",
        "DELETE FROM versions WHERE adm_order = 2",
        "UPDATE identifiers SET value = '9' || value WHERE adm_order = 0",
        "UPDATE admissions SET known_from = 'never' WHERE adm_order = 3",
    ],
)
def test_a_slice_finds_what_the_state_holds_otherwise(office: Office, tmp_path: Path, harm: str) -> None:
    shutil.copytree(office.settings.home, tmp_path / "home")
    home = Home(replace(office.settings, home=tmp_path / "home"), Clock(START))
    with caught_up(home.layout):
        pass
    everything = range(journal.accounts(home.layout).next_order)
    assert doubtful(home.layout, everything) == []
    with closing(sqlite3.connect(home.layout.state / "state.db", isolation_level=None)) as connection:
        assert connection.execute(harm).rowcount
    order = int(harm.split()[-1])
    assert doubtful(home.layout, everything) == [order]
    days = [Home(home.settings, Clock(START + timedelta(days=n))) for n in range(ROUND_DAYS)]
    found = [problem for day in days for problem in check_state(day)]
    assert len(found) == 1 and f"第 {order} 条不符" in found[0], "each admission has its turn"


def test_a_state_that_was_never_built_is_not_built_to_be_checked(office: Office, tmp_path: Path) -> None:
    shutil.copytree(office.settings.home, tmp_path / "home")
    home = Home(replace(office.settings, home=tmp_path / "home"), Clock(START))
    (home.layout.state / "state.db").unlink(missing_ok=True)
    assert check_state(home) == [] and not (home.layout.state / "state.db").exists()


def test_what_the_state_lacks_is_told_without_building_it(office: Office, tmp_path: Path) -> None:
    shutil.copytree(office.settings.home, tmp_path / "home")
    layout = Layout(tmp_path / "home")
    (layout.state / "state.db").unlink(missing_ok=True)
    settled = sum(a.accepted + a.duplicate for a in journal.admissions(layout))
    assert lacks(layout, settled - 1) and not lacks(layout, settled)
    assert not (layout.state / "state.db").exists()
    with caught_up(layout):
        pass
    assert not lacks(layout, 0)
    with closing(sqlite3.connect(layout.state / "state.db", isolation_level=None)) as connection:
        connection.execute("UPDATE meta SET digest = 'of another journal'")
    assert lacks(layout, settled - 1)
