"""GET /match: which firm a name is, for recipients whose grant permits the purpose, each question written down."""

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from fastapi.testclient import TestClient

from chengxin.cleaning.kernels.names import name_key
from chengxin.clock import Clock
from chengxin.home import Home
from chengxin.identity import ledger
from chengxin.identity.by_name.training.invention import invented
from chengxin.pipeline import issue_token
from chengxin.sharing.http.app import create_app
from deliveries import PENALTY, PERSON, REGISTRATION, START, Office, built_once, company, penalty, person_doc, uscc

REGISTERED, SENT = "长沙凯岳建材有限公司", "长沙凯越建材有限公司"
PURPOSE, WHOLE = "城市信用监测", "0123456789abcdef-whole"


@pytest.fixture
@built_once
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_person", "person_base", PERSON)
    office.contract("test_pen", "penalty", PENALTY)
    names = (REGISTERED, *invented(60, 42))
    rows = [company(n, subject_name=name) for n, name in enumerate(names, 1)]
    household = company(90, subject_name="长沙凯跃小吃店", uscc=uscc(90, kind="92"))
    office.deliver("test_reg", *rows, household, day=0)
    person = {"person_name": "凯岳建材示例", "person_doc_no": person_doc(1), "region_code": "430102"}
    office.deliver("test_person", person, day=0)
    office.deliver("test_pen", penalty(1, subject_name="长沙无关机械厂"), day=1)  # so that names are indexed
    office.settings.recipients.mkdir()
    grant = {"kinds": ["registration", "penalty"], "regions": ["4301"]}
    for name, purposes, regions in (
        ("city", [PURPOSE], ["4301"]),
        ("other", [], ["4301"]),
        ("far", [PURPOSE], ["4302"]),
    ):
        body = {
            "format": 1, "id": name, "title": "示例", "level": "government", "basis": "示例函1号", "purpose": "示例",
            "valid": {"from": "2026-01-01", "to": "2099-12-31"}, "grants": [{**grant, "regions": regions}],
            "match_for": purposes, "per_second": 100,
        }  # fmt: skip
        text = yaml.safe_dump(body, allow_unicode=True)
        (office.settings.recipients / f"{name}.yaml").write_text(text, "utf-8")
    office.publish(day=2)
    return office


def token(office: Office, name: str) -> str:
    home = Home(office.settings, Clock(START + timedelta(days=2)))
    return issue_token(home, office.contracts, name, "示例甲", 36500)[1]


def client(office: Office, log: Path | None) -> TestClient:
    return TestClient(create_app(office.settings.home, (hashlib.sha256(WHOLE.encode()).digest(),), log))


def ask(app: TestClient, given: str, **query: Any) -> Any:
    asked = {"name": SENT, "region": "430102", "purpose": PURPOSE} | query
    return app.get("/match", params=asked, headers={"Authorization": f"Bearer {given}"})


def test_a_name_finds_its_firm_with_reasons_and_is_noted(office: Office, tmp_path: Path) -> None:
    log = tmp_path / "match.jsonl"
    app, mine = client(office, log), token(office, "city")
    answer = ask(app, mine)
    assert answer.status_code == 200
    (found,) = answer.json()["candidates"]
    assert (found["subject_id"], found["name"]) == (1, REGISTERED)
    assert found["posterior"] > 0.95
    assert "“越”与“岳”同音" in [one["words"] for one in found["evidence"]]
    odds = found["posterior"] / (1 - found["posterior"])
    total = found["prior"] + sum(one["weight"] for one in found["evidence"])
    assert total > 3
    assert odds > 20
    (entry,) = map(json.loads, log.read_text().splitlines())
    assert (entry["by"], entry["purpose"], len(entry["asked"])) == ("city", PURPOSE, 64)
    assert SENT not in log.read_text()


def test_only_what_the_reader_may_see_is_a_candidate(office: Office, tmp_path: Path) -> None:
    app = client(office, tmp_path / "match.jsonl")
    assert ask(app, token(office, "far")).json()["candidates"] == []  # his cut has no firm of Changsha
    mine = token(office, "city")
    for name in ("凯岳建材示例", "长沙凯跃小吃铺", "张示例"):
        found = ask(app, mine, name=name, least=0.01).json()["candidates"]
        assert {one["subject_id"] for one in found} <= {1, *range(2, 62)}, name
        assert not any("示例" in one["name"] or "小吃店" in one["name"] for one in found)


def test_no_grant_no_purpose_or_no_log_gives_no_answer(office: Office, tmp_path: Path) -> None:
    app, mine = client(office, tmp_path / "match.jsonl"), token(office, "city")
    assert ask(app, "x").status_code == 401
    assert ask(app, WHOLE).status_code == 403  # the centre's own token names no purpose
    assert ask(app, token(office, "other")).status_code == 403
    assert ask(app, mine, purpose="贷款").status_code == 403
    assert ask(app, mine, region="x").status_code == 422
    assert not (tmp_path / "match.jsonl").exists()
    assert ask(client(office, None), mine).status_code == 503
    assert ask(client(office, tmp_path), mine).status_code == 503  # a folder cannot be written to


def test_a_firm_that_is_registered_later_is_found(office: Office, tmp_path: Path) -> None:
    app, mine = client(office, tmp_path / "match.jsonl"), token(office, "city")
    late = {"name": "长沙鸿福水泥制品有限责任公司"}
    assert ask(app, mine, **late).json()["candidates"] == []
    office.deliver("test_reg", company(95, subject_name="长沙鸿福水泥制品有限公司"), day=3)
    office.deliver("test_pen", penalty(2, subject_name="长沙无关机械厂"), day=4)
    office.publish(day=5)
    assert [one["name"] for one in ask(app, mine, **late).json()["candidates"]] == ["长沙鸿福水泥制品有限公司"]


def said(office: Office, subject: int, outcome: str, *, region: str | None = "4301") -> ledger.Judgement:
    key = name_key(pa.array([SENT]))[0].as_py()
    answer = ledger.Said(
        subject_id=subject, part=ledger.NAME, value=key, outcome=outcome, reason="示例", region=region, legal_rep=""
    )  # fmt: skip
    return ledger.judge(office.layout, answer, at=START, author="示例甲")


def test_judgements_of_people_count_as_in_linking(office: Office, tmp_path: Path) -> None:
    app, mine = client(office, tmp_path / "match.jsonl"), token(office, "city")
    no = said(office, 1, "different")
    assert 1 not in {one["subject_id"] for one in ask(app, mine, least=0.01).json()["candidates"]}
    assert ask(app, mine, region="").json()["candidates"][0]["subject_id"] == 1, "it was about another region"
    ledger.undo(office.layout, no.id, at=START, author="示例甲", reason="示例")
    assert ask(app, mine).json()["candidates"][0]["subject_id"] == 1
    said(office, 7, "same")
    (found,) = ask(app, mine).json()["candidates"]
    assert (found["subject_id"], found["posterior"], found["name"]) == (7, 1.0, invented(60, 42)[5])
    assert "第 2 号判断" in found["evidence"][0]["words"]
