"""A DAG for each domain that takes what was received through all stages, many batches a task."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, TriggerRule, get_current_context, task

from chengxin.clock import SHANGHAI
from chengxin.contracts import loader
from chengxin.contracts.models import Contract
from chengxin.orchestration import assets, chunks, stages
from chengxin.orchestration.alerts import CALLBACKS
from chengxin.orchestration.chunks import Chunk, Place
from chengxin.orchestration.ingest import SAID, START
from chengxin.orchestration.outcomes import RETRIES, AlreadyTold
from chengxin.settings import Settings

PREFIX = "drain__"
HOURLY = CronTriggerTimetable("40 * * * *", timezone=SHANGHAI.key)  # what an earlier run left
TASK = "drain"
LONGEST = timedelta(hours=6)  # of a chunk; the batch that takes so long comes last the next time
TEXT = """\
**逐批入库**（领域 `{domain}`）：收到报送后随即运行，每小时至少一次。

1. `plan`：把待处理的批次分组，一组至多 50 批或 200 MB；同一数据集的批次在同一组内，先来先办；
2. `drain`：一组一个任务，逐批规范、校验、关联入库。一批失败不影响其他批次；处理进程中断的批次排到最后再试一次，
   再次中断的本次不再处理；
3. `settle`：向部门反馈；有批次失败的，列出批次和原因并失败（每批都有告警）。

单独处理一个数据集：在 `ingest__<数据集>` 触发。
"""


def dag_id(domain: str) -> str:
    """Return the id of a domain's drain."""
    return f"{PREFIX}{domain}"


def build(domain: str) -> DAG:
    """Build the drain of a domain; its tasks read the contracts."""
    with DAG(
        dag_id=dag_id(domain),
        dag_display_name=f"逐批入库 · {domain}",
        doc_md=TEXT.format(domain=domain),
        tags=["入库", domain],
        schedule=AssetOrTimeSchedule(timetable=HOURLY, assets=assets.waiting(domain)),
        start_date=START,
        catchup=False,
        max_active_runs=1,
        default_args={**RETRIES, **CALLBACKS, "owner": "信用中心"},
    ) as dag:

        @task(task_display_name="分组 plan")
        def plan(*, ti: Any) -> list[Chunk]:
            found, left = chunks.plan(_contracts(loader.domains(Settings.from_environment().contracts)[domain]))
            ti.xcom_push("left", left)
            return found

        @task(
            task_id=TASK,
            task_display_name="逐批处理 drain",
            map_index_template="{{ label }}",
            outlets=[assets.ADMITTED, assets.ADMITTED_BATCHES],
            execution_timeout=LONGEST,
        )
        def drain(chunk: Chunk, *, ti: Any, outlet_events: Any, task_state_store: Any) -> list[dict[str, Any]]:
            datasets = list(dict.fromkeys(dataset for dataset, _ in chunk))
            get_current_context()["label"] = f"{'、'.join(datasets[:3])}（{len(chunk)} 批）"
            outcomes = chunks.drain(_contracts(datasets), chunk, task_state_store, Place.of(ti))
            assets.announce(ti, outlet_events, [o.account for o in outcomes if o.account])
            said = [outcome.for_people() for outcome in outcomes]
            ti.xcom_push(SAID, said)
            return said

        @task(
            task_display_name="反馈与结果 settle",
            trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS,
            outlets=[assets.waiting(domain)],
        )
        def settle(drained: Any, *, ti: Any) -> None:
            outcomes = [outcome for chunk in drained for outcome in chunk]
            if not (ti.xcom_pull(task_ids="plan", key="left") and any("failed" not in o for o in outcomes)):
                assets.leave_out(ti, assets.waiting(domain))  # else the rest comes at once
            stages.answer(_contracts({outcome["dataset"] for outcome in outcomes}))
            failed = [f"{o['batch']}：{o['failed']}" for o in outcomes if "failed" in o]
            if _failed_chunks(ti):
                failed.append(f"{_failed_chunks(ti)} 组没有处理完，见失败的 {TASK} 任务")
            if failed:
                raise AlreadyTold("；".join(failed))

        settle(drain.expand(chunk=plan()))
    return dag


def _contracts(datasets: Iterable[str]) -> dict[str, Contract]:
    return loader.load(Settings.from_environment().contracts, only=set(datasets)).contracts


def _failed_chunks(ti: Any) -> int:
    states = ["failed", "upstream_failed"]
    return int(ti.get_ti_count(dag_id=ti.dag_id, run_ids=[ti.run_id], task_ids=[TASK], states=states))
