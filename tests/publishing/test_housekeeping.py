"""Overdue deliveries, received bytes read again, expiry of snapshots: right, repeatable, and never too much."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.connectors.files.drop import file_delivery
from chengxin.errors import ContractError, InvariantBroken
from chengxin.home import Home
from chengxin.operations.housekeeping import LATEST_DAYS, ROUND_DAYS, overdue, rehash
from chengxin.publishing import reader, verify
from chengxin.publishing.retention import expire
from chengxin.settings import Retention, Settings
from chengxin.store import atomic, pointer
from deliveries import REGISTRATION, START, Office, company
from end_to_end.pipeline_runs import chengxin


def at(day: float) -> Clock:
    return Clock(START + timedelta(days=day))


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    daily = {"mode": "incremental", "options": {"folder": "reg"}, "cadence": "daily", "late_after": 2}
    office.contract("reg", "registration", REGISTRATION, delivery=daily)
    return office


def payload(office: Office, n: int = 0) -> Path:
    return sorted((office.settings.home / "landing" / "reg").glob("*/payload/*"))[n]


# -- overdue


def test_a_delivery_is_overdue_after_period_and_working_days(office):
    office.contract("never", "registration", REGISTRATION)
    office.deliver("reg", company(1), day=0)  # Monday 2 March: due on Thursday, two working days after the 3rd
    assert overdue(Home(office.settings, at(3)), office.contracts) == []
    (late,) = overdue(Home(office.settings, at(7)), office.contracts)
    assert (late.dataset, late.due, late.days) == ("reg", "2026-03-05", 2)
    for word in ("测试部门", "每日", "最近到达 2026-03-02", "最迟应于 2026-03-05", "逾期 2 个工作日", "催报"):
        assert word in late.message
    office.deliver("reg", company(2), day=7)
    assert overdue(Home(office.settings, at(7)), office.contracts) == []


def test_the_overdue_command_prints_json(office):
    office.deliver("reg", company(1), day=0)
    home, contracts = office.settings.home, office.settings.contracts
    shown = chengxin(home, contracts, "overdue", code=3, CHENGXIN_NOW=at(7).now().isoformat())
    assert [o["dataset"] for o in shown["overdue"]] == ["reg"]


# -- received bytes


def test_every_landed_batch_is_read_once_a_round(office):
    for n in range(6):
        office.deliver("reg", company(n), day=n)
    first = rehash(Home(office.settings, at(10)))
    assert (first.batches, first.total, first.problems) == (1, 6, ())
    assert rehash(Home(office.settings, at(10))).batches == 0
    read = first.batches + sum(rehash(Home(office.settings, at(10 + n))).batches for n in range(1, ROUND_DAYS))
    assert read >= 6


def test_a_killed_slice_goes_on_where_it_was_noted(office):
    contract = office.contracts["reg"]
    for n in range(ROUND_DAYS * 4):
        delivery = file_delivery(Home(office.settings), contract, office.write("reg", [company(n)], day=0))
        pipeline.land(Home(office.settings, at(0)), contract, delivery)
    told = []

    def die(done, of):
        told.append((done, of))
        if len(told) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rehash(Home(office.settings, at(10)), progress=die, note_bytes=1)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] < told[-1][1]
    assert rehash(Home(office.settings, at(10))).batches in {1, 2}, (
        "what the three notes left of a slice of four or five"
    )
    assert rehash(Home(office.settings, at(10))).batches == 0


@pytest.mark.slow
def test_missed_runs_are_made_up_for_within_the_month(office):
    for n in range(6):
        office.deliver("reg", company(n), day=n)
    assert rehash(Home(office.settings, at(10)), everything=True).batches == 6
    assert rehash(Home(office.settings, at(10 + LATEST_DAYS))).batches == 6


def test_damage_is_reported_until_it_is_mended(office):
    office.deliver("reg", company(1), day=0)
    office.deliver("reg", company(2), day=1)
    whole = payload(office).read_bytes()
    payload(office).write_bytes(whole[:-1] + b"#")
    found = rehash(Home(office.settings, at(2)), everything=True)
    assert len(found.problems) == 1
    assert "sha256" in found.problems[0]
    assert rehash(Home(office.settings, at(2))).problems == found.problems
    payload(office).write_bytes(whole)
    assert rehash(Home(office.settings, at(3))).problems == ()


def test_lost_receipts_and_lost_batches_are_damage(office):
    office.deliver("reg", company(1), day=0)
    office.deliver("reg", company(2), day=1)
    receipt = payload(office).parents[1] / "receipt.json"
    receipt.write_text("{")
    assert "回执" in rehash(Home(office.settings, at(2)), everything=True).problems[0]
    batch = payload(office, 1).parents[1]
    batch.rename(office.folder / "gone")
    problems = rehash(Home(office.settings, at(2)), everything=True).problems
    assert any(batch.name in p and "不见了" in p for p in problems)


def test_tidy_fails_on_damage_and_deletes_no_snapshot_unasked(office):
    office.deliver("reg", company(1), day=0)
    office.publish(1)
    home, contracts = office.settings.home, office.settings.contracts
    left = office.layout.standard("reg", "x").parent / f"{atomic.BUILDING}standard"
    left.mkdir(parents=True)
    fine = chengxin(home, contracts, "tidy", "--all", "--days", "1")
    assert fine["rehash"]["batches"] == 1
    assert (fine["removed"], left.exists()) == (1, False)
    assert (fine["expiry"]["done"], fine["expiry"]["snapshots"]) == (False, [])
    payload(office).write_bytes(b"other")
    assert chengxin(home, contracts, "tidy", "--all", code=1)["rehash"]["problems"]


def test_a_journal_with_a_gap_costs_no_links(office):
    office.deliver("reg", company(1), day=0)
    office.deliver("reg", company(2), day=1)
    (office.layout.journal / "00000000.json").unlink()
    with pytest.raises(InvariantBroken, match="缺第"):
        pipeline.tidy(Home(office.settings))
    assert len(list((office.settings.home / "batches" / "reg").glob("*/links-*"))) == 2


# -- expiry


@pytest.fixture(scope="module")
def five_snapshots(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """Five snapshots of both tiers: 2, 3, 30 March, 2 and 3 April."""
    office = Office(tmp_path_factory.mktemp("five"))
    office.contract("reg", "registration", REGISTRATION)
    for n, day in enumerate((0, 1, 28, 31, 32)):
        office.deliver("reg", company(n), day=day)
        office.publish(day)
    assert [len(pointer.snapshot_ids(office.layout, t)) for t in ("government", "open")] == [5, 5]
    return office


@pytest.fixture
def published(five_snapshots: Office, tmp_path: Path) -> Office:
    """A copy of the five snapshots, hard links kept."""
    subprocess.run(["cp", "-a", five_snapshots.folder, tmp_path / "office"], check=True)
    return Office(tmp_path / "office", dict(five_snapshots.contracts))


LATER = Clock(datetime(2026, 6, 1, tzinfo=UTC))


def test_everything_is_kept_where_that_is_asked(published):
    assert expire(published.layout, Retention(days=None), LATER, dry_run=False).snapshots == ()


@pytest.mark.slow
def test_what_expired_is_still_answered_from_history(published):
    opened = [
        reader.open_snapshot(published.settings.home, "government", n)
        for n in pointer.snapshot_ids(published.layout, "government")
    ]
    had = {s.manifest.created_at: s.table("registration").to_pylist() for s in opened}
    assert expire(published.layout, Retention(months=0), LATER, dry_run=False).snapshots
    now = reader.open_snapshot(published.settings.home)
    assert {at: now.as_of(known=at)["registration"].to_pylist() for at in had} == had


def test_a_dry_run_says_what_goes_and_takes_nothing(published):
    before = pointer.snapshot_ids(published.layout, "government")
    found = expire(published.layout, Retention(months=0), LATER)
    assert (found.done, len(found.snapshots)) == (False, 6)
    assert found.freed > 0
    assert pointer.snapshot_ids(published.layout, "government") == before


def test_only_so_many_months_count(published):
    assert len(expire(published.layout, Retention(months=3), LATER).snapshots) == 6, "June to April; March is over"


def test_the_last_ones_and_one_a_month_stay_whole(published):
    layout = published.layout
    before = pointer.snapshot_ids(layout, "government")
    done = expire(layout, Retention(), LATER, dry_run=False)
    assert pointer.snapshot_ids(layout, "government") == before[2:]  # the last of March, the current, the one before
    assert len(done.snapshots) == 4
    for tier in ("government", "open"):
        for name in pointer.snapshot_ids(layout, tier):
            assert verify.verify(layout, tier, name) == []
        assert reader.open_snapshot(layout.home, tier).warnings == ()
    assert expire(layout, Retention(), LATER, dry_run=False).snapshots == ()
    published.deliver("reg", company(9), day=40)
    assert published.publish(40) is not None
    assert before[2] in pointer.snapshot_ids(layout, "government")


def test_freed_bytes_are_those_that_no_kept_snapshot_holds(published):
    def held() -> int:
        files = {
            p.stat().st_ino: p.stat().st_size for p in (published.settings.home / "published").rglob("*") if p.is_file()
        }
        return sum(files.values())

    before = held()
    done = expire(published.layout, Retention(months=0), LATER, dry_run=False)
    assert before - held() == done.freed


def test_young_damaged_and_needed_snapshots_stay(published):
    layout = published.layout
    names = pointer.snapshot_ids(layout, "government")
    assert expire(layout, Retention(days=10_000, months=0), LATER).snapshots == ()
    pointer.mark(layout.snapshot("government", names[0]), ("试验",))
    going = expire(layout, Retention(months=0), LATER).snapshots
    assert ("government", names[0]) not in going
    assert ("government", names[1]) in going
    layout.pointer("government").write_text("torn")
    assert not [s for s in expire(layout, Retention(months=0), LATER).snapshots if s[0] == "government"]


def test_retention_is_read_from_the_environment():
    def read(env):
        return Settings.from_environment(env=env).retention

    assert read({}) == Retention(8, 12)
    assert read({"CHENGXIN_KEEP_DAYS": "30", "CHENGXIN_KEEP_MONTHS": "0"}) == Retention(30, 0)
    assert read({"CHENGXIN_KEEP_DAYS": "all"}).days is None
    for wrong in ("0", "-1", "many"):
        with pytest.raises(ContractError):
            read({"CHENGXIN_KEEP_DAYS": wrong})
