"""The DAG that tells whether a month is complete: when everybody has delivered, at the latest with its scorecard.

Airflow counts who has delivered (a roll-up over partition keys) and so decides when to look. What is there is read from
the home: keys that come late open a new window in Airflow, and a change of contracts empties the one that is open.
"""

import logging
from collections.abc import Iterable
from typing import Any

from airflow.sdk import DAG, AssetAny, PartitionedAssetTimetable, RollupMapper, WaitForAll, task

from chengxin.contracts.models import Contract
from chengxin.home import Home
from chengxin.orchestration import assets, stages
from chengxin.orchestration.alerts import CALLBACKS
from chengxin.orchestration.ingest import START
from chengxin.orchestration.outcomes import RETRIES, normal_end
from chengxin.orchestration.partitions import ExpectedDeliveries, MonthOfDelivery
from chengxin.store.remote import scopes

log = logging.getLogger(__name__)
DAG_ID = "completeness"
TEXT = """\
**月度报送齐全**：一个月一个分区（分区键为六位年月，按报送到达的月份计）。

- 当月应报送的每个“部门|市州”都有报送到达时，自动运行一次；本页的“分区 Dag 执行”列出已到和未到的部门；
- 迟迟不齐的，在当月绩效考评定稿（次月 5 日）时运行一次；
- `tell` 逐个数据集核对来文：尚无报送的，逐条写明部门和怎么办（见任务日志和 XCom）；结论与上次相同则跳过。

各月结论见资源 `month_account` 的“资源存储”。查看某个月：手动触发，分区键填六位年月；留空为上月。
合同增减部门或市州时，Airflow 会重新计数：当月可能要到定稿时才运行。
"""


def build(contracts: Iterable[Contract]) -> DAG:
    """Build the DAG; its window expects what these contracts promise. The task reads the contracts itself."""
    everybody = RollupMapper(
        upstream_mapper=MonthOfDelivery(), window=ExpectedDeliveries.of(contracts), wait_policy=WaitForAll()
    )
    with DAG(
        dag_id=DAG_ID,
        dag_display_name="月度报送齐全",
        doc_md=TEXT,
        tags=["绩效考评"],
        schedule=PartitionedAssetTimetable(
            assets=AssetAny(assets.DELIVERED, assets.ISSUED), partition_mapper_config={assets.DELIVERED: everybody}
        ),
        start_date=START,
        catchup=False,
        max_active_runs=1,
        default_args={**RETRIES, **CALLBACKS, "owner": "信用中心"},
    ) as dag:

        @task(task_display_name="核对到件 tell", outlets=[assets.MONTH])
        def tell(*, dag_run: Any, outlet_events: Any, asset_state_store: Any) -> dict[str, Any]:
            found = tell_month(dag_run.partition_key, asset_state_store[assets.MONTH])
            outlet_events[assets.MONTH].extra = found
            outlet_events[assets.MONTH].add_partitions(found["month"])
            return found

        tell()
    return dag


def tell_month(month: str | None, told: Any) -> dict[str, Any]:
    """Describe which data sets of a month (None = the last one) sent nothing; skip when that was said before.

    told: what was said of each month, get and set by month.
    """
    from chengxin.operations import completeness
    from chengxin.operations.scorecards import scorecard

    home = Home.from_environment().here(scopes.FACTS)
    month = month or scorecard.month_before(home.clock.today())
    found = completeness.account(stages.contracts(), home.layout, month)
    summary = found.summary()
    if told.get(month) == summary:
        normal_end(f"{month} 的情况与上次相同")
    for line in found.missing.values():
        log.warning("%s", line)
    log.info("%s：应报送 %d 个数据集，尚无报送 %d 个", month, len(found.expected), len(found.missing))
    told.set(month, summary)
    return {"month": month, **summary}
