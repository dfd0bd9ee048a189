"""The commands for legal acts: what they show, and their exit codes."""

import json

import pytest
from pipeline_runs import told, words

from deliveries import PENALTY, REGISTRATION, Office, company, penalty, uscc

DOCUMENT = ("--document", "修〔2026〕1号", "--by", "甲", "--day", "2026-03-03")


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    office = Office(tmp_path_factory.mktemp("acts"))
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_pen", "penalty", (*PENALTY, "penalty_class_name"))
    office.deliver("test_reg", company(1), company(2), day=0)
    rows = [penalty(n, uscc=uscc(n), penalty_class_name="罚款") for n in (1, 2)]
    office.deliver("test_pen", *rows, penalty(2, uscc=uscc(2), authority_name="示例税务局"), day=0)
    office.publish(day=0)
    return office


def run(office: Office, *arguments: str) -> tuple[int, str]:
    done = told(words(office.settings.home, office.settings.contracts, *arguments))
    return done.returncode, done.stdout + done.stderr


def named(n: int) -> tuple[str, ...]:
    return ("--subject", uscc(n), "--number", f"湘示罚〔2026〕{n}号")


@pytest.mark.slow
def test_acts_are_entered_confirmed_and_refused(office):
    assert run(office, "acts", "list") == (0, "没有待办的修复、撤回或异议。\n")
    code, text = run(office, "repair", *named(1), "--authority", "示例市监局", *DOCUMENT)
    assert code == 0 and "第 0 号修复" in text and "有效" in text
    code, text = run(office, "object", *named(1), *DOCUMENT)
    assert code == 1 and "已有第 0 号修复" in text
    code, text = run(office, "repair", *named(9), *DOCUMENT)
    assert code == 1 and "没有找到" in text
    assert run(office, "withdraw", "--subject", uscc(1), *DOCUMENT)[0] == 2
    code, text = run(office, "withdraw", *named(2), *DOCUMENT, "--json")
    case = json.loads(text)
    assert code == 3 and case["state"] == "waiting" and len(case["records"]) == 2, "of two authorities"
    assert run(office, "acts", "confirm", "1", "--by", "甲")[0] == 1
    code, text = run(office, "acts", "confirm", "1", "--by", "乙", "--record", case["records"][0])
    assert code == 0 and "有效" in text
    code, text = run(office, "--lang", "en", "acts", "sweep")
    assert code == 1 and "2 records taken out" in text
    assert run(office, "acts", "reissue")[0] == 0
    assert run(office, "acts", "sweep")[0] == 0
    assert run(office, "verify")[0] == 0
    code, text = run(office, "lift", "0", "--document", "复〔2026〕1号", "--by", "乙")
    assert code == 0 and "已解除" in text
