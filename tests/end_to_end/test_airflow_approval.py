"""A person is asked before a doubtful publication, on a real scheduler: question, answer, manifest, pools, retries."""

import json
import time
from pathlib import Path

import httpx
import pytest
from test_airflow_dags import CONTRACT, GOOD, HELD

from chengxin.alerting.book import Book
from chengxin.cli.embedded_airflow import EmbeddedAirflow
from chengxin.settings import PROJECT, Settings
from chengxin.store.layout import Layout

pytestmark = [pytest.mark.airflow, pytest.mark.server]
INGEST = "ingest__commerce_demo"


class Running:
    """An Airflow that is up, its REST interface, and how a test waits for it."""

    def __init__(self, airflow: EmbeddedAirflow, home: Path) -> None:
        self.home = home
        self.client = httpx.Client(base_url=airflow.url, timeout=60, trust_env=False)
        login = {"username": airflow.user, "password": airflow.password}
        token = self.client.post("/auth/token", json=login).raise_for_status().json()["access_token"]
        self.client.headers["Authorization"] = f"Bearer {token}"

    def get(self, path):
        return self.client.get(f"/api/v2/{path}").raise_for_status().json()

    def until(self, what, seconds=240):
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if found := what():
                return found
            time.sleep(1)
        raise AssertionError("it did not happen in time")

    def run(self, dag_id, run_id, **conf):
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
        self.client.post(f"/api/v2/dags/{dag_id}/dagRuns", json=body).raise_for_status()
        self.client.patch(f"/api/v2/dags/{dag_id}", json={"is_paused": False}).raise_for_status()

    def ended(self, dag_id, run_id):
        def state():
            found = self.get(f"dags/{dag_id}/dagRuns/{run_id}")["state"]
            return found if found in {"success", "failed"} else None

        return self.until(state)

    def task(self, dag_id, run_id, task_id):
        return self.get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}")

    def question(self):
        """Return the one open question: asked by whichever run came first, the daily one or the test's."""

        def asked():
            return self.get("dags/~/dagRuns/~/hitlDetails?response_received=false")["hitl_details"]

        (question,) = self.until(asked)
        return question

    def answer(self, question, option, **params):
        run = question["task_instance"]["dag_run_id"]
        path = f"/api/v2/dags/snapshot/dagRuns/{run}/taskInstances/approve/-1/hitlDetails"
        return self.client.patch(path, json={"chosen_options": [option], "params_input": params})

    def alerts(self):
        """Return the kinds of the open alerts, but for that of the run that failed on purpose."""
        return sorted(e.cause.kind for e in Book(Layout(self.home)).open_entries() if e.cause.kind != "failed")

    def manifest(self):
        folder = self.home / "published" / "government"
        if not (folder / "current.json").exists():
            return None
        current = json.loads((folder / "current.json").read_text())["snapshot_id"]
        return json.loads((folder / "snapshots" / current / "manifest.json").read_text())


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("approval")
    home, contracts = folder / "home", folder / "contracts"
    (contracts / "commerce").mkdir(parents=True)
    (contracts / "commerce" / "commerce_demo.yaml").write_text(CONTRACT, "utf-8")
    inbox = home / "inbox" / "demo"
    inbox.mkdir(parents=True)
    (inbox / "good.csv").write_text(GOOD, "utf-8")
    (inbox / "held.csv").write_text(HELD, "utf-8")
    settings = Settings(home=home, contracts=contracts, expectations=PROJECT / "expectations")
    with EmbeddedAirflow(settings, {}) as airflow:
        running = Running(airflow, home)
        running.until(lambda: {INGEST, "snapshot"} <= {d["dag_id"] for d in running.get("dags?limit=100")["dags"]})
        yield running


@pytest.fixture(scope="module")
def ingested(running):
    running.run(INGEST, "first")
    assert running.ended(INGEST, "first") == "success"
    return running


def test_the_pool_of_the_department_was_made_when_the_run_started(ingested):
    pools = {p["name"]: p["slots"] for p in ingested.get("pools")["pools"]}
    assert pools["department-43DEMO"] == 2


def test_what_cannot_get_better_is_not_tried_again(ingested):
    ingested.run(INGEST, "wrong", action="file", file="demo/none.csv")
    assert ingested.ended(INGEST, "wrong") == "failed"
    task = ingested.task(INGEST, "wrong", "discover")
    assert (task["state"], task["try_number"], task["max_tries"]) == ("failed", 1, 3)


def test_a_held_batch_is_shown_and_the_answer_stands_in_the_manifest(ingested):
    ingested.run("snapshot", "asked")
    question = ingested.question()
    assert question["options"] == ["发布", "不含暂停的来源发布", "不发布"]
    assert "**暂停**" in question["body"]
    assert "来路不明的列" in question["body"]
    assert ingested.manifest() is None, "nothing is published while the question is open"
    assert ingested.alerts() == ["approval", "held"]
    ingested.answer(question, "发布", reason="已电话核实，列名有误").raise_for_status()
    assert ingested.ended("snapshot", "asked") == "success"
    approval = ingested.manifest()["extra"]["approval"]
    assert (approval["decision"], approval["reason"], approval["by"]) == ("发布", "已电话核实，列名有误", "admin")
    assert len(approval["held"]) == 1
    assert ingested.alerts() == [], "whoever answered has seen what is held"


def test_nobody_is_asked_twice_about_the_same_batch(ingested):
    ingested.run("snapshot", "again")
    assert ingested.ended("snapshot", "again") == "success"
    assert ingested.task("snapshot", "again", "approve")["state"] == "skipped"
    assert ingested.get("dags/~/dagRuns/~/hitlDetails")["total_entries"] == 1
