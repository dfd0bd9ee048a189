"""The publication's question: what the DAG is made of, what a person reads, what becomes of the answer."""

from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk import TriggerRule

from chengxin.errors import ContractError
from chengxin.orchestration import answers, assets, review_text, snapshot, stages
from chengxin.orchestration.outcomes import AnswerInvalid
from chengxin.settings import Settings

DOUBT = {
    "dataset": "tax_arrears",
    "title": "欠税|公告",
    "department": "税务局",
    "batch_id": "tax_arrears-20261124-0123456789ab",
    "why": "held",
    "counts": {"received": 1200, "quarantined": 1200},
    "findings": ["合同未声明的列：来路不明"] * 8,
}
REVIEW = {"previous": "s1", "fresh": 1, "rows": 5, "doubts": [DOUBT], "changes": []}
FOUND = {
    "ask": True,
    "choices": {"tax_arrears": "欠税公告", "tax_rating": "信用级别"},
    "held": ["b"],
    "upto": 7,
    "releasers": [],
    "second": False,
}
TWO = {**FOUND, "releasers": ["li"], "second": True}
SAID = {
    "chosen_options": ["不含所选来源发布"],
    "params_input": {"reason": "等待重报", "without": ["tax_arrears", "never_asked_about"]},
    "responded_at": datetime(2026, 11, 24, tzinfo=UTC),
    "responded_by_user": {"id": "7", "name": "op"},
}


def test_it_runs_on_one_asset_and_daily_and_asks_in_chinese():
    dag = snapshot.build()
    assert type(dag.timetable).__name__ == "AssetOrTimeSchedule"
    assert dag.timetable.asset_condition == assets.ADMITTED, "a new contract is no new version of it"
    approve, publish = dag.get_task("approve"), dag.get_task("publish")
    assert approve.options == ["发布", "不含所选来源发布", "不发布"]
    assert approve.defaults == ["不发布"]
    assert approve.response_timeout is not None
    assert publish.trigger_rule == TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS
    assert {"approve", "ask_or_publish"} <= publish.upstream_task_ids
    second = dag.get_task("second")
    assert (second.options, second.upstream_task_ids) == (["发布", "不发布"], {"approve"})
    dag.params.validate()
    approve.params.validate()
    second.params.validate()
    assert approve.params["reason"] is None, "nothing is filled in"


def test_the_question_shows_counts_findings_and_a_link():
    text = review_text.markdown({**REVIEW, "doubts": [DOUBT] * 60}, "/airflow/chengxin")
    (row, *_) = [line for line in text.splitlines() if "[tax_arrears-" in line]
    assert row.count("|") == 11, "a title with a bar does not break the table"
    assert "1,200" in row
    assert "(/airflow/chengxin/batches/tax_arrears/tax_arrears-20261124-0123456789ab" in row
    assert "来路不明" in text
    assert "另有 10 项" in text


CHANGE = {
    "kind": "penalty",
    "title": "行政处罚",
    "added": 1200,
    "changed": 3,
    "withdrawn": 0,
    "examples": [
        {"action": "added", "dataset": "d", "batch_id": "d-20261124-0123456789ab", "source_row": 7,
         "subject_type": "enterprise", "values": {"名称": "`x`|<b>", "文书号": "[a](http://b)"}},
        {"action": "changed", "dataset": "d", "batch_id": "d-20261124-0123456789ab", "source_row": 8,
         "subject_type": "person", "values": {}},
    ],
}  # fmt: skip


def test_the_question_shows_what_would_change():
    text = review_text.markdown({**REVIEW, "changes": [CHANGE]}, "/chengxin")
    assert "| 行政处罚 `penalty` | 1,200 | 3 | 0 |" in text
    assert "新增·行政处罚：名称 `´x´｜<b>`，文书号 `[a](http://b)`（[d-" in text, "as text, in code"
    assert "更新·行政处罚：自然人的记录，不列内容" in text
    assert "各表记录不变" in review_text.markdown(REVIEW, "/chengxin")


def test_a_text_of_a_department_is_no_mark_and_no_link():
    odd = {**DOUBT, "findings": ["文件 ![x](http://a/b.png) <img src=x> **列**"]}
    text = review_text.markdown({**REVIEW, "doubts": [odd]}, "/chengxin")
    assert r"\!\[x\](http://a/b.png) \<img src=x\> \*\*列\*\*" in text


def test_who_released_and_why_stands_before_the_findings():
    said = {"by": "li", "reason": "已电话核实", "at": "2026-11-26T01:20:36+00:00"}
    doubt = {**DOUBT, "why": "released", "released": said}
    text = review_text.markdown({**REVIEW, "doubts": [doubt]}, "/chengxin")
    assert "**li** 已放行，理由：已电话核实" in text
    assert "须由放行人和首位审批人以外的人复核" in text


def test_the_question_tells_who_refused_before_and_why():
    said = {"decision": "不发布", "reason": "等部门|回复", "by": "陈某", "at": "2026-11-26T01:20:36+00:00"}
    assert review_text.rejections(()) == ""
    told = review_text.rejections([{**said, "reason": "", "by": ""}, said])
    assert told == "此前 2 次答复“不发布”；最近一次（陈某，2026-11-26 09:20）：等部门｜回复。\n\n"
    assert "逾时无人作答" in review_text.rejections([{**said, "reason": "", "by": ""}])


def test_the_answer_becomes_an_approval_with_name_and_time():
    said = answers.approval_fields(FOUND, SAID)
    assert (said["decision"], said["reason"], said["by"]) == ("不含所选来源发布", "等待重报", "op")
    assert said["without"] == ("tax_arrears",), "only what was asked about"
    assert said["upto"] == 7
    assert said["at"].startswith("2026-11-24")
    assert answers.approval_fields(FOUND, {**SAID, "chosen_options": ["发布"]})["without"] == ()


@pytest.mark.parametrize("chosen", [None, [], ["never_asked_about"]])
def test_leaving_out_without_naming_a_source_publishes_nothing(chosen):
    said = {**SAID, "params_input": {"reason": "等待重报", "without": chosen}}
    with pytest.raises(AnswerInvalid, match="没有选来源"):
        answers.check(said, (), FOUND["choices"])
    with pytest.raises(AnswerInvalid, match="没有选来源"):
        answers.approval_fields(FOUND, said)


@pytest.mark.parametrize("reason", [None, "", " 　\n", "好"])
def test_an_answer_without_an_opinion_does_not_count(reason):
    for option in answers.OPTIONS:
        said = {**SAID, "chosen_options": [option], "params_input": {"reason": reason, "without": ["tax_rating"]}}
        with pytest.raises(AnswerInvalid, match="意见"):
            answers.approval_fields(FOUND, said)


NOT_ANSWERED = [
    None, {}, {"chosen_options": []}, {"chosen_options": ["发布", "不发布"]}, {"chosen_options": ["Approve"]},
    {**SAID, "chosen_options": ["发布"], "responded_by_user": None},
]  # fmt: skip


@pytest.mark.parametrize("said", NOT_ANSWERED)
def test_what_nobody_answered_publishes_nothing(said):
    with pytest.raises(ContractError, match="没有人作答"):
        answers.both_of(FOUND, said, None)
    first = {**SAID, "chosen_options": ["发布"]}
    with pytest.raises(ContractError, match="没有人作答"):
        answers.both_of(TWO, first, said)


def test_a_review_that_was_marked_as_done_publishes_nothing():
    with pytest.raises(ContractError, match="核对"):
        stages.ask_or_publish(None)
    with pytest.raises(ContractError, match="核对"):
        stages.publish({}, None, None, None, {})


def test_nobody_in_time_is_a_rejection():
    said = {"chosen_options": ["不发布"], "params_input": {"reason": "", "without": ["tax_arrears"]},
            "responded_by_user": None, "responded_at": datetime(2026, 11, 24, tzinfo=UTC)}  # fmt: skip
    fields, second = answers.both_of(TWO, said, None)
    assert (fields["decision"], fields["by"], fields["reason"], second) == ("不发布", "", "", None)


def by(number: str, name: str, option: str = "发布") -> dict:
    return {**SAID, "chosen_options": [option], "responded_by_user": {"id": number, "name": name}}


def test_two_people_approve_what_was_released():
    fields, second = answers.both_of(TWO, by("3", "li"), by("5", "wang"))
    assert (fields["by"], second["by"], second["reason"]) == ("li", "wang", "等待重报")
    assert answers.both_of(FOUND, by("3", "li"), None)[1] is None
    for same in (by("3", "wang"), by("7", "li")):
        with pytest.raises(AnswerInvalid, match="另一人"):
            answers.both_of(TWO, by("3", "zhao"), same)


def test_the_second_may_refuse():
    fields, second = answers.both_of(TWO, by("3", "li"), by("5", "wang", "不发布"))
    assert (fields["decision"], fields["by"], second) == ("不发布", "wang", None)


def test_approvers_are_ids_with_names(monkeypatch):
    monkeypatch.setenv("CHENGXIN_APPROVERS", " 3:li, wang ,")
    assert answers.approvers() == [
        {"id": "3", "name": "li"}, {"id": "wang", "name": "wang"},
    ]  # fmt: skip
    monkeypatch.delenv("CHENGXIN_APPROVERS", raising=False)
    assert answers.assignees({"li"}) is None
    monkeypatch.setenv("CHENGXIN_APPROVERS", "3:li,5:wang")
    assert answers.assignees({"li"}) == answers.assignees({"3"}) == [{"id": "5", "name": "wang"}]
    with pytest.raises(ContractError, match="没有别人"):
        answers.assignees({"3", "wang"})


def test_every_question_may_need_two():
    def twice(value):
        return Settings.from_environment(env={"CHENGXIN_SECOND_APPROVAL": value}).approval.twice

    assert [twice("released"), twice("all")] == [False, True]
    with pytest.raises(ContractError, match="released 或 all"):
        twice("yes")


def test_a_question_whose_process_died_is_asked_again_soon():
    dag = snapshot.build()
    for name in ("approve", "second"):
        task = dag.get_task(name)
        assert task.retry_delay <= timedelta(seconds=30) and not task.retry_exponential_backoff
