"""Judgements: appended with a reason, followed at the next settling, undone without a trace in what is published."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.errors import InvariantBroken
from chengxin.home import Home
from chengxin.identity import ledger
from deliveries import (
    ARREARS,
    CHANGE,
    GUARANTEE,
    PENALTY,
    REGISTRATION,
    Office,
    company,
    counts,
    lasting,
    penalty,
    renaming,
    uscc,
)
from records.test_assembling import apart, files, rebuilt

AT = datetime(2026, 3, 10, tzinfo=UTC)
NAME = "湖南别名公司"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_penalty", "penalty", PENALTY)
    office.deliver("test_reg", company(1), company(2), day=0)
    return office


def judge(office: Office, **said: Any) -> ledger.Judgement:
    given = {"subject_id": 1, "part": "name_key", "value": NAME, "outcome": "same", "reason": "营业执照扫描件"}
    return ledger.judge(office.layout, ledger.Said(**(given | said)), at=AT, author="审核员甲")


def undo(office: Office, judgement: ledger.Judgement) -> None:
    ledger.undo(office.layout, judgement.id, at=AT, author="审核员乙", reason="看错了")


def about(n: int, **more: Any) -> dict[str, Any]:
    return penalty(n, subject_name=NAME, **more)


def published(office: Office) -> list[tuple[Any, ...]]:
    office.publish()
    return office.table("penalty", "subject_id, decision_no, penalty_content")


def test_entries_are_numbered_and_kept_when_undone(office: Office) -> None:
    first, second = judge(office), judge(office, value="另一个名称")
    undo(office, first)
    everything = ledger.read(office.layout)
    assert [(j.id, j.undoes, j.reason) for j in everything] == [
        (0, None, "营业执照扫描件"),
        (1, None, "营业执照扫描件"),
        (2, 0, "看错了"),
    ]
    assert ledger.active(everything) == (second,)
    assert NAME not in repr(everything)
    with pytest.raises(InvariantBroken):
        undo(office, first)
    for wrong in ({"reason": " "}, {"part": "legal_rep"}, {"part": "reg_no", "outcome": "different"}, {"value": ""}):
        with pytest.raises(ValueError):
            judge(office, **wrong)


def test_a_positive_judgement_links_what_waits_and_what_comes(office: Office) -> None:
    office.deliver("test_penalty", about(1), about(2, uscc=uscc(2)), day=1)
    assert office.rules("test_penalty") == ["waits", "uscc"]
    judge(office)
    assert published(office) == [(1, "湘示罚〔2026〕1号", "罚款"), (2, "湘示罚〔2026〕2号", "罚款")]
    office.deliver("test_penalty", about(3), about(4, uscc=uscc(77)), day=2)
    assert office.rules("test_penalty", 1) == ["judgement", "waits"]
    assert office.retry() == []


@pytest.mark.slow
def test_an_undone_judgement_leaves_nothing_behind(office: Office, tmp_path: Path) -> None:
    office.deliver("test_penalty", about(1), penalty(2, uscc=uscc(1)), day=1)
    office.publish()
    before = lasting(office.snapshot())
    said = judge(office)
    assert len(published(office)) == 2
    undo(office, said)
    assert [counts(a) for a in office.retry()] == [(1, 0, 0, 1)]
    office.publish(1)
    assert lasting(office.snapshot()) == before
    assert apart(rebuilt(office, tmp_path)) == apart(files(office))
    assert office.retry() == []
    judge(office)
    assert len(published(office)) == 2


def test_a_code_that_two_subjects_bear_can_be_judged(office: Office) -> None:
    shared = {"reg_no": "430102000000013"}
    office.deliver("test_reg", company(3, **shared), company(4, **shared), day=1)
    office.deliver("test_penalty", penalty(1, **shared), day=2)
    assert office.rules("test_penalty") == ["waits"]
    judge(office, subject_id=4, part="reg_no", value=shared["reg_no"])
    office.publish()
    assert office.linked("test_penalty") == [(2, 4, "judgement")]


@pytest.mark.slow
def test_a_negative_judgement_unlinks_and_its_undoing_relinks(office: Office) -> None:
    row = penalty(1, subject_name="湖南示例1有限公司")
    office.deliver("test_penalty", row, day=1)
    assert len(published(office)) == 1
    no = judge(office, value="湖南示例1有限公司", outcome="different", reason="同名不同户")
    assert published(office) == []
    assert counts(office.account("test_penalty")) == (0, 0, 0, 1)
    undo(office, no)
    assert len(published(office)) == 1


@pytest.mark.slow
def test_a_version_repeated_or_corrected_by_others_gives_way(office: Office, tmp_path: Path) -> None:
    """Records stand or fall version by version: what codes support stays, as a row of its own."""
    said = judge(office)
    office.deliver("test_penalty", about(1, penalty_content="甲"), about(2, penalty_content="乙"), day=1)
    repeat = {"subject_name": NAME, "uscc": uscc(1)}
    office.deliver("test_penalty", penalty(1, **repeat | {"penalty_content": "甲"}), penalty(3, uscc=uscc(1)), day=2)
    office.deliver("test_penalty", about(3, penalty_content="更正"), day=3)
    content = [(1, f"湘示罚〔2026〕{n}号", c) for n, c in ((1, "甲"), (2, "乙"), (3, "更正"))]
    assert published(office) == content
    undo(office, said)
    assert published(office) == [content[0], (1, "湘示罚〔2026〕3号", "罚款")]
    assert [counts(office.account("test_penalty", n)) for n in range(3)] == [(0, 0, 0, 2), (2, 0, 0, 0), (0, 0, 0, 1)]
    assert apart(rebuilt(office, tmp_path)) == apart(files(office))


@pytest.mark.slow
def test_a_settling_that_was_cut_off_is_completed(office: Office) -> None:
    said = judge(office)
    for day, content in enumerate("甲乙丙", 1):
        office.deliver("test_penalty", about(1, penalty_content=content), day=day)
    office.publish()
    undo(office, said)
    assert len(office.retry()) == 3
    # As if the run had been killed after the first of the three accounts.
    for path in sorted(office.layout.journal.iterdir())[-2:] + list(office.settings.home.rglob("tried.json")):
        path.unlink()
    pipeline.tidy(Home(office.settings))
    assert len(office.retry()) == 2
    assert published(office) == []
    assert all(counts(a) == (0, 0, 0, 1) for a in office.accounts().values() if a.dataset == "test_penalty")


@pytest.mark.slow
def test_a_judgement_counts_for_either_role_of_a_guarantee(office: Office) -> None:
    office.contract("test_guarantee", "guarantee", GUARANTEE)
    row = {"uscc": uscc(2), "related_name": NAME, "institution_code": "C1", "contract_no": "示保1号"}
    office.deliver("test_guarantee", row | {"valid_from_on": "2026-01-01"}, day=1)
    said = judge(office)
    office.publish()
    assert office.table("guarantee", "subject_id, related_subject_id", tier="assembly") == [(2, 1)]
    undo(office, said)
    office.publish()
    assert office.table("guarantee", tier="assembly") == []


@pytest.mark.slow
def test_in_full_deliveries_an_undone_row_does_not_come_back(office: Office, tmp_path: Path) -> None:
    office.contract("test_arrears", "tax_arrears", ARREARS, mode="full")
    row = {"tax_type_name": "增值税", "authority_name": "示例局", "published_on": "2026-02-01", "arrears_balance": 10}
    said = judge(office)
    office.deliver("test_arrears", row | {"subject_name": NAME}, row | {"uscc": uscc(2)}, day=1)
    office.deliver("test_arrears", row | {"subject_name": NAME}, row | {"uscc": uscc(2), "arrears_balance": 20}, day=2)
    office.publish()
    assert office.table("tax_arrears", "subject_id") == [(1,), (2,)]
    undo(office, said)
    office.publish()
    assert office.table("tax_arrears", "subject_id") == [(2,)]
    assert [counts(office.account("test_arrears", n)) for n in (0, 1)] == [(1, 0, 0, 1), (1, 0, 0, 1)]
    assert apart(rebuilt(office, tmp_path)) == apart(files(office))


def test_what_registers_is_not_judged(office: Office) -> None:
    office.contract("test_change", "registration_change", CHANGE)
    judge(office)
    row = renaming(1, "湖南旧名有限公司", NAME) | {"uscc": "", "subject_name": NAME}
    assert counts(office.deliver("test_change", row, day=1)) == (0, 0, 0, 1)


@pytest.mark.slow
def test_a_rebuild_follows_the_judgements_of_its_journal(office: Office, tmp_path: Path) -> None:
    office.deliver("test_penalty", about(1), about(2, reg_no="430102000000099"), day=1)
    judge(office)
    office.publish()
    undo(office, judge(office, value="别的"))
    office.deliver("test_penalty", about(1, penalty_content="更正"), day=2)
    office.publish(1)
    assert pipeline.publish(Home(office.settings, Clock(AT)), office.contracts) is None
    assert apart(rebuilt(office, tmp_path)) == apart(files(office))
