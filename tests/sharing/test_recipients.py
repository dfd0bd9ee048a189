"""Recipients: what their grants give them, as files and over HTTP; what lint refuses; revoked at the next request."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import requests
import yaml
from pipeline_runs import told
from pipeline_runs import words as arguments

from chengxin.clock import Clock
from chengxin.contracts import recipients
from chengxin.home import Home
from chengxin.pipeline import apply_recipients
from chengxin.publishing.reader import Snapshot, open_snapshot
from chengxin.publishing.verify import verify
from deliveries import PENALTY, PERSON, REGISTRATION, START, Office, company, penalty, person_doc, uscc
from file_servers import free_port
from publishing.test_merges import merge

ZHUZHOU = "430202"


def declaration(name: str, **more: object) -> dict[str, object]:
    """Return the declaration of a recipient that is granted the penalties of Changsha, without a column."""
    grant = {"kinds": ["penalty", "registration"], "columns": {"drop": ["legal_rep_name"]}, "regions": ["4301"]}
    valid = {"from": "2020-01-01", "to": "2099-12-31"}
    words = {"title": f"测试 {name}", "level": "government", "basis": "测试文号", "purpose": "测试"}
    return {"format": 1, "id": name, **words, "valid": valid, "grants": [grant], **more}


def declare(folder: Path, name: str, **more: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(declaration(name, **more), allow_unicode=True)
    (folder / f"{name}.yaml").write_text(text, "utf-8")


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    """Two firms of Changsha, one of Zhuzhou, a person; all but one firm have a penalty."""
    monkeypatch.setenv("CHENGXIN_RECIPIENTS", str(tmp_path / "recipients"))
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("people", "person_base", PERSON)
    office.contract("pen", "penalty", PENALTY)
    far = company(3, uscc=uscc(3, region=ZHUZHOU), region_code=ZHUZHOU)
    office.deliver("reg", company(1), company(2), far, day=0)
    office.deliver("people", {"person_name": "张示例", "person_doc_no": person_doc(1), "region_code": "430102"}, day=0)
    fines = [penalty(n, uscc=uscc(n), legal_rep_name="张示例") for n in (1, 2)]
    office.deliver("pen", *fines, penalty(3, uscc=uscc(3, region=ZHUZHOU)), day=1)
    return office


def home_of(office: Office, day: float = 1) -> Home:
    return Home(office.settings, Clock(START + timedelta(days=day)))


def apply(office: Office, day: float = 1) -> list[str]:
    return apply_recipients(home_of(office, day), office.contracts)


def inodes(snapshot: Snapshot) -> list[int]:
    return [path.stat().st_ino for path in snapshot.files("penalty")]


def cuts(office: Office) -> list[str]:
    return sorted(p.name for p in (office.settings.home / "published").glob("cut-*"))


@pytest.mark.slow
def test_a_grant_gives_its_kinds_columns_and_regions(office: Office) -> None:
    declare(office.folder / "recipients", "changsha")
    office.publish(1)
    [tier] = cuts(office)
    snapshot = open_snapshot(office.settings.home, tier)
    assert set(snapshot.tables) == {"credit_record", "penalty", "registration", "subject", "subject_identifier",
                                    "subject_name"}  # fmt: skip
    assert snapshot.tables["penalty"] == 2 == snapshot.tables["registration"]
    assert snapshot.tables["credit_record"] == 4 and snapshot.tables["subject"] == 2
    names = set(pq.read_schema(snapshot.files("penalty")[0]).names)
    assert "legal_rep_name" not in names and {"decision_no", "record_id"} <= names
    assert verify(office.layout, tier) == []
    bodies = b"".join(p.read_bytes() for p in snapshot.folder.rglob("*.parquet"))
    assert uscc(3, region=ZHUZHOU).encode() not in bodies


@pytest.mark.slow
def test_equal_grants_share_a_cut_and_whole_files_are_hard_links(office: Office) -> None:
    whole = [{"kinds": ["penalty"]}]
    for name in ("one", "two"):
        declare(office.folder / "recipients", name, grants=whole)
    office.publish(1)
    [tier] = cuts(office)
    snapshot = open_snapshot(office.settings.home, tier)
    government = open_snapshot(office.settings.home, "government")
    assert inodes(snapshot) == inodes(government)
    assert apply(office) == []


@pytest.mark.slow
def test_a_recipient_learns_which_ids_are_superseded(office: Office) -> None:
    declare(office.folder / "recipients", "changsha")
    merge(office, 2, 1)
    office.publish(1)
    [tier] = cuts(office)
    assert office.table("subject_supersession", "subject_id, superseded_by", tier) == [(2, 1)]
    assert {s for (s,) in office.table("penalty", "subject_id", tier)} == {1}


@pytest.mark.slow
def test_a_change_rewrites_what_it_touches_and_an_end_takes_all(office: Office) -> None:
    declare(office.folder / "recipients", "changsha", valid={"from": "2020-01-01", "to": "2026-03-06"})
    office.publish(1)
    [tier] = cuts(office)
    before = open_snapshot(office.settings.home, tier)
    office.deliver("pen", penalty(9, uscc=uscc(2)), day=2)
    office.publish(2)
    assert apply(office, 2) == []
    after = open_snapshot(office.settings.home, tier)
    assert (before.tables["penalty"], after.tables["penalty"]) == (2, 3)
    kept = {f.name for f in before.manifest.tables["registration"].files}
    assert {f.name for f in after.manifest.tables["registration"].files} == kept
    snapshots = office.layout.tier(tier) / "snapshots"
    assert [p.name for p in snapshots.iterdir()] == [after.id]
    shutil.copytree(after.folder, snapshots / before.id)  # as a killed run leaves it
    assert apply(office, 2) == [] and [p.name for p in snapshots.iterdir()] == [after.id]
    assert apply(office, 10) == [tier] and cuts(office) == []
    assert [one["tier"] for one in json.loads(office.layout.served_recipients.read_text())["recipients"]] == [""]


@pytest.mark.parametrize(("more", "said"), [
    ({"grants": [{"kinds": ["penalties"]}]}, "不是记录种类"),
    ({"grants": [{"kinds": ["security_penalty"]}]}, "不予共享"),
    ({"grants": [{"kinds": ["overdue_loan"]}]}, "不能整批授权"),
    ({"grants": [{"kinds": ["penalty"]}, {"kinds": ["penalty"]}]}, "只写一处"),
    ({"grants": [{"kinds": ["penalty"], "columns": {"drop": ["fines"]}}]}, "没有 fines"),
    ({"grants": [{"kinds": ["penalty"], "columns": {"drop": ["record_id"]}}]}, "不能去掉"),
    ({"grants": [{"kinds": ["penalty"], "regions": ["99"]}]}, "行政区划"),
    ({"level": "authorised"}, "逐笔查询"),
    ({"basis": ""}, "basis：不能为空"),
    ({"purpose": None}, "purpose"),
    ({"valid": {"from": "2026-02-01", "to": "2026-01-01"}}, "to 早于 from"),
    ({"id": "other"}, "应与文件名相同"),
])  # fmt: skip
def test_a_declaration_that_cannot_be_used_gives_nothing(tmp_path: Path, more: dict[str, object], said: str) -> None:
    declare(tmp_path, "city", **more)
    loaded = recipients.load(tmp_path, {})
    assert loaded.recipients == {}
    assert any(said in problem.message for problem in loaded.problems), loaded.problems


def test_a_data_set_that_is_not_shared_cannot_be_granted(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.contract("pen", "penalty", PENALTY, basis={"legal": "测试", "share": "不予"})
    declare(tmp_path / "recipients", "city")
    [problem] = recipients.load(tmp_path / "recipients", office.contracts).problems
    assert "pen" in problem.message and "不能授权" in problem.message


class Served:
    """`chengxin serve` over an office's home."""

    def __init__(self, office: Office) -> None:
        self.port = free_port()
        words = arguments(office.settings.home, office.settings.contracts, "serve", "--port", str(self.port))
        self.process = subprocess.Popen([sys.executable, "-m", "chengxin.cli", *words], stderr=subprocess.PIPE)
        ends = time.monotonic() + 90
        while True:
            try:
                assert self.get("/health").ok
                return
            except requests.ConnectionError:
                assert self.process.poll() is None and time.monotonic() < ends
                time.sleep(0.2)

    def get(self, path: str, token: str = "") -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return requests.get(f"http://127.0.0.1:{self.port}{path}", headers=headers, timeout=60)


@pytest.fixture
def served(office: Office) -> Iterator[Served]:
    declare(office.folder / "recipients", "changsha")
    office.publish(1)
    served = Served(office)
    yield served
    served.process.send_signal(signal.SIGTERM)
    served.process.communicate(timeout=30)


@pytest.mark.server
def test_a_token_reads_its_grant_until_it_is_revoked(office: Office, served: Served) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return told(arguments(office.settings.home, office.settings.contracts, "recipients", *words))

    assert run("token", "nobody").returncode != 0
    tokens = [run("token", "changsha").stdout.strip() for _ in range(2)]
    assert all(len(token) > 40 for token in tokens)
    told_now = "".join(p.read_text() for p in office.layout.recipients.iterdir())
    assert not any(token in told_now for token in tokens), "kept by its digest only"
    snapshots = "/v1/government/snapshots"
    assert served.get(snapshots).status_code == served.get(snapshots, "x" * 43).status_code == 401
    current = served.get(snapshots, tokens[0]).json()["current"]
    manifest = served.get("/v1/government/current", tokens[0]).json()
    assert manifest["snapshot_id"] == current and manifest["tables"]["penalty"]["rows"] == 2
    [file] = manifest["tables"]["penalty"]["files"][:1]
    body = served.get(f"{snapshots}/{current}/files/penalty/{file['name']}", tokens[0])
    assert body.status_code == 200 and len(body.content) == file["size"]
    whole = open_snapshot(office.settings.home, "government")
    foreign = f"{snapshots}/{whole.id}/files/penalty/{whole.files('penalty')[0].name}"
    assert served.get(foreign, tokens[0]).status_code == 404
    listed = json.loads(run("list", "--json").stdout)
    assert [(one["id"], one["holds"], len(one["tokens"])) for one in listed] == [("changsha", True, 2)]
    first = str(listed[0]["tokens"][0]["number"])
    assert run("revoke", "changsha", "--token", first).returncode == 0
    assert (served.get(snapshots, tokens[0]).status_code, served.get(snapshots, tokens[1]).status_code) == (401, 200)
    declare(office.folder / "recipients", "changsha", valid={"from": "2020-01-01", "to": "2020-12-31"})
    assert run("apply").returncode == 0
    assert served.get(snapshots, tokens[1]).status_code == 403
