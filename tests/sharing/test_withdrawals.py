"""What recipients were handed is written down first; they get notices of what was withdrawn, and answer by receipts."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from fastapi.testclient import TestClient
from pipeline_runs import told
from pipeline_runs import words as arguments

from chengxin.clock import Clock
from chengxin.home import Home
from chengxin.pipeline import acts, issue_token, revoke_tokens
from chengxin.pipeline.acts import Target
from chengxin.publishing.suppression import entries
from chengxin.records import access_log, withdrawal_notices
from chengxin.sharing.http.access import tokens
from chengxin.sharing.http.app import create_app
from deliveries import PENALTY, REGISTRATION, START, Office, built_once, company, penalty, uscc
from sharing.test_readers_app import Served
from sharing.test_recipients import declare

NOTICE_DAY, DUE, LAST = "2026-03-03", date(2026, 3, 6), date(2026, 3, 17)  # three and ten working days
TELLS = {"number", "record_id", "kind", "tier", "day", "delete_by", "state", "deleted_at"}


@pytest.fixture
@built_once
def office(tmp_path: Path) -> Office:
    """Three firms of Changsha with a penalty each; two recipients may have them, the third only registrations."""
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", PENALTY)
    office.deliver("reg", *[company(n) for n in (1, 2, 3)], day=0)
    office.deliver("pen", *[penalty(n, uscc=uscc(n)) for n in (1, 2, 3)], day=0)
    for name in ("city", "county"):
        declare(office.folder / "recipients", name, per_second=100)
    declare(office.folder / "recipients", "other", grants=[{"kinds": ["registration"]}], per_second=100)
    office.publish(0)
    return office


def home_of(office: Office, day: float = 1) -> Home:
    return Home(office.settings, Clock(START + timedelta(days=day)))


class Reader:
    """One holder of a token, on a day: of an app in this process."""

    def __init__(self, office: Office, name: str, day: float = 1) -> None:
        self.office, self.name = office, name
        self.token = issue_token(home_of(office, 0), office.contracts, name, "示例甲", 3650)[1]
        self.on(day)

    def on(self, day: float) -> "Reader":
        settings = self.office.settings
        self.app = TestClient(create_app(settings.home, (), clock=Clock(START + timedelta(days=day))))
        self.app.headers["Authorization"] = f"Bearer {self.token}"
        return self

    def files(self, table: str) -> list[str]:
        manifest = self.app.get("/v1/government/current").json()
        above = f"/v1/government/snapshots/{manifest['snapshot_id']}/files/{table}"
        return [f"{above}/{entry['name']}" for entry in manifest["tables"].get(table, {"files": []})["files"]]

    def fetch(self, table: str = "penalty") -> int:
        codes = {self.app.get(address).status_code for address in self.files(table)}
        return codes.pop()

    def subject(self, n: int) -> Any:
        found = self.app.post("/v1/government/find", json={"identifier_or_name": uscc(n)}).json()
        return self.app.get(f"/v1/government/subjects/{found['rows'][0]['subject_id']}")

    def notices(self, after: int = 0) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.app.get("/v1/withdrawals", params={"after": after}).json()["notices"]
        return found

    def receipt(self, number: int, at: str = "2026-03-04T09:00:00+08:00", **more: Any) -> Any:
        return self.app.post(f"/v1/withdrawals/{number}/receipt", json={"deleted_at": at, **more})


def repair(office: Office, n: int, day: float = 1, of: int = 0) -> acts.Case:
    target = Target(identifier=uscc(of or n), number=f"湘示罚[2026]{n}号")
    home = home_of(office, day)
    return acts.enter(home, "repair", target, by="甲", document=f"修〔2026〕{n}号", day=home.clock.today())


def written(office: Office) -> list[dict[str, Any]]:
    files = sorted((office.layout.accesses / "served").glob("*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def test_what_is_handed_over_is_written_down_and_no_value(office: Office) -> None:
    city = Reader(office, "city")
    [address] = city.files("penalty")
    for _ in range(3):
        assert city.app.get(address, headers={"Range": "bytes=0-9"}).status_code == 206
    etag = city.app.get(address).headers["ETag"]
    other = Reader(office, "county")
    assert other.app.get(address, headers={"If-None-Match": etag}).status_code == 304
    assert other.app.head(address).status_code == 200
    assert other.subject(2).status_code == 200
    found = sorted(written(office), key=lambda one: ("records" in one, bool(one.get("records"))))
    assert [(one["by"], "sha256" in one) for one in found] == [("city", True), ("county", False), ("county", False)]
    assert (found[0]["sha256"], found[0]["rows"], found[0]["table"]) == (etag.strip('"'), 3, "penalty")
    assert found[2]["subjects"] == found[1]["subjects"] and len(found[2]["records"]) == 2
    text = "".join(p.read_text() for p in (office.layout.accesses / "served").iterdir())
    assert not any(uscc(n) in text or f"湘示罚〔2026〕{n}号" in text for n in (1, 2, 3))
    held = access_log.holdings(office.layout.accesses)
    assert (held["city"].files, held["city"].rows, held["county"].subjects) == (1, 3, 1)


def test_who_was_handed_a_record_gets_a_notice_and_no_one_else(office: Office) -> None:
    city, county, other = (Reader(office, name) for name in ("city", "county", "other"))
    assert city.fetch() == county.fetch("registration") == other.fetch("registration") == 200
    assert county.subject(1).status_code == 200
    assert city.notices() == []
    case = repair(office, 1)
    [record] = case.records
    for reader in (city, county):
        [notice] = reader.notices()
        assert set(notice) == TELLS
        assert (notice["record_id"], notice["kind"], notice["tier"]) == (record.record_id, "penalty", "government")
        assert (notice["day"], notice["delete_by"], notice["state"]) == (NOTICE_DAY, str(DUE), "open")
    assert other.notices() == []
    repair(office, 2)
    assert len(city.notices()) == 2 and len(county.notices()) == 1, "the county asked about firm 1 alone"
    assert [n["number"] for n in city.notices(after=city.notices()[0]["number"])] == [city.notices()[1]["number"]]
    entries.renew_notices(home_of(office, 2))
    assert len(withdrawal_notices.read(office.layout)) == 3, "entered once"
    acts.lift(home_of(office, 2), case.act.id, by="乙", document="复〔2026〕1号")
    assert [n["state"] for n in city.notices()] == ["void", "open"]


def test_a_token_that_names_no_recipient_gets_its_notices_too(office: Office) -> None:
    whole = "0123456789abcdef-whole"
    app = TestClient(create_app(office.settings.home, tokens(whole), clock=Clock(START + timedelta(days=1))))
    app.headers["Authorization"] = f"Bearer {whole}"
    subject = app.post("/v1/government/find", json={"identifier_or_name": uscc(1)}).json()["rows"][0]["subject_id"]
    assert app.get(f"/v1/government/subjects/{subject}").status_code == 200
    repair(office, 1)
    [notice] = app.get("/v1/withdrawals").json()["notices"]
    assert (notice["kind"], notice["tier"]) == ("penalty", "government")
    assert whole not in "".join(p.read_text() for p in (office.layout.accesses / "served").iterdir())


def test_what_a_file_held_is_known_after_the_file_is_gone(office: Office) -> None:
    city = Reader(office, "city")
    assert city.fetch() == 200
    office.deliver("pen", penalty(9, uscc=uscc(1)), day=1)
    office.publish(1)
    county = Reader(office, "county")
    assert county.fetch() == 200
    for n, expected in ((1, ["city", "county"]), (9, ["county"])):
        [record] = repair(office, n, 2, of=1).records
        assert [x.holder for x in withdrawal_notices.read(office.layout) if x.record_id == record.record_id] == expected


def test_a_proposed_withdrawal_gives_notice_when_confirmed(office: Office) -> None:
    city = Reader(office, "city")
    assert city.fetch() == 200
    target = Target(identifier=uscc(3), number="湘示罚[2026]3号")
    home = home_of(office)
    case = acts.enter(home, "withdrawal", target, by="甲", document="撤〔2026〕3号", day=home.clock.today())
    assert city.notices() == []
    acts.confirm(home, case.act.id, [], by="乙")
    assert len(city.notices()) == 1


def test_a_receipt_is_taken_once_and_only_from_its_recipient(office: Office) -> None:
    city, county = Reader(office, "city", 2), Reader(office, "county", 2)
    assert city.fetch() == 200
    repair(office, 1)
    [notice] = city.notices()
    number = notice["number"]
    assert county.receipt(number).status_code == city.receipt(number + 1).status_code == 404
    assert county.receipt(number).text == city.receipt(-1).text, "nobody learns what others have"
    assert "早于通知" in city.receipt(number, "2026-03-02T23:59:00+08:00").text
    assert "晚于现在" in city.receipt(number, "2026-03-04T10:00:01+08:00").text
    for wrong in ({"at": "yesterday"}, {"at": "2026-03-04T09:00:00"}, {"onward": ["x" * 101]}, {"more": 1}):
        assert city.receipt(number, **wrong).status_code == 422
    first = city.receipt(number, onward=["某区信用办"])
    again = city.receipt(number, "2026-03-04T09:30:00+08:00")
    assert first.status_code == again.status_code == 200 and first.json() == again.json()
    assert first.json()["state"] == "received" == city.notices()[0]["state"]
    [line] = [p.read_text() for p in (office.layout.accesses / "receipts").iterdir()]
    assert (json.loads(line)["by"], json.loads(line)["onward"]) == ("city", ["某区信用办"])
    [kept] = entries.renew_notices(home_of(office, 3))
    assert kept.state(date(2026, 4, 1)) == "received"
    revoke_tokens(home_of(office), office.contracts, "city", "示例甲")
    assert city.receipt(number).status_code == 401 == city.app.get("/v1/withdrawals").status_code


def test_without_a_receipt_the_grant_rests_until_one_comes(office: Office) -> None:
    city, county = Reader(office, "city"), Reader(office, "county")
    assert city.fetch() == 200
    repair(office, 1)
    [notice] = withdrawal_notices.read(office.layout)
    assert [notice.state(d) for d in (DUE, DUE + timedelta(1), LAST)] == ["open", "overdue", "overdue"]
    assert notice.state(LAST + timedelta(1)) == "suspended"
    assert [list(withdrawal_notices.unanswered([notice], day)) for day in (DUE, LAST)] == [[], ["city"]]
    assert city.on((LAST - START.date()).days).fetch("registration") == 200
    city.on((LAST - START.date()).days + 1)
    for refused in (city.app.get("/v1/government/current"), city.app.get("/v1/government/subjects/1")):
        assert refused.status_code == 403
        assert "第 1 号撤回通知" in refused.json()["detail"] and "suspended" in refused.json()["detail"]
    assert county.on((LAST - START.date()).days + 1).fetch("registration") == 200
    assert city.app.get("/v1/open/snapshots").status_code == 200
    assert [n["state"] for n in city.notices()] == ["suspended"]
    assert city.receipt(1).status_code == 200
    assert city.fetch("registration") == 200, "a late receipt lifts it"


def test_nothing_leaves_that_cannot_be_written_down(office: Office) -> None:
    city = Reader(office, "city")
    [address] = city.files("penalty")
    office.layout.accesses.mkdir()
    (office.layout.accesses / "served").write_text("")  # a file where the folder should be
    assert city.app.get(address).status_code == 503
    assert city.app.post("/v1/government/find", json={"identifier_or_name": uscc(1)}).status_code == 503
    assert city.app.get("/v1/government/subjects/1").status_code == 503
    assert city.app.get("/v1/open/subjects/1").status_code == 200
    (office.layout.accesses / "served").unlink()
    assert city.app.get(address).status_code == 200
    assert [one["table"] for one in written(office)] == ["penalty"]


def test_what_serve_wrote_elsewhere_is_taken_into_the_home(office: Office, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    city = Reader(office, "city")
    city.app = TestClient(create_app(office.settings.home, (), accesses=elsewhere, clock=Clock(START)))
    city.app.headers["Authorization"] = f"Bearer {city.token}"
    assert city.fetch() == 200
    log = next((elsewhere / "served").iterdir())
    with log.open("a") as stream:
        stream.write('{"torn')
    access_log.take_in(elsewhere, office.layout.accesses)
    assert len(written(office)) == 1, "what follows the last newline never was durable"
    repair(office, 1)
    assert [n.holder for n in withdrawal_notices.read(office.layout)] == ["city"]


def test_more_rows_than_a_day_allows_are_refused_till_the_next(office: Office) -> None:
    declare(office.folder / "recipients", "city", rows_per_day=7, per_second=100)
    city = Reader(office, "city")
    assert [city.fetch() for _ in range(3)] == [200, 200, 200], "a file again the same day is not counted again"
    assert city.app.head(city.files("registration")[0]).status_code == 200
    assert city.subject(1).status_code == 429, "three and one for the look-up; its answer would have been five more"
    assert city.fetch("registration") == 200
    again = city.app.get(city.files("credit_record")[0])
    assert again.status_code == 429 and "每日行数" in again.json()["detail"]
    assert again.headers["Retry-After"] == str(14 * 3600), "until midnight in China"
    city.on(1.1)
    assert city.fetch("credit_record") == 429, "another process knows what the first handed over"
    assert Reader(office, "county").fetch("credit_record") == 200
    assert city.on(2).fetch("registration") == 200


def test_the_command_lists_notices_and_tells_who_is_late(office: Office) -> None:
    city = Reader(office, "city", 2)
    assert city.fetch() == 200

    def listed(*more: str) -> Any:
        return told(arguments(office.settings.home, office.settings.contracts, "recipients", "notices", *more))

    assert listed().returncode == 0
    repair(office, 1)
    late = listed("--json")  # today, long after the day of the notice
    [notice] = json.loads(late.stdout)
    assert (late.returncode, notice["holder"], notice["state"]) == (3, "city", "suspended")
    assert city.receipt(1).status_code == 200
    done = listed("city")
    assert done.returncode == 0 and "第 1 号 city penalty" in done.stdout and "已回执 2026-03-04" in done.stdout


@pytest.fixture
def served(office: Office) -> Iterator[Served]:
    served = Served(office, CHENGXIN_NOW="2026-03-04T10:00:00+08:00")
    yield served
    served.stop()


@pytest.mark.server
def test_the_served_app_gives_notices_and_takes_receipts(office: Office, served: Served) -> None:
    token = issue_token(home_of(office, 0), office.contracts, "city", "示例甲", 3650)[1]
    mine = {"Authorization": f"Bearer {token}"}
    snapshot = served.get("/v1/government/current", **mine).json()
    [entry] = snapshot["tables"]["penalty"]["files"]
    address = f"/v1/government/snapshots/{snapshot['snapshot_id']}/files/penalty/{entry['name']}"
    assert served.get(address, **mine).status_code == 200
    assert [(one["by"], one["sha256"]) for one in written(office)] == [("city", entry["sha256"])]
    repair(office, 1)
    [notice] = served.get("/v1/withdrawals", **mine).json()["notices"]
    assert served.get("/v1/withdrawals").status_code == 401
    body = {"deleted_at": "2026-03-04T09:00:00+08:00", "onward": []}
    address = f"{served.base}/v1/withdrawals/{notice['number']}/receipt"
    assert requests.post(address, json=body, headers=mine, timeout=60).json()["state"] == "received"
    assert served.get("/notices.json").status_code == served.get("/v1/notices.json").status_code == 404
    assert acts.sweep(home_of(office)).left, "the snapshot still holds it"
    acts.reissue(home_of(office))
    assert acts.sweep(home_of(office)).left == {}
