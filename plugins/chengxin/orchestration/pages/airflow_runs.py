"""What Airflow knows of our batches: which run handled one; whether the publication failed or waits for somebody."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import func, select
from sqlalchemy.orm import configure_mappers

from chengxin.orchestration.ingest import dag_id
from chengxin.orchestration.pages.access import Reader
from chengxin.orchestration.snapshot import DAG_ID as SNAPSHOT_DAG


@dataclass(frozen=True)
class TaskLink:
    """One task of one run that handled a batch, and its page in Airflow."""

    run_id: str
    task_id: str
    state: str
    href: str


def warm() -> None:
    """Prepare Airflow's tables for queries, which the first one would wait for."""
    configure_mappers()


def tasks_of_batch(session: Any, dataset: str, batch_id: str) -> list[TaskLink]:
    """Return the tasks that handled a batch, by run and time: they bear its name (map_index_template)."""
    found = session.execute(
        select(TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index, TaskInstance.state)
        .where(TaskInstance.dag_id == dag_id(dataset), TaskInstance.rendered_map_index == batch_id)
        .order_by(TaskInstance.start_date)
        .limit(60)
    )
    return [
        TaskLink(run, task, str(state or ""), f"{run_page(dag_id(dataset), run)}/tasks/{task}/mapped/{place}")
        for run, task, place, state in found
    ]


def batches_of_run(session: Any, dag: str, run_id: str) -> list[str]:
    """Return the ids of the batches that a run handled."""
    found = session.scalars(
        select(TaskInstance.rendered_map_index)
        .where(TaskInstance.dag_id == dag, TaskInstance.run_id == run_id, TaskInstance.task_id.like("batch.%"))
        .distinct()
    )
    return sorted(str(name) for name in found if name)


@dataclass(frozen=True)
class Question:
    """A task that waits for a person: what it asks, since when (ISO 8601), and where it is answered."""

    subject: str
    since: str
    href: str


@dataclass(frozen=True)
class Publication:
    """The newest publication if it failed; open questions, and how many runs wait for the answer; whether one runs."""

    failed_run: str | None
    asked: tuple[Question, ...]
    waiting: int
    running: bool


def publication(session: Any, reader: Reader) -> Publication:
    """Return whether the newest finished publication failed, and who is waited for, as far as the reader may see it.

    Questions of other DAGs are other people's.
    """
    questions: tuple[Question, ...] = ()
    if reader.may_see_publication(DagAccessEntity.HITL_DETAIL):
        asked = session.execute(
            select(TaskInstance.run_id, TaskInstance.task_id, HITLDetail.subject, HITLDetail.created_at)
            .join(HITLDetail, HITLDetail.ti_id == TaskInstance.id)
            .where(TaskInstance.dag_id == SNAPSHOT_DAG, TaskInstance.state == "awaiting_input")
            .limit(20)
        )
        questions = tuple(
            Question(subject, since.isoformat(), f"{run_page(SNAPSHOT_DAG, run)}/tasks/{task}/required_actions")
            for run, task, subject, since in asked
        )
    if not reader.may_see_publication(DagAccessEntity.RUN):
        return Publication(None, questions, 0, running=False)
    last = session.execute(
        select(DagRun.run_id, DagRun.state)
        .where(DagRun.dag_id == SNAPSHOT_DAG, DagRun.state.in_(("success", "failed")))
        .order_by(DagRun.id.desc())
        .limit(1)
    ).first()
    going = select(DagRun.state, func.count()).where(
        DagRun.dag_id == SNAPSHOT_DAG, DagRun.state.in_(("queued", "running"))
    )
    runs = {str(state): int(count) for state, count in session.execute(going.group_by(DagRun.state))}
    failed = last[0] if last and last[1] == "failed" else None
    return Publication(failed, questions, runs.get("queued", 0) if questions else 0, bool(runs))


def is_paused(session: Any, dag: str) -> bool:
    """Tell whether a DAG is switched off, so that its runs would only queue."""
    return bool(session.scalar(select(DagModel.is_paused).where(DagModel.dag_id == dag)))


def state_of_run(session: Any, dag: str, run_id: str) -> tuple[str, datetime | None] | None:
    """Return the state of a run and when it ended; None when there is none."""
    wanted = select(DagRun.state, DagRun.end_date).where(DagRun.dag_id == dag, DagRun.run_id == run_id)
    found = session.execute(wanted).first()
    return (str(found[0]), found[1]) if found else None


def tasks_of_run(session: Any, dag: str, run_id: str) -> list[tuple[str, str]]:
    """Return id and state of the tasks of a run."""
    wanted = select(TaskInstance.task_id, TaskInstance.state)
    found = session.execute(wanted.where(TaskInstance.dag_id == dag, TaskInstance.run_id == run_id))
    return [(str(name), str(state or "")) for name, state in found]


def said_in_run(session: Any, dag: str, run_id: str, key: str) -> list[dict[str, Any]]:
    """Return what the tasks of a run left under a key, where it is a mapping."""
    wanted = select(XComModel.value).where(XComModel.dag_id == dag, XComModel.run_id == run_id, XComModel.key == key)
    return [value for value in map(XComModel.deserialize_value, session.execute(wanted)) if isinstance(value, dict)]


def paused(session: Any, dags: Iterable[str]) -> set[str]:
    """Return those of these DAGs that are switched off, so that their runs would only queue."""
    return set(session.scalars(select(DagModel.dag_id).where(DagModel.dag_id.in_(set(dags)), DagModel.is_paused)))


def run_page(dag: str, run_id: str) -> str:
    """Return the path of a run's page in Airflow."""
    return f"/dags/{quote(dag, safe='')}/runs/{quote(run_id, safe='')}"
