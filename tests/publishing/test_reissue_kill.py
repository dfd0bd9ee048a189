"""Kill a re-issue at each system call that changes the disk: no reader ever sees the row, the next run finishes it."""

import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from chengxin.publishing.open_tier import derivation
from chengxin.publishing.reader import open_snapshot
from chengxin.publishing.suppression import candidates, entries
from chengxin.publishing.suppression.sweep import sweep
from chengxin.publishing.verify import verify
from chengxin.records import acts
from chengxin.store import pointer
from chengxin.store.layout import Layout
from publishing.government_drafts import NOW, TODAY, Draft
from publishing.reissue_server import KEY, home, reissue
from publishing.test_kill import CALLS, Server, contents, copy, creating_opens, occurrences

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
TIERS = ("government", "open")
MOST = 150  # points of the slow test, drawn of all
EVERY = {
    "rename": 4,
    "fsync": 60,
    "write": 60,
    "chmod": 30,
    "openat": 60,
    "link": 15,
    "mkdir": 20,
    "unlinkat": 20,
    "rmdir": 20,
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    started = Server("reissue_server.py")
    yield started
    started.process.stdin.close()
    started.process.wait()


def draft(count: int) -> Draft:
    made = Draft()
    for number in range(1, count + 1):
        made.subject(number, "enterprise", f"湖南示例{number}号有限公司")
        decided = {"decision_no": f"湘示罚〔2026〕{number}号", "authority_name": "示例市监局"}
        made.record("penalty", number, decision_on=date(2026, 10, 1), penalty_class_name="罚款", **decided)
    return made


def publish(folder: Path, count: int, hour: int) -> None:
    layout, at = Layout(folder), NOW.replace(hour=hour)
    manifest = draft(count).publish(folder, _current(folder), now=at)
    derivation.publish_open(layout, manifest, token_key=KEY, now=at, today=TODAY)


def _current(folder: Path):
    return pointer.locate(Layout(folder), "government").manifest


@pytest.fixture(scope="module")
def ready() -> Iterator[Path]:
    """A home with two snapshots of each tier; the penalty of firm 1 is in all four and was repaired."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        made = Path(folder) / "ready"
        publish(made, 2, 2)
        publish(made, 3, 3)
        found = candidates.by_subject(open_snapshot(made), {1}, "湘示罚〔2026〕1号", "")
        acts.enter(Layout(made), "repair", found, at=NOW, by="甲", document="修〔2026〕1号", day=TODAY)
        entries.renew(home(made))
        yield made


def check_readers(folder: Path) -> None:
    """Every snapshot that can be named has the rows of the other firms, and never that of firm 1."""
    layout = Layout(folder)
    for tier in TIERS:
        ids = [*pointer.snapshot_ids(layout, tier), None]
        assert len(ids) >= 3
        for name in ids:
            if name and pointer.check(layout.snapshot(tier, name))[1]:
                assert name != pointer.load(layout, tier).snapshot_id
                continue  # half deleted, and named by nothing
            seen = open_snapshot(folder, tier, name, mark=False)
            subjects = seen.table("penalty", ["subject_id"]).column(0).to_pylist()
            assert sorted(subjects) in ([2], [2, 3]), (tier, name)
            assert seen.table("credit_record").num_rows == len(subjects)
        assert sorted(open_snapshot(folder, tier, mark=False).table("penalty")["subject_id"].to_pylist()) == [2, 3]


@pytest.fixture(scope="module")
def reference(ready: Path, server: Server) -> tuple[list[tuple[str, int]], dict[str, str]]:
    """Return the system calls of an undisturbed run that change the disk, and the home after it."""
    folder = copy(ready, "reference")
    check_readers(folder)
    before = {tier: pointer.snapshot_ids(Layout(folder), tier) for tier in TIERS}
    end, trace = server.run(folder, "-e", "trace=" + ",".join(CALLS))
    assert end == 0
    for tier in TIERS:
        assert pointer.snapshot_ids(Layout(folder), tier) == [f"{name}-r1" for name in before[tier]]
        assert verify(Layout(folder), tier) == []
    check_readers(folder)
    counts = occurrences(trace)
    points = [(call, n) for call in CALLS if call != "openat" for n in range(1, counts[call] + 1)]
    return [*points, *(("openat", n) for n in creating_opens(trace))], contents(folder)


def kill(ready: Path, server: Server, point: tuple[str, int], expected: dict[str, str]) -> None:
    call, n = point
    folder = copy(ready, "killed")
    end, _ = server.run(folder, "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={n}")
    assert end == -signal.SIGKILL, f"{call} #{n} did not fire"
    check_readers(folder)
    reissue(folder)
    check_readers(folder)
    assert sweep(home(folder)).left == {}
    assert contents(folder) == expected, f"{call} #{n}"
    shutil.rmtree(folder)


@pytest.mark.slow
def test_no_reader_sees_the_row_of_a_killed_re_issue(ready, server, reference):
    points, expected = reference
    some = [(call, n) for call, n in points if n % EVERY.get(call, 1) == 0 or n == 1]
    assert {call for call, _ in some} >= {"rename", "link", "fsync", "unlinkat", "rmdir"} and len(some) > 15
    for point in some:
        kill(ready, server, point, expected)


@pytest.mark.slow
def test_no_reader_sees_the_row_wherever_it_is_killed(ready, server, reference):
    points, expected = reference
    for point in random.Random(1).sample(points, min(len(points), MOST)):
        kill(ready, server, point, expected)


def test_the_sweep_finds_what_a_re_issue_has_not_reached(ready):
    folder = copy(ready, "swept")
    found = sweep(home(folder))
    assert found.acts == 1 and len(found.left) >= 2 and all(name.endswith(".parquet") for name in found.left)
    kept = {p.name: p.stat().st_ino for p in (folder / "published").rglob("subject/*.parquet")}
    gone = {p.stat().st_ino for p in (folder / "published").rglob("penalty/*.parquet")}
    reissue(folder)
    assert sweep(home(folder)).left == {}
    assert {p.name: p.stat().st_ino for p in (folder / "published").rglob("subject/*.parquet")} == kept
    assert not gone & {p.stat().st_ino for p in (folder / "published").rglob("penalty/*.parquet")}


@pytest.mark.slow
def test_who_reads_meanwhile_opens_whole_snapshots(tmp_path):
    publish(tmp_path, 9, 2)
    publish(tmp_path, 10, 3)
    seen: list[tuple[str, set[int]]] = []
    removed: set[int] = set()
    over, wrong = threading.Event(), []

    def read() -> None:
        while not over.is_set():
            for tier in TIERS:
                before = set(removed)
                opened = open_snapshot(tmp_path, tier, mark=False)
                with suppress(FileNotFoundError):  # it was issued again since it was opened
                    subjects = set(opened.table("penalty", ["subject_id"]).column(0).to_pylist())
                    seen.append((opened.id, subjects))
                    if opened.warnings or subjects & before or not subjects >= set(range(9, 11)):
                        wrong.append((opened.warnings, subjects & before))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 9):
        found = candidates.by_subject(open_snapshot(tmp_path), {number}, f"湘示罚〔2026〕{number}号", "")
        acts.enter(Layout(tmp_path), "repair", found, at=NOW, by="甲", document="修〔2026〕1号", day=TODAY)
        entries.renew(home(tmp_path))
        removed.add(number)
        reissue(tmp_path)
        read_by_now, until = len(seen), time.monotonic() + 30
        while len(seen) < read_by_now + 2 and not wrong and time.monotonic() < until:
            time.sleep(0.01)
    over.set()
    reader.join()
    assert wrong == [] and len({name for name, _ in seen}) > 3
    assert sorted(open_snapshot(tmp_path).table("penalty")["subject_id"].to_pylist()) == [9, 10]
