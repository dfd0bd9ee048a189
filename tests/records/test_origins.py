"""What a publication knows of all batches costs it little for each of them."""

import time

import duckdb
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


def test_each_file_has_its_number_batch_and_name(connection):
    Origins((admission(3), admission(4))).attach(Session(connection))
    assert connection.sql("FROM origins ORDER BY origin").fetchall() == [
        (0, "test_penalty-3", "甲3.csv"),
        (1, "test_penalty-3", "乙3.csv"),
        (2, "test_penalty-4", "甲4.csv"),
        (3, "test_penalty-4", "乙4.csv"),
    ]
    Origins(()).attach(Session(connection))
    assert connection.sql("SELECT count(*) FROM origins").fetchall() == [(0,)]


def test_files_of_ten_thousand_batches_take_no_second(connection):
    everything = tuple(map(admission, range(10_000)))
    origins = Origins(everything)
    begun = time.process_time()
    origins.attach(Session(connection))
    assert connection.sql("SELECT count(*), max(origin) FROM origins").fetchall() == [(20_000, 19_999)]
    assert time.process_time() - begun < 1
