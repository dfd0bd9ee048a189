"""A batch is published only as it was admitted: one bit, or a file of another batch, stops the publication."""

from dataclasses import replace
from pathlib import Path

import pytest
from pipeline_runs import told, words

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.errors import InvariantBroken, SnapshotDamaged
from chengxin.home import Home
from chengxin.quality import evidence
from chengxin.records import journal
from chengxin.state import seals
from chengxin.store import atomic
from chengxin.store.layout import VALIDATION
from deliveries import PENALTY, REGISTRATION, START, Office, company, penalty, uscc


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", PENALTY)
    office.deliver("reg", company(1), company(2), day=0)
    office.deliver("pen", penalty(1, uscc=uscc(1)), penalty(1, uscc=uscc(1)), penalty(4, uscc="?"), day=1)
    office.deliver("pen", penalty(2, uscc=uscc(2)), penalty(3, uscc="?"), day=2)
    return office


def flip(path: Path) -> None:
    """Exchange one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


def refused(office: Office, *said: str) -> None:
    """Neither publish nor verify passes; both name data set, batch and file."""
    with pytest.raises(InvariantBroken) as error:
        pipeline.publish(Home(office.settings, Clock(START)), office.contracts)
    assert all(text in str(error.value) for text in said), error.value
    done = told(words(office.settings.home, office.settings.contracts, "verify"))
    assert done.returncode == 1
    assert all(text in done.stdout for text in said), done.stdout


def test_every_file_that_publication_is_built_from_is_sealed(office: Office) -> None:
    account = office.account("pen", 1)
    folder = office.layout.batch("pen", account.batch_id)
    made = {p.relative_to(folder).as_posix() for top in ("standard", "links-0000") for p in (folder / top).iterdir()}
    assert set(account.seals) == made | {VALIDATION}
    assert all(atomic.sha256_file(folder / name) == digest for name, digest in account.seals.items())
    assert {"standard/standard-00000-000.parquet", "links-0000/linked.parquet"} <= made
    assert seals.problems(office.layout, journal.admissions(office.layout)) == []


@pytest.mark.parametrize("name", ["standard/standard-00000-000.parquet", "standard/quarantine-00000-000.parquet",
    "links-0000/linked.parquet", "links-0000/duplicates.parquet"])  # fmt: skip
def test_one_bit_in_a_batch_is_not_published(office: Office, name: str) -> None:
    account = office.account("pen", 0)
    flip(office.layout.batch("pen", account.batch_id) / name)
    refused(office, f"数据集 pen 批次 {account.batch_id}：文件 {name} 与入库时不符")
    assert not office.layout.pointer("government").exists()


def test_a_rebuild_reads_nothing_that_was_altered(office: Office) -> None:
    office.publish(3)
    account = office.account("reg", 0)
    flip(office.layout.links("reg", account.batch_id, 0) / "names.parquet")
    office.contract("pen", "penalty", PENALTY, basis={"legal": "测试", "share": "不予"})  # builds everything anew
    refused(office, f"数据集 reg 批次 {account.batch_id}：文件 links-0000/names.parquet 与入库时不符")


def test_links_of_two_batches_exchanged_are_not_published(office: Office) -> None:
    one, other = (office.layout.links("pen", office.account("pen", n).batch_id, 0) for n in (0, 1))
    kept = one.with_name("kept")
    one.rename(kept)
    other.rename(one)
    kept.rename(other)
    refused(office, "批次", "文件 links-0000/linked.parquet 与入库时不符")


def test_a_file_that_is_missing_or_was_added_is_told(office: Office) -> None:
    account = office.account("pen", 0)
    folder = office.layout.standard("pen", account.batch_id)
    (folder / "standard-00000-000.parquet").rename(folder / "standard-00009-000.parquet")
    refused(office, "standard-00000-000.parquet 缺失", "standard-00009-000.parquet 入库时没有")


@pytest.mark.slow
def test_a_later_revision_seals_its_own_links_and_the_verdict(office: Office) -> None:
    office.deliver("reg", company(3, subject_name="湖南示例新有限公司"), day=3)
    office.deliver("pen", penalty(9, uscc=uscc(4)), day=4)
    office.deliver("reg", company(4), day=5)
    [again] = [a for a in office.retry() if a.dataset == "pen"]
    assert again.revision == 1 and {n.split("/")[0] for n in again.seals} == {"standard", "links-0001", VALIDATION}
    assert office.publish(6) is not None
    assert seals.problems(office.layout, journal.admissions(office.layout)) == []
    flip(office.layout.links("pen", again.batch_id, 0) / "linked.parquet")
    [problem] = seals.problems(office.layout, journal.admissions(office.layout))
    assert "links-0000/linked.parquet" in problem


def test_a_verdict_that_was_altered_is_not_published(office: Office) -> None:
    account = office.account("pen", 0)
    verdict = replace(office.verdict("pen", account.batch_id), status="warn")
    evidence.change_verdict(office.layout.validation("pen", account.batch_id), verdict, str)
    refused(office, f"数据集 pen 批次 {account.batch_id}：文件 {VALIDATION} 与入库时不符")


@pytest.mark.parametrize("table", ["penalty", "subject_name"])
def test_a_published_file_that_was_altered_is_not_built_upon(office: Office, table: str) -> None:
    office.publish(3)
    [path] = (office.snapshot() / table).iterdir()
    flip(path)
    office.deliver("pen", penalty(4, uscc=uscc(1)), day=4)
    office.deliver("reg", company(1, subject_name="湖南新示例有限公司"), day=4)
    with pytest.raises(SnapshotDamaged, match=f"{table}/{path.name} 与发布时不符"):
        pipeline.publish(Home(office.settings, Clock(START)), office.contracts)
    assert told(words(office.settings.home, office.settings.contracts, "verify")).returncode == 1
    assert office.publish(5) is not None, "built upon an intact one before, or anew"
    assert told(words(office.settings.home, office.settings.contracts, "verify")).returncode == 0
    assert office.table("penalty", "decision_no") and ("湖南新示例有限公司",) in office.table("subject", "name")
