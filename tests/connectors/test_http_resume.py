"""Pulls that are killed at any moment: the next run asks only for what is missing, and nothing is lost or doubled.

CHENGXIN_MANY=20 multiplies the number of kills.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from chengxin.connectors import landing
from chengxin.home import Home
from chengxin.settings import Settings
from http_sources import Desk, page_of
from servers import Answer, Asked, rows_answer

pytestmark = pytest.mark.server
MANY = int(os.environ.get("CHENGXIN_MANY", "1"))
ROWS = [{"id": n, "纳税人名称": f"湖南示例{n}有限公司"} for n in range(57)]
PAGES = 12


class Puller:
    """Pulls in a process of its own that may be killed."""

    def __init__(self, contract_file: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("pull_server.py")), str(contract_file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def pull(self, home: Path, kill_after: float | None = None, kill_when: Callable[[], bool] | None = None) -> int:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{home}\n")
        self.process.stdin.flush()
        pid = int(self.process.stdout.readline().split()[1])
        if kill_after is not None or kill_when:
            deadline = time.monotonic() + (20 if kill_after is None else kill_after)
            while time.monotonic() < deadline and not (kill_when and kill_when()) and _lives(pid):
                time.sleep(0.001)
            with suppress(ProcessLookupError):  # it was faster
                os.kill(pid, signal.SIGKILL)
        return int(self.process.stdout.readline().split()[1])

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


@pytest.fixture
def start(tmp_path: Path, desk: Desk) -> Iterator:
    started = []

    def begin(**options) -> Puller:
        path = tmp_path / "contract.json"
        path.write_text(desk.contract(page_size=5, **options).model_dump_json())
        started.append(Puller(path))
        return started[-1]

    yield begin
    for puller in started:
        puller.close()


def kept(home: Path) -> set[str]:
    """Return the pages that are on disk, by number: in the pull, or in the batch that it became."""
    return {str(int(p.stem[5:])) for p in home.glob("landing/*/.pull-*/pass-*/page-*.json")}


@pytest.mark.slow
def test_killed_at_any_moment_no_kept_page_is_asked_for_again(desk: Desk, start, tmp_path):
    def behave(asked: Asked) -> Answer:
        time.sleep(0.002)
        return page_of(ROWS, asked)

    server, puller, moments = desk.serve(behave), start(), random.Random(20261124)
    assert puller.pull(tmp_path / "warm") == 0  # it has to start first
    begun = time.monotonic()
    assert puller.pull(tmp_path / "home-0") == 0
    undisturbed = time.monotonic() - begun
    _exactly_once(tmp_path / "home-0")
    kills, resumed, finished, pages = 0, 0, 1, set()
    while kills < 20 * MANY or pages:
        home = tmp_path / f"home-{finished}"
        pages, seen = kept(home), len(server.asked)
        # A slow machine may never finish in the time of its best hour: some pulls are left alone.
        spared = pages and (kills % 5 == 4 or kills >= 20 * MANY)
        status = puller.pull(home, None if spared else moments.uniform(0.0, undisturbed))
        # What is still under way from the kill before is of a page that was not kept.
        assert not pages & {a.query["page"] for a in server.asked[seen:]}
        resumed += bool(pages)
        kills += status != 0
        if status == 0:
            _exactly_once(home)
            finished += 1
            pages = set()
    assert resumed > 2
    assert finished > 1


def _lives(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def _exactly_once(home: Path) -> None:
    [batch] = landing.batches(Home(Settings(home=home)), "tax_arrears")
    files = landing.payload(Home(Settings(home=home)), batch)
    names = [row["id"] for file in files for row in json.loads(file.read_bytes())["data"]["rows"]]
    assert names == list(range(57))
    assert not landing.verify_landed(Home(Settings(home=home)), batch)
    assert [p.name for p in (home / "landing" / "tax_arrears").iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize("style", ["page", "offset", "cursor"])
def test_goes_on_from_the_page_where_it_was_killed(desk: Desk, start, tmp_path, style):
    name = {"page": "page", "offset": "offset", "cursor": "cursor"}[style]

    def behave(asked: Asked) -> Answer:
        if len(server.asked) == 7:
            return Answer(b"{}", hang_seconds=30)
        place = int(asked.query.get(name, "1" if style == "page" else "0"))
        start_row = (place - 1) * 5 if style == "page" else place
        answer = rows_answer(ROWS[start_row : start_row + 5], len(ROWS))
        if style == "cursor" and start_row + 5 < len(ROWS):
            return Answer(answer.body[:-1] + f', "next": "{start_row + 5}"}}'.encode())
        return answer

    server = desk.serve(behave)
    puller = start(paging=style, timeout_seconds=60, **({"next": "next"} if style == "cursor" else {}))
    home = tmp_path / "home"
    assert puller.pull(home, kill_when=lambda: len(server.asked) == 7) == -signal.SIGKILL
    assert len(server.asked) == 7
    assert puller.pull(home) == 0
    _exactly_once(home)
    asked = [a.query.get(name, "0") for a in server.asked]
    # The page under way was asked for twice, no other.
    assert [place for place in asked if asked.count(place) > 1] == [asked[6]] * 2
    assert len(asked) == PAGES + 1


def test_a_second_pass_is_resumed_too(desk: Desk, start, tmp_path):
    def behave(asked: Asked) -> Answer:
        if len(server.asked) == 18:
            return Answer(b"{}", hang_seconds=30)
        return page_of(ROWS if len(server.asked) > 1 else ROWS[:-1], asked)

    server = desk.serve(behave)
    puller = start(timeout_seconds=60)
    home = tmp_path / "home"
    assert puller.pull(home, kill_when=lambda: len(server.asked) == 18) == -signal.SIGKILL
    assert len(server.asked) == 18
    assert puller.pull(home) == 0
    _exactly_once(home)
    assert [int(a.query["page"]) for a in server.asked] == [*range(1, 13), *range(1, 7), *range(6, 13)]
