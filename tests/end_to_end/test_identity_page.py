"""身份核对 in a real `airflow api-server`: keys choose a firm, the answers go by one run, two persons decide."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import requests
from api_server import ApiServer

from airflow_home import PROJECT, AirflowHome
from chengxin.clock import Clock
from chengxin.home import Home
from chengxin.identity.by_name.training.invention import invented
from chengxin.orchestration import identity_review
from chengxin.pipeline import judgements
from deliveries import ARREARS, PENALTY, REGISTRATION, START, Office, company, penalty

pytestmark = [pytest.mark.airflow, pytest.mark.server, pytest.mark.slow]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SHOTS = PROJECT / "build" / "pages"
FIRMS = ("长沙凯岳建材有限公司", "长沙凯跃建材有限公司", "长沙鸿岳建材有限公司", "长沙鸿跃建材有限公司")
NAMES = ("长沙凯越建材有限公司", "长沙鸿越建材有限公司")  # each sounds like two


def build(folder: Path) -> Office:
    office = Office(folder)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_arrears", "tax_arrears", ARREARS)
    office.contract("test_pen", "penalty", PENALTY)
    names = (*FIRMS, *invented(60, 42))
    office.deliver("test_reg", *(company(n, subject_name=name) for n, name in enumerate(names, 1)), day=0)
    row = {"region_code": "430102", "tax_type_name": "增值税", "authority_name": "示例局", "arrears_balance": 10,
        "published_on": "2026-02-01"}  # fmt: skip
    office.deliver("test_arrears", {**row, "subject_name": NAMES[0]}, day=1)
    office.deliver("test_pen", penalty(1, subject_name=NAMES[1]), day=1)
    return office


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
def test_keys_answer_names_and_one_run_enters_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from playwright.sync_api import sync_playwright

    airflow, office = AirflowHome(tmp_path), build(tmp_path)
    judgements.merge(Home(office.settings, Clock(START)), (1, 2), by="甲", reason="登记档案")
    passwords = tmp_path / "airflow" / "passwords.json"
    passwords.parent.mkdir(parents=True, exist_ok=True)
    passwords.write_text(json.dumps({"admin": "admin", "looker": "looker"}))
    airflow.environment |= {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,looker:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "CHENGXIN_NOW": "2026-03-20T04:00:00+00:00",
    }
    assert airflow.airflow("db", "migrate").returncode == 0
    SHOTS.mkdir(parents=True, exist_ok=True)
    posted: list[dict[str, Any]] = []
    with ApiServer(airflow) as base, sync_playwright() as playwright:
        token = requests.post(f"{base}/auth/token", json={"username": "looker", "password": "looker"}, timeout=60)
        seen = requests.get(f"{base}/chengxin/identity", cookies={"_token": token.json()["access_token"]}, timeout=60)
        assert seen.status_code == 200
        assert not any(name in seen.text for name in (*NAMES, *FIRMS))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        token = requests.post(f"{base}/auth/token", json={"username": "admin", "password": "admin"}, timeout=60)
        context = browser.new_context(viewport={"width": 1400, "height": 800})
        context.add_cookies([{"name": "_token", "value": token.json()["access_token"], "url": base}])
        page = context.new_page()

        def take(route: Any) -> None:
            posted.append(route.request.post_data_json)
            route.fulfill(status=403, json={"detail": "x"})

        page.route(re.compile("/dagRuns$"), take)
        page.goto(f"{base}/chengxin/identity?lang=zh")
        page.screenshot(path=str(SHOTS / "identity.png"))
        assert page.locator(".asked:visible .sent").inner_text() == NAMES[1]  # heavy first
        (merge,) = page.locator("table tbody tr").all_inner_texts()
        assert merge.split() == ["0", "1", "2", "甲", "2026-03-02", "待另一人确认"]
        assert page.locator(".asked:visible mark").all_inner_texts()[:2] == ["越", "岳"]
        for key in ("2", "z", "1", " ", "z", "0"):
            page.keyboard.press(key)
        assert page.locator("[data-count]").inner_text() == "2"
        page.locator("[data-submit]").click()
        page.locator("dialog[open]").get_by_role("button", name="开始").click()
        page.locator("dialog[open] .said").get_by_text("权限").wait_for()
        browser.close()
    (run,) = posted
    assert [one["outcome"] for one in run["conf"]["answers"]] == ["same", "different"]
    for name, value in airflow.environment.items():
        if name.startswith("CHENGXIN_"):
            monkeypatch.setenv(name, value)
    said: list[dict[str, Any]] = []
    for by in ("admin", "other"):
        identity_review.enter(run["conf"], by, said.append)
    assert [(one["entered"], one["proposed"], len(one["refused"])) for one in said] == [(2, 1, 0), (1, 0, 1)]
    assert office.rules("test_pen") == ["judgement"]
    assert office.rules("test_arrears") == ["waits"]
