"""A person is asked before a doubtful publication, on a real scheduler: question, answer, manifest, retries."""

import json
import shutil
import time
from pathlib import Path

import httpx
import psutil
import pytest
from test_airflow_dags import CONTRACT, GOOD, HELD

from chengxin.cli.embedded_airflow import EmbeddedAirflow
from chengxin.operations.alerts.book import Book
from chengxin.orchestration.answers import APPROVERS
from chengxin.settings import PROJECT, Settings
from chengxin.store.layout import Layout

pytestmark = [pytest.mark.airflow, pytest.mark.server, pytest.mark.slow]
INGEST, FINES = "ingest__commerce_demo", "ingest__commerce_fines"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WAIT = 240  # seconds that a question stays open, on a busy machine
FINES_CONTRACT = """\
format: 1
id: commerce_fines
title: 演示处罚信息
department: {code: 43DEMO, name: 演示登记部门}
domain: commerce
kind: penalty
basis: {legal: 演示依据, share: 无条件}
delivery: {options: {folder: fines, pattern: "*.csv"}, cadence: hourly}
quality: {min_rows: 1, quarantined: {warn: 0.1, hold: 0.9}}
columns:
  - {source: 统一社会信用代码, element: uscc}
  - {source: 文书号, element: decision_no}
  - {source: 决定日期, element: decision_on}
  - {source: 处罚机关, element: authority_name}
  - {source: 行政区划, element: region_code}
"""
DOUBTFUL = """\
统一社会信用代码,文书号,决定日期,处罚机关,行政区划
91430100MAXY00016P,湘示罚〔2026〕1号,2026-01-15,示例市监局,430105
91430100MAXY00016P,湘示罚〔2026〕2号,,示例市监局,430105
"""
GRAVE = "统一社会信用代码,文书号,决定日期,处罚机关,行政区划\n" + "".join(
    f"91430100MAXY00016P,湘示罚〔2026〕{n}号,{'2026-01-15' if n == 100 else ''},示例市监局,430105\n"
    for n in range(100, 161)
)
MORE = """\
主键,名称,统一社会信用代码,成立日期,行政区划
5,长沙示例五科技有限公司,91430100MAXY000595,2021-01-05,430105
"""


class Running:
    """An Airflow that is up, its REST interface, and how a test waits for it."""

    def __init__(self, airflow: EmbeddedAirflow, home: Path) -> None:
        self.home = home
        self.client = httpx.Client(base_url=airflow.url, timeout=180, trust_env=False)
        self.url, self.login = airflow.url, {"username": airflow.user, "password": airflow.password}
        self.client.headers["Authorization"] = self._bearer(self.login)
        self.other = self._bearer({"username": airflow.second, "password": airflow.second_password})

    def _bearer(self, login):
        token = self.client.post("/auth/token", json=login).raise_for_status().json()["access_token"]
        return f"Bearer {token}"

    def get(self, path):
        return self.client.get(f"/api/v2/{path}").raise_for_status().json()

    def events(self, query):
        """Return events of assets. While a run that one has created has not begun, Airflow 3.3 answers with 500."""

        def answered():
            response = self.client.get(f"/api/v2/assets/events?{query}")
            return None if response.status_code == 500 else response.raise_for_status().json()

        return self.until(answered)

    def until(self, what, seconds=420):
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if found := what():
                return found
            time.sleep(1)
        raise AssertionError("it did not happen in time")

    def run(self, dag_id, run_id, partition_key=None, **conf):
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf, "partition_key": partition_key}
        self.client.post(f"/api/v2/dags/{dag_id}/dagRuns", json=body).raise_for_status()
        self.client.patch(f"/api/v2/dags/{dag_id}", json={"is_paused": False}).raise_for_status()

    def ended(self, dag_id, run_id):
        def state():
            found = self.get(f"dags/{dag_id}/dagRuns/{run_id}")["state"]
            return found if found in {"success", "failed"} else None

        return self.until(state)

    def task(self, dag_id, run_id, task_id):
        return self.get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}")

    def question(self, task="approve"):
        """Return the one open question: asked by whichever run came first, the daily one or the test's."""

        def asked():
            found = self.get("dags/~/dagRuns/~/hitlDetails?response_received=false")["hitl_details"]
            # an answer before the task has gone to wait for it would be lost, and the task tried again
            return [q for q in found if q["task_instance"]["state"] == "awaiting_input"]

        (question,) = self.until(asked)
        assert question["task_instance"]["task_id"] == task
        time.sleep(6)  # the scheduler has to hear that the process which asked has ended, else it takes it for killed
        return question

    def answer(self, question, option, *, second=False, **params):
        task = question["task_instance"]
        path = f"/api/v2/dags/snapshot/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}/-1/hitlDetails"
        body = {"chosen_options": [option], "params_input": params}
        return self.client.patch(path, json=body, headers={"Authorization": self.other} if second else {})

    def alerts(self):
        """Return the kinds of the open alerts, but for that of the run that failed on purpose."""
        return sorted(e.cause.kind for e in Book(Layout(self.home)).open_entries() if e.cause.kind != "failed")

    def said(self, option, **params):
        """Answer the open question and wait for its run; return how its publication ended."""
        question = self.question()
        self.answer(question, option, **params).raise_for_status()
        return self.outcome(question)

    def outcome(self, question):
        run = question["task_instance"]["dag_run_id"]
        assert self.ended("snapshot", run) == "success"
        return self.task("snapshot", run, "publish")["state"]

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
    (contracts / "commerce" / "commerce_fines.yaml").write_text(FINES_CONTRACT, "utf-8")
    inbox = home / "inbox" / "demo"
    inbox.mkdir(parents=True)
    (inbox / "good.csv").write_text(GOOD, "utf-8")
    (inbox / "held.csv").write_text(HELD, "utf-8")
    settings = Settings(home=home, contracts=contracts, expectations=PROJECT / "expectations")
    with EmbeddedAirflow(settings) as airflow:
        airflow.start({"CHENGXIN_APPROVAL_HOURS": str(WAIT / 3600), APPROVERS: f"{airflow.user},{airflow.second}"})
        running = Running(airflow, home)
        wanted = {INGEST, FINES, "snapshot"}
        running.until(lambda: wanted <= {d["dag_id"] for d in running.get("dags?limit=100")["dags"]})
        yield running


@pytest.fixture(scope="module")
def ingested(running):
    running.run(INGEST, "first")
    assert running.ended(INGEST, "first") == "success"
    return running


def test_what_cannot_get_better_is_not_tried_again(ingested):
    ingested.run(INGEST, "wrong", action="file", file="demo/none.csv")
    assert ingested.ended(INGEST, "wrong") == "failed"
    task = ingested.task(INGEST, "wrong", "act")
    assert (task["state"], task["try_number"], task["max_tries"]) == ("failed", 1, 3)


def test_a_held_batch_is_shown_and_the_answer_is_in_the_manifest(ingested):
    ingested.run("snapshot", "asked")
    question = ingested.question()
    assert "**暂缓**" in question["body"]
    assert "来路不明的列" in question["body"]
    assert ingested.manifest() is None, "nothing is published while the question is open"
    assert ingested.alerts() == ["approval", "held"]
    assert question["options"] == ["发布", "不发布"], "what registers subjects cannot be left out"
    assert "登记注册 `registration` | 2 | 0 | 0 |" in question["body"], "and what the publication would change"
    assert question["params"]["reason"]["value"] == "", "nothing is filled in"
    ingested.answer(question, "发布").raise_for_status()
    question = ingested.question()
    assert question["task_instance"]["try_number"] == 2, "asked again"
    (told,) = [e.cause.text for e in Book(Layout(ingested.home)).open_entries() if e.cause.kind == "approval"]
    assert "上次作答无效：没有写明意见" in told
    assert ingested.manifest() is None
    ingested.answer(question, "发布", reason="已电话核实，列名有误", without=[]).raise_for_status()
    assert ingested.ended("snapshot", "asked") == "success"
    approval = ingested.manifest()["basis"]["approval"]
    assert (approval["decision"], approval["reason"], approval["by"]) == ("发布", "已电话核实，列名有误", "admin")
    assert len(approval["held"]) == 1
    assert ingested.alerts() == [], "whoever answered has seen what is held"


def test_nobody_is_asked_twice_about_the_same_batch(ingested):
    ingested.run("snapshot", "again")
    assert ingested.ended("snapshot", "again") == "success"
    assert ingested.task("snapshot", "again", "approve")["state"] == "skipped"
    assert ingested.get("dags/~/dagRuns/~/hitlDetails")["total_entries"] == 1


@pytest.mark.usefixtures("ingested")
def test_every_process_listens_on_loopback_only():
    (guard,) = [p for p in psutil.Process().children() if "chengxin.cli.embedded_guard" in p.cmdline()]
    places = {
        (place.laddr.ip, place.laddr.port)
        for process in guard.children(recursive=True)
        for place in process.net_connections(kind="inet")
        if place.status == psutil.CONN_LISTEN
    }
    assert len(places) >= 2, "the pages, and what tasks ask"
    assert {ip for ip, _ in places} <= {"127.0.0.1", "::1"}


@pytest.fixture(scope="module")
def doubtful(ingested):
    """A second data set with a warning, and new rows of the first one, which nobody doubts."""
    (ingested.home / "inbox" / "fines").mkdir()
    (ingested.home / "inbox" / "fines" / "doubtful.csv").write_text(DOUBTFUL, "utf-8")
    (ingested.home / "inbox" / "demo" / "more.csv").write_text(MORE, "utf-8")
    ingested.client.patch("/api/v2/dags/snapshot", json={"is_paused": True}).raise_for_status()
    for dag in (INGEST, FINES):
        ingested.run(dag, "second")
        assert ingested.ended(dag, "second") == "success"
    return ingested


def test_no_is_an_answer_and_its_reason_is_kept(doubtful):
    before = doubtful.manifest()
    doubtful.run("snapshot", "first-doubt")
    assert doubtful.said("不发布", reason="决定日期大量缺失，等部门回复", without=["commerce_fines"]) == "skipped"
    assert doubtful.manifest() == before


def test_the_chosen_source_stays_out_and_others_are_published(doubtful):
    doubtful.run("snapshot", "second-doubt")
    question = doubtful.question()
    assert question["options"] == ["发布", "不含所选来源发布", "不发布"]
    assert question["params"]["without"]["value"] == ["commerce_fines"]
    assert question["params"]["without"]["schema"]["values_display"] == {"commerce_fines": "演示处罚信息"}
    assert doubtful.said("不含所选来源发布", reason="其余照常", without=["commerce_fines"]) == "success"
    manifest = doubtful.manifest()
    assert [r["reason"] for r in manifest["basis"]["rejected"]] == ["决定日期大量缺失，等部门回复"]
    assert manifest["basis"]["approval"]["without"] == ["commerce_fines"]
    assert manifest["tables"].get("penalty", {"rows": 0})["rows"] == 0
    assert manifest["tables"]["registration"]["rows"] == 3


def test_nobody_answers_in_time_and_nothing_is_published(doubtful):
    before = doubtful.manifest()
    doubtful.run("snapshot", "third-doubt")
    assert doubtful.outcome(doubtful.question()) == "skipped"
    assert doubtful.manifest() == before


def test_the_question_returns_and_yes_publishes_the_left_out(doubtful):
    doubtful.run("snapshot", "fourth-doubt")
    assert doubtful.said("发布", reason="部门已确认", without=["commerce_fines"]) == "success"
    manifest = doubtful.manifest()
    assert manifest["tables"]["penalty"]["rows"] == 1
    assert [(r["decision"], r["by"]) for r in manifest["basis"]["rejected"]] == [("不发布", "")]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
def test_an_operator_replays_the_refused_row_in_the_browser(doubtful):
    from playwright.sync_api import sync_playwright

    contract = doubtful.home.parent / "contracts" / "commerce" / "commerce_fines.yaml"
    column = "{source: 决定日期, element: decision_on"
    contract.write_text(FINES_CONTRACT.replace(column, f"{column}, required: false"), "utf-8")
    pages = f"{doubtful.url}/chengxin"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(locale="zh-CN").new_page()
        page.set_default_timeout(240_000)
        page.goto(doubtful.url)
        page.fill("input[name=username]", doubtful.login["username"])
        page.fill("input[name=password]", doubtful.login["password"])
        page.click("button[type=submit]")
        page.wait_for_url(lambda url: "login" not in url)
        page.goto(f"{pages}/refused?dataset=commerce_fines")
        page.get_by_role("button", name="重放疑问数据…").click()
        page.get_by_role("button", name="开始").click()
        page.get_by_text("重新检查 1 行：1 行通过，0 行仍退回。").wait_for()
        page.goto(f"{pages}/batches?dataset=commerce_fines")
        page.wait_for_timeout(6000)
        page.reload()
        rows = [row.locator("td.number").all_inner_texts()[:3] for row in page.locator("tbody tr").all()]
        assert sorted(rows) == [["1", "1", "0"], ["2", "1", "1"]], "the replayed row is a batch of its own"
        browser.close()
    events = doubtful.get(f"eventLogs?dag_id={FINES}&event=trigger_dag_run")["event_logs"]
    replays = [e for e in events if '"replay"' in (e["extra"] or "")]
    assert [e["owner"] for e in replays] == [doubtful.login["username"]], "it stands in the audit log"


@pytest.fixture(scope="module")
def released(doubtful):
    """A batch in which something grave was found, and that the first person let in."""
    while doubtful.manifest()["basis"].get("left_out"):  # what was left out is asked about again
        doubtful.run("snapshot", "left-out")
        doubtful.said("发布", reason="部门已确认", without=[])
    doubtful.client.patch("/api/v2/dags/snapshot", json={"is_paused": True}).raise_for_status()
    contract = doubtful.home.parent / "contracts" / "commerce" / "commerce_fines.yaml"
    contract.write_text(FINES_CONTRACT, "utf-8")  # as it was before somebody mended it in the browser
    (doubtful.home / "inbox" / "fines" / "grave.csv").write_text(GRAVE, "utf-8")
    doubtful.run(FINES, "grave")
    assert doubtful.ended(FINES, "grave") == "success"
    receipts = (doubtful.home / "landing" / "commerce_fines").glob("*/receipt.json")
    (batch,) = [path.parent.name for path in receipts if "grave.csv" in path.read_text("utf-8")]
    doubtful.run(FINES, "release", action="release", batch=batch, reason="已逐行核实")
    assert doubtful.ended(FINES, "release") == "success"
    return doubtful, batch


def test_somebody_else_approves_what_the_first_one_released(released):
    running, batch = released
    before = running.manifest()
    running.run("snapshot", "four-eyes")
    question = running.question()
    assert "**admin** 已放行，理由：已逐行核实" in question["body"]
    assert [one["name"] for one in question["assigned_users"]] == ["admin", "second"]
    running.answer(question, "发布", reason="放行有据").raise_for_status()
    again = running.question("second")
    assert [one["name"] for one in again["assigned_users"]] == ["second"]
    assert "首位审批人 **admin** 的答复：发布；意见：放行有据" in again["body"]
    assert running.manifest() == before
    assert running.answer(again, "发布", reason="再点一次").status_code == 403, "Airflow itself refuses the same person"
    running.answer(again, "发布", second=True, reason="已对照原件").raise_for_status()
    assert running.outcome(again) == "success"
    manifest = running.manifest()
    approval, (entry,) = (
        manifest["basis"]["approval"],
        [b for b in manifest["basis"]["released"] if b["batch_id"] == batch],
    )
    assert (approval["by"], approval["second"]["by"], approval["second"]["reason"]) == ("admin", "second", "已对照原件")
    assert (entry["released"]["by"], entry["released"]["reason"]) == ("admin", "已逐行核实")
    assert batch not in manifest["basis"].get("held", [])


def test_a_question_marked_as_answered_publishes_nothing(released):
    running, _ = released
    before = running.manifest()
    running.client.patch("/api/v2/dags/snapshot", json={"is_paused": True}).raise_for_status()
    row = "91430100MAXY00016P,湘示罚〔2026〕77号,2026-01-16,示例市监局,430105\n"
    (running.home / "inbox" / "fines" / "marked.csv").write_text(DOUBTFUL + row, "utf-8")
    running.run(FINES, "marked")
    assert running.ended(FINES, "marked") == "success"
    running.run("snapshot", "marked")
    run = running.question()["task_instance"]["dag_run_id"]
    task = f"/api/v2/dags/snapshot/dagRuns/{run}/taskInstances/approve"
    running.client.patch(
        task, json={"new_state": "success"}, headers={"Authorization": running.other}
    ).raise_for_status()
    assert running.ended("snapshot", run) == "failed"
    assert running.task("snapshot", run, "publish")["state"] == "failed"
    assert running.manifest() == before
    log = running.client.get(f"/api/v2/dags/snapshot/dagRuns/{run}/taskInstances/publish/logs/1").text
    assert "没有人作答" in log, "logs are read from their files"


def test_publications_add_no_asset(released):
    running, _ = released
    names = {one["name"] for one in running.get("assets?limit=100&only_active=false")["assets"]}
    assert not [name for name in names if name.startswith("snapshot")]
    events = running.events("limit=100&name_pattern=published_current")["asset_events"]
    told = [e["extra"]["id"] for e in events if "tiers" in e["extra"]]
    assert len(set(told)) == len(told) >= 2, "each is an event, with the snapshot in it"
