"""The DAG that turns admitted batches into a published snapshot: when a batch came, at least once a day, asking first.

It reads our own journal, never the events that triggered it: those name what came, not what is there.
"""

from typing import Any

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, TriggerRule, task

from chengxin.clock import SHANGHAI
from chengxin.orchestration import assets, stages
from chengxin.orchestration.alerts import CALLBACKS, Ask
from chengxin.orchestration.approve import AskAnother, AskBeforePublishing
from chengxin.orchestration.ingest import START
from chengxin.orchestration.outcomes import RETRIES
from chengxin.settings import Settings

DAG_ID = "snapshot"
DAILY = CronTriggerTimetable("30 6 * * *", timezone=SHANGHAI.key)
TEXT = """\
**发布快照**：任一数据集有新批次入库后运行，每日 6:30 至少运行一次。

1. `retry_waiting`：主体登记有增长时，把未关联数据重新关联；
2. `answer`：向因此有变化的批次的报送部门送更新后的回执；
3. `review`：新入库批次有告警、全量骤减、经放行入库，或有新的暂缓批次时，请人审批；否则直接发布；
4. `approve`：在“Required Actions（待办操作）”页作答，须写明意见；意见写入快照清单（manifest）。
   20 小时（`CHENGXIN_APPROVAL_HOURS`）无人作答按“不发布”处理，次日再问；
5. `second`：其中有已放行的批次时（`CHENGXIN_SECOND_APPROVAL=all` 时每次），由放行人和首位审批人以外的人复核；
6. `publish`：汇总、对账、把关，提交两个共享层级（`government`、`open`）。

- **发布**：发布提问时已入库的全部批次。暂缓的批次本来就不在其中，核实后在其批次页“放行”；
- **不含所选来源发布**：所选数据集保持上一快照的内容，其余照常发布；登记主体的来源不能单独排除，不在可选之列；
- **不发布**：本次不发布，批次仍在库中，下次运行时再问；意见写入下一个快照的清单。

发布读取的是已入库批次，不取决于是哪一次入库触发；没有变化则不发布（任务显示为“跳过”）。
只有作答才会发布：把审批任务标记为成功或跳过，`publish` 失败并说明。
提问之后入库的批次无人看过，不在该次发布之列，留待下一次运行；提问未答时，后续运行排队等候。
对账不平时任务失败，草稿保留在 `drafts/` 备查。
"""


def build() -> DAG:
    """Build the snapshot DAG, scheduled on one asset, whatever data sets there are, and once a day."""
    with DAG(
        dag_id=DAG_ID,
        dag_display_name="发布快照",
        doc_md=TEXT,
        tags=["发布"],
        schedule=AssetOrTimeSchedule(timetable=DAILY, assets=assets.ADMITTED),
        start_date=START,
        catchup=False,
        max_active_runs=1,
        default_args={**RETRIES, **CALLBACKS, "owner": "信用中心"},
    ) as dag:

        @task(task_display_name="重新关联 retry_waiting")
        def retry_waiting() -> list[str]:
            return stages.retry_waiting(stages.contracts())

        @task(task_display_name="反馈 answer")
        def answer() -> list[str]:
            return stages.answer(stages.contracts())

        @task(task_display_name="核对 review")
        def review() -> dict[str, Any]:
            return stages.review(stages.contracts())

        @task.branch(task_display_name="是否送审 ask_or_publish")
        def ask_or_publish(found: dict[str, Any] | None) -> str:
            return stages.ask_or_publish(found)

        asking: dict[str, Any] = {"hours": Settings.from_environment().approval.hours, "notifiers": Ask()}
        approve = AskBeforePublishing(task_id="approve", task_display_name="审批 approve", **asking)
        second = AskAnother(task_id="second", task_display_name="复核 second", **asking)

        @task(
            task_display_name="发布 publish",
            outlets=[assets.CURRENT],
            trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
        )
        def publish(
            found: dict[str, Any] | None,
            said: dict[str, Any] | None,
            other: dict[str, Any] | None,
            *,
            outlet_events: Any,
            asset_state_store: Any,
        ) -> None:
            told = asset_state_store[assets.CURRENT]
            outlet_events[assets.CURRENT].extra = stages.publish(stages.contracts(), found, said, other, told)

        settled, found = retry_waiting(), review()
        settled >> [found, answer()]
        choice, published = ask_or_publish(found), publish(found, approve.output, second.output)
        choice >> [approve, published]
        approve >> second
    return dag
