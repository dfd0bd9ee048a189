"""What Airflow's API returns about our batches: which runs handled one; how a run ended; which answer is awaited.

Each function is a dependency of a page (see airflow_api.py), and returns nothing of what the reader may not see.
"""

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends

from chengxin.orchestration.ingest import BATCH_TASK, SAID, dataset_of
from chengxin.orchestration.ingest import dag_id as dag_of
from chengxin.orchestration.pages.airflow_api import PAGE, AirflowDep
from chengxin.orchestration.snapshot import DAG_ID as SNAPSHOT_DAG

ALL = "~"
SHOWN = 60  # tasks of one batch
ENDED, GOING = ("success", "failed"), ("queued", "running")
TOLD = ("failed", "up_for_retry", "awaiting_input")  # the states of tasks that a page has words for


@dataclass(frozen=True)
class TaskLink:
    """One task of one run that handled a batch, and its page in Airflow."""

    run_id: str
    task_id: str
    state: str
    href: str


async def tasks_of_batch(api: AirflowDep, dataset: str, batch_id: str) -> list[TaskLink]:
    """Return the tasks that handled a batch, by time: they bear its name (map_index_template)."""
    dag, named = dag_of(dataset), {"rendered_map_index_prefix_pattern": batch_id}
    found = await api.get("dags", dag, "dagRuns", ALL, "taskInstances", **named, order_by="start_date", limit=SHOWN)
    return [
        TaskLink(
            ti["dag_run_id"],
            ti["task_id"],
            ti["state"] or "",
            f"{run_page(dag, ti['dag_run_id'])}/tasks/{ti['task_id']}/mapped/{ti['map_index']}",
        )
        for ti in (found or {}).get("task_instances", [])
        if ti["rendered_map_index"] == batch_id
    ]


@dataclass(frozen=True)
class Handled:
    """What a run handled: ids of batches of a data set; of none where its DAG handles no batches."""

    run_id: str
    dataset: str | None = None
    batches: tuple[str, ...] = ()


async def batches_of_run(api: AirflowDep, dag_id: str, run_id: str) -> Handled:
    """Return the batches that a run handled."""
    dataset = dataset_of(dag_id)
    if dataset is None:
        return Handled(run_id)
    tasks = await api.every("dags", dag_id, "dagRuns", run_id, "taskInstances", task_id=BATCH_TASK)
    return Handled(
        run_id, dataset, tuple(sorted({ti["rendered_map_index"] for ti in tasks if ti["rendered_map_index"]}))
    )


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


async def publication(api: AirflowDep) -> Publication:
    """Return whether the newest finished publication failed, and who is waited for. Not what other DAGs ask."""
    runs = ("dags", SNAPSHOT_DAG, "dagRuns")
    waits = {"response_received": False, "state": "awaiting_input", "limit": 20}
    asked, last, going = await asyncio.gather(
        api.get(*runs, ALL, "hitlDetails", **waits),
        api.get(*runs, state=ENDED, order_by="-id", limit=1),
        api.get(*runs, state=GOING, limit=PAGE),
    )
    questions = tuple(_question(one) for one in (asked or {}).get("hitl_details", []))
    failed = [run["dag_run_id"] for run in (last or {}).get("dag_runs", []) if run["state"] == "failed"]
    states = [run["state"] for run in (going or {}).get("dag_runs", [])]
    queued = states.count("queued") if questions else 0
    return Publication(failed[0] if failed else None, questions, queued, running=bool(states))


def _question(detail: dict[str, Any]) -> Question:
    ti = detail["task_instance"]
    href = f"{run_page(SNAPSHOT_DAG, ti['dag_run_id'])}/tasks/{ti['task_id']}/required_actions"
    return Question(detail["subject"], detail["created_at"], href)


@dataclass(frozen=True)
class Run:
    """A run. paused: its DAG is switched off. tasks: id and state of those of note. said: what tasks left of theirs."""

    dag: str
    run_id: str
    state: str
    ended: datetime | None
    paused: bool = False
    tasks: tuple[tuple[str, str], ...] = ()
    said: tuple[dict[str, Any], ...] = ()


async def run(api: AirflowDep, dag_id: str, run_id: str) -> Run | None:
    """Return a run, with what its state makes one ask; None where there is none, or the reader may not see it."""
    place = ("dags", dag_id, "dagRuns", run_id)
    found = await api.get(*place)
    if found is None:
        return None
    state, ended = str(found["state"]), found["end_date"] and datetime.fromisoformat(found["end_date"])
    if state == "queued":
        dag = await api.get("dags", dag_id)
        return Run(dag_id, run_id, state, ended, paused=bool(dag and dag["is_paused"]))
    of_note = {} if dag_id == SNAPSHOT_DAG else {"state": TOLD}
    ask = state != "success" or dag_id == SNAPSHOT_DAG
    tasks = await api.every(*place, "taskInstances", **of_note) if ask else []
    said = await _said(api, place) if state != "running" and dag_id != SNAPSHOT_DAG else ()
    return Run(dag_id, run_id, state, ended, tasks=tuple((t["task_id"], t["state"] or "") for t in tasks), said=said)


async def _said(api: AirflowDep, place: tuple[str, ...]) -> tuple[dict[str, Any], ...]:
    """Return what the tasks of a run left for people; the list holds no values, so each is asked for."""
    left = await api.every(*place, "taskInstances", ALL, "xcomEntries", xcom_key=SAID)
    values = await asyncio.gather(
        *(
            api.get(*place, "taskInstances", one["task_id"], "xcomEntries", SAID, map_index=one["map_index"])
            for one in left
        )
    )
    texts = (one["value"] for one in values if one)
    return tuple(json.loads(text) if isinstance(text, str) else text for text in texts)


PublicationDep = Annotated[Publication, Depends(publication)]
TasksDep = Annotated[list[TaskLink], Depends(tasks_of_batch)]
HandledDep = Annotated[Handled, Depends(batches_of_run)]
RunDep = Annotated[Run | None, Depends(run)]


def run_page(dag: str, run_id: str) -> str:
    """Return the path of a run's page in Airflow."""
    return f"/dags/{quote(dag, safe='')}/runs/{quote(run_id, safe='')}"
