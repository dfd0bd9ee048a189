"""A record that a legal act took out is in no answer of the serving app from the moment of the act."""

import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from chengxin.clock import Clock
from chengxin.errors import HomeDamaged, Withheld
from chengxin.home import Home
from chengxin.pipeline import acts
from chengxin.pipeline.acts import Target
from chengxin.publishing.reader import Snapshot, open_snapshot
from chengxin.store import overlay
from deliveries import PENALTY, REGISTRATION, START, Office, company, penalty, uscc
from publishing.test_merges import merge
from sharing.test_readers_app import BEARER, Served

pytestmark = pytest.mark.server
DAY = date(2026, 3, 3)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    office = Office(tmp_path_factory.mktemp("acts"))
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_pen", "penalty", (*PENALTY, "penalty_class_name"))
    office.deliver("test_reg", *[company(n) for n in range(1, 5)], day=0)
    fined = [penalty(n, uscc=uscc(n), penalty_class_name="罚款") for n in range(1, 5)]
    office.deliver("test_pen", *fined, day=0)
    office.publish(day=0)
    return office


@pytest.fixture(scope="module")
def served(office: Office) -> Iterator[Served]:
    served = Served(office, CHENGXIN_NOW="2026-03-06T10:00:00+08:00")
    yield served
    served.stop()


def home(office: Office) -> Home:
    return Home(office.settings, Clock(START.replace(day=4)))


def enter(office: Office, act: str, n: int) -> acts.Case:
    target = Target(identifier=uscc(n), number=f"湘示罚[2026]{n}号", authority="示例市监局")
    return acts.enter(home(office), act, target, by="甲", document=f"修〔2026〕{n}号", day=DAY)


def decisions(opened: Snapshot) -> set[str]:
    return set(opened.table("penalty", ["decision_no"]).column(0).to_pylist())


def shown(served: Served, tier: str, n: int) -> list[str]:
    subject = served.find(tier, uscc(n), **BEARER).json()["rows"][0]["subject_id"]
    tables = served.get(f"/v1/{tier}/subjects/{subject}", **BEARER).json()["tables"]
    rows = tables.get("penalty", {"rows": []})["rows"]
    assert len(rows) == len([r for r in tables["credit_record"]["rows"] if r["kind"] == "penalty"])
    return [r["decision_no"] for r in rows]


def file_address(served: Served, tier: str, table: str = "penalty") -> str:
    snapshot = f"/v1/{tier}/snapshots/{served.current(tier)}"
    entry = served.get(snapshot, **BEARER).json()["tables"][table]["files"][0]
    return f"{snapshot}/files/{table}/{entry['name']}"


def test_a_repaired_record_is_gone_from_every_answer_at_once(served, office):
    addresses = [file_address(served, tier) for tier in ("open", "government")]
    etags = [served.get(a, **BEARER).headers["ETag"] for a in addresses]
    other = file_address(served, "government", "registration")
    opened = {tier: open_snapshot(office.settings.home, tier) for tier in ("open", "government")}
    assert all(len(decisions(s)) == 4 for s in opened.values())
    assert shown(served, "government", 1) == ["湘示罚〔2026〕1号"]
    assert enter(office, "repair", 1).state == "in_force"
    for address, etag in zip(addresses, etags, strict=True):
        assert served.get(address, **BEARER).status_code == 410, "an address from before the act"
        assert served.get(address, **BEARER, **{"If-None-Match": etag}).status_code == 410
        assert served.get(address, **BEARER, Range="bytes=0-9").status_code == 410
    assert served.get(other, **BEARER).status_code == 200
    for tier in ("open", "government"):
        assert shown(served, tier, 1) == []
        assert shown(served, tier, 2) == ["湘示罚〔2026〕2号"]
        for seen in (opened[tier], open_snapshot(office.settings.home, tier)):
            assert len(decisions(seen)) == 3 and "湘示罚〔2026〕1号" not in decisions(seen)
            assert seen.table("credit_record").num_rows == 7
            with seen.connect() as connection:
                sql = """SELECT count(*), count(*) FILTER (kind = 'penalty')
                    FROM credit_record JOIN subject USING (subject_id)"""
                assert connection.execute(sql).fetchone() == (7, 3)
            with pytest.raises(Withheld):
                seen.files("penalty")
            assert seen.files("registration")


def test_the_overlay_itself_is_served_to_nobody(served, office):
    assert office.layout.overlay.exists()
    for path in (
        "/overlay.json",
        "/v1/overlay.json",
        "/published/overlay.json",
        "/v1/government/snapshots/overlay.json",
    ):
        assert served.get(path, **BEARER).status_code in {404, 422}
    names = served.get("/v1/tiers").text + served.get("/openapi.json").text + served.get("/").text
    assert open_snapshot(office.settings.home).id in names and "overlay" not in names


def test_an_objection_hides_in_the_open_tier_until_answered(served, office):
    case = enter(office, "objection", 2)
    assert shown(served, "open", 2) == [] and shown(served, "government", 2) == ["湘示罚〔2026〕2号"]
    said = {"by": "乙", "document": "答〔2026〕2号", "day": date(2026, 3, 4)}
    acts.answer(home(office), case.act.id, "rejected", **said)
    assert shown(served, "open", 2) == ["湘示罚〔2026〕2号"]


def test_what_waits_for_a_person_is_hidden_already(served, office):
    case = enter(office, "withdrawal", 3)
    assert case.state == "proposed"
    assert shown(served, "government", 3) == shown(served, "open", 3) == []
    acts.lift(home(office), case.act.id, by="乙", document="复〔2026〕3号")
    assert shown(served, "government", 3) == ["湘示罚〔2026〕3号"]


def test_a_lost_or_older_overlay_hides_nothing_unnoticed(office, tmp_path):
    office.layout.overlay.rename(tmp_path / "kept")
    office.layout.overlay.write_text("{")
    with pytest.raises(HomeDamaged, match=r"overlay\.json"):
        open_snapshot(office.settings.home)
    Path(tmp_path / "kept").replace(office.layout.overlay)
    assert len(decisions(open_snapshot(office.settings.home))) == 3


def test_asking_the_overlay_takes_less_than_a_millisecond(office):
    opened = open_snapshot(office.settings.home)
    entry = opened.manifest.tables["penalty"].files[0]
    assert opened.withholds(entry) and pq.read_metadata(opened.path(entry)).num_rows == 4
    begun = time.process_time()
    for _ in range(1000):
        opened.withholds(entry)
    assert (time.process_time() - begun) / 1000 < 0.001
    assert overlay.load(office.layout).epoch == 5


def test_the_old_addresses_lead_to_what_was_issued_again(served, office):
    old = served.current("government")
    kept, gone = (file_address(served, "government", table) for table in ("registration", "penalty"))
    acts.reissue(home(office))
    assert served.current("government") == f"{old}-r1"
    for path in ("", "/dictionary", "/catalogue"):
        answer = served.get(f"/v1/government/snapshots/{old}{path}", **BEARER)
        assert answer.ok and answer.url.endswith(f"{old}-r1{path}"), "requests keeps the token on this host"
        assert [step.status_code for step in answer.history] == [301]
    manifest = served.get(f"/v1/government/snapshots/{old}-r1", **BEARER).json()
    assert [entry["snapshot"] for entry in manifest["basis"]["supersedes"]] == [old]
    assert served.get(kept, **BEARER).status_code == 200
    assert served.get(gone, **BEARER).status_code == 410
    assert served.get(kept).status_code == 401
    assert served.get(f"/v1/government/snapshots/{old}-r2", **BEARER).status_code == 404
    assert served.get(file_address(served, "government"), **BEARER).status_code == 200
    assert served.get(file_address(served, "open")).status_code == 200
    assert served.get("/health").json()["status"] == "ok"
    assert len(decisions(open_snapshot(office.settings.home))) == 3


def test_a_merged_subject_leads_to_the_one_that_stays(office: Office, served: Served) -> None:
    merge(office, 4, 2)
    office.publish(day=6)
    for tier in ("government", "open"):
        answer = served.get(f"/v1/{tier}/subjects/4", **BEARER)
        assert [(r.status_code, r.headers["Cache-Control"]) for r in answer.history] == [(301, "no-store")]
        assert answer.url.endswith(f"/v1/{tier}/subjects/2")
        names = {row["name"] for row in answer.json()["tables"]["subject_name"]["rows"]}
        assert len(names) == 2
        assert served.get(f"/v1/{tier}/subjects/99", **BEARER).status_code == 404
