"""The DAG of the monthly scorecards (绩效考评): it issues the month before, once."""

from collections.abc import Mapping
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, Param, task

from chengxin.clock import SHANGHAI, Clock
from chengxin.contracts.models import Contract
from chengxin.orchestration.alerts import CALLBACKS
from chengxin.orchestration.ingest import START
from chengxin.orchestration.outcomes import RETRIES, normal_end
from chengxin.settings import Settings

DAG_ID = "scorecard"
MONTHLY = CronTriggerTimetable("0 7 5 * *", timezone=SHANGHAI.key)
TEXT = """\
**绩效考评**：每月 5 日 7:00 为上月定稿，各部门、各市州一张。

定稿写入数据目录的 `scorecards/<年月>/`（`scorecard.json`、`.parquet`、`.html`），此后不再改变：
再次运行只显示“此前已定稿”（任务跳过）；定稿后到达的报送和更正计入以后的月份。

补发某个已结束的月份：手动触发，表单中填六位年月。指标、权重和等次见 `model/assessment.yaml`。
"""


def build(contracts: Mapping[str, Contract]) -> DAG:
    """Build the scorecard DAG over all contracts."""
    month = Param(None, type=["null", "string"], pattern="^[0-9]{6}$", title="年月", description="空 = 上月")
    with DAG(
        dag_id=DAG_ID,
        dag_display_name="绩效考评",
        doc_md=TEXT,
        tags=["绩效考评"],
        schedule=MONTHLY,
        start_date=START,
        catchup=False,
        max_active_runs=1,
        params={"month": month},
        default_args={**RETRIES, **CALLBACKS, "owner": "信用中心"},
    ) as dag:

        @task
        def issue(params: dict[str, Any] | None = None) -> dict[str, Any]:
            return issue_month(contracts, (params or {}).get("month"))

        issue()
    return dag


def issue_month(contracts: Mapping[str, Contract], month: str | None) -> dict[str, Any]:
    """Issue a month (yyyymm; None = the last one) and return how many of each level there are; skip when issued."""
    from chengxin.publish import scorecard

    clock = Clock.from_environment()
    wanted = month or scorecard.month_before(clock.today())
    done = scorecard.issue(contracts, Settings.from_environment(), clock, wanted)
    if done is None:
        normal_end(f"截至 {wanted} 尚无任何报送，不作考评")
    if not done.fresh:
        normal_end(f"{wanted} 此前已定稿，未作改动")
    levels = [one["level"] for one in done.body["departments"]]
    return {"month": wanted, "levels": {level: levels.count(level) for level in dict.fromkeys(levels)}}
