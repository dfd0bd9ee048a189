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
NEWEST = 25  # runs in one page, where mostly only the last few are asked for


def _passes(error: BaseException) -> bool:
    """Return whether asking again may help: a busy api-server lets requests wait too long, or a write gives up."""
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

    @property
    def key(self) -> tuple[str, str]:
        """Return what tells it from all other runs."""
        return self.dag_id, self.run_id


@dataclass(frozen=True)
class Question:
    """A task that waits for a person. params: what to fill in, with its default."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    subject: str
    options: tuple[str, ...]
    params: dict[str, Any]

    @property
    def key(self) -> tuple[str, str, str, int, int]:
        """Return what tells it from all other questions; a task that is tried again asks anew."""
        return self.dag_id, self.run_id, self.task_id, self.map_index, self.try_number


class AirflowApi:
    """Airflow at an address, as one user. Raises httpx.HTTPError when it refuses or does not answer."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url
        self._login = {"username": user, "password": password}
        self._client = httpx.Client(base_url=url, timeout=60, trust_env=False)

    def healthy(self) -> bool:
        """Return whether all four components report themselves healthy."""
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

    def refused(self) -> bool:
        """Return whether somebody answers here who does not know this user: another Airflow, or no Airflow at all."""
        try:
            return not self._token
        except httpx.HTTPStatusError as error:
            return error.response.is_client_error
        except httpx.TransportError:
            return False

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

    def owed(self, dag_id: str, now: datetime) -> bool:
        """Return whether the schedule of a DAG owes a run at this time: switching the DAG on starts it."""
        due = self._get(f"/api/v2/dags/{dag_id}")["next_dagrun_run_after"]
        return due is not None and datetime.fromisoformat(due) <= now

    def switch(self, dag_id: str, *, on: bool) -> None:
        """Switch a DAG on or off."""
        self._send("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": not on})

    def trigger(self, dag_id: str, run_id: str, note: str) -> None:
        """Start a run under this id, if it is not there yet; the note is shown in the UI."""
        body = {"dag_run_id": run_id, "logical_date": None, "note": note}
        self._send("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)

    def newest_run(self) -> Run | None:
        """Return the run that was made last, of all DAGs."""
        runs, _ = self._newest(limit=1, offset=0)
        return runs[0] if runs else None

    def runs(self, after: Run | None = None) -> list[Run]:
        """Return all runs, of all DAGs, oldest first; with `after`, only those made later, whatever came before."""
        found: dict[tuple[str, str], Run] = {}  # a run made meanwhile shifts the pages: some come twice, none is missed
        while True:
            page, total = self._newest(limit=NEWEST, offset=len(found))
            for run in page:
                if after and run.key == after.key:
                    return list(found.values())[::-1]
                found[run.key] = run
            if not page or len(found) >= total:
                return list(found.values())[::-1]

    def _newest(self, limit: int, offset: int) -> tuple[list[Run], int]:
        page = self._get(f"/api/v2/dags/{ALL}/dagRuns", limit=limit, offset=offset, order_by="-id")
        return [Run(r["dag_id"], r["dag_run_id"], r["state"]) for r in page["dag_runs"]], page["total_entries"]

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


def answers(url: str) -> bool:
    """Return whether a server answers well at an address."""
    try:
        return httpx.get(url, timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _question(detail: dict[str, Any]) -> Question:
    task = detail["task_instance"]
    params = {name: param["value"] for name, param in detail["params"].items()}
    return Question(
        task["dag_id"],
        task["dag_run_id"],
        task["task_id"],
        task["map_index"],
        task["try_number"],
        detail["subject"],
        tuple(detail["options"]),
        params,
    )
