"""A staging table through the stages: rows committed late, deletes, and columns that change overnight."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.home import Home
from chengxin.quality import evidence
from deliveries import PENALTY, REGISTRATION, START, Office, company, counts, penalty, uscc

COLUMNS = (*PENALTY, "source_record_id", "delivery_status_code")


class Staging(Office):
    """An office whose penalties stand in a table (前置机) in which everything is VARCHAR."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.path = folder / "staging.db"
        self.contract("test_reg", "registration", REGISTRATION)
        self.contract("test_penalty", "penalty", COLUMNS)
        self.deliver("test_reg", company(1), company(2), day=0)
        options = {"connection": "staging", "table": "处罚", "key": "source_record_id"}
        self.use(delivery={"connector": "database", "options": options | {"watermark": "source_updated_at"}})
        self.run(f"CREATE TABLE 处罚 ({', '.join(f'{name} VARCHAR(255)' for name in COLUMNS)})")

    def use(self, **more: Any) -> None:
        before = self.contracts["test_penalty"]
        self.contracts["test_penalty"] = before.model_validate(before.model_dump(by_alias=True) | more)

    def run(self, statement: str, values: tuple[Any, ...] = ()) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(statement, values)

    def put(self, n: int, at: str, status: str = "0") -> None:
        row = penalty(n, uscc=uscc(1), source_updated_at=at, source_record_id=str(n), delivery_status_code=status)
        statement = f"INSERT INTO 处罚 ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
        self.run(statement, tuple(row.values()))

    def pull(self) -> list[dict[str, Any]]:
        contract, clock, done = self.contracts["test_penalty"], Clock(START), []
        now = Clock(datetime(2026, 11, 24, tzinfo=UTC))
        for delivery in pipeline.discover(Home(self.settings, now), contract):
            landed = pipeline.land(Home(self.settings, clock), contract, delivery)
            done.append(pipeline.ingest(Home(self.settings, clock), contract, landed))
        return done

    def decisions(self) -> list[str]:
        self.publish()
        return [number for (number,) in self.table("penalty", "decision_no")]


@pytest.fixture
def staging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Staging:
    monkeypatch.setenv("CHENGXIN_CONN_STAGING", f"sqlite:///{tmp_path / 'staging.db'}")
    return Staging(tmp_path)


def number(n: int) -> str:
    return f"湘示罚〔2026〕{n}号"


def test_repeated_rows_are_duplicates_and_late_rows_arrive(staging: Staging) -> None:
    staging.put(1, "2026-03-01 08:00:00")
    staging.put(2, "2026-03-01 09:00:00")
    assert [counts(account) for account in staging.pull()] == [(2, 0, 0, 0)]
    assert staging.pull() == []
    staging.put(3, "2026-03-01 08:30:00")
    assert [counts(account) for account in staging.pull()] == [(1, 0, 2, 0)]
    assert staging.pull() == []
    assert staging.decisions() == [number(1), number(2), number(3)]


@pytest.mark.slow
def test_a_row_with_status_2_withdraws_its_record(staging: Staging) -> None:
    staging.put(1, "2026-03-01 08:00:00")
    staging.put(2, "2026-03-01 09:00:00")
    staging.pull()
    assert staging.decisions() == [number(1), number(2)]
    staging.run("UPDATE 处罚 SET delivery_status_code = '2', source_updated_at = '2026-03-02 08:00:00' "
                "WHERE source_record_id = '1'")  # fmt: skip
    staging.pull()
    assert staging.decisions() == [number(2)]


@pytest.mark.slow
def test_an_unexpected_column_holds_the_batch_and_is_named(staging: Staging) -> None:
    staging.put(1, "2026-03-01 08:00:00")
    staging.pull()
    staging.run("ALTER TABLE 处罚 ADD COLUMN 新增列 VARCHAR(255)")
    staging.put(2, "2026-03-02 08:00:00")
    [account] = staging.pull()
    verdict = evidence.read_verdict(staging.layout.validation("test_penalty", account["batch_id"]))
    assert account["verdict"] == "hold" and "合同未声明的列：新增列" in str(verdict)
    assert staging.decisions() == [number(1)]
    staging.use(ignored={"新增列": "与信用无关"})
    contract, clock = staging.contracts["test_penalty"], Clock(START)
    for landed in pipeline.pending(Home(staging.settings), contract):
        pipeline.ingest(Home(staging.settings, clock), contract, landed)
    assert staging.decisions() == [number(1), number(2)]


@pytest.mark.slow
def test_rows_of_a_pull_that_was_held_come_with_the_next_one(staging: Staging) -> None:
    staging.put(1, "2026-03-01 08:00:00")
    staging.pull()
    staging.run("ALTER TABLE 处罚 ADD COLUMN 新增列 VARCHAR(255)")
    staging.put(2, "2026-03-02 08:00:00")
    assert [account["verdict"] for account in staging.pull()] == ["hold"]
    staging.run("ALTER TABLE 处罚 DROP COLUMN 新增列")
    staging.put(3, "2026-03-04 08:00:00")
    assert [counts(account) for account in staging.pull()] == [(2, 0, 1, 0)]
    assert staging.decisions() == [number(1), number(2), number(3)]
    assert staging.pull() == []
