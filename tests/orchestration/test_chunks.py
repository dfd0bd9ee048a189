"""Many batches in one task: which share it, and what one that fails or kills its process does to the others."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from chengxin import pipeline
from chengxin.errors import CommitConflict
from chengxin.home import Home
from chengxin.operations.alerts.book import Book
from chengxin.orchestration import chunks
from chengxin.orchestration.chunks import LARGEST, MOST, Place, packed
from chengxin.store import lock
from deliveries import REGISTRATION, Office, company

HERE = Place("drain__test", "r", "drain", 0, 1)


class Marks:
    """What Airflow keeps of a task from one try to the next, in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, key: str) -> object:
        return self._all().get(key)

    def set(self, key: str, value: object) -> None:
        self.path.write_text(json.dumps({**self._all(), key: value}))

    def delete(self, key: str) -> None:
        self.path.write_text(json.dumps({k: v for k, v in self._all().items() if k != key}))

    def _all(self) -> dict[str, object]:
        return json.loads(self.path.read_text()) if self.path.exists() else {}


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    office = Office(tmp_path)
    monkeypatch.setenv("CHENGXIN_HOME", str(office.settings.home))
    monkeypatch.setenv("CHENGXIN_CONTRACTS", str(office.settings.contracts))
    for n, name in enumerate(("reg_a", "reg_b", "reg_c")):
        office.contract(name, "registration", REGISTRATION)
        inbox = office.layout.home / "inbox" / name
        inbox.mkdir(parents=True)
        office.write(name, [company(n)], day=n).rename(inbox / "one.csv")
    return office


@pytest.fixture
def chunk(office: Office) -> chunks.Chunk:
    home = Home(office.settings)
    for contract in office.contracts.values():
        for delivery in pipeline.discover(home, contract):
            pipeline.land(home, contract, delivery)
    (chunk,), left = chunks.plan(office.contracts)
    assert (len(chunk), left) == (3, 0)
    return chunk


def test_a_data_set_lies_in_one_chunk_in_its_order():
    many = [("a", [(f"a{n}", 1) for n in range(MOST + 5)]), ("b", [("b0", 1)]), ("c", [("c0", 1)])]
    first, second = packed(many)
    assert first == [["a", f"a{n}"] for n in range(MOST)], "the rest comes with the next run"
    assert second == [["b", "b0"], ["c", "c0"]]


def test_large_batches_are_chunks_of_their_own():
    big, half = LARGEST + 1, LARGEST // 2
    found = packed(
        [("a", [("a0", big), ("a1", 1)]), ("b", [("b0", half), ("b1", half), ("b2", half)]), ("c", [("c0", 9)])]
    )
    assert found == [[["a", "a0"]], [["b", "b0"], ["b", "b1"]], [["c", "c0"]]]


def test_a_chunk_is_drained_and_found_done_the_next_time(office, chunk, tmp_path):
    marks = Marks(tmp_path / "marks")
    done = chunks.drain(office.contracts, chunk, marks, HERE)
    assert [o.account["accepted"] for o in done] == [1, 1, 1]
    again = Place("drain__test", "r", "drain", 0, 2)
    assert chunks.drain(office.contracts, chunk, marks, again) == done
    assert marks._all() == {}
    tried = chunks.handled(Home(office.settings), *chunk[0])
    assert [(t["run"], t["map_index"], t["try"]) for t in tried] == [("r", 0, 1), ("r", 0, 2)]


def test_a_bad_batch_stops_no_other_and_is_an_alert(office, chunk, tmp_path):
    dataset, batch_id = chunk[1]
    receipt = office.layout.landing(dataset, batch_id) / "receipt.json"
    kept = receipt.read_bytes()
    receipt.write_text("{")
    done = chunks.drain(office.contracts, chunk, Marks(tmp_path / "marks"), HERE)
    assert [bool(o.account) for o in done] == [True, False, True]
    assert "failed" in done[1].for_people()
    (entry,) = Book(office.layout).open_entries()
    assert (entry.cause.about, entry.items, entry.cause.page) == (dataset, (batch_id,), HERE.page)
    receipt.write_bytes(kept)
    done = chunks.drain(office.contracts, chunk, Marks(tmp_path / "marks"), HERE)
    assert all(o.account for o in done)
    assert Book(office.layout).open_entries() == []


def test_what_another_try_may_mend_is_raised(office, chunk, tmp_path, monkeypatch):
    held = lock.held
    monkeypatch.setattr(lock, "held", lambda layout, name, **_: held(layout, name, seconds=0))
    notlast = Place("drain__test", "r", "drain", 0, 1, last=False)
    with held(office.layout, "ingest-reg_b"):
        with pytest.raises(CommitConflict):
            chunks.drain(office.contracts, chunk, Marks(tmp_path / "marks"), notlast)
        assert len(office.accounts()) == 2, "the others are done"
        assert Book(office.layout).open_entries() == [], "what may mend itself rings nobody up"
        (failed,) = [o for o in chunks.drain(office.contracts, chunk, Marks(tmp_path / "m"), HERE) if o.error]
    assert failed.dataset == "reg_b"


def test_a_batch_that_kills_its_process_comes_last_then_not(office, chunk, tmp_path):
    marks = Marks(tmp_path / "marks")
    order = [batch for _, batch in chunk]
    for victim_at in (0, 2):  # the first time in its place, the second time after all others
        with lock.held(office.layout, f"dataset-{chunk[0][0]}"):
            child = os.fork()
            if not child:
                chunks.drain(office.contracts, chunk, marks, HERE)
                os._exit(0)
            ends = time.monotonic() + 60
            while len(office.accounts()) < victim_at or marks.get(chunks.UNDER_WAY) != order[0]:
                assert time.monotonic() < ends
                time.sleep(0.02)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    done = {o.batch_id: o for o in chunks.drain(office.contracts, chunk, marks, HERE)}
    assert [bool(done[b].account) for b in order] == [False, True, True]
    assert "两次中断" in done[order[0]].for_people()["failed"]
    assert [e.items for e in Book(office.layout).open_entries()] == [(order[0],)]
    assert all(o.account for o in chunks.drain(office.contracts, chunk, marks, HERE)), "the next run tries again"


def test_two_at_once_do_a_data_set_once(office, chunk, tmp_path):
    found: list[list[chunks.Outcome]] = []

    def go(n: int) -> None:
        found.append(chunks.drain(office.contracts, chunk, Marks(tmp_path / f"marks-{n}"), HERE))

    both = [threading.Thread(target=go, args=(n,)) for n in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert found[0] == found[1]
    assert len(list((office.layout.home / "admissions").glob("*.json"))) == 3
