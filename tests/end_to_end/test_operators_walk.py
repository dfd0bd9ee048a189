"""The walk of an operator in a headless browser, from what `make run ASK=1` prints to the replayed row.

Its pictures are kept in build/walk, light in Chinese and dark in English, for people to look at.
"""

import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from demo_runs import DOOR, Started, contracts_below, door

from chengxin.settings import PROJECT

pytestmark = [pytest.mark.airflow, pytest.mark.server, pytest.mark.slow]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SHOTS = PROJECT / "build" / "walk"
ACCOUNTS, PERMIT = "banking_settlement_account", "{source: 核准号, element: account_permit_no"
REGISTERED, SETTLED = "commerce_registration", "该行另有一份完整的记录"
REASON = "已与人民银行核实，开户日期下期补报"
PATIENCE = 300_000  # milliseconds, on a busy machine
SIZE = {"width": 1500, "height": 950}
PAGES = ("", "batches", "refused", "waiting", "identity", "snapshots", "catalogue", "sharing", "scorecards")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Started]:
    started = Started(contracts_below(tmp_path), "--ask")
    yield started
    started.process.kill()
    started.process.wait()
    assert started.nothing_left()


class Walk:
    """A browser with an operator's session."""

    def __init__(self, browser: Any, door: tuple[str, str, str], scheme: str, locale: str) -> None:
        self.url, user, password = door
        self.scheme, self.errors = scheme, list[str]()
        context = browser.new_context(color_scheme=scheme, locale=locale, timezone_id="Asia/Shanghai", viewport=SIZE)
        self.page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(self.url)
        self.page.fill("input[name=username]", user)
        self.page.fill("input[name=password]", password)
        self.page.click("button[type=submit]")
        self.page.wait_for_url(lambda url: "login" not in url)

    @property
    def framed(self) -> Any:
        """Return the page of ours that Airflow shows in its frame."""
        return self.page.frame_locator("iframe")

    def shot(self, name: str) -> None:
        self.page.screenshot(path=SHOTS / f"{name}-{self.scheme}.png", full_page=True)

    def ours(self, path: str) -> None:
        self.page.goto(f"{self.url}/chengxin/{path}")

    def overview(self) -> None:
        """Open the overview as the navigation does."""
        self.page.get_by_role("link", name="诚信总览").click()
        self.framed.get_by_text("需要处理").wait_for()
        self.framed.locator("svg text").first.wait_for()


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
def test_from_the_overview_to_reason_approval_and_replay(run: Started) -> None:
    from playwright.sync_api import sync_playwright

    SHOTS.mkdir(parents=True, exist_ok=True)
    _publish_the_first(run)
    entrance = DOOR.findall(run.said)[-1]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        walk = Walk(browser, entrance, "light", "zh-CN")
        _to_the_bad_row(walk)
        _to_the_run_and_back(walk)
        _approve(walk, run.until)
        _replay(walk, run.home.parent / "contracts")
        _close_by_hand(walk)
        _look_at_all(walk, "zh")
        dark = Walk(browser, entrance, "dark", "en-US")
        _look_at_all(dark, "en")
        assert walk.errors + dark.errors == []
        browser.close()
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(60) == 0


def _publish_the_first(run: Started) -> None:
    """Answer what the first round asks because of a file that is cut off; wait for the question of the second."""
    run.until("等待审批")
    api = door(run.said)
    while "第 1 轮 发布：1/1" not in run.said:
        assert run.process.poll() is None, run.said
        for question in api.questions():
            if f"/runs/{question.run_id}/" in run.said:  # the run tells of a question when it may be answered
                api.answer(question, "发布", {"reason": "测试：第一轮"})
        time.sleep(1)
    run.until("等待审批", times=run.said.count("等待审批") + 1)


def _to_the_bad_row(walk: Walk) -> None:
    """Overview, held batch, its page with the account and the verdict, the row with its place and its reason."""
    walk.overview()
    walk.shot("1-overview")
    walk.framed.locator(f'a[href*="/batches/{ACCOUNTS}/"]').first.click()
    walk.framed.get_by_text("整批暂缓").wait_for()
    assert walk.framed.get_by_text("低于下限 50.0%").first.is_visible()
    row = walk.framed.locator("table.rows tbody tr").first
    row.scroll_into_view_if_needed()
    text = row.inner_text()
    assert re.search(r"第 \d+ 行", text)
    assert "field.required_missing" in text
    walk.shot("2-held-batch")


def _to_the_run_and_back(walk: Walk) -> None:
    """From the batch to its run in Airflow, and by the tab of the run back to the batch."""
    walk.framed.locator('a[data-airflow][href*="/runs/"]').first.click()
    walk.page.wait_for_url(re.compile(r"/dags/drain__banking/runs/"))
    walk.shot("3-run")
    walk.page.get_by_role("link", name="批次与账目").click()
    walk.framed.get_by_text("本次运行的批次").first.wait_for()
    walk.framed.locator(f'a[href*="/batches/{ACCOUNTS}/"]').first.click()
    walk.framed.get_by_text("整批暂缓").wait_for()


def _approve(walk: Walk, until: Callable[[str], str]) -> None:
    """Answer the question in Airflow's own form; the reason stands with the snapshot."""
    walk.overview()
    walk.framed.get_by_role("link", name="去审批").click()
    walk.page.wait_for_url(re.compile("required_actions"))
    walk.page.get_by_role("button", name="发布", exact=True).wait_for()
    walk.shot("4-approval")
    walk.page.locator("#element_reason").fill(REASON)
    walk.page.get_by_role("button", name="发布", exact=True).click()
    until("按 Ctrl-C 结束")
    walk.ours("snapshots")
    walk.page.locator('a[href*="/snapshots/government/"]').first.click()
    walk.page.get_by_text(REASON).first.wait_for()
    walk.shot("5-snapshot")


def _replay(walk: Walk, contracts: Path) -> None:
    """Mend the contract, replay the quarantine in the page, see the batch that came of it."""
    path = contracts / "banking" / f"{ACCOUNTS}.yaml"
    path.write_text(path.read_text("utf-8").replace(PERMIT, f"{PERMIT}, required: false"), "utf-8")
    walk.ours(f"batches?dataset={ACCOUNTS}")
    before = walk.page.locator("tbody tr").count()
    walk.ours(f"refused?dataset={ACCOUNTS}")
    walk.page.get_by_role("button", name="重放疑问数据…").click()
    walk.shot("6-replay")
    walk.page.get_by_role("button", name="开始").click()
    walk.page.locator("dialog[open]").get_by_text("重新检查 1 行：1 行通过，0 行仍退回。").wait_for()
    walk.shot("6-replayed")
    with walk.page.expect_event("load"):  # the page loads itself again, and keeps saying what came of the run
        walk.page.get_by_role("button", name="完成").click()
    walk.page.locator("#told").get_by_text("重新检查 1 行").wait_for()
    walk.ours(f"batches?dataset={ACCOUNTS}")
    assert walk.page.locator("tbody tr").count() == before + 1, "what passed is a batch of its own"
    walk.shot("7-replayed")
    walk.ours(f"refused?dataset={ACCOUNTS}")
    walk.page.get_by_text("已更正 1 行，尚待更正 0 行").click()
    walk.shot("8-mended")


def _close_by_hand(walk: Walk) -> None:
    """Settle one refused row by the button beside it: its batch and place are filled in, the reason is asked for."""
    walk.ours(f"refused?dataset={REGISTERED}")
    row = walk.page.locator("table.rows tbody tr").first
    row.get_by_role("button", name="办结…").click()
    dialog = walk.page.locator("dialog[open]")
    assert REGISTERED in dialog.locator("[data-filled=batch]").inner_text()
    assert re.fullmatch(r".+:\d+", dialog.locator("[name=rows]").input_value())
    dialog.get_by_role("button", name="开始").click()
    assert walk.page.locator("dialog[open] .said").is_hidden(), "no run without a reason"
    dialog.locator("[name=reason]").fill(SETTLED)
    walk.shot("9-close")
    dialog.get_by_role("button", name="开始").click()
    dialog.get_by_text("办结 1 行。").wait_for()
    with walk.page.expect_event("load"):
        dialog.get_by_role("button", name="完成").click()
    walk.page.get_by_text("已人工办结").first.wait_for()
    assert walk.page.get_by_text(SETTLED).first.is_visible()
    walk.shot("10-closed")


def _look_at_all(walk: Walk, lang: str) -> None:
    walk.ours(f"?lang={lang}")
    for name in PAGES:
        walk.ours(name)
        walk.page.locator("h1").wait_for()
        walk.shot(f"page-{name or 'overview'}")
