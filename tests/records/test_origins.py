"""What a publication knows of all batches costs it little for each of them."""

import time

import duckdb
import pyarrow as pa
import pytest

from chengxin.engine.session import Session
from chengxin.facts import Admission
from chengxin.publishing.assembly.origins import Origins


def admission(n: int) -> Admission:
    counts = dict.fromkeys(("received", "accepted", "quarantined", "duplicate", "unlinked", "withdrawn"), 0)
    return Admission(
        dataset="test_penalty", batch_id=f"test_penalty-{n}", revision=0, order=n,
        known_from="2026-11-20T02:00:00+00:00", **counts, new_subjects=0, verdict="accept", department="430000-TEST",
        kind="penalty", mode="increment", share="无条件", received_at="2026-11-20T10:00:00+08:00",
        as_of="2026-11-20T10:00:00+08:00",
        files=(f"甲{n}.csv", f"乙{n}.csv"), versions={},
    )  # fmt: skip


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def named(connection: duckdb.DuckDBPyConnection, *pairs: tuple[str, str]) -> Session:
    session = Session(connection)
    columns = zip(*pairs, strict=True) if pairs else ((), ())
    given = [pa.array(column, pa.string()) for column in columns]
    session.rows("kept", pa.table(given, ["batch_id", "source_file"]))
    return session


def test_each_file_has_its_number_batch_and_name(connection):
    asked = [("test_penalty-4", "甲4.csv"), ("test_penalty-3", "乙3.csv"), ("test_penalty-4", "乙4.csv")]
    origins = Origins((admission(3), admission(4)))
    origins.attach(named(connection, *asked, asked[0]), "kept")
    found = connection.sql("SELECT origin, batch_id, source_file FROM origins ORDER BY origin").fetchall()
    assert found == [(origins.number(*pair), *pair) for pair in (asked[1], asked[0], asked[2])]
    assert origins.first("test_penalty-4") == found[1][0]
    numbers = pa.array([n for n, *_ in reversed(found)] * 2)
    spelled = origins.columns(numbers)
    assert spelled["source_file"].to_pylist() == [f for *_, f in reversed(found)] * 2
    assert set(spelled["dataset"].to_pylist()) == {"test_penalty"}
    origins.attach(named(connection), "kept")
    assert connection.sql("SELECT count(*) FROM origins").fetchall() == [(0,)]


def test_one_file_of_ten_thousand_batches_costs_little(connection):
    everything = tuple(map(admission, range(10_000)))
    session = named(connection, ("test_penalty-77", "乙77.csv"))
    begun = time.process_time()
    Origins(everything).attach(session, "kept")
    assert connection.sql("SELECT count(*) FROM origins").fetchall() == [(1,)]
    assert time.process_time() - begun < 0.2
