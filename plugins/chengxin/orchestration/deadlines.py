"""What Airflow watches the clock for (DeadlineAlert): a delivery that is overdue, and a run that is not done in time.

Airflow sets a deadline when a run is made and drops it when that run succeeds. So an overdue delivery is found by the
first run that is made when one look after the last day in time was in vain, or while a run is still at it on that day.
"""

import logging
from dataclasses import asdict, dataclass
from datetime import datetime, time, timedelta
from typing import Any

from airflow.sdk import (  # type: ignore[attr-defined]  # Airflow's own stub lacks them
    BaseDeadlineReference,
    DeadlineAlert,
    DeadlineReference,
    SyncCallback,
)

from chengxin.clock import SHANGHAI, Clock
from chengxin.contracts.cadence import due_after
from chengxin.contracts.models import Contract, DeliverySpec
from chengxin.home import Home
from chengxin.model.working_days import working_days
from chengxin.operations.alerts.causes import Cause, overdue_cause
from chengxin.orchestration import alerts, assets
from chengxin.orchestration.airflow_internals.deadline_queries import has_succeeded_since, newest_event
from chengxin.settings import Settings
from chengxin.store.remote import scopes

log = logging.getLogger(__name__)
# An hourly source must not wait for the next look; the others have half a day, within which people can act.
IN_TIME = {"hourly": timedelta(hours=1)}
HALF_A_DAY = timedelta(hours=12)


@dataclass
class DeliveryDue(BaseDeadlineReference):  # type: ignore[misc]  # Airflow is untyped to us
    """The end of the last day on which the next delivery of a data set is in time, by its contract.

    Evaluated by the scheduler or the API server, from Airflow's own database: the last delivery is that of the newest
    event of the data set's asset. None (no deadline) before the first delivery, and for the run that looks first.
    """

    dataset: str = ""
    cadence: str = "irregular"
    late_after: int = 0

    required_kwargs = {"dag_id"}  # noqa: RUF012  as Airflow declares it

    def serialize_reference(self) -> dict[str, Any]:
        """Return what the DAG's stored form keeps."""
        return {"reference_type": self.reference_name, **asdict(self)}

    @classmethod
    def deserialize_reference(cls, reference_data: dict[str, Any]) -> "DeliveryDue":
        """Rebuild from `serialize_reference`."""
        return cls(**{name: reference_data[name] for name in ("dataset", "cadence", "late_after")})

    def _evaluate_with(self, *, session: Any, dag_id: str) -> datetime | None:
        last = _last_delivery(session, self.dataset)
        due = last and self.due(last)
        # a run that began after it has looked, and nothing had come
        if due is None or (due <= Clock().now() and not has_succeeded_since(session, dag_id, due)):
            return None
        return due

    def due(self, last: datetime) -> datetime | None:
        """Return when the delivery after one of `last` begins to be late; None where none is expected."""
        delivery = DeliverySpec(cadence=self.cadence, late_after=self.late_after)  # type: ignore[arg-type]
        day = due_after(last.astimezone(SHANGHAI).date(), delivery, working_days())
        return datetime.combine(day + timedelta(days=1), time(), SHANGHAI) if day else None


def _last_delivery(session: Any, dataset: str) -> datetime | None:
    counted = newest_event(session, assets.admitted(dataset).uri).get("as_of")
    try:
        return datetime.fromisoformat(counted) if counted else None
    except (TypeError, ValueError):  # somebody made an event by hand; no run may fail to start for it
        return None


def deadlines(contract: Contract) -> list[DeadlineAlert] | None:
    """Return the deadlines of an ingest DAG.

    CHENGXIN_DEADLINES=off: none. `airflow dags test` of Airflow 3.3.2 fails at the end of a DAG that has one.
    """
    if not Settings.from_environment().deadlines:
        return None
    who = {"dataset": contract.id, "title": contract.title, "department": contract.department.name}
    delivery = contract.delivery
    slow = DeadlineAlert(
        name="运行逾时",
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=IN_TIME.get(delivery.cadence, HALF_A_DAY),
        callback=SyncCallback(tell_slow_run, who),
    )
    if delivery.cadence == "irregular":
        return [slow]
    late = DeadlineAlert(
        name="报送逾期",
        reference=DeliveryDue(contract.id, delivery.cadence, delivery.late_after),
        interval=timedelta(),
        callback=SyncCallback(tell_overdue, {"dataset": contract.id}),
    )
    return [late, slow]


def tell_slow_run(dataset: str, title: str, department: str, context: dict[str, Any] | None = None) -> None:
    """Open an alert about a run that hangs, waits or failed. Airflow runs it where tasks run."""
    run = (context or {}).get("dag_run") or {}
    run_id = run.get("dag_run_id") or run.get("run_id") or "（未知）"
    page = f"/dags/ingest__{dataset}/runs/{run_id}"
    text = "入库流程的运行未按时成功：在等待、已挂住，或有任务失败"
    alerts.happened(Cause("slow", dataset, text, title=title, department=department, page=page))


def tell_overdue(dataset: str) -> None:
    """Open an alert where the home shows that the delivery is overdue. Airflow runs it where tasks run.

    The home knows more than Airflow's asset events: a batch that is held has arrived too.
    """
    from chengxin.contracts import loader
    from chengxin.operations import housekeeping

    home = Home.from_environment().here(scopes.FACTS)
    contracts = loader.load(home.settings.contracts, only=dataset).contracts
    for one in housekeeping.overdue(home, contracts):
        alerts.happened(overdue_cause(contracts[one.dataset], one.message))
