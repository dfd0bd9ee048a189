"""Older entries of a chained journal in sealed files: the same journal, whoever reads it and whenever."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from chengxin import pipeline
from chengxin.errors import HomeDamaged
from chengxin.home import Home
from chengxin.operations import backup
from chengxin.records import journal as admitted
from chengxin.store import journal
from chengxin.store.journal import Head
from chengxin.store.layout import Layout
from deliveries import PENALTY, REGISTRATION, Office, company, penalty, uscc

MANY = 23


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(journal, "BLOCK", 4)
    yield
    journal._lines.cache_clear()


def written(folder: Path, many: int = MANY, *, sealing: bool = True) -> list[Head]:
    head, heads = Head(), []
    for n in range(many):
        head = journal.append_chained(folder, head, {"n": n, "said": "甲\u2028乙\n"})
        heads.append(head)
        if sealing:
            journal.seal(folder)
    return heads


def opened(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.glob("*.json"))


def test_sealed_and_open_entries_are_one_journal(tmp_path: Path) -> None:
    folder, plain = tmp_path / "sealed", tmp_path / "open"
    heads = written(folder)
    assert heads == written(plain, sealing=False)
    assert len(opened(folder)) == 7 and len(list((folder / "sealed").iterdir())) == 4
    for after in range(-1, MANY):
        found = list(journal.since(folder, heads[after] if after >= 0 else Head()))
        assert [head for head, _ in found] == heads[after + 1 :]
        assert [body["n"] for _, body in found] == list(range(after + 1, MANY))
    assert [journal.digest(folder, n) for n in range(MANY)] == [head.digest for head in heads]
    assert journal.entries(folder) == journal.entries(plain)
    assert journal.newest(folder) == MANY - 1 and journal.newest(tmp_path / "none") == -1


def test_what_a_kill_leaves_beside_a_sealed_file_is_deleted(tmp_path: Path) -> None:
    folder, plain = tmp_path / "sealed", tmp_path / "open"
    heads = written(folder)
    written(plain, sealing=False)
    for number in (2, 3, 15):
        shutil.copy2(plain / f"{number:08d}.json", folder)
    assert [head for head, _ in journal.since(folder)] == heads
    journal.seal(folder)
    assert opened(folder) == [f"{n:08d}.json" for n in range(16, MANY)]


@pytest.mark.parametrize(("harm", "words"), [("cut", "封存文件 .* 已损坏"), ("gone", "缺第 4、5、6、7 条")])
def test_a_damaged_sealed_file_is_named(tmp_path: Path, harm: str, words: str) -> None:
    written(tmp_path)
    journal._lines.cache_clear()
    [path] = (tmp_path / "sealed").glob("00000004-*")
    data = path.read_bytes()
    path.unlink()
    if harm == "cut":
        path.write_bytes(data[:-1])
    with pytest.raises(HomeDamaged, match=words):
        list(journal.since(tmp_path))


def test_a_sealed_file_of_another_journal_does_not_follow(tmp_path: Path) -> None:
    written(tmp_path / "one")
    head = journal.append_chained(tmp_path / "other", Head(), {"n": "another"})
    for n in range(1, MANY):
        head = journal.append_chained(tmp_path / "other", head, {"n": n})
    journal.seal(tmp_path / "other")
    for path in (tmp_path / "one" / "sealed").glob("00000004-*"):
        path.unlink()
    for path in (tmp_path / "other" / "sealed").glob("00000004-*"):
        shutil.copy2(path, tmp_path / "one" / "sealed")
    with pytest.raises(HomeDamaged, match="第 4 条与前一条不相承接"):
        list(journal.since(tmp_path / "one"))


def test_reading_goes_on_while_entries_are_sealed(tmp_path: Path) -> None:
    ended, wrong = Event(), []

    def read() -> None:
        known = Head()
        while not ended.is_set():
            try:
                found = [head for head, _ in journal.since(tmp_path)]
                assert [h.order for h in found] == list(range(len(found)))
                if known.order >= 0:
                    assert journal.digest(tmp_path, known.order) == known.digest
                known = found[len(found) // 2] if found else known
            except Exception as error:
                wrong.append(error)
                return

    readers = [Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    written(tmp_path, 300)
    ended.set()
    for reader in readers:
        reader.join()
    assert not wrong


@pytest.mark.slow
def test_a_home_with_sealed_entries_goes_on(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", PENALTY)
    office.deliver("reg", *(company(n) for n in range(9)), day=0)
    for n in range(1, 9):
        office.deliver("pen", penalty(n, uscc=uscc(n)), penalty(100 + n, uscc=uscc(77)), day=n)
    assert [p.name[:17] for p in (office.layout.journal / "sealed").iterdir()] == ["00000000-00000003"]
    assert len(opened(office.layout.journal)) == 5
    before = admitted.accounts(office.layout)
    shutil.rmtree(office.layout.state)
    again = admitted.accounts(office.layout)
    assert again.all() == before.all() == admitted.admissions(office.layout)
    office.publish(10)
    backup.copy(office.layout, tmp_path / "copy")
    office.deliver("reg", company(77), day=11)
    pipeline.retry_waiting(Home(office.settings), office.contracts)
    backup.copy(office.layout, tmp_path / "copy")
    copied = Home.from_environment(home=tmp_path / "copy", contracts=office.settings.contracts)
    assert backup.problems(copied) == []
    assert admitted.admissions(Layout(tmp_path / "copy")) == admitted.admissions(office.layout)
    assert [p.name[:8] for p in sorted((tmp_path / "copy" / "admissions" / "sealed").iterdir())] == [
        "00000000", "00000004", "00000008",
    ]  # fmt: skip
