import hashlib
import json
import re
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chengxin.clock import SHANGHAI, Clock
from chengxin.connectors import landing
from chengxin.contracts.cadence import due_after
from chengxin.contracts.loader import load
from chengxin.demo import SEED, DemoServer, Sizes, make_demo, write_sources
from chengxin.demo.rounds import HELD_KIND, deliver
from chengxin.demo.timetable import CUT_OFF_KIND, SILENT_KIND, Timetable
from chengxin.demo.world import make_world, resident_id
from chengxin.home import Home
from chengxin.model.elements import elements
from chengxin.model.identifiers import is_loan_card_no, is_org_code, is_reg_no, is_resident_id, is_uscc
from chengxin.model.working_days import working_days
from chengxin.settings import Settings

CONTRACTS = load(Path(__file__).resolve().parents[2] / "dags" / "contracts").contracts
SMALL = Sizes(enterprises=120, households=60, persons=120)
NOW = "2026-12-22T15:00:00+08:00"
AT = Clock(datetime.fromisoformat(NOW))
THEN = Timetable(datetime.fromisoformat(NOW))


def digests(home: Path) -> dict[str, tuple[str, int]]:
    inbox = home / "inbox"
    files = [p for p in sorted(inbox.rglob("*")) if p.is_file()]
    return {
        str(p.relative_to(inbox)): (hashlib.sha256(p.read_bytes()).hexdigest(), int(p.stat().st_mtime)) for p in files
    }


def small(folder: Path, number: int = 1, seed: int = SEED, now: str = NOW):
    home = Home(Settings(home=folder), Clock(datetime.fromisoformat(now)))
    return write_sources(home, CONTRACTS.values(), seed=seed, number=number, sizes=SMALL)


def column(delivered, contract, element):
    header = next(c.source for c in contract.columns if c.element == element)
    return delivered.columns[delivered.headers.index(header)]


def test_the_same_seed_gives_the_same_files_and_times(tmp_path):
    for home in (tmp_path / "a", tmp_path / "b"):
        small(home, 1)
        small(home, 2)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    small(tmp_path / "c", 1, seed=1)
    assert not {d for d, _ in digests(tmp_path / "c").values()} & {d for d, _ in digests(tmp_path / "a").values()}


def test_files_that_are_there_already_stay_untouched(tmp_path):
    small(tmp_path)
    before = {p: p.stat().st_ctime_ns for p in (tmp_path / "inbox").rglob("*")}
    small(tmp_path)
    assert {p: p.stat().st_ctime_ns for p in (tmp_path / "inbox").rglob("*")} == before


def test_every_invented_identifier_passes_its_check():
    world = make_world(SEED, SMALL)
    for subject in (*world.enterprises, *world.households):
        assert is_uscc(subject.uscc) and is_org_code(subject.org_code) and is_reg_no(subject.reg_no)
        assert is_loan_card_no(subject.loan_card_no)
    assert all(is_resident_id(p.person_doc) for p in world.persons)
    for identifier in ("uscc", "reg_no", "loan_card_no"):
        assert len({getattr(s, identifier) for s in world.enterprises}) == len(world.enterprises)
    assert len({p.person_doc for p in world.persons}) == len(world.persons)


def test_resident_ids_use_the_sequence_that_is_never_issued():
    assert resident_id("430102", datetime(1990, 3, 7, tzinfo=UTC).date())[14:17] == "000"


def test_the_full_demo_has_the_promised_size(tmp_path):
    sources = make_demo(Home(Settings(home=tmp_path), AT), CONTRACTS.values(), round=1)
    assert sources.rows["commerce_registration"] > 4_200
    assert sources.rows["police_population"] > 2_800
    assert set(sources.rows) == set(CONTRACTS)
    assert {c.delivery.connector for c in CONTRACTS.values()} == {"file_drop", "http_api", "database"}


@pytest.mark.server
def test_every_contract_finds_its_delivery_by_its_own_connector(tmp_path, monkeypatch):
    home = Home(Settings(home=tmp_path), AT)
    landed = {}
    for number in (1, 2):
        with DemoServer(small(tmp_path, number)) as server:
            for name, value in server.environment.items():
                monkeypatch.setenv(name, value)
            for contract in CONTRACTS.values():
                for delivery in landing.offered(home, contract):
                    batch = landing.land(home, contract, delivery)
                    landed.setdefault(contract.id, set()).add(batch.batch_id)
    days = {name: len(THEN.first_days(c)) + THEN.again(c) for name, c in CONTRACTS.items()}
    assert {name: len(batches) for name, batches in landed.items()} == days
    assert {CONTRACTS[name].delivery.connector for name in days if THEN.again(CONTRACTS[name])} == {
        "file_drop", "database",
    }  # fmt: skip


def test_subjects_named_in_round_1_are_registered_in_round_2():
    world = make_world(SEED, Sizes())
    contract = CONTRACTS["commerce_registration"]
    late = {s.uscc for s in world.enterprises if s.late}
    first, second = (set(column(deliver(contract, world, SEED, n, THEN), contract, "uscc")) for n in (1, 2))
    assert late and not late & first and len(late & second) > len(late) / 2
    penalty = CONTRACTS["commerce_penalty_2015"]
    assert late & set(column(deliver(penalty, world, SEED, 1, THEN), penalty, "uscc"))


def test_a_full_delivery_withdraws_rows_and_corrects_others():
    world = make_world(SEED, Sizes())
    contract = CONTRACTS["tax_arrears"]
    first, second = (deliver(contract, world, SEED, n, THEN) for n in (1, 2))
    taxpayers = [set(column(d, contract, "tax_no")) for d in (first, second)]
    assert taxpayers[0] - taxpayers[1] and taxpayers[1] - taxpayers[0]
    assert set(column(second, contract, "published_on")) == {"2026-10-15"}


def test_one_delivery_of_round_2_has_no_date_at_all():
    world = make_world(SEED, SMALL)
    contract = next(c for c in CONTRACTS.values() if c.kind == HELD_KIND)
    dates = [c.element for c in contract.columns if elements()[c.element].type == "date"]
    assert any(column(deliver(contract, world, SEED, 1, THEN), contract, dates[0]))
    assert all(set(column(deliver(contract, world, SEED, 2, THEN), contract, d)) == {""} for d in dates)


def test_headers_and_encodings_are_those_of_the_contract(tmp_path):
    small(tmp_path)
    for contract in CONTRACTS.values():
        if contract.delivery.connector != "file_drop" or contract.file.format not in ("csv", "tsv"):
            continue
        encoding = {"gbk": "gb18030"}.get(contract.file.encoding, contract.file.encoding)
        for path in (tmp_path / "inbox" / contract.delivery.options["folder"]).iterdir():
            header = path.read_bytes().decode(encoding, "replace").split("\r\n")[0]
            assert all(c.source in header for c in contract.columns)


def test_the_registration_file_ends_in_damage(tmp_path):
    small(tmp_path)
    *earlier, path = sorted((tmp_path / "inbox" / "commerce" / "registration").iterdir())
    assert earlier and all(p.read_bytes().endswith(b"\r\n") for p in earlier)
    data = path.read_bytes()
    with pytest.raises(UnicodeDecodeError):
        data.decode("gb18030")
    assert not data.endswith(b"\r\n")
    # all but the damaged block is in order
    assert data[: data.rindex(b"\r\n", 0, len(data) - 1_200)].decode("gb18030").count("\r\n") > 20


def test_the_staging_table_keeps_rows_and_changes_some_in_place(tmp_path):
    counts = []
    for number in (1, 2):
        small(tmp_path, number)
        with sqlite3.connect(tmp_path / "demo" / "police_staging.db") as connection:
            rows = connection.execute('SELECT "记录编号", "更新时间" FROM "人口基础信息"').fetchall()
        counts.append((len({key for key, _ in rows}), max(t for _, t in rows)))
    assert counts[1][0] > counts[0][0] and counts[1][1] > counts[0][1]
    small(tmp_path, 1)
    with sqlite3.connect(tmp_path / "demo" / "police_staging.db") as connection:
        assert connection.execute('SELECT count(DISTINCT "记录编号") FROM "人口基础信息"').fetchone()[0] == counts[0][0]


def test_a_new_contract_gets_demo_deliveries_without_code(tmp_path):
    contract = CONTRACTS["commerce_equity_pledge"].model_copy(update={"id": "commerce_new_matter"})
    sources = write_sources(Home(Settings(home=tmp_path), AT), [contract], number=1, sizes=SMALL)
    rows = [json.loads(line) for path in sources.files for line in path.read_text("utf-8").splitlines()]
    assert set(rows[0]) == {c.source for c in contract.columns} | set(contract.ignored)


# a working day, the last of a year, just after midnight, within a long holiday, a Sunday, a year without a calendar
@pytest.mark.parametrize(
    "now",
    ["2026-12-01T10:00", "2026-12-31T23:50", "2027-03-01T00:15", "2026-10-05T12:00", "2026-11-29T09:00",
     "2031-02-28T18:00"],
)  # fmt: skip
def test_at_the_first_look_two_sources_are_late_and_no_other(now):
    timetable = Timetable(datetime.fromisoformat(f"{now}+08:00"))
    late, came = set(), set()
    for name, contract in CONTRACTS.items():
        days = [*timetable.first_days(contract), *([timetable.today] if timetable.again(contract) else [])]
        assert days == sorted(set(days))
        assert all(timetable.moment(contract, day) <= timetable.now - timedelta(minutes=10) for day in days)
        assert all(timetable.moment(contract, day).astimezone(SHANGHAI).date() == day for day in days)
        assert timetable.last_event < days[0] <= timetable.opening, "the month before has something of it"
        if days[-1] == timetable.today:
            came.add(name)
        due = [due_after(day, contract.delivery, working_days()) for day in days]
        if due[-1] and due[-1] < timetable.today:
            late.add(name)
        if contract.delivery.connector == "file_drop":
            assert all(d is None or next_one <= d for d, next_one in zip(due, days[1:], strict=False))
    assert {CONTRACTS[name].kind for name in late} == {CUT_OFF_KIND, SILENT_KIND}
    assert len(came) >= 8


def test_why_a_source_is_late_lies_in_its_folder(tmp_path):
    small(tmp_path)
    folders = {c.kind: tmp_path / "inbox" / c.delivery.options["folder"] for c in CONTRACTS.values() if "folder" in
               c.delivery.options}  # fmt: skip
    assert [p.suffix for p in sorted(folders[CUT_OFF_KIND].iterdir())] == [".json", ".part"]
    assert len(list(folders[SILENT_KIND].iterdir())) == 1


def test_a_home_keeps_the_day_of_its_first_demo(tmp_path):
    small(tmp_path)
    before = digests(tmp_path)
    later = "2027-03-09T08:00:00+08:00"
    small(tmp_path, now=later)
    assert digests(tmp_path) == before
    small(tmp_path / "other", now=later)
    assert not set(digests(tmp_path / "other")) & set(before)


@pytest.mark.parametrize("now", ["2026-12-01T10:00:00+08:00", "2028-06-30T10:00:00+08:00"])
def test_what_records_tell_of_follows_the_clock(now):
    timetable, contract = Timetable(datetime.fromisoformat(now)), CONTRACTS["commerce_penalty"]
    delivered = deliver(contract, make_world(SEED, SMALL), SEED, 1, timetable)
    years = {int(y) for text in column(delivered, contract, "decision_no") for y in re.findall(r"〔(\d{4})〕", text)}
    assert years and timetable.last_event.year - 2 <= min(years) <= max(years) <= timetable.last_event.year
