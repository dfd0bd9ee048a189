"""When a person is asked before a publication, and what becomes of the answer."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.errors import ContractError
from deliveries import PENALTY, REGISTRATION, START, Office, company, penalty, uscc

STRICT = {"quality": {"quarantined": {"warn": 0.1, "hold": 0.9}}}


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.contract("test_reg", "registration", REGISTRATION)
    office.contract("test_fines", "penalty", PENALTY, **STRICT)
    office.contract("test_penalty", "penalty", PENALTY)
    office.deliver("test_reg", company(1), company(2), day=0)
    office.deliver("test_fines", penalty(1, uscc=uscc(1)), day=0)
    return office


def publish(office: Office, decision: str, *without: str, day: float, held: tuple[str, ...] = ()):
    office.retry()
    said = pipeline.Approval(decision, "已核实", "op", "2026-11-24T00:00:00+00:00", without, held)
    return pipeline.publish(office.contracts, office.settings, Clock(START + timedelta(days=day)), said)


def doubtful(office: Office, day: float) -> None:
    office.deliver("test_fines", penalty(2, uscc=uscc(2)), penalty(3, uscc=uscc(1), decision_on=""), day=day)


def fines(office: Office) -> set[str]:
    return {number for (number,) in office.table("penalty", "decision_no")}


def manifest(office: Office) -> dict:
    return json.loads((office.snapshot() / "manifest.json").read_text())


def test_nobody_is_asked_where_nothing_is_doubtful(office):
    assert pipeline.review(office.contracts, office.settings) is None
    office.publish()
    assert pipeline.review(office.contracts, office.settings) is None
    assert "approval" not in manifest(office)["extra"]


def test_a_warning_is_asked_about_with_its_counts_and_findings_until_it_is_published(office):
    office.publish()
    doubtful(office, day=1)
    found = pipeline.review(office.contracts, office.settings)
    (doubt,) = found.doubts
    assert (doubt.why, doubt.dataset, found.fresh) == ("warn", "test_fines", 1)
    assert (doubt.counts["received"], doubt.counts["quarantined"]) == (2, 1)
    assert doubt.findings
    assert (office.settings.home / doubt.report).is_file()
    publish(office, "发布", day=1)
    assert manifest(office)["extra"]["approval"]["reason"] == "已核实"
    assert pipeline.review(office.contracts, office.settings) is None


def test_a_list_that_shrank_is_named_as_such(office):
    shrink = {"quality": {"quarantined": {"warn": 0.9, "hold": 0.95}, "shrink": {"warn": 0.1, "hold": 0.9}}}
    office.contract("test_list", "penalty", PENALTY, mode="full", **shrink)
    office.contracts["test_list"] = office.contracts["test_list"].model_copy(
        update={"delivery": office.contracts["test_list"].delivery.model_copy(update={"mode": "full"})}
    )
    office.deliver("test_list", *[penalty(n, uscc=uscc(1)) for n in range(10, 60)], day=0)
    office.publish()
    office.deliver("test_list", *[penalty(n, uscc=uscc(1)) for n in range(10, 35)], day=1)
    (doubt,) = pipeline.review(office.contracts, office.settings).doubts
    assert (doubt.why, doubt.counts["withdrawn"]) == ("shrunk", 25)


def test_a_held_batch_is_asked_about_once_and_only_when_there_is_something_to_publish(office):
    office.publish()
    office.deliver("test_fines", *[penalty(n, uscc=uscc(1), decision_on="") for n in range(5)], day=1)
    assert pipeline.review(office.contracts, office.settings) is None, "nothing to publish"
    office.deliver("test_penalty", penalty(7, uscc=uscc(1)), day=1)
    found = pipeline.review(office.contracts, office.settings)
    assert [(d.why, d.counts) for d in found.doubts] == [("held", {"received": 5, "quarantined": 5})]
    assert found.choices() == {"test_fines": office.contracts["test_fines"].title}
    publish(office, "发布", day=1, held=tuple(found.held()))
    office.deliver("test_penalty", penalty(8, uscc=uscc(1)), day=2)
    assert pipeline.review(office.contracts, office.settings) is None


def test_a_source_that_is_left_out_stays_as_it_was_and_comes_back_whole(office):
    office.publish()
    doubtful(office, day=1)
    office.deliver("test_penalty", penalty(7, uscc=uscc(2)), day=2)
    publish(office, "不含所选来源发布", "test_fines", day=2)
    assert fines(office) == {"湘示罚〔2026〕1号", "湘示罚〔2026〕7号"}
    assert manifest(office)["extra"]["left_out"] == ["test_fines"]
    assert pipeline.review(office.contracts, office.settings).proposed() == ["test_fines"], "it is asked about again"
    office.publish(day=3)
    assert fines(office) == {f"湘示罚〔2026〕{n}号" for n in (1, 2, 7)}
    assert "left_out" not in manifest(office)["extra"]


def test_leaving_out_gives_the_very_rows_of_a_home_that_never_had_it(office, tmp_path):
    doubtful(office, day=1)
    publish(office, "不含所选来源发布", "test_fines", day=2)
    assert fines(office) == set(), "it had never been published"
    plain = Office(tmp_path / "plain")
    plain.contract("test_reg", "registration", REGISTRATION)
    plain.deliver("test_reg", company(1), company(2), day=0)
    plain.publish(day=2)
    assert office.table("registration", "record_id, established_on") == plain.table(
        "registration", "record_id, established_on"
    )


def test_a_source_that_registers_subjects_cannot_be_left_out(office):
    with pytest.raises(ContractError, match="登记主体"):
        publish(office, "不含所选来源发布", "test_reg", day=1)
    assert not office.layout.pointer("government").exists()


def test_what_is_held_is_proposed_to_be_left_out_and_what_registers_subjects_is_not_offered(office):
    office.publish()
    office.contract("test_reg", "registration", REGISTRATION, **STRICT)
    office.deliver("test_reg", company(3), company(4, uscc=""), day=1)
    office.deliver("test_fines", *[penalty(n, uscc=uscc(1), decision_on="") for n in range(5)], day=1)
    office.contract("test_penalty", "penalty", PENALTY, **STRICT)
    office.deliver("test_penalty", penalty(7, uscc=uscc(1)), penalty(8, uscc=uscc(1), decision_on=""), day=1)
    found = pipeline.review(office.contracts, office.settings)
    assert {(d.dataset, d.why) for d in found.doubts} == {
        ("test_reg", "warn"), ("test_fines", "held"), ("test_penalty", "warn"),
    }  # fmt: skip
    assert set(found.choices()) == {"test_fines", "test_penalty"}
    assert found.proposed() == ["test_fines"]


def test_what_came_while_the_question_was_open_is_not_published_by_its_answer(office):
    office.publish()
    doubtful(office, day=1)
    found = pipeline.review(office.contracts, office.settings)
    office.deliver("test_penalty", penalty(7, uscc=uscc(2)), penalty(8, uscc=uscc(1)), day=2)
    said = pipeline.Approval("发布", "已核实", "op", "2026-11-24T00:00:00+00:00", upto=found.upto)
    pipeline.publish(office.contracts, office.settings, Clock(START + timedelta(days=3)), said)
    assert fines(office) == {f"湘示罚〔2026〕{n}号" for n in (1, 2)}
    office.publish(day=4)
    assert fines(office) == {f"湘示罚〔2026〕{n}号" for n in (1, 2, 7, 8)}


def test_a_rejection_and_its_reason_stand_in_the_next_manifest_and_only_there(office):
    office.publish()
    doubtful(office, day=1)
    no = pipeline.Approval("不发布", "金额单位疑似有误，等部门回复", "op", "2026-03-03T02:00:00+00:00")
    pipeline.reject(no, office.settings)
    pipeline.reject(no, office.settings)  # the task was tried again
    later = pipeline.Approval("不发布", "仍在等", "op", "2026-03-04T02:00:00+00:00")
    pipeline.reject(later, office.settings)
    asked = pipeline.review(office.contracts, office.settings)
    assert [r["reason"] for r in asked.rejected] == [no.reason, later.reason]
    publish(office, "发布", day=3)
    extra = manifest(office)["extra"]
    assert [(r["reason"], r["by"]) for r in extra["rejected"]] == [(no.reason, "op"), (later.reason, "op")]
    assert extra["approval"]["decision"] == "发布"
    office.deliver("test_penalty", penalty(9, uscc=uscc(1)), day=4)
    office.publish(day=4)
    assert "rejected" not in manifest(office)["extra"], "told once"
    pipeline.reject(later, office.settings)
    office.deliver("test_penalty", penalty(10, uscc=uscc(1)), day=5)
    office.publish(day=5)
    assert "rejected" not in manifest(office)["extra"], "the very same answer is no second rejection"
