"""The serving app as a real server: what each tier gives to whom, files by range, damage, and that it only reads."""

import hashlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import requests

from chengxin.errors import ChengxinError
from chengxin.sharing.http.access import tokens
from compose_stack import load_compose
from deliveries import PENALTY, PERSON, REGISTRATION, Office, company, penalty, person_doc, uscc
from file_servers import free_port

pytestmark = pytest.mark.server
BIN = Path(sys.executable).parent
TOKEN = "0123456789abcdef-test"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
WRONG = ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Basic {TOKEN}"}, {"Authorization": "Bearer "})


class Served:
    """The serving app of docker-compose.yml over an office's home: its command, environment and health check."""

    def __init__(self, office: Office, **more: str) -> None:
        self.office = office
        (office.folder / "serve_tokens").write_text(f"another-token-of-somebody\n{TOKEN}\n")
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.service = load_compose()["services"]["serve"]
        given = {k: v.replace("/run/secrets", str(office.folder)) for k, v in self.service["environment"].items()}
        given["CHENGXIN_ACCESS_LOG"] = str(office.layout.accesses)
        given |= {"CHENGXIN_HOME": str(office.settings.home), "PATH": f"{BIN}:{os.environ['PATH']}"} | more
        words = [self.here(word) for word in shlex.split(self.service["command"])]
        self.process = subprocess.Popen(words, env=os.environ | given, stderr=subprocess.PIPE)
        ends = time.monotonic() + 90
        while True:
            try:
                assert self.get("/health").ok
                return
            except requests.ConnectionError:
                assert self.process.poll() is None, self.process.stderr.read().decode()
                assert time.monotonic() < ends
                time.sleep(0.2)

    def here(self, word: str) -> str:
        return word.replace("8090", str(self.port))

    def get(self, path: str, **headers: str) -> requests.Response:
        return requests.get(self.base + path, headers=headers, timeout=60)

    def find(self, tier: str, wanted: str, **headers: str) -> requests.Response:
        body = {"identifier_or_name": wanted}
        return requests.post(f"{self.base}/v1/{tier}/find", json=body, headers=headers, timeout=60)

    def current(self, tier: str) -> str:
        return self.get(f"/v1/{tier}/snapshots", **BEARER).json()["current"]

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=30)[1].decode()


def state(home: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_ino) for p in sorted(home.rglob("*"))}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    office = Office(tmp_path_factory.mktemp("readers"))
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_person", "person_base", PERSON)
    office.contract("test_pen", "penalty", PENALTY)
    someone = {"person_name": "张示例", "person_doc_no": person_doc(1), "region_code": "430102"}
    office.deliver("test_reg", *[company(n) for n in range(3)], day=0)
    office.deliver("test_person", someone, day=0)
    fined = penalty(9, person_doc_no=person_doc(1), subject_name="张示例")
    office.deliver("test_pen", penalty(1, uscc=uscc(1)), fined, day=0)
    office.publish(day=0)
    office.deliver("test_pen", penalty(2, uscc=uscc(2)), day=1)
    office.publish(day=1)
    return office


@pytest.fixture(scope="module")
def served(office: Office) -> Iterator[Served]:
    served = Served(office)
    yield served
    assert person_doc(1) not in served.stop()


def test_the_health_check_of_the_container_passes(served):
    words = [served.here(word) for word in served.service["healthcheck"]["test"][1:]]
    assert subprocess.run([BIN / words[0], *words[1:]], timeout=30).returncode == 0


def test_the_open_tier_is_for_all_and_the_other_needs_a_token(served):
    for path in ("snapshots", "current", "subjects/1", f"snapshots/{served.current('government')}/dictionary"):
        assert served.get(f"/v1/open/{path}").status_code in {200, 404}, path
        address = f"/v1/government/{path}"
        assert served.get(address, **BEARER).status_code == 200, path
        for wrong in WRONG:
            answer = served.get(address, **wrong)
            assert answer.status_code == 401, (path, wrong)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert served.find("government", uscc(1)).status_code == 401


def test_tokens_that_could_be_guessed_are_not_taken():
    with pytest.raises(ChengxinError, match="16"):
        tokens("short")
    assert tokens(None) == ()


def test_one_subject_is_found_and_all_its_records_are_given(served):
    found = served.find("government", uscc(1), **BEARER).json()
    assert [r["uscc"] for r in found["rows"]] == [uscc(1)]
    tables = served.get(f"/v1/government/subjects/{found['rows'][0]['subject_id']}", **BEARER).json()["tables"]
    assert tables["penalty"]["rows"][0]["decision_on"] == "2026-01-15"
    assert tables["credit_record"]["total"] == 2


def test_the_open_tier_gives_no_identifier_of_a_person(served):
    assert len(served.find("government", person_doc(1), **BEARER).json()["rows"]) == 1
    assert served.find("open", person_doc(1)).json()["rows"] == []


def test_the_authorised_tier_is_given_to_nobody(served, office):
    name = served.current("government")
    entry = next(f for f in (office.layout.tier("government") / "snapshots" / name).rglob("*.parquet"))
    for path in ("snapshots", "current", "subjects/1", f"snapshots/{name}", f"snapshots/{name}/files/x/{entry.name}"):
        for headers in ({}, BEARER):
            answer = served.get(f"/v1/authorised/{path}", **headers)
            assert answer.status_code == 403 and "经信息主体授权" in answer.json()["detail"], path
    assert served.find("authorised", uscc(1), **BEARER).status_code == 403
    assert "authorised" not in {tier["tier"] for tier in served.get("/v1/tiers").json()}


def test_a_file_is_given_whole_by_range_and_not_again_when_known(served, tmp_path):
    base = f"/v1/open/snapshots/{served.current('open')}"
    entry = served.get(base).json()["tables"]["registration"]["files"][0]
    address = f"{base}/files/registration/{entry['name']}"
    whole = served.get(address)
    assert hashlib.sha256(whole.content).hexdigest() == entry["sha256"]
    (tmp_path / "a.parquet").write_bytes(whole.content)
    assert pq.read_table(tmp_path / "a.parquet").num_rows == entry["rows"]
    part = served.get(address, Range="bytes=4-11")
    assert (part.status_code, part.content) == (206, whole.content[4:12])
    assert served.get(address, Range="bytes=999999999-").status_code == 416
    again = served.get(address, **{"If-None-Match": whole.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "immutable" not in whole.headers["Cache-Control"], "what is open today may be over tomorrow"
    private = served.get(f"/v1/government/snapshots/{served.current('government')}", **BEARER)
    assert "private" in private.headers["Cache-Control"]


def test_the_current_address_leads_to_snapshot_and_catalogue(served):
    address = served.get("/v1/open/current").url.removeprefix(served.base)
    assert address == f"/v1/open/snapshots/{served.current('open')}"
    assert {d["id"] for d in served.get(f"{address}/catalogue").json()["datasets"]} == {"test_reg", "test_pen"}
    columns = {c["name"]: c for c in served.get(f"{address}/dictionary").json()["penalty"]["columns"]}
    assert columns["decision_on"]["type"] == "date32[day]"
    assert columns["decision_no"]["title"]


def test_older_snapshots_are_for_the_government_tier_alone(served):
    listed = served.get("/v1/government/snapshots", **BEARER).json()["snapshots"]
    assert len(listed) == 2
    assert served.get(f"/v1/government/snapshots/{listed[1]}", **BEARER).json()["snapshot_id"] == listed[1]
    assert len(served.get("/v1/open/snapshots").json()["snapshots"]) == 1
    older = min(p.name for p in (served.office.layout.tier("open") / "snapshots").iterdir())
    assert served.get(f"/v1/open/snapshots/{older}").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "files/registration/..%2f..%2fmanifest.json",
        "files/..%2f..%2f..%2f/current.json",
        "files/registration/none.parquet",
        "files/%2fetc/passwd",
    ],
)
def test_no_address_leads_out_of_the_manifest(served, path):
    assert served.get(f"/v1/open/snapshots/{served.current('open')}/{path}").status_code == 404
    assert served.get(f"/v1/open/snapshots/..%2f..%2f{path}").status_code == 404
    assert served.get("/v1/..%2fadmissions/snapshots").status_code in {404, 422}


def test_too_large_and_wrong_questions_are_refused_unrepeated(served):
    address = f"{served.base}/v1/open/find"
    assert requests.post(address, data=b"x" * 5000, timeout=60).status_code == 413
    wrong = requests.post(address, json={"identifier_or_name": person_doc(1), "more": 1}, timeout=60)
    assert wrong.status_code == 422
    assert person_doc(1) not in wrong.text


def test_the_page_loads_nothing_from_outside(served):
    page = served.get("/")
    assert "政务共享" in page.text
    assert "Published data" in page.text
    assert "<script" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    paths = served.get("/openapi.json").json()["paths"]
    assert {method for routes in paths.values() for method in routes} == {"get", "head", "post"}
    assert served.get("/docs").status_code == 404


def test_who_asks_without_pause_has_to_wait_and_others_do_not(served):
    codes = [served.get("/v1/open/subjects/999999", **BEARER).status_code for _ in range(200)]
    assert codes[0] == 404
    assert 429 in codes
    assert served.get("/v1/open/subjects/999999").status_code == 404


def test_a_damaged_newest_snapshot_gives_way_in_answers_only(served, office):
    newest = office.layout.snapshot("government", served.current("government"))
    file = next((newest / "penalty").glob("*.parquet"))
    kept = file.read_bytes()
    file.unlink()
    file.write_bytes(kept[:-20])
    office.layout.pointer("government").touch()
    before = state(office.settings.home)
    answer = served.get("/v1/government/snapshots", **BEARER).json()
    assert answer["current"] != newest.name
    assert answer["warnings"]
    assert served.get("/health").json()["status"] == "degraded"
    assert "已损坏" in served.get("/").text
    assert state(office.settings.home) == before, "it only reads"
