"""The journal as processes read it: each entry once, and never one that another process or another home replaced."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pipeline_runs import LIST_COLUMNS, contract, told, words

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.connectors.files.drop import file_delivery
from chengxin.errors import HomeDamaged, HomeOutdated, InvariantBroken
from chengxin.facts import Batch
from chengxin.home import Home
from chengxin.identity import digests
from chengxin.records import journal
from chengxin.store import journal as numbered
from deliveries import PENALTY, REGISTRATION, START, Office, built_once, company, penalty, uscc


@pytest.fixture
@built_once
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", PENALTY)
    office.deliver("reg", company(1), day=0)
    office.deliver("pen", penalty(1, uscc=uscc(1)), penalty(2, uscc=uscc(7)), day=1)
    return office


def entry(office: Office, number: int) -> Path:
    return office.layout.journal / f"{number:08d}.json"


def rewrite(path: Path, **versions: str | None) -> None:
    body = json.loads(path.read_text())
    body["versions"] = {k: v for k, v in (body["versions"] | versions).items() if v is not None}
    path.unlink()
    path.write_text(json.dumps(body))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_another_process_admits_is_seen(office: Office) -> None:
    before = journal.admissions(office.layout)
    body = json.loads(entry(office, 1).read_text())
    more = {"order": 2, "revision": 1, "previous": digest(entry(office, 1))}
    entry(office, 2).write_text(json.dumps(body | more))
    assert [a.revision for a in journal.admissions(office.layout)] == [0, 0, 1]
    assert journal.admissions(office.layout)[:2] == before
    accounts = journal.accounts(office.layout)
    assert accounts.account("pen", body["batch_id"]) == journal.admissions(office.layout)[2] == accounts.newest
    assert accounts.account("reg", body["batch_id"]) is None


def test_entries_that_were_read_are_not_opened_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: opened.append(path.name) or read(path))
    office.deliver("pen", penalty(3, uscc=uscc(1)), day=2)
    assert {name for name in opened if name.startswith("0000")} <= {"00000001.json", "00000002.json"}


def test_another_home_in_the_same_place_is_read_anew(office: Office) -> None:
    assert len(journal.admissions(office.layout)) == 2
    shutil.rmtree(office.settings.home)
    assert journal.admissions(office.layout) == ()
    office.deliver("reg", company(5), company(6), day=0)
    office.deliver("pen", penalty(1, uscc=uscc(5)), day=1)
    assert [a.accepted for a in journal.admissions(office.layout)] == [2, 1]


def test_each_entry_names_the_one_before_and_its_instant(office: Office) -> None:
    office.deliver("pen", penalty(3, uscc=uscc(1)), day=0.5)
    bodies = [json.loads(entry(office, n).read_text()) for n in range(3)]
    assert [b["previous"] for b in bodies] == ["", digest(entry(office, 0)), digest(entry(office, 1))]
    known = ["2026-03-02T02:00:00+00:00", "2026-03-03T02:00:00+00:00"]
    assert [b["known_from"] for b in bodies] == [*known, known[-1]], "a clock that goes back makes no admission earlier"
    assert [h.order for h, _ in numbered.since(office.layout.journal, journal.accounts(office.layout).at(0))] == [1, 2]
    assert journal.accounts(office.layout).head.digest == digest(entry(office, 2))


def test_an_altered_or_foreign_entry_is_refused(office: Office) -> None:
    text = entry(office, 0).read_text()
    entry(office, 0).unlink()
    entry(office, 0).write_text(text.replace('"accepted": 1', '"accepted": 2'))
    assert "第 1 条与前一条不相承接" in told(command_of(office, "verify")).stdout
    shutil.rmtree(office.layout.state)  # which holds what was read when it was right
    for command in ("run", "publish", "verify"):
        done = told(command_of(office, command))
        assert done.returncode == 1 and "第 1 条与前一条不相承接" in done.stderr + done.stdout, done


def stages(office: Office, landed: Batch) -> list[Callable[[], object]]:
    """Return every stage that writes, ready to be run."""
    contract, home = office.contracts["pen"], Home(office.settings, Clock(START))
    sent = office.write("pen", [penalty(4, uscc=uscc(1))], day=4)
    return [
        lambda: pipeline.discover(home, contract),
        lambda: pipeline.land(home, contract, file_delivery(home, contract, sent)),
        lambda: pipeline.pending(home, contract),
        lambda: pipeline.standardise(home, contract, landed),
        lambda: pipeline.validate(home, contract, landed),
        lambda: pipeline.admit(home, contract, landed),
        lambda: pipeline.release(home, contract, landed, "已核实", "某某"),
        lambda: pipeline.retry_waiting(home, office.contracts),
        lambda: pipeline.publish(home, office.contracts),
        lambda: pipeline.review(home, office.contracts),
        lambda: pipeline.answer(home, contract),
        lambda: pipeline.close(home, contract, landed, ["2"], by="某某", reason="已核实"),
        lambda: pipeline.replay(home, contract),
        lambda: pipeline.tidy(home),
    ]


def older_copy(office: Office, how: str) -> None:
    """Bring back admissions/ as it was before the last batch came; `how`: or go on from there with other batches."""
    kept = office.folder / "kept"
    shutil.copytree(office.layout.journal, kept)
    office.deliver("pen", penalty(3, uscc=uscc(1)), day=2)
    office.publish(3)
    shutil.rmtree(office.layout.journal)
    shutil.copytree(kept, office.layout.journal)
    if how == "other":
        body = json.loads(entry(office, 1).read_text())
        entry(office, 2).write_text(json.dumps(body | {"order": 2, "previous": digest(entry(office, 1))}))


@pytest.mark.parametrize(
    ("how", "words"),
    [("shorter", "只到第 1 条，而已发布的快照依据到第 2 条"), ("other", "第 2 条不是已发布的快照所依据")],
)
def test_an_older_copy_of_the_journal_stops_every_writing_stage(office: Office, how: str, words: str) -> None:
    landed = pipeline.batch(Home(office.settings), "pen", office.account("pen").batch_id)
    older_copy(office, how)
    todo = stages(office, landed)
    before = {p: p.read_bytes() for p in office.settings.home.rglob("*") if p.is_file() and "locks" not in p.parts}
    for stage in todo:
        with pytest.raises(HomeDamaged, match=words):
            stage()
    for command in (["run"], ["ingest", "pen", "--file", str(office.folder / "sent" / "pen-004.csv")], ["verify"]):
        done = told(command_of(office, *command))
        assert done.returncode == 1 and words in done.stderr + done.stdout, (command, done)
        assert "请用较新的备份恢复整个数据目录" in done.stderr + done.stdout
        assert "Traceback" not in done.stderr and done.stderr.count("错误：") <= 1, (command, done.stderr)
    after = {p: p.read_bytes() for p in office.settings.home.rglob("*") if p.is_file() and "locks" not in p.parts}
    derived = {"alerts", "state"}
    assert {str(p) for p in after.keys() ^ before.keys() if not derived & {*p.parts}} == set()
    assert all(after[p] == data for p, data in before.items() if not derived & {*p.parts})


def command_of(office: Office, *arguments: str) -> list[str]:
    return words(office.settings.home, office.settings.contracts, *arguments)


def test_a_gap_and_a_damaged_entry_are_told_even_after_reading(office: Office) -> None:
    journal.admissions(office.layout)
    text = entry(office, 1).read_text()
    entry(office, 1).rename(entry(office, 2))
    with pytest.raises(InvariantBroken, match="缺第 1 条"):
        journal.admissions(office.layout)
    entry(office, 2).unlink()
    entry(office, 1).write_text(text[: len(text) // 2])
    with pytest.raises(InvariantBroken, match="第 1 条已损坏"):
        journal.admissions(office.layout)
    entry(office, 1).write_text(text.replace('"order": 1', '"order": 7'))
    with pytest.raises(InvariantBroken, match="第 1 条已损坏"):
        journal.admissions(office.layout)


def test_a_home_without_a_chained_journal_is_refused(office: Office) -> None:
    body = json.loads(entry(office, 1).read_text())
    del body["previous"], body["format"], body["known_from"]
    entry(office, 1).unlink()
    entry(office, 1).write_text(json.dumps(body))
    for stage in stages(office, pipeline.batch(Home(office.settings), "pen", body["batch_id"])):
        with pytest.raises(HomeOutdated, match="日志格式 1，本版本为 2"):
            stage()


def test_each_admission_names_the_format_of_its_digests(office: Office) -> None:
    assert {a.versions["digests"] for a in journal.admissions(office.layout)} == {digests.VERSION} == {"2"}


@pytest.mark.parametrize("version", [None, "1", "3"])
def test_every_stage_refuses_digests_of_another_format(office: Office, version: str | None) -> None:
    landed = pipeline.batch(Home(office.settings), "pen", office.account("pen").batch_id)
    rewrite(entry(office, 1), digests=version)
    for stage in stages(office, landed):
        with pytest.raises(HomeOutdated, match="摘要格式"):
            stage()


@pytest.mark.slow
def test_every_command_refuses_an_older_home_with_one_sentence(tmp_path: Path) -> None:
    home, contracts, file = tmp_path / "home", tmp_path / "contracts", tmp_path / "名单.csv"
    contract(contracts, "commerce_list", "registration", LIST_COLUMNS, file={"format": "csv"})
    row = "长沙示例科技有限公司,91430100MAXY00016P,1999-01-08,N/A,张某,5118(万元人民币),软件开发,湖南,长沙,长沙市开福区"
    file.write_text(f"{','.join(LIST_COLUMNS)}\n{row}\n", "utf-8")
    assert told(words(home, contracts, "ingest", "commerce_list", "--file", str(file))).returncode == 0
    rewrite(home / "admissions" / "00000000.json", digests=None)
    batch = json.loads((home / "admissions" / "00000000.json").read_text())["batch_id"]
    before = sorted(p for p in home.rglob("*") if "locks" not in p.parts)
    for command in (
        ["run"],
        ["ingest", "commerce_list", "--file", str(file)],
        ["publish"],
        ["release", "commerce_list", batch, "--reason", "已核实"],
        ["status"],
        ["verify"],
        ["quarantine", "commerce_list"],
        ["quarantine", "commerce_list", "--replay"],
        ["quarantine", "close", "commerce_list", "--batch", batch, "--rows", "2", "--reason", "已核实"],
        ["feedback", "commerce_list"],
        ["show", "1"],
        ["overdue"],
        ["alerts"],
        ["tidy"],
        ["scorecard"],
        ["scorecard", "202601", "--issue"],
        ["retry", "commerce_list", batch],
        ["serve"],
        ["home", "copy", str(home), "s3://nowhere/at-all"],
    ):
        done = told(words(home, contracts, *command))
        assert (done.returncode, done.stdout) == (1, ""), command
        assert done.stderr.startswith("错误：") and "摘要格式" in done.stderr, (command, done.stderr)
        assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) == 1, (command, done.stderr)
    assert sorted(p for p in home.rglob("*") if "locks" not in p.parts) == before
