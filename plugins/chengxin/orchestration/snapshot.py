"""The DAG that turns admitted batches into a published snapshot. It runs whenever any data set got a batch."""

from collections.abc import Mapping
from typing import Any

from airflow.sdk import DAG, AssetAny, task

from chengxin.contracts.models import Contract
from chengxin.orchestration import assets, stages
from chengxin.orchestration.ingest import START
from chengxin.orchestration.outcomes import RETRIES

DAG_ID = "snapshot"
TEXT = """\
**发布快照**：任一数据集有新批次入库后运行。

1. `retry_waiting`：主体登记有增长时，把未关联数据重新关联；
2. `answer`：向因此有变化的批次的报送部门送更新后的回执；
3. `publish`：汇总、对账、把关，提交两个共享层级（`government`、`open`）。

发布读取的是当前全部已入库批次，不取决于是哪一次入库触发；没有变化则不发布（任务显示为“跳过”）。
对账不平时任务失败，草稿保留在 `drafts/` 备查。
"""


def build(contracts: Mapping[str, Contract]) -> DAG:
    """Build the snapshot DAG over all contracts, scheduled on their assets."""
    inputs = [assets.admitted(dataset) for dataset in sorted(contracts)]
    with DAG(
        dag_id=DAG_ID,
        dag_display_name="发布快照",
        doc_md=TEXT,
        tags=["发布"],
        schedule=AssetAny(*inputs) if inputs else None,
        start_date=START,
        catchup=False,
        max_active_runs=1,
        default_args=RETRIES,
    ) as dag:

        @task
        def retry_waiting() -> list[str]:
            return stages.retry_waiting(contracts)

        @task(outlets=[assets.SNAPSHOT])
        def publish(*, outlet_events: Any) -> None:
            outlet_events[assets.SNAPSHOT].extra = stages.publish(contracts)

        @task
        def answer() -> list[str]:
            return stages.answer(contracts)

        retry_waiting() >> [publish(), answer()]
    return dag
