"""An interface that fails at random while the pipeline pulls from it and its rows change: exact rows in the end.

CHENGXIN_SEED chooses another run, CHENGXIN_MANY=5 makes it longer.
"""

import json
import os
import random
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from chengxin import pipeline
from chengxin.clock import SHANGHAI, Clock
from chengxin.errors import DeliveryCorrupt, SourceUnavailable
from chengxin.home import Home
from deliveries import START, Office, company
from servers import Answer, Api, Asked

pytestmark = pytest.mark.server
MANY = int(os.environ.get("CHENGXIN_MANY", "1"))
COLUMNS = {"企业名称": "subject_name", "代码": "uscc", "地区": "region_code", "成立日期": "established_on"}
FAULTS = (
    Answer(status=503),
    Answer(status=429, headers={"Retry-After": "0"}),
    Answer(status=502, headers={"Retry-After": "7200"}),
    Answer(b"<html>maintenance</html>", headers={"Content-Type": "text/html"}),
    Answer(b'{"code": 0, "data": {"rows": [{"', announce=4000),
    Answer(b'{"code": 0, "data": {"rows": [], "total": 0}', chunked=True),
    Answer(b'{"code": 500, "msg": "busy", "data": {"rows": [], "total": 0}}'),
    Answer(b'{"code": 9001, "msg": "no"}'),
    Answer(status=302, headers={"Location": "http://192.0.2.1/"}),
    Answer(b"{}", hang_seconds=1),
)


class Ministry:
    """Serves its rows newest first, a second passing at every request; rows come while it is being read."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now = START
        self.rows: list[tuple[datetime, dict[str, Any]]] = []
        self.faults = 0
        self.is_calm = False

    def add(self, count: int) -> None:
        for _ in range(count):
            n = len(self.rows) + 1
            # Local midnights; in the summers of 1986 to 1991 clocks stood an hour ahead.
            founded = datetime(1985 + n % 8, 1 + n % 12, 1 + n % 28, tzinfo=SHANGHAI)
            row = dict(zip(COLUMNS, company(n).values(), strict=False)) | {"成立日期": int(founded.timestamp() * 1000)}
            self.rows.insert(0, (self.now, row))

    def answer(self, asked: Asked) -> Answer:
        self.now += timedelta(seconds=1)
        dice = self.chance.random()
        if not self.is_calm and dice < 0.4:
            self.faults += 1
            return self.chance.choice(FAULTS)
        if not self.is_calm and dice < 0.46:
            self.add(1)
        since = datetime.fromisoformat(asked.query.get("since", START.isoformat()))
        found = [row for updated, row in self.rows if updated >= since]
        start = (int(asked.query["page"]) - 1) * 10
        body = {"code": 0, "data": {"rows": found[start : start + 10], "total": len(found)}}
        return Answer(json.dumps(body).encode(), headers={"Date": format_datetime(self.now, usegmt=True)})


def contract(office: Office) -> None:
    options = {
        "connection": "soak", "path": "companies", "page_size": 10, "total": "data.total", "key": ["代码"],
        "code": "code", "code_ok": ["0"], "since_param": "since", "overlap_seconds": 2,
        "attempts": 2, "backoff_seconds": 0, "timeout_seconds": 0.3, "passes": 4,
    }  # fmt: skip
    office.contract(
        "test_soak",
        "registration",
        (),
        delivery={"connector": "http_api", "mode": "incremental", "options": options},
        file={"format": "json", "records": "data.rows"},
        columns=[{"source": source, "element": element} for source, element in COLUMNS.items()],
    )


def pull(office: Office) -> list[str]:
    """Run once, as far as it gets; return what stopped it."""
    source, settings, clock = office.contracts["test_soak"], office.settings, Clock(START + timedelta(days=1))
    try:
        for delivery in pipeline.discover(Home(settings), source):
            account = pipeline.ingest(
                Home(settings, clock), source, pipeline.land(Home(settings, clock), source, delivery)
            )
            assert account["received"] == sum(account[n] for n in ("accepted", "quarantined", "duplicate", "unlinked"))
            assert account["quarantined"] == account["unlinked"] == 0
    except (SourceUnavailable, DeliveryCorrupt) as error:
        return [str(error)]
    return []


@pytest.mark.slow
def test_every_row_arrives_once_from_a_failing_interface(tmp_path: Path, monkeypatch):
    ministry = Ministry(int(os.environ.get("CHENGXIN_SEED", "20261124")))
    server = Api(ministry.answer, with_asked=True)
    monkeypatch.setenv("CHENGXIN_CONN_SOAK", server.url)
    office = Office(tmp_path)
    contract(office)
    stopped: list[str] = []
    try:
        for _ in range(9 * MANY):
            ministry.add(25)
            stopped += pull(office)
        ministry.is_calm = True
        assert pull(office) == []
    finally:
        server.close()
    office.publish(2)
    rows = office.table("registration", "uscc, established_on")
    sent = {row["代码"]: datetime.fromtimestamp(row["成立日期"] / 1000, SHANGHAI).date() for _, row in ministry.rows}
    assert len(rows) == len(sent) == len(ministry.rows)
    assert dict(rows) == sent
    assert ministry.faults > 9
    assert stopped
    assert all("soak" in words for words in stopped)
    assert not list((office.settings.home / "landing").glob("*/.*"))
