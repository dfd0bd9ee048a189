"""One contract -> one DAG: discover, land, ingest each landed batch; then the answer.

All stages of a batch are one task: a task costs a process and half a second, and a stage that is done is found done.
"""

import zlib
from datetime import datetime
from functools import partial
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, CronTriggerTimetable, TriggerRule, WeightRule, get_current_context, task

from chengxin.clock import SHANGHAI
from chengxin.contracts.models import Contract
from chengxin.orchestration import assets, partitions, stages
from chengxin.orchestration.alerts import CALLBACKS
from chengxin.orchestration.deadlines import deadlines
from chengxin.orchestration.describe import dag_tags, dag_text
from chengxin.orchestration.forms import ingest_form
from chengxin.orchestration.outcomes import RETRIES
from chengxin.orchestration.pools import pool_of

# Slower cadences are still looked at daily: a late delivery must not wait for the next month. Hours are China's.
SCHEDULES = {"hourly": "{minute} * * * *", "daily": "{minute} 5,17 * * *"}
SLOWER = "{minute} 5 * * *"
START = datetime(2026, 1, 1, tzinfo=SHANGHAI)

LABEL = "{{ label }}"
PREFIX = "ingest__"
BATCH_TASK = "ingest"  # mapped over the batches
SAID = "said"  # the XCom under which tasks leave what they did, for people


def dag_id(dataset: str) -> str:
    """Return the id of a data set's ingest DAG."""
    return f"{PREFIX}{dataset}"


def dataset_of(asked: str | None) -> str | None:
    """Return the data set whose ingest DAG this is; None for any other DAG and for all of them."""
    return asked.removeprefix(PREFIX) if asked and asked.startswith(PREFIX) else None


def schedule(contract: Contract) -> CronTriggerTimetable:
    """Return the timetable of a contract: its cadence, at a minute of its own so that not all start together."""
    minute = zlib.crc32(contract.id.encode()) % 60
    cron = SCHEDULES.get(contract.delivery.cadence, SLOWER).format(minute=minute)
    return CronTriggerTimetable(cron, timezone=SHANGHAI.key)


def build(contract: Contract) -> DAG:
    """Build the ingest DAG of one contract.

    One batch at a time, depth first and oldest first (max_active_tasks with upstream weights): what a batch is
    compared with and linked to is what came before it. A failing batch does not stop the next one. Both bounds are
    those of a run; beside runs of a backfill, which have a bound of their own, no task goes on twice.
    """
    pool = pool_of(contract)
    with DAG(
        dag_id=dag_id(contract.id),
        dag_display_name=f"入库 · {contract.title}",
        doc_md=dag_text(contract),
        tags=dag_tags(contract),
        schedule=schedule(contract),
        start_date=START,
        catchup=False,
        max_active_runs=1,
        max_active_tasks=1,
        deadline=deadlines(contract),
        default_args={
            **RETRIES,
            **CALLBACKS,
            "owner": contract.department.name,
            "weight_rule": WeightRule.UPSTREAM,
            "max_active_tis_per_dag": 1,
        },
    ) as dag:

        @task(task_display_name="查找新报送 discover", pool=pool)
        def discover(*, params: Any, dag_run: Any, ti: Any) -> list[dict[str, Any]]:
            since, by = stages.backfilled_from(dag_run), dag_run.triggering_user_name
            return stages.discover(contract, params, since, by, say=partial(ti.xcom_push, SAID))

        expected = partitions.is_expected(contract)

        @task(
            task_display_name="接收 land",
            map_index_template=LABEL,
            pool=pool,
            outlets=[assets.DELIVERED] if expected else [],
        )
        def land(delivery: dict[str, Any], *, outlet_events: Any) -> str:
            _label(delivery["name"])
            if expected:
                outlet_events[assets.DELIVERED].add_partitions(partitions.key_of(contract, delivery))
            return stages.land(contract, delivery)

        @task(task_display_name="待处理批次 pending", trigger_rule=TriggerRule.ALL_DONE)
        def pending() -> list[str]:
            return stages.pending(contract)

        landed = land.expand(delivery=discover())
        waiting = pending()
        landed >> waiting
        outlet = assets.admitted(contract.id)

        @task(
            task_id=BATCH_TASK,
            task_display_name="逐批处理 ingest",
            map_index_template=LABEL,
            outlets=[outlet, assets.ADMITTED],
        )
        def ingest(batch_id: str, *, outlet_events: Any, asset_state_store: Any, ti: Any) -> None:
            _label(batch_id)
            say = partial(ti.xcom_push, SAID)
            outlet_events[outlet].extra = stages.ingest(contract, batch_id, asset_state_store[outlet], say)

        ended = ingest.expand(batch_id=waiting)

        @task(task_display_name="反馈 answer", trigger_rule=TriggerRule.ALL_DONE, pool=pool)
        def answer() -> list[str]:
            return stages.answer({contract.id: contract})

        # What cannot be landed, and a batch that failed, keep no other waiting; they fail the run by this leaf.
        # Without callbacks of its own, it costs no process.
        leaf = EmptyOperator(
            task_id="all_ended",
            task_display_name="全部结束 all_ended",
            trigger_rule=TriggerRule.NONE_FAILED,
            on_success_callback=None,
        )
        [landed, ended] >> leaf
        # Whatever became of the batches, the department hears of it.
        ended >> answer()
    # Now that the tasks are there: Airflow would copy the form for each of them, which is half of the time of parsing.
    # Taken up, not assigned: that the defaults satisfy the form is tested once, not asked again for every data set.
    dag.params.update(ingest_form())
    return dag


def _label(text: str) -> None:
    """Name this mapped task in Airflow's pages."""
    get_current_context()["label"] = text
