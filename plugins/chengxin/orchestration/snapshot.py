"""The DAG that turns admitted batches into a published snapshot: when a batch came, at least once a day, asking first.

It reads our own journal, never the events that triggered it: those name what came, not what is there.
"""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG, AssetAny, AssetOrTimeSchedule, CronTriggerTimetable, Param, TriggerRule, task

from chengxin.clock import SHANGHAI
from chengxin.orchestration import assets, stages
from chengxin.orchestration.alerts import CALLBACKS, Ask
from chengxin.orchestration.ingest import START
from chengxin.orchestration.outcomes import RETRIES
from chengxin.orchestration.review_text import OPTIONS, REJECT

DAG_ID = "snapshot"
DAILY = CronTriggerTimetable("30 6 * * *", timezone=SHANGHAI.key)
ANSWER_WITHIN = timedelta(hours=20)  # nobody answers: not published, and the next day's run asks again
# A task whose parameter has no valid default does not even start; so the form begins with the least one can say.
REASON = {"type": "string", "minLength": 2, "maxLength": 500, "title": "意见（写入快照清单，请勿写个人信息）"}
TEXT = """\
**发布快照**：任一数据集有新批次入库后运行，每日 6:30 至少运行一次。

1. `retry_waiting`：主体登记有增长时，把未关联数据重新关联；
2. `answer`：向因此有变化的批次的报送部门送更新后的回执；
3. `review`：新入库批次有告警、全量骤减，或有新的暂停批次时，请人审批；否则直接发布；
4. `approve`：在“Required Actions（待办操作）”页作答，须写明意见；意见写入快照清单（manifest）。
   20 小时无人作答按“不发布”处理，次日再问；
5. `publish`：汇总、对账、把关，提交两个共享层级（`government`、`open`）。

- **发布**：发布全部已入库批次。暂停的批次本来就不在其中，放行须用 `chengxin release`；
- **不含暂停的来源发布**：审批所列的数据集保持上一快照的内容，其余照常发布；登记主体的来源不能单独排除；
- **不发布**：本次不发布，批次仍在库中，下次运行时再问。

发布读取的是当前全部已入库批次，不取决于是哪一次入库触发；没有变化则不发布（任务显示为“跳过”）。
对账不平时任务失败，草稿保留在 `drafts/` 备查。
"""


def build(datasets: Collection[str]) -> DAG:
    """Build the snapshot DAG, scheduled on the assets of these data sets and once a day. Tasks read the contracts."""
    inputs = [assets.admitted(dataset) for dataset in sorted(datasets)]
    with DAG(
        dag_id=DAG_ID,
        dag_display_name="发布快照",
        doc_md=TEXT,
        tags=["发布"],
        schedule=AssetOrTimeSchedule(timetable=DAILY, assets=AssetAny(*inputs)) if inputs else DAILY,
        start_date=START,
        catchup=False,
        max_active_runs=1,
        default_args={**RETRIES, **CALLBACKS, "owner": "信用中心"},
    ) as dag:

        @task
        def retry_waiting() -> list[str]:
            return stages.retry_waiting(stages.contracts())

        @task
        def answer() -> list[str]:
            return stages.answer(stages.contracts())

        @task
        def review() -> dict[str, Any] | None:
            return stages.review(stages.contracts())

        @task.branch
        def ask_or_publish(found: dict[str, Any] | None) -> str:
            return "approve" if found else "publish"

        approve = HITLOperator(
            task_id="approve",
            subject="请审批：发布快照（{{ ti.xcom_pull(task_ids='review')['doubts'] }} 项存疑）",
            body="{{ ti.xcom_pull(task_ids='review')['text'] }}",
            options=OPTIONS,
            defaults=REJECT,
            params={"reason": Param("已阅", **REASON)},
            response_timeout=ANSWER_WITHIN,
            notifiers=Ask(),
        )

        outlets = [assets.CURRENT, assets.SNAPSHOTS]

        @task(outlets=outlets, trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
        def publish(
            found: dict[str, Any] | None, said: dict[str, Any] | None, *, outlet_events: Any, asset_state_store: Any
        ) -> None:
            told = asset_state_store[assets.CURRENT]
            assets.announce_snapshot(outlet_events, stages.publish(stages.contracts(), found, said, told))

        settled, found = retry_waiting(), review()
        settled >> [found, answer()]
        choice, published = ask_or_publish(found), publish(found, approve.output)
        choice >> [approve, published]
    return dag
