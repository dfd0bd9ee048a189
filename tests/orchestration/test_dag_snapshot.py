"""The publication's question: what the DAG is made of, what a person reads, what becomes of the answer."""

from datetime import UTC, datetime

import pytest
from airflow.sdk import TriggerRule

from chengxin.errors import ContractError
from chengxin.orchestration import review_text, snapshot

DOUBT = {
    "dataset": "tax_arrears",
    "title": "欠税|公告",
    "department": "税务局",
    "batch_id": "tax_arrears-20261124-0123456789ab",
    "why": "held",
    "counts": {"received": 1200, "quarantined": 1200},
    "findings": ["合同未声明的列：来路不明"] * 8,
    "report": "batches/x/report.html",
}
FOUND = {"choices": {"tax_arrears": "欠税公告", "tax_rating": "信用级别"}, "held": ["b"], "upto": 7}
SAID = {
    "chosen_options": ["不含所选来源发布"],
    "params_input": {"reason": "等待重报", "without": ["tax_arrears", "never_asked_about"]},
    "responded_at": datetime(2026, 11, 24, tzinfo=UTC),
    "responded_by_user": {"id": "7", "name": "op"},
}


def test_it_runs_on_any_data_set_and_daily_and_asks_in_chinese():
    dag = snapshot.build(["tax_arrears", "tax_rating"])
    assert type(dag.timetable).__name__ == "AssetOrTimeSchedule"
    approve, publish = dag.get_task("approve"), dag.get_task("publish")
    assert approve.options == ["发布", "不含所选来源发布", "不发布"]
    assert approve.defaults == ["不发布"]
    assert approve.response_timeout is not None
    assert publish.trigger_rule == TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS
    assert {"approve", "ask_or_publish"} <= publish.upstream_task_ids
    dag.params.validate()
    approve.params.validate()


def test_the_question_shows_counts_findings_and_a_link_and_survives_odd_titles():
    text = review_text.markdown("s1", 3, 12345, [DOUBT] * 60, "/airflow/chengxin")
    (row, *_) = [line for line in text.splitlines() if "[tax_arrears-" in line]
    assert row.count("|") == 11, "a title with a bar does not break the table"
    assert "1,200" in row
    assert "(/airflow/chengxin/batches/tax_arrears/tax_arrears-20261124-0123456789ab" in row
    assert "来路不明" in text
    assert "另有 10 项" in text


def test_the_question_tells_who_refused_before_and_why():
    said = {"decision": "不发布", "reason": "等部门|回复", "by": "陈某", "at": "2026-11-26T01:20:36+00:00"}
    assert review_text.rejections(()) == ""
    told = review_text.rejections([{**said, "reason": "", "by": ""}, said])
    assert told == "此前 2 次答复“不发布”；最近一次（陈某，2026-11-26 09:20）：等部门｜回复。\n\n"
    assert "逾时无人作答" in review_text.rejections([{**said, "reason": "", "by": ""}])


def test_the_answer_becomes_an_approval_with_name_time_and_what_is_left_out():
    said = review_text.said_of(FOUND, SAID)
    assert (said["decision"], said["reason"], said["by"]) == ("不含所选来源发布", "等待重报", "op")
    assert said["without"] == ("tax_arrears",), "only what was asked about"
    assert said["upto"] == 7
    assert said["at"].startswith("2026-11-24")
    assert review_text.said_of(FOUND, {**SAID, "chosen_options": ["发布"]})["without"] == ()


@pytest.mark.parametrize("chosen", [None, [], ["never_asked_about"]])
def test_leaving_out_sources_without_naming_one_publishes_nothing(chosen):
    said = {**SAID, "params_input": {"reason": "等待重报", "without": chosen}}
    with pytest.raises(ContractError, match="没有选来源"):
        review_text.said_of(FOUND, said)


def test_a_task_marked_as_successful_is_written_down_as_such():
    assert "未留意见" in review_text.said_of(FOUND, None)["reason"]
