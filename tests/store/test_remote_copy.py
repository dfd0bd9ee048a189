"""Working copies of one home on several machines: whole stages, one winner, nothing of a killed one."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from chengxin.errors import CommitConflict, CommitUnknown, ContractError, SnapshotDamaged
from chengxin.store.remote import index, publishing, scopes
from chengxin.store.remote import objects as objects_module
from chengxin.store.remote.copy import WorkingCopy
from chengxin.store.remote.scopes import EVERYTHING
from chengxin.store.remote.scopes import published as tier_scope

ENTRY = "admissions/00000000.json"
NOW = timedelta(0)


def write(copy: WorkingCopy, path: str, text: str) -> None:
    """Write as the stages do: under another name first."""
    target = copy.home / path
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".building-{target.name}")
    part.write_text(text)
    part.rename(target)


def put(copy: WorkingCopy, **files: str) -> None:
    """Run a stage that writes these files (`__` stands for `/`, `_` before an ending for `.`)."""
    named = {name.replace("__", "/"): text for name, text in files.items()}
    copy.run("put", EVERYTHING, lambda: [write(copy, path, text) for path, text in named.items()])


def files(copy: WorkingCopy) -> dict[str, str]:
    found = {p.relative_to(copy.home).as_posix(): p for p in copy.home.rglob("*") if p.is_file()}
    return {name: path.read_text() for name, path in found.items()}


def natural(server, copy: WorkingCopy) -> dict[str, str]:
    """Return what lies at its usual place in the store."""
    bucket, _, prefix = copy.objects.url[5:].partition("/")
    return {k: v.decode() for k, v in server.objects(bucket, f"{prefix}/").items() if not k.startswith(".")}


def test_what_one_machine_made_the_other_has(server, machine):
    a, b = machine("a"), machine("b")
    put(a, landing__x__1__receipt="one", published__open__current="p1")
    b.pull()
    assert files(b) == files(a) == natural(server, a)
    put(b, published__open__current="p2")
    a.pull()
    assert files(a) == files(b) == natural(server, a)
    assert files(a)["published/open/current"] == "p2"


def test_what_is_of_one_machine_stays_there(server, machine):
    a = machine()
    names = [
        "locks/x.lock",
        "work/y",
        "cache/z",
        "landing/x/seen.json",
        "feedback/x/1/keys-1.parquet",
        "landing/x/.pull-1/page",
        "drafts/open/f",
        "top",
    ]
    a.run("put", EVERYTHING, lambda: [write(a, name, "") for name in [*names, ENTRY]])
    assert natural(server, a) == {ENTRY: ""}
    a.pull()
    assert set(names) <= set(files(a)), "and is left alone"


def test_a_stage_that_changes_nothing_enters_nothing(server, machine):
    a = machine()
    put(a, x__y="1")
    before = len(server.gate.requests)
    put(a, x__y="1")
    assert a.index.head == 0
    assert [method for method, _ in server.gate.requests[before:]] == ["GET"], "one look at the log"


@pytest.mark.slow
def test_removed_files_and_empty_folders_go_everywhere(server, machine):
    a, b = machine("a"), machine("b")
    put(a, batches__x__1__links="1", batches__x__2__links="2")
    b.pull()
    a.run("remove", EVERYTHING, lambda: (a.home / "batches/x/1/links").unlink())
    b.pull()
    assert not (b.home / "batches/x/1").exists()
    assert files(b) == natural(server, b) == {"batches/x/2/links": "2"}
    put(b, batches__x__1__links="again")
    a.pull()
    assert files(a) == natural(server, a)
    assert files(a)["batches/x/1/links"] == "again"


def test_what_a_killed_stage_left_is_thrown_away(machine):
    a = machine()
    put(a, batches__x__kept="1")
    with pytest.raises(KeyboardInterrupt), a.changing("killed", scopes.batch("x", "1")):
        write(a, "batches/x/links-0000/linked", "half")
        write(a, "batches/x/kept", "changed")
        raise KeyboardInterrupt
    a.pull(tier_scope("open"))
    assert files(a) == {}, "also before a stage that is about other things"
    a.pull()
    assert files(a) == {"batches/x/kept": "1"}


def test_what_a_failed_stage_had_finished_counts(machine):
    a, b = machine("a"), machine("b")

    def stage() -> None:
        write(a, "landing/x/1/receipt", "done")
        raise ValueError

    with pytest.raises(ValueError):
        a.run("fails", EVERYTHING, stage)
    b.pull()
    assert files(b) == {"landing/x/1/receipt": "done"}


def test_of_two_that_change_the_same_one_is_run_again(server, machine):
    a, b = machine("a"), machine("b")
    seen: list[list[str]] = []

    def admit(copy: WorkingCopy, who: str) -> None:
        taken = sorted(p.name for p in (copy.home / "admissions").glob("*"))
        seen.append(taken)
        write(copy, f"admissions/{len(taken):08d}.json", who)
        if who == "b" and len(seen) == 1:  # a is faster
            a.run("admit", EVERYTHING, lambda: admit(a, "a"))

    b.run("admit", EVERYTHING, lambda: admit(b, "b"))
    assert seen == [[], [], ["00000000.json"]]
    a.pull()
    assert files(a) == files(b) == natural(server, a) == {ENTRY: "a", "admissions/00000001.json": "b"}


def test_changes_of_different_things_do_not_wait(machine):
    a, b, runs = machine("a"), machine("b"), []

    def stage() -> None:
        runs.append(1)
        write(b, "landing/x/1/receipt", "b")
        put(a, landing__y__1__receipt="a")

    b.run("land", EVERYTHING, stage)
    assert len(runs) == 1
    a.pull()
    assert files(a) == {"landing/x/1/receipt": "b", "landing/y/1/receipt": "a"}


@pytest.mark.slow
def test_one_that_is_always_too_late_says_so(machine):
    a, b = machine("a"), machine("b")

    def stage() -> None:
        put(a, **{f"admissions__{a.index.head + 1:08d}.json": "a"})
        write(b, "admissions/mine", "b")

    with pytest.raises(CommitConflict, match="重做"):
        b.run("admit", EVERYTHING, stage)
    with pytest.raises(CommitConflict), b.changing("admit"):
        stage()


def test_many_writers_at_once_lose_nothing(server, machine):
    copies = [machine(name) for name in "abc"]

    def work(copy: WorkingCopy, name: str) -> None:
        for n in range(3):

            def append(n: int = n) -> None:
                number = len(list((copy.home / "admissions").glob("*")))
                write(copy, f"admissions/{number:08d}.json", f"{name}{n}")

            done = False
            while not done:
                try:
                    copy.run("append", EVERYTHING, append)
                    done = True
                except CommitConflict:
                    continue

    threads = [threading.Thread(target=work, args=(c, n)) for c, n in zip(copies, "abc", strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    copies[0].pull()
    found = files(copies[0])
    assert sorted(found) == [f"admissions/{n:08d}.json" for n in range(9)]
    assert sorted(found.values()) == sorted(f"{name}{n}" for name in "abc" for n in range(3))
    assert natural(server, copies[0]) == found


def test_a_lost_reply_to_the_entry_that_counts_is_looked_into(server, machine):
    a, left = machine(), [2]

    def lost(method: str, path: str) -> bool:
        hit = method == "PUT" and "/.log/" in path and left[0] > 0
        left[0] -= hit
        return hit

    server.gate.after = lost
    put(a, x__y="1")
    assert (a.index.head, natural(server, a)) == (0, {"x/y": "1"})


@pytest.mark.slow
def test_a_store_that_goes_silent_leaves_the_outcome_open(server, machine, monkeypatch):
    monkeypatch.setattr(objects_module.time, "sleep", lambda seconds: None)
    a, b = machine("a"), machine("b")
    silent = [False]

    def before(*_: str) -> bool:
        return silent[0]

    def after(method: str, path: str) -> bool:
        silent[0] = silent[0] or (method == "PUT" and "/.log/" in path)
        return silent[0]

    server.gate.before, server.gate.after = before, after
    with pytest.raises(CommitUnknown, match="不知是否写成"):
        put(a, x__y="1")
    server.gate.before = server.gate.after = lambda method, path: False
    runs: list[int] = []
    a.run("again", EVERYTHING, lambda: runs.append((a.home / "x/y").exists()))
    b.pull()
    assert runs == [True], "the next stage finds it done"
    assert files(a) == files(b) == {"x/y": "1"}


def test_the_usual_place_is_put_right_after_a_kill(server, machine):
    a, b = machine("a"), machine("b")
    put(a, published__open__current="p1")
    server.gate.before = lambda method, path: method == "PUT" and path.endswith("/far/published/open/current")
    with pytest.raises(Exception, match="对象存储"):
        put(a, published__open__current="p2")
    server.gate.before = lambda method, path: False
    assert natural(server, a) == {"published/open/current": "p1"}
    b.pull()
    assert files(b) == {"published/open/current": "p2"}, "the log has it"
    publishing.settle(b, ["published/open/current"])
    assert natural(server, a) == {"published/open/current": "p2"}


@pytest.mark.slow
def test_the_usual_place_never_goes_back(server, machine):
    a, b = machine("a"), machine("b")
    put(a, published__open__current="p1")
    b.pull()
    went: list[str] = []

    def overtaken(method: str, path: str) -> bool:
        if method == "PUT" and path.endswith("/far/published/open/current") and not went:
            went.append(path)
            put(b, published__open__current="p3")  # while a is about to put p2 there
        return False

    server.gate.before = overtaken
    put(a, published__open__current="p2")
    assert went
    assert natural(server, a) == {"published/open/current": "p3"}


def test_same_bytes_are_copied_inside_the_store_and_fetched_once(server, machine):
    a, b = machine("a"), machine("b")
    data = "bytes of a part"
    sha = sha256(data.encode()).hexdigest()[:12]
    first, second = (f"published/open/snapshots/{n}/subject/4301-{sha}.parquet" for n in (1, 2))
    a.run("publish", EVERYTHING, lambda: write(a, first, data))
    a.run("publish", EVERYTHING, lambda: write(a, second, data))
    sent = [(method, path) for method, path in server.gate.requests if path.endswith(f"{sha}.parquet")]
    assert [method for method, _ in sent[-2:]] == ["PUT", "COPY"]
    b.pull()
    fetched = [path for method, path in server.gate.requests if method == "GET" and path.endswith(f"{sha}.parquet")]
    assert len(fetched) == 1
    assert (b.home / first).samefile(b.home / second)
    assert natural(server, b) == files(b)


def test_copies_of_one_machine_share_their_bytes(server, machine):
    first, second = machine("a"), machine("a")
    assert first.home != second.home
    put(first, x__y="1")
    before = len(server.gate.requests)
    second.pull()
    assert (first.home / "x/y").samefile(second.home / "x/y")
    assert not [path for _, path in server.gate.requests[before:] if path.endswith("x/y")]
    write(first, "x/y", "2")
    assert files(second) == {"x/y": "1"}
    assert (first.home / "inbox").resolve() == (second.home / "inbox").resolve()


def test_contents_nobody_holds_are_forgotten_no_running_download(machine, tmp_path):
    a = machine("a")
    put(a, x__y="1", x__z="2")
    (a.home / "x/y").unlink()
    contents = tmp_path / "a" / "contents"
    part = contents / "ab" / ".building-abc-1"
    part.parent.mkdir()
    part.write_text("half")
    assert a.forget_unused(timedelta(minutes=60)) == 0
    assert a.forget_unused(NOW) == 2
    assert [p.read_text() for p in contents.rglob("*") if p.is_file()] == ["2"]


def test_a_sweep_takes_strays_and_nothing_else(server, machine):
    a = machine()
    put(a, published__open__current="p1", x__y="1")
    put(a, published__open__current="p2")
    known = natural(server, a)
    a.objects.create("batches/x/1/stray", b"")
    a.objects.create(".versions/dead/x", b"")
    a.objects.delete(["published/open/current"])
    assert publishing.sweep(a, {}) == 0, "they are young"
    assert publishing.sweep(a, {}, NOW) == 2
    assert natural(server, a) == known, "and puts back what was missing"
    assert publishing.sweep(a, {}, NOW) == 0
    assert a.fetch_anew("*") == []


@pytest.mark.slow
def test_what_was_swept_under_an_upload_is_uploaded_again(server, machine):
    a, b, runs = machine("a"), machine("b"), []

    def swept(method: str, path: str) -> bool:
        if method == "PUT" and "/.log/" in path and not runs:
            runs.append(path)
            publishing.sweep(b, {}, NOW)
        return False

    server.gate.before = swept
    put(a, batches__x__1__f="1")
    assert runs
    b.pull()
    assert files(b) == natural(server, b) == {"batches/x/1/f": "1"}
    publishing.sweep(b, {}, NOW)
    assert b.fetch_anew("*") == []


def test_a_new_machine_begins_at_a_checkpoint(server, machine, monkeypatch):
    monkeypatch.setattr(index, "_CHECKPOINT_AFTER", 3)
    a = machine("a")
    for n in range(8):
        put(a, **{f"x__{n}": str(n)})
    a.run("remove", EVERYTHING, lambda: (a.home / "x/0").unlink())
    before = len(server.gate.requests)
    b = machine("b")
    b.pull()
    assert files(b) == files(a)
    read = [path for _, path in server.gate.requests[before:] if "/.log/0" in path]
    assert len(read) < 5
    assert b.index.is_swept("x/0") == a.index.is_swept("x/0") is True


@pytest.mark.usefixtures("server")
def test_a_log_with_a_gap_is_no_home(machine):
    a = machine("a")
    put(a, x__y="1")
    put(a, x__y="2")
    a.objects.delete([".log/00000000.json"])
    with pytest.raises(Exception, match="缺第 0 条"):
        machine("b").pull()


def test_a_damaged_object_is_met_before_anything_is_built_on_it(server, machine):
    a = machine("a")
    put(a, batches__x__f="good", published__open__s="good too")
    bucket, _, prefix = a.objects.url[5:].partition("/")
    server.client().put_object(Bucket=bucket, Key=f"{prefix}/batches/x/f", Body=b"evil")
    with pytest.raises(SnapshotDamaged, match="batches/x/f"):
        machine("b").pull()
    assert a.fetch_anew("*") == ["对象存储中的 batches/x/f 缺失，或与数据目录的日志不符（大小或 sha256）"]
    a.run("nothing", scopes.published("open"), lambda: None)
    assert a.index.file("batches/x/f"), "what is damaged is not what was removed"


def test_of_a_damaged_snapshot_the_readers_are_told(server, machine):
    a = machine("a")
    put(a, published__open__s="good", published__open__t="good too")
    bucket, _, prefix = a.objects.url[5:].partition("/")
    server.client().delete_object(Bucket=bucket, Key=f"{prefix}/published/open/s")
    b = machine("b")
    b.pull()
    assert files(b) == {"published/open/t": "good too"}, "the reader's own checks see what is missing"


@pytest.mark.slow
def test_a_store_put_back_to_an_earlier_state_is_followed(server, machine):
    a = machine("a")
    put(a, x__y="1", admissions__0="first")
    early = server.objects(a.objects.url[5:].partition("/")[0])
    put(a, x__y="2", x__z="lost", admissions__1="lost")
    bucket, client = a.objects.url[5:].partition("/")[0], server.client()
    for key in server.objects(bucket):
        client.delete_object(Bucket=bucket, Key=key)
    for key, data in early.items():
        client.put_object(Bucket=bucket, Key=key, Body=data)
    a.pull(scopes.landing("x"))
    assert not (a.home / "admissions/1").exists()
    put(a, admissions__1="again")
    b = machine("b")
    b.pull()
    assert files(a) == files(b) == {"x/y": "1", "admissions/0": "first", "admissions/1": "again"}


def test_a_damaged_index_is_made_anew(machine):
    a = machine("a")
    put(a, x__y="1")
    a.close()
    (a.home.parent / "0.sqlite").write_bytes(b"no database" * 1000)
    write(a, "x/z", "left behind")
    again = machine("a")
    assert again.home == a.home
    again.pull(scopes.landing("x"))
    assert files(again) == {}
    again.pull()
    assert files(again) == {"x/y": "1"}


def test_files_changed_in_a_copy_by_hand_are_put_right(machine):
    a = machine()
    put(a, x__y="1", x__z="2")
    (a.home / "x/y").unlink()
    write(a, "x/z", "by hand")
    a.pull()
    assert files(a) == {"x/y": "1", "x/z": "2"}


def test_a_stage_sees_what_it_needs_and_no_more(machine):
    a = machine("a")
    put(
        a,
        **{
            "landing__x__1__receipt.json": "", "landing__x__1__payload__f": "", "landing__x__2__payload__f": "",
            "batches__x__1__standard__s.parquet": "", "batches__x__2__standard__s.parquet": "",
            "batches__y__9__links-0000__names.parquet": "", "batches__y__9__standard__s.parquet": "",
            "batches__x__2__validation.json.gz": "", ENTRY.replace("/", "__"): "", "published__open__s": "",
        },
    )  # fmt: skip
    seen = {}
    for name, scope in (("land", scopes.landing("x")), ("batch", scopes.batch("x", "1"))):
        b = machine(name)
        b.pull(scope)
        seen[name] = set(files(b))
    facts = {"landing/x/1/receipt.json", "batches/x/2/validation.json.gz", ENTRY}
    assert seen["land"] == facts
    mine = {"landing/x/1/payload/f", "batches/x/1/standard/s.parquet", "batches/y/9/links-0000/names.parquet"}
    assert seen["batch"] == facts | mine


def test_a_folder_is_the_copy_of_one_home_only(machine, url, tmp_path):
    machine("a")
    with pytest.raises(ContractError, match="CHENGXIN_WORK"):
        WorkingCopy(f"{url}-other", Path(tmp_path, "a"))


@pytest.mark.slow
@pytest.mark.usefixtures("server")
def test_many_may_begin_at_once_where_nothing_is_yet(tmp_path):
    """As the workers of a new stack do: neither the bucket nor the folder of the copies is there."""
    for attempt in range(2):
        start = threading.Barrier(6)

        def begin(number: int, attempt: int = attempt, start: threading.Barrier = start) -> WorkingCopy:
            start.wait()
            return WorkingCopy(f"s3://bucket-{attempt}/home", tmp_path / f"{attempt}-{number % 2}")

        with ThreadPoolExecutor(6) as pool:
            copies = list(pool.map(begin, range(6)))
        assert len({copy.home for copy in copies}) == 6
        for copy in copies:
            copy.close()
