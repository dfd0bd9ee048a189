"""The pages in a real `airflow api-server`: nobody without a session; an operator finds the bad row and its reason."""

import json
import re
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
import requests
from api_server import ApiServer
from shared_home import grant, propose_withdrawal

from airflow_home import PROJECT, AirflowHome
from cases import few
from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.home import Home
from chengxin.operations.alerts.book import Book
from chengxin.operations.alerts.causes import of_contract
from chengxin.operations.scorecards import scorecard
from deliveries import PENALTY, REGISTRATION, START, Office, company, penalty, uscc

APRIL, MAY = (Clock(datetime(2026, month, 6, 2, tzinfo=UTC)) for month in (4, 5))
pytestmark = [pytest.mark.airflow, pytest.mark.server]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SHOTS = PROJECT / "build" / "pages"
BAD = uscc(9)[:-1] + ("0" if uscc(9)[-1] != "0" else "1")
SECRET = "张某某"
NO = "等市监局回复"
ROUTES = """
import json
from chengxin.orchestration.pages.app import create_app
print(json.dumps([[route.path, sorted(route.methods)] for route in create_app().routes]))
"""


@dataclass
class Served:
    """A running API server with its home, and what the tests look for in it."""

    airflow: AirflowHome
    office: Office
    base: str
    held: str
    ran: str

    def url(self, path: str = "") -> str:
        return f"{self.base}/chengxin/{path}"

    def session(self, name: str) -> requests.Session:
        """Return a session as the browser has one: the token in a cookie."""
        answer = requests.post(f"{self.base}/auth/token", json={"username": name, "password": name}, timeout=60)
        session = requests.Session()
        session.cookies.set("_token", answer.json()["access_token"])
        return session


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("pages")
    airflow, office = AirflowHome(folder), Office(folder)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_pen", "penalty", PENALTY, quality={"min_rows": 1, "quarantined": {"warn": 0.1, "hold": 0.6}})
    refused = penalty(2, uscc=BAD, legal_rep_name=SECRET)
    waits = penalty(3, uscc=uscc(8))
    inbox = office.layout.home / "inbox" / "test_pen"
    inbox.mkdir(parents=True)
    office.deliver("test_reg", *[company(n) for n in range(3)], day=0)
    path = office.write("test_pen", [penalty(1, uscc=uscc(1)), refused, waits, penalty(4, uscc=uscc(2))], day=1)
    shutil.copy2(path, inbox / "来文.csv")
    held = office.deliver("test_pen", *[penalty(n, uscc=BAD) for n in range(10, 15)], day=2)
    assert held["verdict"] == "hold"
    for month, at in (("202603", APRIL), ("202604", MAY)):
        assert scorecard.issue(Home(office.settings, at), office.contracts, month)
    passwords = folder / "airflow" / "passwords.json"
    passwords.parent.mkdir(parents=True, exist_ok=True)
    passwords.write_text(json.dumps({"admin": "admin", "looker": "looker"}))
    airflow.environment |= {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,looker:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "CHENGXIN_RECIPIENTS": str(office.settings.recipients),
        "CHENGXIN_NOW": "2026-03-20T04:00:00+00:00",
    }
    assert airflow.airflow("db", "migrate").returncode == 0
    ran = airflow.airflow("dags", "test", "ingest__test_pen")
    assert ran.returncode == 0, ran.stdout[-3000:]
    grant(office)
    office.publish(day=3)
    office.deliver("test_reg", company(7), day=4)
    said = pipeline.Approval("发布", "已与市监局核实", "陈某", "2026-03-06T02:00:00+00:00")
    assert pipeline.publish(Home(office.settings, Clock(START + timedelta(days=5))), office.contracts, said)
    office.deliver("test_reg", company(8), day=6)
    pipeline.reject(Home(office.settings), pipeline.Approval("不发布", NO, "陈某", "2099-03-08T02:00:00+00:00"))
    (came,) = [b for b, a in office.accounts().items() if a.dataset == "test_pen"]
    _alert(office, held["batch_id"])
    propose_withdrawal(office)
    with ApiServer(airflow) as base:
        yield Served(airflow, office, base, held["batch_id"], came)


def _alert(office: Office, held: str) -> None:
    """Enter into the book what tasks would have entered: a held batch, a source that does not answer."""
    book, contract = Book(office.layout), office.contracts["test_pen"]
    page = f"/chengxin/batches/test_pen/{held}"
    for cause in (
        of_contract("held", contract, "整批暂缓：疑问数据过多", reason="quarantined", item=held, page=page),
        of_contract("source", contract, "接口没有回应", reason="discover:", page="/dags/ingest__test_pen"),
    ):
        book.open(cause, START + timedelta(days=5))


@pytest.fixture(scope="module")
def admin(served):
    return served.session("admin")


@pytest.fixture(scope="module")
def looker(served):
    return served.session("looker")


def test_every_route_answers_401_without_a_session(served):
    done = served.airflow.python(ROUTES)
    assert done.returncode == 0, done.stdout
    routes = json.loads(done.stdout.splitlines()[-1])
    assert len(routes) > 15
    for path, methods in routes:
        assert set(methods) <= {"GET", "HEAD"}, f"{path} writes"
        address = served.base + "/chengxin" + re.sub(r"{\w+}", "x", path)
        for headers in ({}, {"Cookie": "_token=forged"}, {"Authorization": "Bearer forged"}):
            answer = requests.get(address, headers=headers, allow_redirects=False, timeout=30)
            assert answer.status_code in {401, 403}, (path, headers)
            assert headers or answer.status_code == 401, path
            assert served.held not in answer.text


def test_a_browser_without_a_session_is_sent_to_log_in_and_back(served):
    address = served.url("batches?state=held")
    sent = requests.get(address, headers={"Accept": "text/html"}, allow_redirects=False, timeout=30)
    assert (sent.status_code, sent.headers["Location"]) == (
        307, "/api/v2/auth/login?next=%2Fchengxin%2Fbatches%3Fstate%3Dheld",
    )  # fmt: skip
    login = requests.get(address, headers={"Accept": "text/html"}, timeout=30)
    assert login.status_code == 200
    assert "next=%2Fchengxin%2Fbatches%3Fstate%3Dheld" in login.url


@pytest.mark.parametrize(
    ("path", "who", "status", "zh", "en"),
    [
        ("batches/test_pen/no-such", "admin", 404, "没有这个批次", "no such batch"),
        ("no/such/page", "admin", 404, "没有这个页面", "No such page"),
        ("refused.csv?dataset=test_pen&raw=true", "looker", 403, "无权查看原始取值", "not permitted"),
        ("refused.csv?raw=true", "admin", 400, "须先选定一个数据集", "choose one data set"),
        ("batches?since=yesterday", "admin", 422, "since", "since"),
    ],
)
def test_a_refusal_is_a_page_for_a_person_and_json_for_a_program(*, served, path, who, status, zh, en):
    session = served.session(who)
    for language, words, back in (("zh", zh, "回到总览"), ("en", en, "Back to the overview")):
        there = served.url(path + ("&" if "?" in path else "?") + f"lang={language}")
        answer = session.get(there, headers={"Accept": "text/html,*/*;q=0.8"}, timeout=30)
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
        assert words in answer.text and back in answer.text
        assert 'href="/chengxin/"' in answer.text
    answer = session.get(served.url(path), timeout=30)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/json")
    assert "detail" in answer.json()


def test_no_route_describes_the_app(served, admin):
    for path in ("docs", "redoc", "openapi.json"):
        assert admin.get(served.url(path), timeout=30).status_code == 404


def test_every_page_loads_nothing_from_outside_and_may_not(served, admin):
    for path in ("", "batches", "refused", "waiting", "identity", "snapshots", "catalogue", "sharing", "scorecards"):
        answer = admin.get(served.url(path), timeout=30)
        assert answer.status_code == 200, path
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert re.findall(r'(?:src|href)="(?:https?:)?//[^"]*"', answer.text) == []


def needs_of(page: str) -> list[str]:
    """Return the lines of 需要处理 as HTML."""
    table = page.split('<table class="needs">')[1].split("</table>")[0]
    return re.findall(r'<tr class="of-.+?</tr>', table, re.DOTALL)


def test_the_overview_names_the_held_batch_and_leads_to_it(served, admin, looker):
    page = admin.get(served.url(), timeout=30).text
    assert "待处理的暂缓批次" in page
    (line,) = [line for line in needs_of(page) if "of-held" in line]
    assert f'href="/chengxin/batches/test_pen/{served.held}"' in line and "测试部门" in line
    assert f"chengxin release test_pen {served.held} --reason" not in line, "not a row of it is usable"
    assert "不能放行" in line and "data-opens" not in line
    batch = admin.get(served.url(f"batches/test_pen/{served.held}"), timeout=30).text
    assert "不能放行" in batch
    assert not any("data-opens" in line for line in needs_of(looker.get(served.url(), timeout=30).text))


def test_the_overview_says_of_each_open_alert_what_to_press(served, admin):
    for query, source, press in (
        ("?lang=zh", "来源不可用", "联系该部门核实接口"),
        ("?lang=en", "Source not available", "ask the department about its interface"),
    ):
        lines = needs_of(admin.get(served.url(query), timeout=30).text)
        assert [re.findall(r'class="of-(\w+)"', line)[0] for line in lines] == ["held", "source", "overdue", "pending"]
        assert source in lines[1]
        assert press in lines[1]
        assert "接口没有回应" in lines[1]
        assert 'data-airflow href="/dags/ingest__test_pen"' in lines[1]
        assert 'data-opens="start-retry"' in lines[1]
    admin.get(served.url("?lang=zh"), timeout=30)


def test_a_page_learns_in_words_what_a_run_did(served, admin, looker):
    (run,) = admin.get(f"{served.base}/api/v2/dags/ingest__test_pen/dagRuns", timeout=30).json()["dag_runs"]
    address = served.url(f"runs/ingest__test_pen/{quote(run['dag_run_id'], safe='')}")
    told = admin.get(address, timeout=30).json()
    assert (told["done"], told["well"]) == (True, True)
    assert told["text"] == ("收到 1 份新报送。 入库 1 个批次： 收到 4 行 = 入库 2 + 疑问 1 + 重复 0 + 未关联 1。")
    assert looker.get(address, timeout=30).json() == told
    assert "1 new deliveries received." in admin.get(f"{address}?lang=en", timeout=30).json()["text"]
    for other in ("runs/ingest__test_pen/none", "runs/housekeeping/x", "runs/ingest__none/x"):
        assert admin.get(served.url(other), timeout=30).status_code in {403, 404}, other
    assert looker.get(served.url("runs/snapshot/x"), timeout=30).status_code == 404


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
def test_a_press_tells_its_result_whatever_it_is(served):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context()
        token = served.session("admin").cookies["_token"]
        context.add_cookies([{"name": "_token", "value": token, "url": served.base}])
        paused = served.session("admin").patch(
            f"{served.base}/api/v2/dags/ingest__test_pen", json={"is_paused": True}, timeout=60
        )
        paused.raise_for_status()
        page = context.new_page()
        page.goto(served.url("?lang=zh"))

        def press(status: int | None) -> str:
            if status:
                page.route("**/dagRuns", lambda route: route.fulfill(status=status, json={"detail": "x"}))
            page.locator("tr.of-source button").click()
            dialog = page.locator("dialog[open]")
            dialog.locator("[data-paused]").wait_for()  # offered once Airflow has answered
            dialog.locator("[name=unpause]").set_checked(False)
            dialog.get_by_role("button", name="开始").click()
            dialog.locator(".said", has_text=re.compile("。|：")).wait_for()
            page.unroute("**/dagRuns")
            return str(dialog.locator(".said").inner_text())

        for status, words in (
            (403, "没有启动该流程的权限"),
            (409, "拒绝启动"),
            (401, "重新登录"),
            (500, "没有启动成功：500"),
        ):
            assert words in press(status)
            page.keyboard.press("Escape")
            assert page.locator("dialog[open]").count() == 0
        assert "该流程已停用，运行在排队" in press(None), "nothing would ever come of it"
        with page.expect_event("load"):
            page.locator("dialog[open]").get_by_role("button", name="完成").click()
        page.locator("#told").get_by_text("运行在排队").wait_for()
        browser.close()


def test_the_overview_says_what_is_not_published_and_why(served, admin, looker):
    page = admin.get(served.url(), timeout=30).text
    (line,) = [line for line in needs_of(page) if "of-pending" in line]
    assert "1 个批次" in line
    assert f"上次答复：不发布（陈某）：{NO}" in line and '/dags/snapshot">' in line
    assert 'data-opens="start-publish"' in line
    assert "尚未发布" in looker.get(served.url(), timeout=30).text


def test_the_account_on_the_page_adds_up(served, admin):
    page = admin.get(served.url(f"batches/test_pen/{served.ran}"), timeout=30).text
    numbers = [int(n) for n in re.findall(r"<b>(\d+)</b>", page.split('class="sum"')[1].split("</div>")[0])]
    assert numbers == [4, 2, 1, 0, 1]
    assert "校验位不符" in page
    assert "主体尚未登记" in page


def test_those_who_may_start_can_settle_a_refused_row(served, admin, looker):
    for path in (f"batches/test_pen/{served.ran}", "refused?dataset=test_pen"):
        page = admin.get(served.url(path), timeout=30).text
        fills = [json.loads(f.replace("&#34;", '"')) for f in re.findall(r"data-fills='([^']*)'", page)]
        assert fills == [{"batch": served.ran, "rows": "来文.csv:3"}]  # none of the held batch: it is released, or not
        assert page.count('id="start-close"') == 1 and 'name="rows"' in page
        assert "start-close" not in looker.get(served.url(path), timeout=30).text


def test_a_batch_leads_to_its_run_in_airflow_and_the_run_back(served, admin):
    page = admin.get(served.url(f"batches/test_pen/{served.ran}"), timeout=30).text
    run = re.search(r'href="/dags/ingest__test_pen/runs/([^"/]+)"', page)
    assert run, "the run is not linked"
    back = admin.get(served.url(f"dags/ingest__test_pen/run?run_id={run[1]}"), timeout=30).text
    assert f"/chengxin/batches/test_pen/{served.ran}" in back


def test_values_are_hidden_until_asked_for_and_that_is_noted(served, admin, looker):
    address = served.url(f"batches/test_pen/{served.ran}")
    for path in (address, served.url("refused"), served.url("refused.csv"), served.url("refused.csv?dataset=test_pen")):
        assert SECRET not in admin.get(path, timeout=30).text
        assert SECRET not in looker.get(path, timeout=30).text
    for path in (f"{address}?raw=true", served.url("refused.csv?dataset=test_pen&raw=true")):
        assert looker.get(path, timeout=30).status_code == 403
        assert SECRET in admin.get(path, timeout=30).text
    events = admin.get(f"{served.base}/api/v2/eventLogs?event=chengxin.values_shown", timeout=30).json()["event_logs"]
    assert {(e["owner"], e["dag_id"]) for e in events} == {("admin", "ingest__test_pen")}
    assert SECRET not in json.dumps(events)


def test_values_of_all_data_sets_at_once_are_given_to_nobody(served, admin):
    assert admin.get(served.url("refused.csv?raw=true"), timeout=30).status_code == 400


def test_feedback_is_for_those_who_may_see_values(served, admin, looker):
    folder = served.office.layout.home / "feedback" / "test_pen" / served.ran
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "需更正.csv").write_text(SECRET, "utf-8")
    address = served.url(f"batches/test_pen/{served.ran}")
    assert "需更正.csv" in looker.get(address, timeout=30).text
    assert looker.get(f"{address}/feedback/需更正.csv", timeout=30).status_code == 403
    assert SECRET in admin.get(f"{address}/feedback/需更正.csv", timeout=30).content.decode()


def test_no_address_leads_out_of_the_home(served, admin):
    for path in (
        "batches/test_pen/..%2f..%2f..%2fcontracts/report",
        f"batches/test_pen/{served.ran}/feedback/..%2f..%2fadmissions",
        f"batches/..%2ftest_pen/{served.ran}/report",
        "static/..%2fapp.py",
        "snapshots/government/..%2f../manifest.json",
        "catalogue/..%2f..",
    ):
        assert admin.get(served.url(path), timeout=30).status_code in {403, 404}, path


def test_the_report_of_great_expectations_runs_no_script(served, admin):
    answer = admin.get(served.url(f"batches/test_pen/{served.held}/report"), timeout=30)
    assert answer.status_code == 200
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")


def test_what_is_typed_into_a_filter_stays_text(served, admin):
    page = admin.get(served.url("batches"), params={"text": '"><script>alert(1)</script>'}, timeout=30).text
    assert "<script>alert" not in page


def test_the_language_is_chosen_and_kept(served):
    session = served.session("looker")
    assert "总览" in session.get(served.url(), timeout=30).text
    assert ">Overview<" in session.get(served.url("?lang=en"), timeout=30).text
    assert ">Batches<" in session.get(served.url("batches"), timeout=30).text


def test_a_snapshot_shows_its_manifest_the_catalogue_its_fields(served, admin):
    page = admin.get(served.url("snapshots"), timeout=30).text
    address, before = dict.fromkeys(re.findall(r'href="(/chengxin/snapshots/government/[^"]+)"', page))
    shown = admin.get(served.base + address, timeout=30).text
    assert before in shown, "the one before is linked"
    row = next(part for part in shown.split("<tr>") if 'class="dim">registration<' in part)
    assert re.findall(r'number[^>]*">([^<]+)<', row)[:3] == ["4", "3", "+1"]
    assert "已与市监局核实" in shown
    assert "已与市监局核实" not in admin.get(served.base + before, timeout=30).text
    manifest = admin.get(f"{served.base}{address}/manifest.json", timeout=30).json()
    assert manifest["snapshot_id"] == address.rpartition("/")[2]
    assert "统一社会信用代码" in admin.get(served.url("catalogue/test_pen"), timeout=30).text


def test_legal_acts_and_recipients_are_shown(served, admin, looker):
    page = admin.get(served.url("sharing"), timeout=30).text
    acts, recipients = page.split("<h2>接收方", 1)
    assert "提出撤回…" in acts and "确认撤回…" in acts.split("撤〔2026〕1号")[-1], "another person proposed it"
    assert "…</button>" not in looker.get(served.url("sharing"), timeout=30).text
    assert "撤〔2026〕1号" in acts and "行政处罚" in acts and "待另一人确认" in acts
    assert all(text in recipients for text in ("示例市信用办", "城市信用监测", "地区 4301", "不含 1 列"))
    assert SECRET not in page and "legal_rep_name" not in page
    handed, notices = recipients.split("已提供")[1].split("撤回通知与回执")
    assert "<code>city</code>" in handed and ">1<" in handed and "已撤销 1" in handed
    assert "2026-03-12" in notices and "行政处罚" in notices


def test_issued_scorecards_are_shown_month_beside_month(served, admin):
    page = admin.get(served.url("scorecards"), timeout=30).text
    (chart, *_) = [json.loads(c) for c in re.findall(r'<script type="application/json">(.+?)</script>', page)]
    assert chart["xAxis"]["data"] == ["2026-03", "2026-04"]
    assert [s["name"] for s in chart["series"]] == ["测试部门"]
    issued = [
        json.loads((served.airflow.home / "scorecards" / m / "scorecard.json").read_text())
        for m in ("202603", "202604")
    ]
    assert chart["series"][0]["data"] == [body["departments"][0]["score"] for body in issued]
    older = admin.get(served.url("scorecards?month=202603"), timeout=30).text
    assert "2026-04" not in older.split("定稿全文")[0].split("</form>")[1], "a month knows nothing of the next"
    frozen = admin.get(served.url("scorecards/202603/frozen"), timeout=30)
    assert frozen.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
@pytest.mark.parametrize(
    ("scheme", "locale", "words"),
    few(1, [("light", "zh-CN", "需要处理"), ("dark", "en-US", "Needs attention")]),
)
def test_an_operator_follows_a_bad_delivery_to_the_reason(served, scheme, locale, words):
    from playwright.sync_api import sync_playwright

    SHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(
            color_scheme=scheme, locale=locale, viewport={"width": 1500, "height": 950}
        ).new_page()
        page.goto(served.base)
        page.fill("input[name=username]", "admin")
        page.fill("input[name=password]", "admin")
        page.click("button[type=submit]")
        page.wait_for_url(lambda url: "login" not in url)
        errors: list[str] = []
        outside: list[str] = []
        page.on(
            "console",
            lambda m: errors.append(m.text) if m.type == "error" and "chengxin" in m.location["url"] else None,
        )
        page.on(
            "request",
            lambda r: outside.append(r.url) if not r.url.startswith((served.base, "data:", "blob:")) else None,
        )
        if locale == "en-US":
            page.goto(served.url("?lang=en"))
        page.goto(f"{served.base}/plugin/chengxin-overview", wait_until="domcontentloaded")
        frame = page.frame_locator("iframe")
        frame.get_by_text(words).wait_for(timeout=30_000)
        assert frame.locator("html").get_attribute("data-theme") == scheme
        frame.locator("svg text").first.wait_for(timeout=10_000)
        page.screenshot(path=str(SHOTS / f"overview-{scheme}.png"))
        frame.locator(f'a[href$="{served.held}"]').first.click()
        frame.locator("#refused").wait_for()
        page.screenshot(path=str(SHOTS / f"held-{scheme}.png"))
        assert frame.get_by_text("uscc.check").first.is_visible()
        frame.locator('a[data-airflow][href$="/dags/ingest__test_pen"]').first.click()
        page.wait_for_url(re.compile(r"/dags/ingest__test_pen"), timeout=30_000)
        browser.close()
    assert errors == []
    assert outside == []


def test_other_peoples_questions_are_not_shown(served, admin):
    asked = (("snapshot", "请审批：本平台的发布"), ("somebody_elses", "别人的流程在问"))
    with sqlite3.connect(served.airflow.folder / "airflow" / "airflow.db", timeout=60) as database:
        database.row_factory = sqlite3.Row

        def add(table: str, row: dict[str, object]) -> None:
            places = ", ".join("?" * len(row))
            database.execute(f"INSERT OR IGNORE INTO {table} ({', '.join(row)}) VALUES ({places})", list(row.values()))

        names = ("dag", "dag_run", "task_instance")
        like = {name: dict(database.execute(f"SELECT * FROM {name} LIMIT 1").fetchone()) for name in names}
        for number, (dag, subject) in enumerate(asked):
            name, of = f"{number:032x}", {"dag_id": dag, "run_id": "test"}
            add("dag", {**like["dag"], "dag_id": dag})
            add("dag_run", {**like["dag_run"], **of, "id": 1000 + number, "state": "running"})
            own = {"id": name, "task_id": "approve", "state": "awaiting_input"}
            add("task_instance", {**like["task_instance"], **of, **own})
            detail = {"ti_id": name, "subject": subject, "created_at": "2026-03-20 04:00:00.000000"}
            add(
                "hitl_detail",
                {**detail, "options": '["发布"]', "multiple": False, "params": "{}", "params_input": "{}"},
            )
    shown = admin.get(served.url(), timeout=30).text
    assert asked[0][1] in shown
    assert asked[1][1] not in shown
