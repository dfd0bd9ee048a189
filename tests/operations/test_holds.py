"""A held batch: the column's fill before and now, and how to release it, wherever it is told."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from chengxin.cli import render
from chengxin.home import Home
from chengxin.operations.alerts.book import Book
from chengxin.operations.alerts.holds import hold_of
from chengxin.orchestration import alerts
from deliveries import PENALTY, REGISTRATION, Office, company, penalty, uscc


@pytest.fixture
def held(tmp_path: Path) -> tuple[Office, dict]:
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", PENALTY, quality={"fill": {"authority_name": 0.8}})
    office.deliver("reg", *[company(n) for n in range(20)], day=0)
    rows = [penalty(n, uscc=uscc(n)) for n in range(20)]
    assert office.deliver("pen", *rows, day=1)["verdict"] != "hold"
    done = office.deliver(
        "pen", *[{**row, "decision_no": f"二〔2026〕{n}号", "authority_name": ""} for n, row in enumerate(rows)], day=2
    )
    assert done["verdict"] == "hold"
    return office, done


def test_a_hold_names_the_fill_before_and_now_and_the_command(held):
    office, done = held
    hold = hold_of(office.layout, "pen", done["batch_id"])
    assert [why for why in hold.why if "填充率 0.0%（此前 100.0%），低于下限 80.0%" in why]
    assert hold.releasable and f"chengxin release pen {done['batch_id']} --reason" in hold.remedy()
    assert "放行" in hold.remedy()


def test_the_runs_output_says_how_to_settle_what_is_held(held):
    office, done = held
    console = Console(file=io.StringIO(), width=200)
    render.summary(Home(office.settings), console, {"batches": [done], "snapshot": None})
    said = console.file.getvalue()
    assert "（此前 100.0%）" in said and f"chengxin release pen {done['batch_id']}" in said and "“放行”" in said


def test_the_alert_says_so_too(held, monkeypatch):
    office, done = held
    monkeypatch.setenv("CHENGXIN_HOME", str(office.layout.home))
    monkeypatch.setenv("CHENGXIN_ALERTS", "off")
    alerts.held(office.contracts["pen"], done["batch_id"])
    (entry,) = Book(office.layout).open_entries()
    for words in ("（此前 100.0%）", f"chengxin release pen {done['batch_id']}", "“放行”"):
        assert words in entry.cause.text


def test_what_cannot_be_released_offers_no_command(held):
    office, _ = held
    wrong = office.deliver("pen", *[penalty(n, uscc="x" * 18) for n in range(30, 36)], day=3)
    assert wrong["verdict"] == "hold"
    hold = hold_of(office.layout, "pen", wrong["batch_id"])
    assert not hold.releasable and "chengxin release" not in hold.remedy() and "不能放行" in hold.remedy()


def test_a_damaged_verdict_says_nothing_and_breaks_nothing(held):
    office, done = held
    office.layout.validation("pen", done["batch_id"]).write_text("[")
    hold = hold_of(office.layout, "pen", done["batch_id"])
    assert (hold.why, hold.releasable) == ((), False)
