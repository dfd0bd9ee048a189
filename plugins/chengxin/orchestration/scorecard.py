"""The DAG of the monthly scorecards (绩效考评): it issues each month once. A month is a partition."""

from typing import Any

from airflow.sdk import DAG, CronPartitionTimetable, task

from chengxin.clock import SHANGHAI
from chengxin.home import Home
from chengxin.orchestration import assets, stages
from chengxin.orchestration.alerts import CALLBACKS
from chengxin.orchestration.ingest import START
from chengxin.orchestration.outcomes import RETRIES, normal_end
from chengxin.orchestration.partitions import MONTH
from chengxin.store.remote import scopes

DAG_ID = "scorecard"
# the run of the 5th stands for the tick before it: the month before
MONTHLY = CronPartitionTimetable("0 7 5 * *", timezone=SHANGHAI.key, run_offset=-1, key_format=MONTH)
TEXT = """\
**绩效考评**：每月 5 日 7:00 为上月定稿，各部门、各市州一张。一个月一个分区（分区键为六位年月）。

定稿写入数据目录的 `scorecards/<年月>/`（`scorecard.json`、`.parquet`、`.html`），此后不再改变：
再次运行只显示“此前已定稿”（任务跳过）；定稿后到达的报送和更正计入以后的月份。

补发某个已结束的月份：手动触发，分区键填六位年月；留空为上月。补发若干个月：用“回填（Backfill）”选日期范围。
指标、权重和等次见 `model/assessment.yaml`。
"""


def build() -> DAG:
    """Build the scorecard DAG. Its task reads the contracts."""
    with DAG(
        dag_id=DAG_ID,
        dag_display_name="绩效考评",
        doc_md=TEXT,
        tags=["绩效考评"],
        schedule=MONTHLY,
        start_date=START,
        catchup=False,
        max_active_runs=1,
        default_args={**RETRIES, **CALLBACKS, "owner": "信用中心"},
    ) as dag:

        @task(task_display_name="定稿 issue", outlets=[assets.ISSUED])
        def issue(*, dag_run: Any, outlet_events: Any) -> dict[str, Any]:
            issued = issue_month(dag_run.partition_key)
            outlet_events[assets.ISSUED].extra = issued
            outlet_events[assets.ISSUED].add_partitions(issued["month"])
            return issued

        issue()
    return dag


def issue_month(month: str | None) -> dict[str, Any]:
    """Issue a month (yyyymm; None = the last one) and return how many of each level there are; skip when issued."""
    from chengxin.operations.scorecards import scorecard

    given = Home.from_environment()
    wanted = month or scorecard.month_before(given.clock.today())
    with given.changing("scorecard", scopes.UNPUBLISHED) as home:
        done = scorecard.issue(home, stages.contracts(), wanted)
    if done is None:
        normal_end(f"截至 {wanted} 尚无任何报送，不作考评")
    if not done.fresh:
        normal_end(f"{wanted} 此前已定稿，未作改动")
    levels = [one["level"] for one in done.body["departments"]]
    return {"month": wanted, "levels": {level: levels.count(level) for level in dict.fromkeys(levels)}}
