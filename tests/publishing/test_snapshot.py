import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from chengxin.errors import CommitConflict, InvariantBroken, SnapshotDamaged
from chengxin.publishing import commit
from chengxin.publishing.reader import open_snapshot
from chengxin.publishing.verify import verify
from chengxin.store import pointer
from chengxin.store.atomic import sha256_file
from chengxin.store.layout import Layout
from publishing.government_drafts import NOW, Draft, add_companies, companies

GOVERNMENT = "government"


def later(hours: int):
    return NOW.replace(hour=NOW.hour + hours)


def two_snapshots(home: Path):
    first = companies(3).publish(home)
    grown = companies(3)
    add_companies(grown, 2, first=50, part="4302")
    return first, grown.publish(home, first, now=later(1))


def folder(home: Path, manifest) -> Path:
    return Layout(home).snapshot(GOVERNMENT, manifest.snapshot_id)


def name_again(home: Path, manifest) -> None:
    """Put the pointer back to where it was before a later snapshot was pointed to, as a kill would have left it."""
    pointed = {
        "snapshot_id": manifest.snapshot_id,
        "sequence": manifest.sequence,
        "previous": manifest.previous,
        "manifest_sha256": sha256_file(folder(home, manifest) / "manifest.json"),
    }
    Layout(home).pointer(GOVERNMENT).write_text(json.dumps(pointed))


def test_a_committed_snapshot_is_named_by_the_pointer_and_whole(tmp_path):
    made = companies(3).publish(tmp_path)
    assert made.sequence == 1 and made.previous is None
    pointed = json.loads(Layout(tmp_path).pointer(GOVERNMENT).read_bytes())
    assert pointed["snapshot_id"] == made.snapshot_id
    seen = open_snapshot(tmp_path)
    assert (seen.id, seen.warnings) == (made.snapshot_id, ())
    assert seen.tables["registration"] == seen.table("registration").num_rows == 3


def test_untouched_files_are_shared_with_the_snapshot_before(tmp_path):
    first, second = two_snapshots(tmp_path)
    before = {(f.table, f.name) for f in first.files()}
    for entry in second.files():
        inode = (folder(tmp_path, second) / entry.table / entry.name).stat()
        if (entry.table, entry.name) in before:
            assert inode.st_ino == (folder(tmp_path, first) / entry.table / entry.name).stat().st_ino
        else:
            assert inode.st_nlink == 1
    assert any(f.part == "4302" for f in second.files())
    assert (second.previous, second.sequence) == (first.snapshot_id, 2)


def test_published_files_are_read_only_and_no_draft_is_left(tmp_path):
    made = companies(2).publish(tmp_path)
    modes = {stat.S_IMODE(p.stat().st_mode) for p in folder(tmp_path, made).rglob("*") if p.is_file()}
    assert modes == {0o400}
    assert not list(Layout(tmp_path).drafts.rglob("*"))


def test_a_commit_on_an_outdated_predecessor_is_a_conflict(tmp_path):
    first, second = two_snapshots(tmp_path)
    with pytest.raises(CommitConflict):
        companies(5).publish(tmp_path, first, now=later(2))
    with pytest.raises(CommitConflict):
        companies(6).publish(tmp_path, None, now=later(2))
    assert pointer.snapshot_ids(Layout(tmp_path), GOVERNMENT) == [first.snapshot_id, second.snapshot_id]
    assert open_snapshot(tmp_path).id == second.snapshot_id


def test_unchanged_content_is_refused(tmp_path):
    first = companies(3).publish(tmp_path)
    with pytest.raises(InvariantBroken):
        companies(3).publish(tmp_path, first, now=later(1))


def test_content_republished_in_one_second_gets_its_own_id(tmp_path):
    first = companies(3).publish(tmp_path)
    second = companies(4).publish(tmp_path, first)
    third = companies(3).publish(tmp_path, second)
    assert len({first.snapshot_id, second.snapshot_id, third.snapshot_id}) == 3
    assert third.same_content(first)
    assert verify(Layout(tmp_path), GOVERNMENT) == []
    assert commit.resume(Layout(tmp_path), GOVERNMENT).messages == ()


def test_a_draft_with_a_missing_or_broken_file_is_not_published(tmp_path):
    layout = Layout(tmp_path)
    draft = layout.drafts / GOVERNMENT
    manifest = companies(3).manifest(draft)
    entry = manifest.tables["registration"].files[0]
    path = draft / "registration" / entry.name
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(SnapshotDamaged, match="都没有这个文件"):
        commit.commit(layout, manifest, draft, None)
    path.write_bytes(content[:-100])
    with pytest.raises(SnapshotDamaged, match="字节"):
        commit.commit(layout, manifest, draft, None)
    path.write_bytes(content)
    wrong = replace(entry, rows=4)
    table = replace(manifest.tables["registration"], files=(wrong,), rows=4)
    with pytest.raises(SnapshotDamaged, match="行"):
        commit.commit(layout, replace(manifest, tables={**manifest.tables, "registration": table}), draft, None)
    assert not list(layout.tier(GOVERNMENT).rglob("*.parquet")), "nothing lands from a failed commit"
    assert commit.commit(layout, manifest, draft, None).sequence == 1, "the draft is still there to be committed"


def test_catalogue_is_covered_by_the_manifest(tmp_path):
    layout = Layout(tmp_path)
    draft = layout.drafts / GOVERNMENT
    manifest = companies(1).manifest(draft)
    made = commit.commit(layout, manifest, draft, None, catalogue={"datasets": [{"title": "甲"}]})
    path = folder(tmp_path, made) / "catalogue.json"
    assert json.loads(path.read_bytes()) == {"datasets": [{"title": "甲"}]}
    path.chmod(0o644)
    path.write_text("{}")
    assert any("catalogue.json" in p for p in verify(layout, GOVERNMENT))


def test_resume_says_nothing_when_all_is_in_order(tmp_path):
    assert commit.resume(Layout(tmp_path), GOVERNMENT) == commit.Resumed(None, ())
    _, second = two_snapshots(tmp_path)
    resumed = commit.resume(Layout(tmp_path), GOVERNMENT)
    assert resumed.messages == () and resumed.current.snapshot_id == second.snapshot_id


def test_resume_completes_a_landed_snapshot_and_says_so(tmp_path):
    first, second = two_snapshots(tmp_path)
    layout = Layout(tmp_path)
    name_again(tmp_path, first)
    assert open_snapshot(tmp_path).id == first.snapshot_id, "readers do not see what no pointer names"
    resumed = commit.resume(layout, GOVERNMENT)
    assert resumed.current.snapshot_id == second.snapshot_id
    assert "已完成发布" in resumed.messages[0]


def test_resume_deletes_a_snapshot_that_lost_its_race(tmp_path):
    first, _ = two_snapshots(tmp_path)
    layout = Layout(tmp_path)
    name_again(tmp_path, first)
    third = companies(9).publish(tmp_path, first, now=later(3))  # a publisher that did not resume first
    resumed = commit.resume(layout, GOVERNMENT)
    assert resumed.current.snapshot_id == third.snapshot_id
    assert [m for m in resumed.messages if "已删除" in m]
    assert pointer.snapshot_ids(layout, GOVERNMENT) == [first.snapshot_id, third.snapshot_id]


def test_resume_leads_back_to_an_intact_snapshot(tmp_path):
    first, second = two_snapshots(tmp_path)
    layout = Layout(tmp_path)
    new = next(f for f in second.files() if f.part == "4302")
    path = folder(tmp_path, second) / new.table / new.name
    path.chmod(0o644)
    os.truncate(path, 10)
    resumed = commit.resume(layout, GOVERNMENT)
    assert resumed.current.snapshot_id == first.snapshot_id
    assert (folder(tmp_path, second) / "DAMAGED.json").exists(), "kept as evidence"
    again = companies(7).publish(tmp_path, resumed.current, now=later(2))
    assert open_snapshot(tmp_path).id == again.snapshot_id
    assert commit.resume(layout, GOVERNMENT).messages == ()


def test_damaged_snapshot_is_rebuilt_under_its_own_id(tmp_path):
    _, second = two_snapshots(tmp_path)
    path = folder(tmp_path, second) / "manifest.json"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:200])
    resumed = commit.resume(Layout(tmp_path), GOVERNMENT)
    grown = companies(3)
    add_companies(grown, 2, first=50, part="4302")
    again = grown.publish(tmp_path, resumed.current, now=later(1))
    assert again == second
    assert verify(Layout(tmp_path), GOVERNMENT) == []


def test_with_nothing_intact_publication_starts_anew(tmp_path):
    first, second = two_snapshots(tmp_path)
    for made in (first, second):
        entry = made.tables["subject"].files[0]
        (folder(tmp_path, made) / "subject" / entry.name).unlink()
    resumed = commit.resume(Layout(tmp_path), GOVERNMENT)
    assert resumed.current is None and "没有完好的快照" in resumed.messages[-1]
    again = companies(8).publish(tmp_path, None, now=later(3))
    assert again.sequence == 3
    assert open_snapshot(tmp_path).id == again.snapshot_id


PUBLISHER = """
import sys, time
from pathlib import Path
from publishing.government_drafts import companies
from chengxin.errors import CommitConflict
from chengxin.publishing import commit as snapshot
from chengxin.store.layout import Layout
home, mine, start = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
layout = Layout(home)
now = snapshot.current(layout, "government")
draft = layout.drafts / f"publisher-{mine}"
manifest = companies(10 + mine).manifest(draft)
time.sleep(max(0, start - time.time()))
try:
    print("won", snapshot.commit(layout, manifest, draft, now).snapshot_id)
except CommitConflict:
    print("lost -")
"""


def test_of_two_publishers_at_once_exactly_one_wins(tmp_path):
    import time

    first = companies(2).publish(tmp_path)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    start = str(time.time() + 4)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", PUBLISHER, str(tmp_path), str(n), start], stdout=subprocess.PIPE, env=env
        )
        for n in range(2)
    ]
    ends = sorted(r.communicate()[0].decode().split() for r in racers)
    assert [e[0] for e in ends] == ["lost", "won"]
    assert open_snapshot(tmp_path).id == ends[1][1]
    assert pointer.snapshot_ids(Layout(tmp_path), GOVERNMENT) == sorted([first.snapshot_id, ends[1][1]])
    assert verify(Layout(tmp_path), GOVERNMENT) == []


def test_draft_stopped_by_a_check_is_kept_as_evidence(tmp_path):
    companies(2).publish(tmp_path)
    layout = Layout(tmp_path)
    Draft.write(companies(5), layout.drafts / GOVERNMENT)
    commit.resume(layout, GOVERNMENT)
    assert list(layout.drafts.rglob("*.parquet"))
