"""Locks: who holds one and since when is told to those who wait; a process that dies holds none."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from chengxin.clock import SHANGHAI, Clock
from chengxin.errors import CommitConflict
from chengxin.store.layout import Layout
from chengxin.store.lock import held, holders

KEEPS = """
import sys, time
from pathlib import Path
from chengxin.store import lock
from chengxin.store.layout import Layout
lock.command.set("chengxin publish")
with lock.held(Layout(Path(sys.argv[1])), "publish"):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "home")


def keep(layout: Layout, seconds: float = 600) -> "subprocess.Popen[str]":
    """Start a process that holds the lock `publish`."""
    command = [sys.executable, "-c", KEEPS, str(layout.home), str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


@pytest.fixture
def keeper(layout: Layout) -> Iterator["subprocess.Popen[str]"]:
    process = keep(layout)
    yield process
    process.kill()
    process.wait()


def test_whoever_waits_in_vain_is_told_for_whom(layout, keeper):
    with pytest.raises(CommitConflict) as told, held(layout, "publish", seconds=0):
        pass
    text = str(told.value)
    assert "chengxin publish" in text and f"进程 {keeper.pid}" in text and os.uname().nodename in text
    assert f"自 {datetime.now(SHANGHAI):%Y-%m-%d }" in text or f"{Clock().today() - timedelta(1)}" in text


def test_whoever_waits_says_so_within_seconds(layout, caplog):
    process, begun = keep(layout, 7), time.monotonic()
    with held(layout, "publish"):
        waited = time.monotonic() - begun
    process.wait()
    assert waited > 6
    (line,) = caplog.messages
    assert f"进程 {process.pid}" in line and "已等待 5 秒" in line


def test_held_locks_are_listed_with_their_holders(layout, keeper):
    with held(layout, "registry"):
        ours, theirs = sorted(holders(layout), key=lambda h: h.lock != "registry")
    assert (theirs.lock, theirs.pid, theirs.command) == ("publish", keeper.pid, "chengxin publish")
    assert (ours.lock, ours.pid, ours.host) == ("registry", os.getpid(), os.uname().nodename)
    since = datetime.fromisoformat(theirs.since)
    assert since.utcoffset() == timedelta(hours=8) and abs(Clock().now() - since) < timedelta(minutes=1)
    assert [h.lock for h in holders(layout)] == ["publish"]


def test_a_process_that_is_killed_holds_nothing(layout, keeper):
    os.kill(keeper.pid, signal.SIGKILL)
    keeper.wait()
    assert (layout.locks / "publish.json").exists(), "what it left says nothing"
    assert holders(layout) == []
    with held(layout, "publish", seconds=0):
        assert [h.pid for h in holders(layout)] == [os.getpid()]


def test_looking_at_locks_takes_and_writes_none(layout, keeper):
    before = {p: p.stat().st_mtime_ns for p in layout.locks.iterdir()}
    assert [h.pid for h in holders(layout)] == [keeper.pid]
    assert {p: p.stat().st_mtime_ns for p in layout.locks.iterdir()} == before
    assert holders(Layout(layout.home / "none")) == []


@pytest.mark.usefixtures("keeper")
def test_a_torn_note_hides_only_the_holder(layout):
    note = layout.locks / "publish.json"
    for text in ("", "{", "[]", json.dumps({"pid": 1})):
        note.write_text(text)
        assert holders(layout) == []
        with pytest.raises(CommitConflict, match="另一个进程正占用“publish”锁"), held(layout, "publish", seconds=0):
            pass
