"""Whole or not at all, also after power loss: what is written is on the disk before it bears its name."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from chengxin.errors import CommitConflict
from chengxin.store import atomic, journal

WRITES = """
import sys
from pathlib import Path
from chengxin.store import atomic, journal
home = Path(sys.argv[1])
atomic.write_json(home / "deep" / "file.json", {"甲": 1})
journal.append(home / "journal", 7, {"b": 2, "a": "甲"})
with atomic.building(home / "folder") as folder:
    (folder / "inner").mkdir()
    (folder / "inner" / "data").write_bytes(b"1")
    (folder / "top").write_bytes(b"2")
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_names_come_after_the_bytes_and_folders_after_the_names(tmp_path):
    log, home = tmp_path / "log", tmp_path / "home"
    home.mkdir()
    words = ["strace", "-f", "-qq", "-y", "-o", str(log), "-e", "trace=fsync,rename,link", "-e", "signal=none"]
    subprocess.run([*words, sys.executable, "-c", WRITES, str(home)], check=True)
    seen = []
    for line in log.read_text().splitlines():
        found = re.search(r'(fsync)\(\d+<(.+?)>\)|(rename|link)\(".+?", "(.+?)"\)', line)
        if found and str(home) in line:
            seen.append((found[1] or found[3], Path(found[2] or found[4]).relative_to(home).as_posix()))
    assert seen == [
        ("fsync", "deep/.building-file.json"), ("rename", "deep/file.json"), ("fsync", "deep"),
        ("fsync", "journal/.building-00000007"), ("link", "journal/00000007.json"), ("fsync", "journal"),
        ("fsync", ".building-folder/inner/data"), ("fsync", ".building-folder/inner"),
        ("fsync", ".building-folder/top"), ("fsync", ".building-folder"), ("rename", "folder"), ("fsync", "."),
    ]  # fmt: skip
    assert (home / "deep" / "file.json").read_text() == '{\n "甲": 1\n}\n'
    assert (home / "journal" / "00000007.json").read_text() == '{"a": "甲", "b": 2}'
    assert not list(home.rglob(".building-*"))


def test_a_folder_is_replaced_only_when_it_is_complete(tmp_path):
    target = tmp_path / "deep" / "folder"
    with atomic.building(target) as folder:
        (folder / "old").touch()
    with pytest.raises(KeyError), atomic.building(target) as folder:
        (folder / "new").touch()
        raise KeyError
    assert [p.name for p in target.iterdir()] == ["old"]
    assert [p.name for p in target.parent.iterdir()] == ["folder"]
    (target.parent / ".building-folder" / "left by a kill").mkdir(parents=True)
    with atomic.building(target) as folder:
        assert list(folder.iterdir()) == []
        (folder / "new").touch()
    assert [p.name for p in target.iterdir()] == ["new"]


def test_a_sweep_deletes_what_killed_writers_left(tmp_path):
    for name in ("a/.building-x/deep/file", "a/b/.building-y.json", "a/b/kept", ".building-z/.building-w"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert atomic.sweep(tmp_path) == 3
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a", "b", "kept"]
    assert atomic.sweep(tmp_path / "none") == 0


def test_an_error_without_a_file_gets_one_and_others_stay():
    for error, name in ((OSError(28, "full"), "/a/b"), (OSError(28, "full", "/c"), "/c"), (OSError("words"), None)):
        with pytest.raises(OSError) as told, atomic.naming(Path("/a/b")):
            raise error
        assert told.value is error and error.filename == name


def test_a_number_of_the_journal_is_given_once(tmp_path):
    folder = tmp_path / "home" / "journal"
    journal.append(folder, 0, {"n": 0})
    journal.append(folder, 12, {"n": 12})
    with pytest.raises(CommitConflict, match="第 12 条"):
        journal.append(folder, 12, {"n": 13})
    assert journal.entries(folder) == [{"n": 0}, {"n": 12}]
    assert journal.entries(folder, after=0) == [{"n": 12}]
    assert journal.entries(folder, after=12) == []
    assert sorted(p.name for p in folder.iterdir()) == ["00000000.json", "00000012.json"]


def test_entries_that_are_being_written_are_none(tmp_path):
    journal.append(tmp_path, 3, {})
    (tmp_path / ".building-00000004").write_text("{")
    assert journal.entries(tmp_path) == [{}]
