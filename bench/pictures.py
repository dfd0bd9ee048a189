"""Take the pictures of the documents: the demo under Airflow, its pages in a headless browser.

`make pictures` runs the demo with --ask in a home of its own, answers the question of the first round, and takes the
pictures while the question of the second is open. They are WebP files in docs/pictures/, replaced each time.
"""

import argparse
import base64
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

PROJECT = Path(__file__).resolve().parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DOOR = re.compile(r"Airflow：(\S+)  用户 (\S+)  密码 (\S+)")
QUESTION = re.compile(r"/dags/(\S+)/runs/(\S+)/tasks/(\S+)/required_actions")
FIRST_ROUND = "第 1 轮 发布：1/1"
SIZE = {"width": 1280, "height": 800}
QUALITY = 45
PATIENCE = 300_000  # milliseconds, on a busy machine
LIMIT = 1800  # seconds


class Demo:
    """The demo as a process, with what it has printed so far."""

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._log = folder / "output.txt"
        words = [sys.executable, "-m", "chengxin.cli", "--home", str(folder / "home"), "demo", "--airflow", "--ask"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "CHENGXIN"))}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                words, cwd=PROJECT, env=kept, stdout=log, stderr=log, preexec_fn=_hear_interrupts
            )

    @property
    def output(self) -> str:
        """What it has printed."""
        return self._log.read_text("utf-8", errors="replace")

    @property
    def is_running(self) -> bool:
        """Whether the process is still there."""
        return self._process.poll() is None

    def find(self, pattern: re.Pattern[str], *, after: str = "") -> tuple[str, ...] | None:
        """Return the last match in what was printed after these words; None where there is none yet."""
        found = pattern.findall(self.output.partition(after)[2] if after else self.output)
        return found[-1] if found else None

    def wait_for(self, pattern: re.Pattern[str], *, after: str = "") -> tuple[str, ...]:
        """Wait for a match and return it."""
        deadline = time.monotonic() + LIMIT
        while not (found := self.find(pattern, after=after)):
            if not self.is_running or time.monotonic() > deadline:
                raise SystemExit(self.output)
            time.sleep(1)
        return found

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(120)


def _hear_interrupts() -> None:
    """Let Ctrl-C end the process also where this program runs in the background of a shell."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Camera:
    """A browser page with an operator's session."""

    def __init__(self, page: Page, url: str, target: Path) -> None:
        self.page, self.url, self._target = page, url, target
        self._devtools = page.context.new_cdp_session(page)

    def open(self, path: str) -> None:
        """Open a page of Airflow."""
        self.page.goto(f"{self.url}/{path}")

    def take(self, name: str) -> None:
        """Write what the window shows."""
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_timeout(1500)  # charts are drawn with a short animation
        shot = self._devtools.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
        (self._target / f"{name}.webp").write_bytes(base64.b64decode(shot["data"]))


def main() -> None:
    """Take all pictures and print their sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", type=Path, default=PROJECT / "docs" / "pictures")
    parser.add_argument("--work", type=Path, default=PROJECT / "build" / "pictures")
    arguments = parser.parse_args()
    arguments.target.mkdir(parents=True, exist_ok=True)
    demo = Demo(arguments.work)
    try:
        url, user, password = demo.wait_for(DOOR)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page(locale="zh-CN", timezone_id="Asia/Shanghai", viewport=SIZE, color_scheme="light")
            page.set_default_timeout(PATIENCE)
            log_in(page, url, user, password)
            publish_first_round(page, url, demo)
            take_all(Camera(page, url, arguments.target), demo.wait_for(QUESTION, after=FIRST_ROUND))
            browser.close()
    finally:
        demo.stop()
    for path in sorted(arguments.target.glob("*.webp")):
        print(f"{path.stat().st_size:>7} {path.name}")


def log_in(page: Page, url: str, user: str, password: str) -> None:
    """Open Airflow as this user."""
    page.goto(url)
    page.fill("input[name=username]", user)
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_url(lambda address: "login" not in address)


def publish_first_round(page: Page, url: str, demo: Demo) -> None:
    """Wait until the first round is published; answer what is asked for it."""
    while FIRST_ROUND not in demo.output:
        if asked := demo.find(QUESTION):
            dag, run, task = asked
            place = f"{url}/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}/-1/hitlDetails"
            page.request.patch(place, data={"chosen_options": ["发布"], "params_input": {"reason": "演示"}})
        elif not demo.is_running:
            raise SystemExit(demo.output)
        time.sleep(5)


def take_all(camera: Camera, question: tuple[str, ...]) -> None:
    """Take every picture: while a question is open and a batch is held."""
    page = camera.page
    dag, run, task = question
    camera.open("chengxin/?lang=zh")
    held = held_batch(page)
    camera.open("")
    page.get_by_role("link", name="诚信总览").click()
    frame = page.frame_locator("iframe")
    frame.get_by_text("需要处理").wait_for()
    frame.locator("svg text").first.wait_for()
    camera.take("overview")
    camera.open(held)
    page.get_by_text("整批暂缓").first.wait_for()
    camera.take("held-batch")
    page.get_by_role("button", name="放行").first.click()
    page.locator("dialog[open]").wait_for()
    camera.take("release")
    camera.open(f"dags/{dag}/runs/{run}/tasks/{task}/required_actions")
    page.get_by_role("button", name="发布", exact=True).wait_for()
    camera.take("approval")
    camera.open("chengxin/refused")
    page.locator("tbody tr").first.wait_for()
    camera.take("quarantine")


def held_batch(page: Any) -> str:
    """Return the address of a held batch, as the list of batches has it."""
    page.goto(page.url.split("?")[0] + "batches?state=held")
    link = page.locator('tbody a[href*="/batches/"]').first.get_attribute("href")
    return "chengxin/batches/" + link.split("/batches/")[1]


if __name__ == "__main__":
    main()
