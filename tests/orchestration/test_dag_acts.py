"""A withdrawal by the page: one person proposes it, which hides the record at once; another confirms it."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chengxin.errors import ContractError
from chengxin.orchestration import legal_acts
from chengxin.orchestration.pages.run_results import words_of
from chengxin.publishing.reader import open_snapshot
from chengxin.records import acts
from deliveries import PENALTY, REGISTRATION, START, Office, built_once, company, penalty, uscc


@pytest.fixture
@built_once
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("reg", "registration", REGISTRATION)
    office.contract("pen", "penalty", PENALTY)
    office.deliver("reg", company(1), company(2), day=0)
    office.deliver("pen", penalty(1, uscc=uscc(1)), penalty(2, uscc=uscc(2)), day=0)
    office.publish(0)
    return office


@pytest.fixture(autouse=True)
def environment(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHENGXIN_HOME", str(office.settings.home))
    monkeypatch.setenv("CHENGXIN_CONTRACTS", str(office.settings.contracts))
    monkeypatch.setenv("CHENGXIN_NOW", (START + timedelta(days=1)).isoformat())


def run(by: str | None, **conf: str) -> dict[str, Any]:
    said: list[dict[str, Any]] = []
    legal_acts.enter(conf, by, said.append)
    [one] = said
    return one


def propose(office: Office, by: str = "陈某", **more: str) -> dict[str, Any]:
    [[record]] = office.table("penalty", "record_id")[:1]
    return run(by, **{"action": "propose", "record": record, "document": "撤〔2026〕1号", "day": "2026-03-03"} | more)


def shown(office: Office) -> int:
    return open_snapshot(office.settings.home).table("penalty").num_rows


def told(said: dict[str, Any]) -> str:
    return " ".join(words.render(str) for words in words_of([said]))


def test_who_proposed_a_withdrawal_cannot_confirm_it(office: Office) -> None:
    assert shown(office) == 2
    said = propose(office)
    assert "已提出第 0 号撤回，1 条记录" in told(said) and shown(office) == 1
    assert "须由另一人确认" in told(run("陈某", action="confirm", number="0"))
    assert acts.read(office.layout).cases[0].state == "proposed"
    assert "已确认第 0 号撤回" in told(run("李某", action="confirm", number="0"))
    case = acts.read(office.layout).cases[0]
    assert (case.state, case.act.by, case.confirmed and case.confirmed.by) == ("in_force", "陈某", "李某")


def test_what_cannot_be_entered_is_told_and_changes_nothing(office: Office) -> None:
    assert "没有找到" in told(propose(office, record="0" * 32))
    assert "早于决定日期" in told(propose(office, day="2026-01-01"))
    assert "没有第 7 号" in told(run("李某", action="confirm", number="7"))
    assert not acts.read(office.layout).cases
    propose(office)
    assert "该记录已有第 0 号撤回" in told(propose(office, by="李某"))


@pytest.mark.parametrize("conf", [{"action": "confirm"}, {"action": "propose", "record": "0" * 32}])
def test_an_incomplete_form_and_an_unknown_person_are_refused(conf: dict[str, str]) -> None:
    with pytest.raises(ContractError, match="表单缺少"):
        run("陈某", **conf)
    with pytest.raises(ContractError, match="须两人办理"):
        run(None, **conf)
