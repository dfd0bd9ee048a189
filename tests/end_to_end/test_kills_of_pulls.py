"""Kill a run that pulls from an interface and from a PostgreSQL: the next run publishes every row once.

CHENGXIN_MANY=20 multiplies the number of kills.
"""

import json
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from killing import MANY, Server
from sqlalchemy import text

from chengxin.connectors import landing
from chengxin.home import Home
from deliveries import PENALTY, REGISTRATION, Office, company, penalty, uscc
from servers import Answer, Api, Asked, postgres_cluster

pytestmark = [pytest.mark.server, pytest.mark.slow]
COMPANIES = [company(n) for n in range(1, 41)]
STAGED = ("source_record_id", "source_updated_at", *(name for name in PENALTY if name != "source_updated_at"))


def interface(asked: Asked) -> Answer:
    time.sleep(0.005)
    start = (int(asked.query["page"]) - 1) * 5
    body = {"data": {"rows": COMPANIES[start : start + 5], "total": len(COMPANIES)}}
    return Answer(json.dumps(body, ensure_ascii=False).encode())


def fill(url: str, rows: int) -> None:
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE TABLE 处罚 ({', '.join(f'{name} VARCHAR' for name in STAGED)})"))
        for n in range(rows):
            row: dict[str, Any] = penalty(n, uscc=uscc(1 + n % 40), source_record_id=str(n))
            row["source_updated_at"] = f"2026-02-{1 + n % 28:02d} 08:00:00"
            marks = ", ".join(f":{name}" for name in row)
            connection.execute(text(f"INSERT INTO 处罚 ({', '.join(row)}) VALUES ({marks})"), row)
    engine.dispose()


@pytest.fixture
def sources() -> Iterator[dict[str, str]]:
    with postgres_cluster() as cluster:
        if cluster is None:
            pytest.skip("PostgreSQL is not installed")
        fill(cluster.url, 300)
        api = Api(interface, with_asked=True)
        yield {"CHENGXIN_CONN_DESK": api.url, "CHENGXIN_CONN_STATION": cluster.url}
        api.close()


def contracts(office: Office) -> None:
    http = {"connection": "desk", "path": "list", "page_size": 5, "total": "data.total", "key": ["uscc"]}
    office.contract(
        "test_desk", "registration", REGISTRATION, file={"format": "json", "records": "data.rows"},
        delivery={"connector": "http_api", "mode": "incremental", "options": http},
    )  # fmt: skip
    table = {"connection": "station", "table": "处罚", "key": "source_record_id", "watermark": "source_updated_at"}
    office.contract(
        "test_station", "penalty", STAGED, delivery={"connector": "database", "mode": "incremental", "options": table}
    )


def test_killed_at_any_moment_every_pulled_row_is_published_once(sources: dict[str, str], tmp_path: Path) -> None:
    office = Office(tmp_path)
    contracts(office)
    server, draw, kills, homes = Server(**sources), random.Random(20261125), 0, 0
    try:
        begun = time.monotonic()
        assert server.run(office.settings.home) == 0
        undisturbed = time.monotonic() - begun
        exact(office)
        while kills < 4 * MANY:
            office, homes = Office(tmp_path / str(homes)), homes + 1
            contracts(office)
            for _ in range(3):
                home = office.settings.home
                kills += server.kill_after(home, draw.uniform(0, undisturbed)) == -signal.SIGKILL
            assert server.run(home) == 0
            exact(office)
    finally:
        server.close()


def exact(office: Office) -> None:
    home = office.settings.home
    assert [len(landing.batches(Home(office.settings), name)) for name in ("test_desk", "test_station")] == [1, 1]
    assert {a.received for a in office.accounts().values()} == {40, 300}
    assert sum(a.accepted for a in office.accounts().values()) == 340
    names = office.table("registration", "uscc")
    assert names == sorted((row["uscc"],) for row in COMPANIES)
    assert office.table("penalty", "source_record_id") == sorted((str(n),) for n in range(300))
    assert [path for path in home.rglob(".*") if path.name.startswith((".pull-", ".building-"))] == []
