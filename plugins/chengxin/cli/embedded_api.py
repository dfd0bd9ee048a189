"""A client of Airflow's public REST API: what a run of the demo needs, no more."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import httpx
from tenacity import retry, retry_if_exception, stop_after_attempt, wait_exponential

ENDED = ("success", "failed")
ALL = "~"
LIMIT = 100  # what Airflow gives at most in one page


def _passes(error: BaseException) -> bool:
    """Tell whether asking again may help: a busy api-server lets requests wait too long, or a write gives up."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.is_server_error
    return isinstance(error, httpx.TransportError)


# All requests may be repeated: run ids are ours, so a run that was created after all is found, not made twice.
_again = retry(
    retry=retry_if_exception(_passes),
    stop=stop_after_attempt(4),
    wait=wait_exponential(multiplier=0.5, max=4),
    reraise=True,
)


@dataclass(frozen=True)
class Run:
    """A run of a DAG and its state."""

    dag_id: str
    run_id: str
    state: str


@dataclass(frozen=True)
class Question:
    """A task that waits for a person. params: what to fill in, with its default."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    subject: str
    options: tuple[str, ...]
    params: dict[str, Any]


class AirflowApi:
    """Airflow at an address, as one user. Raises httpx.HTTPError when it refuses or does not answer."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._login = {"username": user, "password": password}
        self._client = httpx.Client(base_url=url, timeout=60, trust_env=False)

    def healthy(self) -> bool:
        """Tell whether all four components report themselves healthy."""
        try:
            answer = self._client.get("/api/v2/monitor/health", timeout=5)
        except httpx.TransportError:
            return False
        if answer.is_error:
            return False
        parts = answer.json()
        return all(
            (parts.get(name) or {}).get("status") == "healthy"
            for name in ("metadatabase", "scheduler", "dag_processor", "triggerer")
        )

    def import_errors(self) -> list[str]:
        """Return why DAG files cannot be used."""
        found = self._get("/api/v2/importErrors")["import_errors"]
        return [f"{e['filename']}：{e['stack_trace'].strip().splitlines()[-1]}" for e in found]

    def dag_ids(self) -> set[str]:
        """Return all DAGs that Airflow knows."""
        found: set[str] = set()
        while True:
            page = self._get("/api/v2/dags", limit=LIMIT, offset=len(found), order_by="dag_id", exclude_stale=True)
            found |= {dag["dag_id"] for dag in page["dags"]}
            if not page["dags"] or len(found) >= page["total_entries"]:
                return found

    def pause(self, prefix: str, *, paused: bool) -> None:
        """Switch all DAGs off or on whose ids begin so."""
        # Both: without dag_id_pattern nothing is matched, and that alone would match anywhere in an id.
        query = {"dag_id_pattern": prefix, "dag_id_prefix_pattern": prefix, "limit": LIMIT}
        self._send("PATCH", "/api/v2/dags", {"is_paused": paused}, **query)

    def trigger(self, dag_id: str, run_id: str, note: str) -> None:
        """Start a run under this id, if it is not there yet; the note is shown in the UI."""
        body = {"dag_run_id": run_id, "logical_date": None, "note": note}
        self._send("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)

    def runs(self, since: datetime) -> list[Run]:
        """Return all runs due at this time or later, of all DAGs, oldest first."""
        found: list[Run] = []
        while True:
            page = self._get(
                f"/api/v2/dags/{ALL}/dagRuns",
                run_after_gte=since.isoformat(),
                limit=LIMIT,
                offset=len(found),
                order_by="id",
            )
            found += [Run(run["dag_id"], run["dag_run_id"], run["state"]) for run in page["dag_runs"]]
            if not page["dag_runs"] or len(found) >= page["total_entries"]:
                return found

    def failed_tasks(self, run: Run) -> list[str]:
        """Return the names of the failed tasks of a run."""
        page = self._get(f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances", limit=LIMIT, state="failed")
        return [task["task_display_name"] for task in page["task_instances"]]

    def questions(self) -> list[Question]:
        """Return all tasks that wait for a person."""
        page = self._get(f"/api/v2/dags/{ALL}/dagRuns/{ALL}/hitlDetails", response_received=False, limit=LIMIT)
        return [_question(detail) for detail in page["hitl_details"]]

    def answer(self, question: Question, option: str, params: dict[str, Any]) -> None:
        """Answer a waiting task; somebody's earlier answer stands."""
        place = f"/api/v2/dags/{question.dag_id}/dagRuns/{question.run_id}/taskInstances/{question.task_id}"
        body = {"chosen_options": [option], "params_input": params}
        self._send("PATCH", f"{place}/{question.map_index}/hitlDetails", body)

    @cached_property
    def _token(self) -> str:
        answer = self._client.post("/auth/token", json=self._login)
        return str(answer.raise_for_status().json()["access_token"])

    @_again
    def _get(self, path: str, **query: Any) -> Any:
        headers = {"Authorization": f"Bearer {self._token}"}
        return self._client.get(path, params=query, headers=headers).raise_for_status().json()

    @_again
    def _send(self, method: str, path: str, body: dict[str, Any], **query: Any) -> None:
        """Send; a conflict means that it is done already."""
        headers = {"Authorization": f"Bearer {self._token}"}
        answer = self._client.request(method, path, json=body, params=query, headers=headers)
        if answer.status_code != httpx.codes.CONFLICT:
            answer.raise_for_status()


def _question(detail: dict[str, Any]) -> Question:
    task = detail["task_instance"]
    params = {name: param["value"] for name, param in detail["params"].items()}
    return Question(
        task["dag_id"],
        task["dag_run_id"],
        task["task_id"],
        task["map_index"],
        detail["subject"],
        tuple(detail["options"]),
        params,
    )
