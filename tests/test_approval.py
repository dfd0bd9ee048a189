"""When a person is asked before a publication, and what becomes of the answer."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from chengxin import pipeline
from chengxin.clock import Clock
from chengxin.errors import ContractError
from chengxin.facts import as_json
from chengxin.home import Home
from deliveries import PENALTY, PERSON, REGISTRATION, START, Office, built_once, company, penalty, person_doc, uscc

STRICT = {"quality": {"min_rows": 1, "quarantined": {"warn": 0.1, "hold": 0.9}}}


@pytest.fixture
@built_once
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
    return pipeline.publish(Home(office.settings, Clock(START + timedelta(days=day))), office.contracts, said)


def doubtful(office: Office, day: float) -> None:
    office.deliver("test_fines", penalty(2, uscc=uscc(2)), penalty(3, uscc=uscc(1), decision_on=""), day=day)


def fines(office: Office) -> set[str]:
    return {number for (number,) in office.table("penalty", "decision_no")}


def manifest(office: Office) -> dict:
    return json.loads((office.snapshot() / "manifest.json").read_text())


def test_nobody_is_asked_where_nothing_is_doubtful(office):
    assert pipeline.review(Home(office.settings), office.contracts) is None
    office.publish()
    assert pipeline.review(Home(office.settings), office.contracts) is None
    assert "approval" not in manifest(office)["basis"]


def test_a_warning_is_asked_about_until_it_is_published(office):
    office.publish()
    doubtful(office, day=1)
    found = pipeline.review(Home(office.settings), office.contracts)
    (doubt,) = found.doubts
    assert (doubt.why, doubt.dataset, found.fresh) == ("warn", "test_fines", 1)
    assert (doubt.counts["received"], doubt.counts["quarantined"]) == (2, 1)
    assert doubt.findings
    assert doubt.batch_id in office.page("test_fines", doubt.batch_id)
    publish(office, "发布", day=1)
    assert manifest(office)["basis"]["approval"]["reason"] == "已核实"
    assert pipeline.review(Home(office.settings), office.contracts) is None


@pytest.mark.slow
def test_a_list_that_shrank_is_named_as_such(office):
    shrink = {
        "quality": {"min_rows": 1, "quarantined": {"warn": 0.9, "hold": 0.95}, "shrink": {"warn": 0.1, "hold": 0.9}}
    }
    office.contract("test_list", "penalty", PENALTY, mode="full", **shrink)
    office.contracts["test_list"] = office.contracts["test_list"].model_copy(
        update={"delivery": office.contracts["test_list"].delivery.model_copy(update={"mode": "full"})}
    )
    office.deliver("test_list", *[penalty(n, uscc=uscc(1)) for n in range(10, 60)], day=0)
    office.publish()
    office.deliver("test_list", *[penalty(n, uscc=uscc(1)) for n in range(10, 35)], day=1)
    (doubt,) = pipeline.review(Home(office.settings), office.contracts).doubts
    assert (doubt.why, doubt.counts["withdrawn"]) == ("shrunk", 25)


def test_a_held_batch_is_asked_about_once_if_there_is_a_change(office):
    office.publish()
    office.deliver("test_fines", *[penalty(n, uscc=uscc(1), decision_on="") for n in range(5)], day=1)
    assert pipeline.review(Home(office.settings), office.contracts) is None, "nothing to publish"
    office.deliver("test_penalty", penalty(7, uscc=uscc(1)), day=1)
    found = pipeline.review(Home(office.settings), office.contracts)
    assert [(d.why, d.counts) for d in found.doubts] == [("held", {"received": 5, "quarantined": 5})]
    assert found.choices() == {"test_fines": office.contracts["test_fines"].title}
    publish(office, "发布", day=1, held=tuple(found.held()))
    office.deliver("test_penalty", penalty(8, uscc=uscc(1)), day=2)
    assert pipeline.review(Home(office.settings), office.contracts) is None


@pytest.mark.slow
def test_a_source_left_out_stays_as_it_was_and_comes_back_whole(office):
    office.publish()
    doubtful(office, day=1)
    office.deliver("test_penalty", penalty(7, uscc=uscc(2)), day=2)
    publish(office, "不含所选来源发布", "test_fines", day=2)
    assert fines(office) == {"湘示罚〔2026〕1号", "湘示罚〔2026〕7号"}
    assert manifest(office)["basis"]["left_out"].keys() == {"test_fines"}
    assert pipeline.review(Home(office.settings), office.contracts).proposed() == ["test_fines"], (
        "it is asked about again"
    )
    office.publish(day=3)
    assert fines(office) == {f"湘示罚〔2026〕{n}号" for n in (1, 2, 7)}
    assert "left_out" not in manifest(office)["basis"]


@pytest.mark.slow
def test_leaving_out_gives_the_rows_of_a_home_that_never_had_it(office, tmp_path):
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


@pytest.mark.slow
def test_what_is_held_is_proposed_to_leave_out_no_register_is(office):
    office.publish()
    office.contract("test_reg", "registration", REGISTRATION, **STRICT)
    office.deliver("test_reg", company(3), company(4, uscc=""), day=1)
    office.deliver("test_fines", *[penalty(n, uscc=uscc(1), decision_on="") for n in range(5)], day=1)
    office.contract("test_penalty", "penalty", PENALTY, **STRICT)
    office.deliver("test_penalty", penalty(7, uscc=uscc(1)), penalty(8, uscc=uscc(1), decision_on=""), day=1)
    found = pipeline.review(Home(office.settings), office.contracts)
    assert {(d.dataset, d.why) for d in found.doubts} == {
        ("test_reg", "warn"), ("test_fines", "held"), ("test_penalty", "warn"),
    }  # fmt: skip
    assert set(found.choices()) == {"test_fines", "test_penalty"}
    assert found.proposed() == ["test_fines"]


@pytest.mark.slow
def test_what_came_during_the_question_is_not_published_by_it(office):
    office.publish()
    doubtful(office, day=1)
    found = pipeline.review(Home(office.settings), office.contracts)
    office.deliver("test_penalty", penalty(7, uscc=uscc(2)), penalty(8, uscc=uscc(1)), day=2)
    said = pipeline.Approval("发布", "已核实", "op", "2026-11-24T00:00:00+00:00", upto=found.upto)
    pipeline.publish(Home(office.settings, Clock(START + timedelta(days=3))), office.contracts, said)
    assert fines(office) == {f"湘示罚〔2026〕{n}号" for n in (1, 2)}
    office.publish(day=4)
    assert fines(office) == {f"湘示罚〔2026〕{n}号" for n in (1, 2, 7, 8)}


@pytest.mark.slow
def test_a_rejection_and_its_reason_are_in_the_next_manifest(office):
    office.publish()
    doubtful(office, day=1)
    no = pipeline.Approval("不发布", "金额单位疑似有误，等部门回复", "op", "2026-03-03T02:00:00+00:00")
    pipeline.reject(Home(office.settings), no)
    pipeline.reject(Home(office.settings), no)  # the task was tried again
    later = pipeline.Approval("不发布", "仍在等", "op", "2026-03-04T02:00:00+00:00")
    pipeline.reject(Home(office.settings), later)
    asked = pipeline.review(Home(office.settings), office.contracts)
    assert [r["reason"] for r in asked.rejected] == [no.reason, later.reason]
    publish(office, "发布", day=3)
    extra = manifest(office)["basis"]
    assert [(r["reason"], r["by"]) for r in extra["rejected"]] == [(no.reason, "op"), (later.reason, "op")]
    assert extra["approval"]["decision"] == "发布"
    office.deliver("test_penalty", penalty(9, uscc=uscc(1)), day=4)
    office.publish(day=4)
    assert "rejected" not in manifest(office)["basis"], "told once"
    pipeline.reject(Home(office.settings), later)
    office.deliver("test_penalty", penalty(10, uscc=uscc(1)), day=5)
    office.publish(day=5)
    assert "rejected" not in manifest(office)["basis"], "the very same answer is no second rejection"


def grave(office: Office, day: float, by: str = "li") -> str:
    """Deliver a batch that is held and release it; return its id."""
    rows = [penalty(20, uscc=uscc(2)), *[penalty(n, uscc=uscc(1), decision_on="") for n in range(21, 81)]]
    held = office.deliver("test_fines", *rows, day=day)
    assert held["verdict"] == "hold"
    contract, clock = office.contracts["test_fines"], Clock(START + timedelta(days=day))
    landed = pipeline.batch(Home(office.settings), "test_fines", held["batch_id"])
    pipeline.release(Home(office.settings, clock), contract, landed, "已电话核实", by)
    pipeline.ingest(Home(office.settings, clock), contract, landed)
    return held["batch_id"]


def approve(office: Office, *by: str, day: float = 5):
    second = pipeline.Opinion(by[1], "同意", "2026-03-05T00:00:00+00:00") if len(by) > 1 else None
    said = pipeline.Approval("发布", "已核实", by[0], "2026-03-05T00:00:00+00:00", second=second)
    return pipeline.publish(Home(office.settings, Clock(START + timedelta(days=day))), office.contracts, said)


def test_a_released_batch_is_a_doubt_with_name_and_reason(office):
    office.publish()
    batch = grave(office, day=1)
    found = pipeline.review(Home(office.settings), office.contracts)
    (doubt,) = found.doubts
    assert (doubt.why, doubt.batch_id, found.releasers()) == ("released", batch, ["li"])
    assert (doubt.released.by, doubt.released.reason) == ("li", "已电话核实")
    assert any("疑问" in said for said in doubt.findings), "what was wrong stands there"


@pytest.mark.parametrize(
    ("people", "enough"), [((), False), (("li",), False), (("wang",), True), (("li", "wang"), True)]
)
def test_what_one_released_another_has_to_approve(office, people, enough):
    office.publish()
    grave(office, day=1)
    office.deliver("test_penalty", penalty(7, uscc=uscc(2)), day=2)
    approve(office, *people) if people else office.publish(day=5)
    assert ("湘示罚〔2026〕20号" in fines(office)) is enough
    assert ("湘示罚〔2026〕7号" in fines(office)) is enough, "what came after it waits too"


@pytest.mark.slow
def test_a_released_batch_that_was_left_out_still_needs_two(office):
    office.publish()
    batch = grave(office, day=1)
    office.deliver("test_penalty", penalty(7, uscc=uscc(2)), day=2)
    publish(office, "不含所选来源发布", "test_fines", day=2)
    office.publish(day=3)
    assert fines(office) == {"湘示罚〔2026〕1号", "湘示罚〔2026〕7号"}
    assert [a.batch_id for a in pipeline.released(Home(office.settings), office.contracts)] == [batch]
    approve(office, "wang")
    assert "湘示罚〔2026〕20号" in fines(office)
    assert pipeline.released(Home(office.settings), office.contracts) == []


@pytest.mark.slow
def test_the_manifest_names_no_released_batch_as_held(office):
    office.publish()
    held = office.deliver("test_fines", *[penalty(n, uscc=uscc(1), decision_on="") for n in range(100, 161)], day=1)
    other = office.deliver("test_fines", *[penalty(n, uscc=uscc(2), decision_on="") for n in range(200, 261)], day=1)
    office.deliver("test_penalty", penalty(7, uscc=uscc(1)), day=1)
    both = (held["batch_id"], other["batch_id"])
    publish(office, "发布", day=1, held=both)
    assert manifest(office)["basis"]["held"] == sorted(both)
    batch = grave(office, day=2)
    approve(office, "wang")
    extra = manifest(office)["basis"]
    assert extra["held"] == sorted(both)
    (entry,) = [b for b in extra["released"] if b["batch_id"] == batch]
    assert (entry["released"]["by"], entry["released"]["reason"]) == ("li", "已电话核实")


@pytest.mark.slow
def test_what_was_seen_held_and_then_released_is_not_held(office):
    office.publish()
    rows = [penalty(20, uscc=uscc(2)), *[penalty(n, uscc=uscc(1), decision_on="") for n in range(21, 81)]]
    held = office.deliver("test_fines", *rows, day=1)["batch_id"]
    office.deliver("test_penalty", penalty(7, uscc=uscc(1)), day=1)
    publish(office, "发布", day=1, held=(held,))
    landed, clock = pipeline.batch(Home(office.settings), "test_fines", held), Clock(START)
    pipeline.release(Home(office.settings, clock), office.contracts["test_fines"], landed, "已核实", "li")
    pipeline.ingest(Home(office.settings, clock), office.contracts["test_fines"], landed)
    approve(office, "wang")
    assert "held" not in manifest(office)["basis"]


def test_the_review_counts_what_comes_changes_and_goes(office):
    fields = (
        "full",
        {
            "quality": {
                "min_rows": 1,
                "quarantined": {"warn": 0.9, "hold": 0.95},
                "shrink": {"warn": 0.01, "hold": 0.99},
            }
        },
    )
    office.contract("test_list", "penalty", PENALTY, mode=fields[0], **fields[1])
    office.deliver("test_list", *[penalty(n, uscc=uscc(1)) for n in range(50, 80)], day=0)
    office.publish()
    before = fines(office)
    rows = [penalty(n, uscc=uscc(1)) for n in range(55, 79)]
    rows[0] |= {"penalty_content": "警告"}
    office.deliver("test_list", *rows, penalty(90, uscc=uscc(2)), day=1)
    office.deliver("test_reg", company(3), day=1)
    found = pipeline.review(Home(office.settings), office.contracts)
    counts = {c.kind: (c.added, c.changed, c.withdrawn) for c in found.changes}
    assert counts == {"penalty": (1, 1, 6), "registration": (1, 0, 0)}
    publish(office, "发布", day=1)
    assert len(fines(office)) == len(before) + 1 - 6, "and that is what happened"


def test_the_review_names_a_few_records_and_no_person(office):
    office.contract("test_people", "person_base", PERSON)
    office.deliver(
        "test_people", {"person_name": "张示例", "person_doc_no": person_doc(1), "region_code": "430102"}, day=0
    )
    shop = {"subject_name": "李示例", "uscc": uscc(5, kind="92"), "region_code": "430102"}
    office.deliver("test_reg", company(4), shop, day=0)
    named = {"person_doc_no": person_doc(1), "subject_name": "张示例"}
    rows = [penalty(31, uscc=uscc(4)), penalty(32, uscc=shop["uscc"]), penalty(33, **named)]
    office.deliver("test_fines", *rows, penalty(34, uscc=uscc(1), decision_on=""), day=1)
    found = pipeline.review(Home(office.settings), office.contracts)
    examples = [e for c in found.changes for e in c.examples]
    assert all(len([e for e in c.examples if e.action == "added"]) <= 3 for c in found.changes)
    assert any("湖南示例4有限公司" in e.values.values() or "湖南示例1有限公司" in e.values.values() for e in examples)
    people = [e for e in examples if e.subject_type == "person"]
    assert people
    assert all(e.values == {} for e in people)
    told = json.dumps([as_json(c) for c in found.changes], ensure_ascii=False)
    assert not [secret for secret in ("张示例", "李示例", person_doc(1)) if secret in told]


def test_a_preview_against_nothing_counts_all_as_new(office):
    doubtful(office, day=1)
    (fine,) = [c for c in pipeline.review(Home(office.settings), office.contracts).changes if c.kind == "penalty"]
    assert (fine.added, fine.changed, fine.withdrawn) == (2, 0, 0)


@pytest.mark.slow
def test_a_preview_knows_what_was_left_out_before(office):
    office.publish()
    doubtful(office, day=1)
    office.deliver("test_penalty", penalty(7, uscc=uscc(2)), day=2)
    publish(office, "不含所选来源发布", "test_fines", day=2)
    office.deliver("test_penalty", penalty(8, uscc=uscc(2)), day=3)
    (fine,) = pipeline.review(Home(office.settings), office.contracts).changes
    assert (fine.added, fine.changed, fine.withdrawn) == (2, 0, 0), "number 2 of the one, number 8 of the other"
