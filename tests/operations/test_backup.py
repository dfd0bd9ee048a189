"""A backup is a home at any moment, and is checked before it is used."""

import shutil
import subprocess
from pathlib import Path

import pytest
from pipeline_runs import command, told, words

from chengxin.clock import Clock
from chengxin.errors import HomeDamaged
from chengxin.home import Home
from chengxin.operations.backup import copy, problems
from chengxin.records import journal
from chengxin.settings import Settings
from chengxin.store.layout import Layout
from deliveries import PENALTY, REGISTRATION, START, Office, company, penalty, uscc


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", PENALTY)
    office.deliver("reg", company(1), company(2), day=0)
    office.deliver("pen", penalty(1, uscc=uscc(1)), day=1)
    office.publish(2)
    return office


def wrong(folder: Path) -> list[str]:
    return problems(Home(Settings(home=folder), Clock(START)))


def run(office: Office, home: Path, *arguments: str) -> tuple[int, str]:
    done = told(words(home, office.settings.contracts, *arguments))
    return done.returncode, done.stdout + done.stderr


def test_a_copy_is_restored_and_goes_on(office: Office, tmp_path: Path) -> None:
    kept, back = tmp_path / "kept", tmp_path / "back"
    assert run(office, office.settings.home, "backup", str(kept))[0] == 0
    office.deliver("pen", penalty(2, uscc=uscc(2)), day=3)
    office.publish(4)
    code, said = run(office, office.settings.home, "backup", str(kept))
    assert code == 0 and "已备份到入库日志第 2 条" in said
    assert copy(office.layout, kept).files == 0, "what is there is not copied again"
    assert run(office, back, "restore", "--check", str(kept)) == (0, "核验了备份，0 个问题\n")
    assert not back.exists()
    assert run(office, back, "restore", str(kept))[0] == 0
    assert journal.admissions(Layout(back)) == journal.admissions(office.layout)
    assert run(office, back, "verify")[0] == run(office, back, "publish")[0] == 0
    code, said = run(office, back, "restore", str(kept))
    assert code == 2 and "空目录" in said


@pytest.mark.slow
def test_files_of_two_snapshots_are_one_file_in_the_copy(office: Office, tmp_path: Path) -> None:
    office.deliver("pen", penalty(2, uscc=uscc(2)), day=3)
    office.publish(4)
    copy(office.layout, tmp_path / "kept")
    subjects = list((tmp_path / "kept" / "published" / "government").rglob("subject/*.parquet"))
    assert len(subjects) == 2 and len({p.stat().st_ino for p in subjects}) == 1


@pytest.mark.slow
def test_a_copy_of_a_home_in_use_is_a_home(office: Office, tmp_path: Path) -> None:
    file = office.write("pen", [penalty(n, uscc=uscc(1 + n % 2)) for n in range(10, 60)], day=3)
    arguments = command(office.settings.home, office.settings.contracts, "ingest", "pen", "--file", str(file))
    rounds = 0
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            copy(office.layout, tmp_path / "kept")
            assert wrong(tmp_path / "kept") == []
            rounds += 1
    assert process.returncode == 0 and rounds > 1
    assert copy(office.layout, tmp_path / "kept").order == 2 and wrong(tmp_path / "kept") == []


def test_a_damaged_copy_is_not_restored(office: Office, tmp_path: Path) -> None:
    kept, back = tmp_path / "kept", tmp_path / "back"
    copy(office.layout, kept)
    account = office.account("pen")
    linked = Layout(kept).links("pen", account.batch_id, 0) / "linked.parquet"
    linked.chmod(0o600)
    linked.write_bytes(linked.read_bytes()[:-1] + b"?")
    code, said = run(office, back, "restore", str(kept))
    assert code == 1 and f"数据集 pen 批次 {account.batch_id}：文件 links-0000/linked.parquet 与入库时不符" in said
    assert not back.exists()
    shutil.rmtree(kept / "landing" / "pen")
    assert any("来文或回执缺失" in problem for problem in wrong(kept))
    (kept / "admissions" / "00000001.json").unlink()
    assert wrong(kept) != [] and "较早的副本" in wrong(kept)[0]


def test_a_newer_copy_is_not_written_over(office: Office, tmp_path: Path) -> None:
    before = tmp_path / "before"
    shutil.copytree(office.settings.home, before)
    office.deliver("pen", penalty(2, uscc=uscc(2)), day=3)
    copy(office.layout, tmp_path / "kept")
    with pytest.raises(HomeDamaged, match="到入库日志第 2 条，本数据目录没有这一条"):
        copy(Layout(before), tmp_path / "kept")
