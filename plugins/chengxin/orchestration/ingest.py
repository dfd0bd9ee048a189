"""One contract -> one DAG without a schedule: its name, its permissions, and what people start for its data set alone.

The schedule is that of `collect`, which receives deliveries of all data sets, and of the drains of the domains.
"""

from datetime import datetime
from typing import Any

from airflow.sdk import DAG, get_current_context, task

from chengxin.clock import SHANGHAI
from chengxin.contracts.models import Contract
from chengxin.orchestration import assets, manual_run
from chengxin.orchestration.alerts import CALLBACKS
from chengxin.orchestration.describe import dag_tags, dag_text
from chengxin.orchestration.forms import ingest_form
from chengxin.orchestration.outcomes import RETRIES

START = datetime(2026, 1, 1, tzinfo=SHANGHAI)
PREFIX = "ingest__"
SAID = "said"  # the XCom under which tasks leave what they did, for people


def dag_id(dataset: str) -> str:
    """Return the id of a data set's ingest DAG."""
    return f"{PREFIX}{dataset}"


def dataset_of(asked: str | None) -> str | None:
    """Return the data set whose ingest DAG this is; None for any other DAG and for all of them."""
    return asked.removeprefix(PREFIX) if asked and asked.startswith(PREFIX) else None


def build(contract: Contract) -> DAG:
    """Build the ingest DAG of one contract."""
    with DAG(
        dag_id=dag_id(contract.id),
        dag_display_name=f"入库 · {contract.title}",
        doc_md=dag_text(contract),
        tags=dag_tags(contract),
        schedule=None,
        start_date=START,
        params=ingest_form(),
        max_active_runs=1,
        is_paused_upon_creation=False,  # nothing starts it but a person
        default_args={**RETRIES, **CALLBACKS, "owner": contract.department.name},
    ) as dag:

        @task(
            task_display_name="处理 act",
            outlets=[assets.DELIVERED, assets.ADMITTED, assets.ADMITTED_BATCHES],
        )
        def act(*, ti: Any, outlet_events: Any) -> None:
            said: list[dict[str, Any]] = []
            try:
                done = manual_run.act(contract, get_current_context(), said.append)
            finally:
                ti.xcom_push(SAID, said)
            assets.arrive(ti, outlet_events, done.keys)
            assets.announce(ti, outlet_events, done.accounts)
            done.raise_failed()

        act()
    return dag
