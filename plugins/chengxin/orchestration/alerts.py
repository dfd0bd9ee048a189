"""What Airflow calls when a run is not done in time (DeadlineAlert)."""

import logging
import os
from datetime import timedelta
from typing import Any

from airflow.sdk.definitions.callback import SyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from chengxin.contracts.models import Contract

log = logging.getLogger(__name__)
# An hourly source must not wait for the next look; the others have half a day, within which people can act.
IN_TIME = {"hourly": timedelta(hours=1)}
HALF_A_DAY = timedelta(hours=12)


def run_in_time(contract: Contract) -> DeadlineAlert | None:
    """Return the alert for a run that has not succeeded in time: it hangs, it waits, or it failed.

    CHENGXIN_DEADLINES=off: none. `airflow dags test` of Airflow 3.3.2 fails at the end of a DAG that has one.
    """
    if os.environ.get("CHENGXIN_DEADLINES") == "off":
        return None
    who = {"dataset": contract.id, "title": contract.title, "department": contract.department.name}
    return DeadlineAlert(
        name="入库逾时",
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=IN_TIME.get(contract.delivery.cadence, HALF_A_DAY),
        callback=SyncCallback(tell_late_run, who),
    )


def tell_late_run(dataset: str, title: str, department: str, context: dict[str, Any] | None = None) -> None:
    """Write down what is late, whose it is and what to press. Airflow runs it where tasks run."""
    run = (context or {}).get("dag_run") or {}
    log.error(
        "入库逾时：%s（%s，%s）的运行 %s 未按时成功。请打开该运行：失败的任务按日志处理后清除（Clear）重跑；"
        "仍在重试的，多为对方不可用，请联系该部门",
        title,
        dataset,
        department,
        run.get("dag_run_id") or run.get("run_id") or "（未知）",
    )
