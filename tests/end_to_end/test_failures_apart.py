"""Trouble of one batch is told and counted, and keeps no other batch, data set or department waiting."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pipeline_runs import LIST_COLUMNS, chengxin, command, contract, told, words

from cases import few
from chengxin import pipeline
from chengxin.contracts.loader import load
from chengxin.facts import Batch
from chengxin.home import Home
from chengxin.settings import Settings
from deliveries import uscc

HEADER = ",".join(LIST_COLUMNS)
NAMED = "长沙甄别"  # in every row: it must never be told


def row(n: int) -> str:
    return f"{NAMED}{n}有限公司,{uscc(n)},1999-01-08,N/A,张某,5118(万元人民币),软件开发,湖南,长沙,长沙市开福区"


class Place:
    """A home with two data sets; `aaa_list` comes first and is in trouble, `bbb_list` is sound."""

    def __init__(self, root: Path) -> None:
        self.home, self.contracts = root / "home", root / "contracts"
        self.sent = 0
        for name in ("aaa_list", "bbb_list"):
            contract(self.contracts, name, "registration", LIST_COLUMNS, file={"format": "csv"})

    def send(self, dataset: str) -> Path:
        self.sent += 1
        path = self.home / "inbox" / dataset / f"{self.sent}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([HEADER, row(self.sent)]) + "\n", "utf-8")
        return path

    def land(self) -> Batch:
        """Land a delivery of the first data set, as a run does that is killed right after."""
        self.send("aaa_list")
        settings = Settings(home=self.home, contracts=self.contracts)
        one = load(self.contracts).contracts["aaa_list"]
        (offered,) = pipeline.discover(Home(settings), one)
        return pipeline.land(Home(settings), one, offered)

    def run(self, code: int, *more: str) -> str:
        """Run everything with a new delivery of the sound one, which must be admitted; return what was said."""
        self.send("bbb_list")
        done = told(words(self.home, self.contracts, *(more or ("run",)), "--json"))
        said = done.stderr + done.stdout
        assert done.returncode == code, said
        assert "Traceback" not in said
        assert NAMED not in said
        if not more:
            assert [b["accepted"] for b in json.loads(done.stdout)["batches"] if b["dataset"] == "bbb_list"] == [1]
            assert json.loads(done.stdout)["snapshot"]
        return said

    def state(self) -> dict:
        rows = chengxin(self.home, self.contracts, "status")["datasets"]
        return next(r for r in rows if r["dataset"] == "aaa_list")

    def alerts(self, code: int = 3) -> list[str]:
        return [e["cause"]["kind"] for e in chengxin(self.home, self.contracts, "alerts", code=code)["open"]]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def lost_payload(place: Place, batch: Batch) -> Callable[[], object]:
    payload = place.home / "landing" / "aaa_list" / batch.batch_id / "payload"
    shutil.move(payload, place.home.parent / "kept")
    return lambda: shutil.move(place.home.parent / "kept", payload)


def torn_summary(place: Place, batch: Batch) -> Callable[[], object]:
    path = place.home / "batches" / "aaa_list" / batch.batch_id / "standard" / "summary.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"dataset": "' + NAMED)
    return lambda: shutil.rmtree(path.parent)


@pytest.mark.parametrize("damage", few(1, [torn_summary, lost_payload]))
def test_a_batch_that_fails_is_set_aside_after_three_tries(
    place: Place, damage: Callable[[Place, Batch], Callable[[], object]]
) -> None:
    batch = place.land()
    mend = damage(place, batch)
    for n in range(1, 4):
        said = place.run(1)
        assert batch.batch_id in said
        assert ("搁置" in said) == (n == 3)
    assert "aaa_list" not in place.run(0), "nobody is told again and again"
    (aside,) = place.state()["aside"]
    assert (aside["batch_id"], aside["tries"]) == (batch.batch_id, 3)
    assert "aside" in place.alerts()
    assert "chengxin retry aaa_list" in told(words(place.home, place.contracts, "status")).stdout
    mend()
    place.run(0, "retry", "aaa_list", batch.batch_id)
    assert (place.state()["accepted"], place.state()["aside"]) == (1, [])
    assert place.alerts(0) == []


@pytest.mark.slow
def test_an_empty_receipt_is_the_trouble_of_its_data_set(place: Place) -> None:
    receipt = place.home / "landing" / "aaa_list" / place.land().batch_id / "receipt.json"
    kept = receipt.read_bytes()
    place.run(0)
    receipt.write_bytes(b"")
    place.send("aaa_list")
    said = place.run(1)
    assert "接收回执已损坏" in said
    assert "failed" in place.alerts()
    chengxin(place.home, place.contracts, "verify", code=1)
    receipt.write_bytes(kept)
    place.run(0)
    assert place.state()["accepted"] == 2
    assert place.alerts(0) == []


@pytest.mark.slow
def test_a_batch_whose_answer_fails_stops_no_other_answer(place: Place) -> None:
    place.send("aaa_list")
    place.run(0)
    (receipt,) = (place.home / "feedback" / "aaa_list").glob("*/0000/回执.json")
    kept = receipt.read_bytes()
    receipt.write_bytes(b"")
    place.send("aaa_list")
    said = place.run(1)
    assert f"批次 {receipt.parts[-3]} 的反馈没有做成" in said
    assert len(list((place.home / "feedback" / "aaa_list").glob("*/0000/回执.json"))) == 2
    assert "failed" in place.alerts()
    receipt.write_bytes(kept)
    place.run(0)
    assert place.alerts(0) == []


@pytest.fixture
def stopped(place: Place) -> Iterator[Place]:
    """A place whose first data set hangs while it is read: its payload is a pipe that nobody writes into."""
    batch = place.land()
    (payload,) = (place.home / "landing" / "aaa_list" / batch.batch_id / "payload").iterdir()
    payload.unlink()
    os.mkfifo(payload)
    yield place


@pytest.mark.slow
def test_a_process_that_is_killed_in_a_batch_counts_as_a_try(stopped: Place) -> None:
    for _ in range(3):
        began = time.time()
        process = subprocess.Popen(command(stopped.home, stopped.contracts, "run"), stderr=subprocess.DEVNULL)
        mark = stopped.home / "locks" / "under-way-aaa_list.mark"
        while not mark.exists() or mark.stat().st_mtime < began:
            assert process.poll() is None
            time.sleep(0.1)
        time.sleep(0.5)
        process.send_signal(signal.SIGKILL)
        process.wait()
    stopped.run(0)
    (aside,) = stopped.state()["aside"]
    assert "进程中断" in aside["said"]
    assert "aside" in stopped.alerts()
