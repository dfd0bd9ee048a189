"""The journal as processes read it: each entry once, and never one that another process or another home replaced."""

import json
import shutil
from pathlib import Path

import pytest
from pipeline_runs import LIST_COLUMNS, contract, told, words

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.errors import HomeOutdated, InvariantBroken
from chengxin.home import Home
from chengxin.identity import digests
from chengxin.records import journal
from deliveries import PENALTY, REGISTRATION, START, Office, company, penalty, uscc


@pytest.fixture
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


def test_what_another_process_admits_is_seen(office: Office) -> None:
    before = journal.admissions(office.layout)
    body = json.loads(entry(office, 1).read_text())
    entry(office, 2).write_text(json.dumps(body | {"order": 2, "revision": 1}))
    assert [a.revision for a in journal.admissions(office.layout)] == [0, 0, 1]
    assert journal.admissions(office.layout)[:2] == before
    assert journal.account(office.layout, "pen", body["batch_id"]) == journal.admissions(office.layout)[2]
    assert journal.account(office.layout, "reg", body["batch_id"]) is None


def test_entries_that_were_read_are_not_opened_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.admissions(office.layout)
    opened: list[str] = []
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: opened.append(path.name) or read(path))
    office.deliver("pen", penalty(3, uscc=uscc(1)), day=2)
    assert [name for name in opened if name.startswith("0000")] == ["00000002.json"]


def test_another_home_in_the_same_place_is_read_anew(office: Office) -> None:
    assert len(journal.admissions(office.layout)) == 2
    shutil.rmtree(office.settings.home)
    assert journal.admissions(office.layout) == ()
    office.deliver("reg", company(5), company(6), day=0)
    office.deliver("pen", penalty(1, uscc=uscc(5)), day=1)
    assert [a.accepted for a in journal.admissions(office.layout)] == [2, 1]


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


def test_each_admission_names_the_format_of_its_digests(office: Office) -> None:
    assert {a.versions["digests"] for a in journal.admissions(office.layout)} == {digests.VERSION} == {"2"}


@pytest.mark.parametrize("version", [None, "1", "3"])
def test_every_stage_refuses_digests_of_another_format(office: Office, version: str | None) -> None:
    contract, settings, clock = office.contracts["pen"], office.settings, Clock(START)
    landed = pipeline.batch(Home(settings), "pen", office.account("pen").batch_id)
    rewrite(entry(office, 1), digests=version)
    for stage in (
        lambda: pipeline.discover(Home(settings), contract),
        lambda: pipeline.pending(Home(settings), contract),
        lambda: pipeline.validate(Home(settings, clock), contract, landed),
        lambda: pipeline.admit(Home(settings, clock), contract, landed),
        lambda: pipeline.release(Home(settings, clock), contract, landed, "已核实", "某某"),
        lambda: pipeline.retry_waiting(Home(settings, clock), office.contracts),
        lambda: pipeline.publish(Home(settings, clock), office.contracts),
        lambda: pipeline.review(Home(settings), office.contracts),
        lambda: pipeline.answer(Home(settings, clock), contract),
        lambda: pipeline.replay(Home(settings), contract),
        lambda: pipeline.tidy(Home(settings)),
    ):
        with pytest.raises(HomeOutdated, match="摘要格式"):
            stage()


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
