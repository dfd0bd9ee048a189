"""The table `batch`: what a snapshot was made of stands in files, and the manifest does not grow with batches."""

from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.home import Home
from chengxin.publishing import commit, reader
from chengxin.publishing.assembly import batch_table
from chengxin.publishing.verify import verify
from chengxin.records import journal
from chengxin.store.manifest import Manifest
from deliveries import PENALTY, REGISTRATION, START, Office, company, penalty, uscc


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", PENALTY)
    office.deliver("reg", company(1), company(2), day=0)
    office.deliver("pen", penalty(1, uscc=uscc(1)), penalty(2, uscc=uscc(7)), day=1)
    office.publish(2)
    return office


@pytest.mark.slow
def test_it_holds_every_admission_of_the_snapshot(office: Office) -> None:
    office.deliver("reg", company(7), day=3)
    office.publish(4)
    everything = journal.admissions(office.layout)
    rows = office.table("batch", "admission_order, dataset, batch_id, revision, accepted, unlinked, as_of_at")
    assert len(rows) == 4 and [r[:6] for r in rows] == [
        (a.order, a.dataset, a.batch_id, a.revision, a.accepted, a.unlinked) for a in everything
    ]
    assert [r[6].astimezone(UTC).isoformat() for r in rows] == [a.as_of for a in everything]
    opened = reader.open_snapshot(office.settings.home)
    assert opened.connect().execute("SELECT count(*) FROM batch").fetchone() == (4,)
    assert "batch" not in opened.tables and verify(office.layout, "government") == []
    assert not (office.snapshot("open") / "batch").exists()


@pytest.mark.slow
def test_what_changes_no_record_makes_no_snapshot(office: Office) -> None:
    before = office.snapshot()
    office.deliver("pen", penalty(1, uscc=uscc(1)), day=3)
    assert pipeline.publish(Home(office.settings, Clock(START)), office.contracts) is None
    assert office.snapshot() == before


def test_a_full_file_is_taken_from_the_snapshot_before(office: Office, tmp_path: Path) -> None:
    one = journal.admissions(office.layout)[0]
    many = [replace(one, order=n) for n in range(batch_table.CHUNK + 3)]
    now = Clock(START)
    previous = Manifest.new("government", now.now(), now.today(), "测试", {})
    folder = office.layout.snapshot("government", previous.snapshot_id)
    first = batch_table.write(office.layout, many[:-1], None, folder, now.now())
    previous = replace(previous, batch=first)
    second = batch_table.write(office.layout, many, previous, tmp_path / "b", now.now())
    assert [f.rows for f in second.files] == [batch_table.CHUNK, 3] and second.files[0] == first.files[0]
    [written] = (tmp_path / "b" / "batch").iterdir()
    assert written.name == second.files[1].name
    assert pq.read_table(written)["admission_order"].to_pylist()[-1] == len(many) - 1
    anew = batch_table.write(office.layout, many, None, tmp_path / "c", now.now())
    assert anew == second, "rows taken along are as those made of the journal"
    [last] = (folder / "batch").glob("00008192-*")
    last.write_bytes(b"altered")
    assert batch_table.write(office.layout, many, previous, tmp_path / "d", now.now()) == second


@pytest.mark.slow
def test_a_manifest_does_not_grow_with_batches(office: Office) -> None:
    def size() -> int:
        return len((office.snapshot() / "manifest.json").read_bytes())

    before = size()
    for n in range(4):
        office.deliver("pen", penalty(10 + n, uscc=uscc(1)), day=3 + n)
    office.publish(9)
    assert size() < before * 1.05
    now = commit.current(office.layout, "government")
    assert now and now.journal == journal.accounts(office.layout).head and now.last_order == 5
