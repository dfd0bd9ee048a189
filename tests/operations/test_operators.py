"""The index follows real homes made by the pipeline, and what is read through it says what the home holds."""

import json
import os
import shutil
from datetime import UTC, date, datetime, timedelta

import pytest
from overview_homes import TODAY, Size, make

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.connectors.files.drop import file_delivery
from chengxin.home import Home
from chengxin.operations.index import arrivals, follower, index, lists, redaction, rows, snapshots, tables
from chengxin.settings import Settings
from deliveries import PENALTY, REGISTRATION, START, Office, built_once, company, penalty, person_doc, uscc

BAD = uscc(9)[:-1] + ("0" if uscc(9)[-1] != "0" else "1")


@pytest.fixture
@built_once
def office(tmp_path):
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", PENALTY, quality={"min_rows": 1, "quarantined": {"warn": 0.5, "hold": 0.7}})
    office.deliver("reg", *[company(n) for n in range(3)], day=0)
    refused = penalty(3, uscc=BAD, legal_rep_name="张小明")
    office.deliver("pen", penalty(1, uscc=uscc(1)), penalty(2, uscc=uscc(7)), refused, day=1)
    return office


def follow(office):
    done = follower.refresh(Home(office.settings))
    with index.reading(index.path_of(Home(office.settings))) as connection:
        return done, {r["batch_id"]: dict(r) for r in connection.execute("SELECT * FROM batch")}


def read(office, question):
    follower.refresh(Home(office.settings))
    with index.reading(index.path_of(Home(office.settings))) as connection:
        return question(connection)


def test_every_batch_has_the_account_of_the_journal(office):
    _, found = follow(office)
    assert found.keys() == office.accounts().keys()
    for batch_id, account in office.accounts().items():
        for name in ("received", "accepted", "quarantined", "duplicate", "unlinked", "verdict", "revision"):
            assert found[batch_id][name] == getattr(account, name)


def test_an_index_is_idempotent_and_rebuilt_the_same(office):
    _, before = follow(office)
    done, again = follow(office)
    assert (done.changed, again) == (0, before)
    index.remove(index.path_of(Home(office.settings)))
    assert follow(office)[1] == before


def test_an_index_that_is_no_database_is_made_anew(office):
    _, before = follow(office)
    index.remove(index.path_of(Home(office.settings)))
    index.path_of(Home(office.settings)).write_bytes(b"torn" * 1000)
    assert follow(office)[1] == before


def test_a_home_restored_from_a_backup_is_indexed_anew(office, tmp_path):
    shutil.copytree(office.layout.home, tmp_path / "backup")
    office.deliver("pen", penalty(4, uscc=uscc(2)), day=2)
    _, grown = follow(office)
    newest = max(office.layout.journal.glob("*.json"))
    newest.unlink()
    shutil.rmtree(max(office.layout.landing("pen", "").glob("pen-*"), key=lambda p: p.name))
    _, found = follow(office)
    assert len(found) == len(grown) - 1


def test_rows_that_found_their_subject_leave_the_queue(office):
    waiting = lambda c: [r["waiting"] for r in lists.queue_by_dataset(c, "unlinked", lists.Filter())]  # noqa: E731
    assert read(office, waiting) == [1]
    office.deliver("reg", company(7), day=3)
    office.retry()
    assert read(office, waiting) == []


def test_a_held_batch_counts_as_refused_until_a_good_one_comes(office):
    held = office.deliver("pen", *[penalty(n, uscc=BAD) for n in range(20, 25)], penalty(30, uscc=uscc(1)), day=4)
    assert held["verdict"] == "hold"
    found = read(office, lists.held_unresolved)
    assert [(r["batch_id"], r["received"], r["quarantined"]) for r in found] == [(held["batch_id"], 6, 6)]
    listed = lambda state: read(office, lambda c: lists.batches(c, lists.Filter(state=state))[0])  # noqa: E731
    assert (listed("stopped"), listed("held")) == (1, 1)
    good = office.deliver("pen", penalty(31, uscc=uscc(1)), day=5)
    assert read(office, lists.held_unresolved) == []
    assert (listed("stopped"), listed("held")) == (0, 1)
    row = read(office, lambda c: lists.batch(c, "pen", held["batch_id"]))
    assert read(office, lambda c: lists.settled_by(c, row)) == good["batch_id"]


def test_a_batch_is_followed_from_landing_to_its_outcome(office):
    contract, clock = office.contracts["pen"], Clock(START)
    landed = pipeline.land(
        Home(office.settings, clock),
        contract,
        file_delivery(Home(office.settings), contract, office.write("pen", [penalty(40, uscc=uscc(1))], day=6)),
    )
    assert follow(office)[1][landed.batch_id]["state"] == "open"
    assert [r["batch_id"] for r in read(office, lambda c: lists.stuck(c, "2099-01-01"))] == [landed.batch_id]
    pipeline.standardise(Home(office.settings), contract, landed)
    assert follow(office)[1][landed.batch_id]["received"] == 1
    pipeline.ingest(Home(office.settings, clock), contract, landed)
    assert follow(office)[1][landed.batch_id]["state"] == "admitted"


def test_totals_are_the_sums_of_the_batches(office):
    _, found = follow(office)
    totals = read(office, lists.totals)
    for name in ("received", "accepted", "quarantined", "duplicate", "unlinked"):
        assert totals[name] == sum(b[name] for b in found.values())


def test_a_reader_sees_only_permitted_data_sets(office):
    only = frozenset({"reg"})
    assert {r["dataset"] for r in read(office, lambda c: lists.batches(c, lists.Filter(only=only)))[1]} == {"reg"}
    assert read(office, lambda c: lists.totals(c, only))["datasets"] == 1
    assert read(office, lambda c: lists.queue_by_dataset(c, "quarantined", lists.Filter(only=only))) == []
    assert [r["dataset"] for r in read(office, lambda c: lists.datasets(c, only))] == ["reg"]
    assert [code for code, _, _ in read(office, lambda c: arrivals.heat(c, START.date(), 5, frozenset())).rows] == []


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (lists.Filter(dataset="pen"), 1),
        (lists.Filter(rule="uscc.check"), 1),
        (lists.Filter(rule="no.such"), 0),
        (lists.Filter(state="held"), 0),
        (lists.Filter(since="2026-03-03"), 1),
        (lists.Filter(until="2026-03-02"), 1),
        (lists.Filter(text="reg-20260302"), 1),
        (lists.Filter(text="%"), 0),
        (lists.Filter(department="T-1"), 2),
        (lists.Filter(text="'; DROP TABLE batch; --"), 0),
    ],
)
def test_the_list_is_narrowed_by_each_part_of_the_filter(office, wanted, count):
    total, found = read(office, lambda c: lists.batches(c, wanted))
    assert (total, len(found)) == (count, count)


def test_refused_rows_come_with_reasons_and_hidden_values(office):
    _, found = follow(office)
    (batch_id,) = [b for b in found if b.startswith("pen")]
    with rows.Rows(Home(office.settings)) as reader:
        (row,) = reader.refused(office.contracts["pen"], batch_id)
        (raw,) = reader.refused(office.contracts["pen"], batch_id, raw=True)
        assert reader.refused(office.contracts["pen"], batch_id, rule="date.invalid") == []
        assert len(reader.refused(office.contracts["pen"], batch_id, rule="uscc.check")) == 1
    assert "校验位不符" in row.reasons[0].zh
    assert (row.values["uscc"], row.values["legal_rep_name"]) == (BAD, "张**")
    assert raw.values["legal_rep_name"] == "张小明"


def test_waiting_rows_say_who_they_are_about(office):
    _, found = follow(office)
    (batch_id,) = [b for b in found if b.startswith("pen")]
    with rows.Rows(Home(office.settings)) as reader:
        (row,) = reader.waiting(office.contracts["pen"], batch_id)
    assert row.values["统一社会信用代码"] == uscc(7)
    assert row.linked_by is None


@pytest.mark.slow
def test_pages_of_rows_cover_every_row_once(office):
    for n in range(4):
        office.deliver("pen", *[penalty(100 * n + i, uscc=BAD) for i in range(3)], penalty(100 * n + 9, uscc=uscc(1)),
            penalty(100 * n + 8, uscc=uscc(2)), day=10 + n)  # fmt: skip
    wanted, start, seen = lists.Filter(dataset="pen"), (0, -1), []
    follower.refresh(Home(office.settings))
    with index.reading(index.path_of(Home(office.settings))) as connection, rows.Rows(Home(office.settings)) as reader:
        for _ in range(20):
            batches = lists.queued(connection, "quarantined", wanted, start[0])
            page = rows.refused_page(reader, office.contracts.get, batches, start, rule="", raw=False, limit=2)
            seen += [(r.batch_id, r.row_id) for r in page.rows]
            if page.further is None:
                break
            start = page.further
    assert len(seen) == len(set(seen)) == 13


@pytest.mark.parametrize(
    ("value", "how", "shown"),
    [
        (person_doc(5), "secret", "43"),
        (person_doc(5), "plain", "43"),
        (person_doc(5), "text", "43"),
        (person_doc(5), "unknown", "43"),
        ("13800138000", "plain", "13"),
        ("张小明", "person", "张"),
        ("张小明", "name", "张"),
        ("Zhang San", "person", "Zh"),
    ],
)
def test_what_tells_a_person_is_hidden_in_whatever_column(value, how, shown):
    hidden = redaction.hide(value, how)
    assert value not in hidden
    assert hidden.startswith(shown)
    assert hidden.strip("*〔0123456789 字〕").rstrip("*") in {shown, ""} or set(hidden[len(shown) :]) <= set(
        "*〔〕字 18"
    )


def test_a_document_number_inside_a_text_is_hidden():
    assert person_doc(5) not in redaction.hide(f"当事人证件号{person_doc(5)}，住某处", "text")


@pytest.mark.parametrize("value", ["湖南示例1有限公司", "2026-01-15", "面议", uscc(1), None, ""])
def test_what_tells_no_person_is_shown(value):
    how = "name" if value and "公司" in value else "plain"
    assert redaction.hide(value, how) == value


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\t=1", "  =1", "＝1"])
def test_no_cell_of_an_export_is_a_formula(cell):
    assert tables.safe(cell).startswith("'")


def test_an_export_quotes_what_needs_it():
    row = rows.Row(
        dataset="d",
        batch_id="b",
        row_id=1,
        file="=cmd.csv",
        row=2,
        values={"名称": 'a"b\nc'},
        reasons=(rows.reason("uscc.check", "uscc", "代码"),),
    )
    head, line = "".join(tables.lines([row])).split("\r\n")[:2]
    assert head.startswith("\ufeff数据集")
    assert "'=cmd.csv" in line
    assert '"名称：a""b\nc"' in line


@pytest.mark.slow
def test_snapshots_differ_by_what_was_published_between(office):
    office.publish(day=1)
    office.deliver("reg", company(50), day=8)
    office.publish(day=9)
    follower.refresh(Home(office.settings))
    with index.reading(index.path_of(Home(office.settings))) as connection:
        newest, before = snapshots.versions(connection, "government")
        changes = {c.name: c for c in snapshots.changes(connection, "government", newest["id"], newest["previous"])}
        entered = snapshots.entered(connection, newest)
    assert newest["previous"] == before["id"]
    assert (changes["registration"].rows, changes["registration"].before) == (4, 3)
    assert [r["dataset"] for r in entered] == ["reg"]
    assert snapshots.current(office.layout, "government") == newest["id"]


@pytest.mark.slow
def test_a_source_left_out_enters_with_the_snapshot_that_has_it(office):
    office.publish(day=2)
    office.deliver("pen", penalty(60, uscc=uscc(1)), day=8)
    office.deliver("reg", company(50), day=8)
    without = pipeline.Approval("不含所选来源发布", "待核", "op", "2026-03-08T00:00:00+00:00", ("pen",))
    pipeline.publish(Home(office.settings, Clock(START + timedelta(days=9))), office.contracts, without)
    office.deliver("pen", penalty(61, uscc=uscc(2)), day=10)
    office.publish(day=11)
    follower.refresh(Home(office.settings))
    with index.reading(index.path_of(Home(office.settings))) as connection:
        found = [
            ([r["dataset"] for r in snapshots.entered(connection, row)], row["reason"].partition("：")[0][:8])
            for row in snapshots.versions(connection, "government")
        ]
    assert found == [
        (["pen", "pen"], "2 个批次入库或"), (["reg"], "1 个批次入库或"), (["reg", "pen"], "2 个批次入库或"),
    ]  # fmt: skip


def test_admitted_and_unpublished_rows_have_a_reason(office):
    def told():
        follower.refresh(Home(office.settings))
        with index.reading(index.path_of(Home(office.settings))) as connection:
            (last, *_) = [*snapshots.versions(connection, "government"), None]
            refusal = snapshots.refusal(office.layout, last)
            return snapshots.unpublished(connection, last), refusal and (refusal["decision"], refusal["reason"])

    assert told() == (2, None), "nothing was ever published"
    office.publish(day=2)
    assert told() == (0, None)
    office.deliver("pen", penalty(60, uscc=uscc(1)), day=8)
    later = "2099-03-03T00:00:00+00:00"
    pipeline.reject(Home(office.settings), pipeline.Approval("不发布", "等部门回复", "op", later))
    assert told() == (1, ("不发布", "等部门回复"))


def test_a_rule_without_a_field_is_worded_without_none():
    for rule in ("code.unknown", "field.required_missing", "date.invalid"):
        assert "“该项”" not in rows.reason(rule, "", "").zh
    assert rows.reason("field.required_missing", "", "").zh.startswith("必填项为空")


def test_changed_contracts_are_followed_and_broken_ones_reported(office):
    path = office.settings.contracts / "test" / "pen.yaml"
    read(office, lists.totals)
    path.write_text(path.read_text("utf-8").replace("测试 pen", "改名的数据集"), "utf-8")
    assert "改名的数据集" in [r["title"] for r in read(office, lists.datasets)]
    path.write_text("format: 1\n", "utf-8")
    os.utime(path, (1, 1))
    assert [r["path"] for r in read(office, lists.problems)] == ["test/pen.yaml"]
    assert [r["dataset"] for r in read(office, lists.datasets)] == ["reg"]


@pytest.fixture(scope="module")
def invented(tmp_path_factory):
    folder = tmp_path_factory.mktemp("invented")
    size = Size(datasets=14, days=40, departments=3, snapshots=4)
    home = make(folder, size)
    office = Office(folder)
    assert office.settings.home == home
    follower.refresh(Home(office.settings))
    return office


def test_data_sets_are_late_from_the_day_after_due_on(invented):
    with index.reading(index.path_of(Home(invented.settings))) as connection:
        found = arrivals.overdue(connection, TODAY)
        heat = arrivals.heat(connection, TODAY, 30)
    # data sets 3 and 10 stopped fourteen days ago; one period and two working days later they are overdue
    assert [o.dataset for o in found] == ["d00_matter_003", "d01_matter_010"]
    (cells,) = [cells for code, _, cells in heat.rows if code == "43-D00"]
    due = (found[0].due - heat.days[0]).days
    assert [c.late for c in cells] == [1 if n > due else 0 for n in range(30)]
    assert found[0].last_day == (TODAY - timedelta(days=14)).isoformat()


def test_the_heat_map_counts_every_batch(invented):
    with index.reading(index.path_of(Home(invented.settings))) as connection:
        heat = arrivals.heat(connection, TODAY, 30)
        total = connection.execute(
            "SELECT count(*), sum(state = 'held') FROM batch WHERE day >= ?", (heat.days[0].isoformat(),)
        ).fetchone()
    cells = [c for _, _, row in heat.rows for c in row]
    assert (sum(c.arrived for c in cells), sum(c.held for c in cells)) == tuple(total)


def test_what_never_arrives_or_comes_irregularly_is_never_late(office):
    assert read(office, lambda c: arrivals.overdue(c, date(2026, 3, 3))) == []
    path = office.settings.contracts / "test" / "reg.yaml"
    path.write_text(path.read_text("utf-8").replace("delivery:", "delivery:\n  cadence: irregular"), "utf-8")
    assert [o.dataset for o in read(office, lambda c: arrivals.overdue(c, date(2027, 3, 3)))] == ["pen"]


def test_two_processes_do_not_index_at_once(office):
    from filelock import FileLock

    path = index.path_of(Home(office.settings))
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        assert follower.refresh(Home(office.settings)).busy
    assert not follower.refresh(Home(office.settings)).busy


def test_times_are_those_of_the_receipt(office):
    _, found = follow(office)
    receipt = next(office.layout.landing("reg", "").glob("*/receipt.json"))
    body = json.loads(receipt.read_bytes())
    assert (
        found[body["batch_id"]]["received_at"]
        == datetime.fromisoformat(body["received_at"]).astimezone(UTC).isoformat()
    )


QUESTIONS = {
    "heat": lambda c: arrivals.heat(c, TODAY, 30),
    "overdue": lambda c: arrivals.overdue(c, TODAY),
    "held": lists.held_unresolved,
    "stuck": lambda c: lists.stuck(c, f"{TODAY}T00:00:00+00:00"),
    "growing": lambda c: lists.growing(c, TODAY),
    "totals": lists.totals,
    "daily": lambda c: lists.daily(c, TODAY - timedelta(days=29)),
    "list": lambda c: lists.batches(c, lists.Filter()),
    "rule": lambda c: lists.batches(c, lists.Filter(rule="uscc.check", since="2026-11-01")),
    "text": lambda c: lists.batches(c, lists.Filter(text="20261120", since="2026-11-01")),
    "queue": lambda c: lists.queued(c, "quarantined", lists.Filter()),
    "queue by data set": lambda c: lists.queue_by_dataset(c, "quarantined", lists.Filter()),
    "rules": lambda c: lists.rules_since(c, TODAY - timedelta(days=30), lists.Filter()),
}


def steps(connection, question):
    """Count the steps of SQLite's machine: the same on every machine, however busy."""
    ticks = []
    connection.set_progress_handler(lambda: ticks.append(0), 20)
    question(connection)
    connection.set_progress_handler(None, 0)
    return 20 * len(ticks)


def test_four_times_the_history_does_not_slow_the_pages(tmp_path):
    counted = []
    for days in (40, 160):
        folder = tmp_path / str(days)
        settings = Settings(home=make(folder, Size(datasets=12, days=days)), contracts=folder / "contracts")
        follower.refresh(Home(settings))
        with index.reading(index.path_of(Home(settings))) as connection:
            counted.append({name: steps(connection, question) for name, question in QUESTIONS.items()})
    few, many = counted
    assert {n: (few[n], many[n]) for n in few if many[n] > 2.7 * few[n] + 500} == {}
    assert max(many.values()) < 40_000
