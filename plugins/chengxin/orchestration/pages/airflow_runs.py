"""What Airflow's API returns about our batches: which runs handled one; how a run ended; which answer is awaited.

Each function is a dependency of a page (see airflow_api.py), and returns nothing of what the reader may not see.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends

from chengxin.orchestration.drain import PREFIX as DRAIN
from chengxin.orchestration.ingest import SAID, dataset_of
from chengxin.orchestration.pages.airflow_api import PAGE, AirflowApi, AirflowDep
from chengxin.orchestration.snapshot import DAG_ID as SNAPSHOT_DAG

ALL = "~"
ENDED, GOING = ("success", "failed"), ("queued", "running")
TOLD = ("failed", "up_for_retry", "awaiting_input")  # the states of tasks that a page has words for


@dataclass(frozen=True)
class TaskLink:
    """One task of one run that handled a batch, and its page in Airflow."""

    dag: str
    run_id: str
    task_id: str
    state: str
    href: str


async def tasks_of(api: AirflowApi, handled: Sequence[Mapping[str, Any]]) -> list[TaskLink]:
    """Return the tasks that handled a batch, the newest last: of those written down, what the reader may see.

    handled: as of orchestration.chunks.handled; of the tries of a task one is enough.
    """
    places = {(h["dag"], h["run"], h["task"], h["map_index"]): None for h in handled}
    found = await asyncio.gather(*(_task(api, *place) for place in places))
    return [link for link in found if link]


async def _task(api: AirflowApi, dag: str, run_id: str, task: str, map_index: int) -> TaskLink | None:
    mapped = [str(map_index)] if map_index >= 0 else []
    ti = await api.get("dags", dag, "dagRuns", run_id, "taskInstances", task, *mapped)
    if ti is None:
        return None
    href = "/".join([run_page(dag, run_id), "tasks", task, *(["mapped"] if mapped else []), *mapped])
    return TaskLink(dag, run_id, task, ti["state"] or "", href)


@dataclass(frozen=True)
class Handled:
    """What a run handled: data sets and batches; None where its DAG handles no batches."""

    run_id: str
    batches: tuple[tuple[str, str], ...] | None = None


async def batches_of_run(api: AirflowDep, dag_id: str, run_id: str) -> Handled:
    """Return the batches that a run handled."""
    if dataset_of(dag_id) is None and not dag_id.startswith(DRAIN):
        return Handled(run_id)
    said = await _task_results(api, ("dags", dag_id, "dagRuns", run_id))
    return Handled(run_id, tuple(sorted({(one["dataset"], one["batch"]) for one in said if "dataset" in one})))


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
    said = await _task_results(api, place) if state != "running" and dag_id != SNAPSHOT_DAG else ()
    return Run(dag_id, run_id, state, ended, tasks=tuple((t["task_id"], t["state"] or "") for t in tasks), said=said)


async def _task_results(api: AirflowDep, place: tuple[str, ...]) -> tuple[dict[str, Any], ...]:
    """Return what the tasks of a run left for people; the list holds no values, so each is asked for."""
    left = await api.every(*place, "taskInstances", ALL, "xcomEntries", xcom_key=SAID)
    values = await asyncio.gather(
        *(
            api.get(*place, "taskInstances", one["task_id"], "xcomEntries", SAID, map_index=one["map_index"])
            for one in left
        )
    )
    texts = (one["value"] for one in values if one)
    return tuple(one for text in texts for one in (json.loads(text) if isinstance(text, str) else text))


PublicationDep = Annotated[Publication, Depends(publication)]
HandledDep = Annotated[Handled, Depends(batches_of_run)]
RunDep = Annotated[Run | None, Depends(run)]


def run_page(dag: str, run_id: str) -> str:
    """Return the path of a run's page in Airflow."""
    return f"/dags/{quote(dag, safe='')}/runs/{quote(run_id, safe='')}"
