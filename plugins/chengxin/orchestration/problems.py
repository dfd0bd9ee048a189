"""The DAG that says which contract files cannot be used. It exists only while there are any."""

from collections.abc import Iterable
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, task
from airflow.sdk.exceptions import AirflowFailException

from chengxin.clock import SHANGHAI
from chengxin.orchestration.alerts import settle_contracts
from chengxin.orchestration.ingest import START

DAG_ID = "contracts__problems"
HOURLY = CronTriggerTimetable("0 * * * *", timezone=SHANGHAI.key)
TEXT = "以下数据合同无法使用，相应数据集暂停入库；修正文件后本流程自动消失。"


def build(problems: Iterable[Any]) -> DAG:
    """Build the DAG whose only task fails with every file and its message; problems: what the loader reported."""
    problems = tuple(problems)
    lines = [f"{problem.path}: {problem.message}" for problem in problems]

    with DAG(
        dag_id=DAG_ID,
        dag_display_name="数据合同有误",
        doc_md="以下文件无法使用，相应数据集暂停入库；修正后本流程自动消失。\n\n"
        + "\n".join(f"- `{line}`" for line in lines),
        tags=["合同"],
        schedule=HOURLY,
        start_date=START,
        catchup=False,
        max_active_runs=1,
        # it comes and goes with the problems: nobody is there to switch it on
        is_paused_upon_creation=False,
        default_args={"owner": "信用中心"},
    ) as dag:

        @task(task_display_name="列出有误合同 report")
        def report() -> None:
            settle_contracts(problems)
            raise AirflowFailException("\n".join([TEXT, *lines]))

        report()
    return dag
