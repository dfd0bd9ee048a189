"""Kill and fail a commit at every system call that changes the disk; readers and the next run must not suffer."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from chengxin.publishing.reader import open_snapshot
from chengxin.publishing.verify import verify
from chengxin.store.layout import Layout
from chengxin.store.manifest import Manifest
from publishing.commit_server import publish
from publishing.government_drafts import NOW, Draft

CALLS = ("openat", "mkdir", "link", "rename", "chmod", "fsync", "write", "ftruncate", "unlink", "unlinkat", "rmdir")

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


class Server:
    """Forks a stopped committer, lets strace at it, and says how it ended."""

    def __init__(self, program: str = "commit_server.py") -> None:
        command = [sys.executable, str(Path(__file__).with_name(program))]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, home: Path, *strace: str) -> tuple[int, str]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{home}\n")
        self.process.stdin.flush()
        pid = int(self.process.stdout.readline().split()[1])
        log = home.with_suffix(".strace")
        tracer = subprocess.Popen(
            ["strace", "-p", str(pid), "-o", str(log), *strace], stderr=subprocess.PIPE, text=True
        )
        assert tracer.stderr
        said = tracer.stderr.readline()
        os.kill(pid, signal.SIGCONT)
        end = int(self.process.stdout.readline().split()[1])
        tracer.wait()
        if "attached" not in said:
            pytest.skip(f"strace may not attach here: {said}")
        return end, log.read_text(errors="replace")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.process.stdin.close()
    started.process.wait()


def few(parts: tuple[str, ...]) -> Draft:
    """One company a part in as few tables as there can be: every file costs a dozen kills."""
    draft = Draft()
    for number, part in enumerate(parts, 1):
        draft.subject(number, "enterprise", f"湖南示例{number}号有限公司", part=part)
        draft.record("registration", number, subject_name=f"湖南示例{number}号有限公司")
    return draft


@pytest.fixture(scope="module")
def ready() -> Iterator[Path]:
    """A home with a snapshot and a draft for the next that shares a file; in memory, where syncs are cheap."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield fill(Path(folder) / "ready")


def fill(home: Path) -> Path:
    first = few(("4301",)).publish(home)
    following = few(("4301", "4302"))
    folder = Layout(home).drafts / "government"
    manifest = following.manifest(folder, now=NOW.replace(hour=3))
    shared = {(f.table, f.name) for f in first.files()}
    for entry in manifest.files():
        if (entry.table, entry.name) in shared:
            (folder / entry.table / entry.name).unlink()
    (home / "draft-manifest.json").write_bytes(manifest.to_bytes())
    return home


def copy(ready: Path, name: str) -> Path:
    """Copy a home with its hard links and modes."""
    home = ready.with_name(name)
    subprocess.run(["cp", "-a", str(ready), str(home)], check=True)
    return home


def contents(home: Path) -> dict[str, str]:
    """Everything below a home but lock files, by digest."""
    files = (p for p in home.rglob("*") if p.is_file() and p.parent.name != "locks")
    return {str(p.relative_to(home)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def occurrences(trace: str) -> Counter[str]:
    return Counter(match[1] for match in re.finditer(r"^(\w+)\(", trace, re.M))


def creating_opens(trace: str) -> list[int]:
    """Which of the opens change the disk."""
    opens = [line for line in trace.splitlines() if line.startswith("openat(")]
    return [n for n, line in enumerate(opens, 1) if "O_CREAT" in line]


class Reference:
    """An undisturbed commit: its system calls, the home after it, and what each snapshot holds."""

    def __init__(self, ready: Path, server: Server) -> None:
        home = copy(ready, "reference")
        end, trace = server.run(home, "-e", "trace=" + ",".join(CALLS))
        assert end == 0
        before, after = open_snapshot(ready), open_snapshot(home)
        assert verify(Layout(home), "government") == []
        assert not list(Layout(home).drafts.rglob("*.parquet"))
        self.counts = occurrences(trace)
        self.creating = creating_opens(trace)
        self.expected = contents(home)
        self.old, self.new = before.id, after.id
        self.rows = {s.id: {n: s.table(n).num_rows for n in s.tables} for s in (before, after)}

    def points(self) -> list[tuple[str, int]]:
        every = [(call, n) for call in CALLS if call != "openat" for n in range(1, self.counts[call] + 1)]
        return every + [("openat", n) for n in self.creating]

    def check_reader(self, home: Path) -> None:
        seen = open_snapshot(home, mark=False)
        assert seen.id in {self.old, self.new}
        assert {name: seen.table(name).num_rows for name in seen.tables} == self.rows[seen.id]


@pytest.fixture(scope="module")
def reference(ready: Path, server: Server) -> Reference:
    return Reference(ready, server)


def test_sigkill_at_every_mutating_call_leaves_old_or_new(ready, server, reference):
    counts = reference.counts
    assert counts["link"] > 5 and counts["rename"] >= 2 and counts["fsync"] > 10
    killed = 0
    for call, n in reference.points():
        home = copy(ready, "killed")
        end, _ = server.run(home, "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={n}")
        assert end == -signal.SIGKILL, f"{call} #{n} did not fire"
        killed += 1
        reference.check_reader(home)
        publish(home)
        assert open_snapshot(home).id == reference.new
        assert contents(home) == reference.expected, f"{call} #{n}"
        shutil.rmtree(home)
    assert killed == len(reference.points()) > 50


@pytest.mark.parametrize(
    ("call", "error"), [("write", "ENOSPC"), ("link", "ENOSPC"), ("mkdir", "ENOSPC"), ("fsync", "EIO")]
)
def test_a_failing_disk_leaves_old_or_new_and_the_next_succeeds(ready, server, reference, call, error):
    counts = reference.counts
    ends: Counter[int] = Counter()
    for n in range(1, counts[call] + 1):
        home = copy(ready, "failed")
        end, trace = server.run(home, "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={n}")
        assert "INJECTED" in trace
        ends[end] += 1
        reference.check_reader(home)
        if end == 10:
            assert open_snapshot(home).id == reference.new, "unknown outcome is only said when the pointer had moved"
        publish(home)
        assert contents(home) == reference.expected, f"{call} #{n}"
        shutil.rmtree(home)
    assert ends[12] > 0
    if call == "fsync":
        assert ends[10] == 1, "exactly the sync after the pointer's rename leaves the outcome unknown"


def test_links_that_the_file_system_refuses_become_copies(ready, server, reference):
    home = copy(ready, "copied")
    end, _ = server.run(home, "-e", "trace=link", "-e", "inject=link:error=EXDEV")
    assert end == 0
    assert open_snapshot(home).id == reference.new
    assert contents(home) == reference.expected


def test_data_reaches_the_disk_before_manifest_before_pointer(ready, server):
    home = copy(ready, "ordered")
    _, trace = server.run(home, "-y", "-e", "trace=fsync,rename")
    tier, name = home / "published" / "government", open_snapshot(home).id
    synced, renamed = calls(trace, home)
    made = tier / "snapshots" / f".building-{name}"
    landed, moved = renamed[tier / "snapshots" / name], renamed[tier / "current.json"]
    listed = Manifest.from_bytes((tier / "snapshots" / name / "manifest.json").read_bytes())
    data = [made / entry.table / entry.name for entry in listed.files()]
    tables = [made / table for table in listed.tables]
    assert len(data) == 8 and len(tables) == 4
    manifest, catalogue = last(synced, made / "manifest.json"), last(synced, made / "catalogue.json")
    assert all(last(synced, file) < last(synced, file.parent) for file in data)
    assert max(last(synced, folder) for folder in tables) < manifest < last(synced, made) < landed
    assert catalogue < last(synced, made)
    assert landed < last(synced, tier / "snapshots") < last(synced, tier / ".building-current.json") < moved
    assert moved < last(synced, tier)


def calls(trace: str, home: Path) -> tuple[dict[Path, int], dict[Path, int]]:
    """Return from a trace when each path was last synced, and when each came about by a rename."""
    synced: dict[Path, int] = {}
    renamed: dict[Path, int] = {}
    for at, line in enumerate(trace.splitlines()):
        if match := re.search(r"fsync\(\d+<(.+)>\) += 0", line):
            synced[Path(match[1])] = at
        elif match := re.search(r'rename\(".+", "(.+)"\) += 0', line):
            renamed[home / match[1]] = at
    return synced, renamed


def last(synced: dict[Path, int], path: Path) -> int:
    assert path in synced, f"{path} was never synced"
    return synced[path]
