"""A PostgreSQL that dies at random while the pipeline pulls from it and its rows change: exact rows in the end.

CHENGXIN_SEED chooses another run, CHENGXIN_MANY=5 makes it longer.
"""

import contextlib
import os
import random
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import Connection, text

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.errors import DeliveryCorrupt, SourceUnavailable
from chengxin.home import Home
from deliveries import PENALTY, REGISTRATION, START, Office, company, penalty, uscc
from servers import Cluster, postgres_cluster

pytestmark = pytest.mark.server
MANY = int(os.environ.get("CHENGXIN_MANY", "1"))
RENAMED = {
    "主键": "source_record_id", "状态": "delivery_status_code", "更新时间": "source_updated_at", "文号": "decision_no",
    "内容": "penalty_content",
}  # fmt: skip
COLUMNS = RENAMED | {name: name for name in PENALTY if name not in RENAMED.values()}


class Station:
    """A staging table in which all is VARCHAR, changed by other sessions, some of which commit late."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self.cluster, self.chance = cluster, random.Random(seed)
        self.engine = sqlalchemy.create_engine(cluster.url, poolclass=sqlalchemy.NullPool)
        self.now, self.rows = START, 0
        self.late: list[Connection] = []
        self.run(text(f"CREATE TABLE 处罚 ({', '.join(f'{name} VARCHAR(400)' for name in COLUMNS)})"))

    def run(self, statement: Any, values: dict[str, Any] | None = None) -> None:
        with self.engine.begin() as connection:
            connection.execute(statement, values or {})

    def insert(self, connection: Connection) -> None:
        self.rows += 1
        sent = penalty(self.rows, uscc=uscc(1 + self.rows % 5), source_record_id=f"{self.rows:018d}")
        sent |= {"delivery_status_code": "0", "source_updated_at": f"{self.now:%Y-%m-%d %H:%M:%S}"}
        row = {header: sent[element] for header, element in COLUMNS.items() if element in sent}
        names = ", ".join(row)
        marks = ", ".join(f":{n}" for n in range(len(row)))
        connection.execute(
            text(f"INSERT INTO 处罚 ({names}) VALUES ({marks})"), {str(n): v for n, v in enumerate(row.values())}
        )

    def change(self) -> None:
        """Let some time pass in which rows come, are corrected and deleted, and old transactions end."""
        self.now += timedelta(minutes=self.chance.randrange(1, 15))
        with contextlib.suppress(sqlalchemy.exc.SQLAlchemyError), self.engine.begin() as connection:
            for _ in range(self.chance.randrange(5, 30)):
                self.insert(connection)
            for content, status in (("更正", "1"), ("撤销", "2")):
                one = f"{self.chance.randrange(1, self.rows + 1):018d}"
                connection.execute(
                    text("UPDATE 处罚 SET 内容 = :c, 状态 = :s, 更新时间 = :t WHERE 主键 = :k"),
                    {"c": content, "s": status, "t": f"{self.now:%Y-%m-%d %H:%M:%S}", "k": one},
                )
        with contextlib.suppress(sqlalchemy.exc.SQLAlchemyError):
            self.late.append(self.engine.connect())
            self.late[-1].begin()
            self.insert(self.late[-1])
        while len(self.late) > 3:
            self.settle(self.late.pop(0))

    def settle(self, late: Connection) -> None:
        with contextlib.suppress(sqlalchemy.exc.SQLAlchemyError):
            if late.in_transaction():
                late.commit()
        with contextlib.suppress(sqlalchemy.exc.SQLAlchemyError):
            late.close()

    def strike(self, over: threading.Event) -> None:
        """End a session of a pull soon after it began, or the whole server; a pull has one to look, one to fetch."""
        for _ in range(self.chance.randrange(1, 3)):
            while not self.sessions("count(*)"):
                if over.wait(0.005):
                    return
            if over.wait(self.chance.uniform(0, 0.05)):
                return
        if self.chance.random() < 0.2:
            self.cluster.restart()
        else:
            self.sessions("count(pg_terminate_backend(pid))")

    def sessions(self, asked: str) -> int:
        with contextlib.suppress(sqlalchemy.exc.SQLAlchemyError), self.engine.connect() as connection:
            where = "FROM pg_stat_activity WHERE application_name = 'chengxin'"
            return int(connection.scalar(text(f"SELECT {asked} {where}")))
        return 0

    def truth(self) -> set[tuple[str, str]]:
        with self.engine.connect() as connection:
            found = connection.execute(text("SELECT 文号, 内容 FROM 处罚 WHERE 状态 <> '2'"))
            return {(number, content) for number, content in found}


@pytest.fixture
def station() -> Iterator[Station]:
    with postgres_cluster() as cluster:
        if cluster is None:
            pytest.skip("PostgreSQL is not installed")
        made = Station(cluster, int(os.environ.get("CHENGXIN_SEED", "20261125")))
        yield made
        made.engine.dispose()


def pull(office: Office) -> str | None:
    """Run once, as far as it gets; return what stopped it."""
    source, clock = office.contracts["test_station"], Clock(START + timedelta(days=1))
    try:
        for delivery in pipeline.discover(Home(office.settings, clock), source):
            account = pipeline.ingest(
                Home(office.settings, clock), source, pipeline.land(Home(office.settings, clock), source, delivery)
            )
            assert account["received"] == sum(account[n] for n in ("accepted", "quarantined", "duplicate", "unlinked"))
            assert account["quarantined"] == account["unlinked"] == 0
    except (SourceUnavailable, DeliveryCorrupt) as error:
        return str(error)
    return None


@pytest.mark.slow
def test_every_row_arrives_from_a_database_that_fails_at_random(
    station: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHENGXIN_CONN_STATION", station.cluster.url)
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.deliver("test_reg", *(company(n) for n in range(1, 6)), day=0)
    options = {"connection": "station", "table": "处罚", "key": "主键", "watermark": "更新时间", "overlap": 90}
    office.contract(
        "test_station", "penalty", (), delivery={"connector": "database", "mode": "incremental", "options": options},
        columns=[{"source": source, "element": element} for source, element in COLUMNS.items()],
    )  # fmt: skip
    stopped: list[str | None] = []
    for n in range(12 * MANY):
        station.change()
        over = threading.Event()
        vandal = threading.Thread(target=station.strike, args=(over,))
        if n % 4:  # a slow machine may never finish between two strikes
            vandal.start()
        stopped.append(pull(office))
        over.set()
        if n % 4:
            vandal.join()
    for late in station.late:
        station.settle(late)
    assert pull(office) is None
    assert pull(office) is None
    office.publish(2)
    published = office.table("penalty", "decision_no, penalty_content, source_record_id")
    told = [words for words in stopped if words]
    assert {(number, content) for number, content, _ in published} == station.truth()
    assert len(published) == len({key for *_, key in published}) == len(station.truth())
    assert len(told) > 2 * MANY
    assert not any(stopped[::4])
    assert all("station" in words for words in told)
    assert not list((office.settings.home / "landing").glob("*/.*"))
