"""An Airflow as separate processes on a private PostgreSQL: each can be killed, and comes back as under compose.

What `restart: unless-stopped` does for containers, `until` does here: a process that has ended is started again.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import psycopg
from sqlalchemy import make_url

from chengxin.cli.embedded_guard import airflow, end_session
from servers import Cluster

PROJECT = Path(__file__).resolve().parents[1]
COMPONENTS = ("api-server", "scheduler", "dag-processor")
SECONDS = 300.0  # for whatever is waited for, on a busy machine
T = TypeVar("T")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class AirflowProcesses:
    """api-server, scheduler with LocalExecutor and dag-processor below `folder`; contracts and home of their own."""

    def __init__(self, folder: Path, cluster: Cluster, **environment: str) -> None:
        self.folder, self.cluster = folder, cluster
        self.home, self.contracts = folder / "home", folder / "contracts"
        self.contracts.mkdir(parents=True)
        self.home.mkdir()
        self.port = free_port()
        self.environment = self._environment() | environment
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._database = make_url(cluster.url).set(drivername="postgresql").render_as_string(hide_password=False)

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "_AIRFLOW", "CHENGXIN"))}
        quick = {  # what takes minutes in the field takes seconds here
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "15",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "20",
            "CHENGXIN_RETRY_SECONDS": "2",
        }
        url = self.cluster.url
        return kept | quick | {
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{self.port}",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self.port}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "3",
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": url,
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            "CHENGXIN_CONTRACTS": str(self.contracts),
            "CHENGXIN_HOME": str(self.home),
            "GX_ANALYTICS_ENABLED": "False",
            "NO_PROXY": "127.0.0.1,localhost",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }  # fmt: skip

    def start(self) -> None:
        with (self.folder / "migrate.log").open("wb") as log:
            subprocess.run(airflow("db", "migrate"), env=self.environment, stdout=log, stderr=log, check=True)
        for name in COMPONENTS:
            self._start(name)

    def _start(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                airflow(name),
                env=self.environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def stop(self) -> None:
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            end_session(process.pid)
            process.wait()

    def keep(self) -> None:
        """Start what has ended again, after ending what it left, as a container runtime does."""
        for name, process in list(self.running.items()):
            if process.poll() is not None:
                end_session(process.pid)
                self._start(name)

    def kill(self, name: str) -> None:
        """Kill a component and everything it started, as when its machine goes."""
        os.kill(self.running[name].pid, signal.SIGKILL)
        self.running[name].wait()
        end_session(self.running[name].pid)

    def until(self, what: Callable[[], T], seconds: float = SECONDS, every: float = 0.3) -> T:
        """Wait until `what` is true and return it; keep all processes up meanwhile."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.keep()
            with suppress(psycopg.OperationalError):
                if found := what():
                    return found
            time.sleep(every)
        raise AssertionError(f"it did not happen in {seconds:.0f} s: {self.told()}")

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._database, autocommit=True, connect_timeout=3) as connection:
            return connection.execute(query, values).fetchall()

    def switch(self, dag_id: str, *, on: bool) -> None:
        """Switch a DAG on or off as soon as Airflow knows it; switched on, it starts the run that its schedule owes."""
        query = "UPDATE dag SET is_paused = %s WHERE dag_id = %s AND NOT is_stale RETURNING 1"
        self.until(lambda: self.rows(query, not on, dag_id))

    def trigger(self, dag_id: str, run_id: str, **conf: str) -> None:
        """Start a run."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
        url = f"http://127.0.0.1:{self.port}"

        def accepted() -> bool:
            with suppress(httpx.TransportError), httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
                known = client.get("/auth/token")
                if known.is_server_error:
                    return False
                bearer = {"Authorization": f"Bearer {known.raise_for_status().json()['access_token']}"}
                done = client.post(f"/api/v2/dags/{dag_id}/dagRuns", json=body, headers=bearer)
                if done.is_server_error or done.status_code == httpx.codes.CONFLICT:
                    return done.status_code == httpx.codes.CONFLICT
                return not done.raise_for_status().is_error
            return False

        self.until(accepted)

    def first_run(self, dag_id: str) -> str:
        """Wait for the first run of a DAG and return its id."""
        query = "SELECT run_id FROM dag_run WHERE dag_id = %s ORDER BY id LIMIT 1"
        return str(self.until(lambda: self.rows(query, dag_id))[0][0])

    def state(self, dag_id: str, run_id: str) -> str | None:
        """Return how a run ended; None while it is at it."""
        found = self.rows("SELECT state FROM dag_run WHERE dag_id = %s AND run_id = %s", dag_id, run_id)
        return found[0][0] if found and found[0][0] in ("success", "failed") else None

    def ended(self, dag_id: str, run_id: str) -> str:
        return self.until(lambda: self.state(dag_id, run_id)) or ""

    def tries(self, dag_id: str, run_id: str, task_id: str) -> int:
        query = "SELECT max(try_number) FROM task_instance WHERE dag_id = %s AND run_id = %s AND task_id = %s"
        return int(self.rows(query, dag_id, run_id, task_id)[0][0])

    def running_task(self, dag_id: str, run_id: str, task_id: str = "%") -> psutil.Process:
        """Wait for a task of a run to be at it and return its process."""
        query = """SELECT pid FROM task_instance WHERE state = 'running' AND pid IS NOT NULL AND dag_id = %s
                   AND run_id = %s AND task_id LIKE %s"""

        def running() -> psutil.Process | None:
            with suppress(psutil.NoSuchProcess):
                found = self.rows(query, dag_id, run_id, task_id)
                return psutil.Process(found[0][0]) if found else None
            return None

        return self.until(running, every=0.03)

    def told(self) -> str:
        """Return what one needs to see when something did not come about."""
        query = """SELECT dag_id, run_id, task_id, map_index, state, try_number FROM task_instance
                   WHERE state <> 'success'"""
        with suppress(psycopg.OperationalError):
            lines = [repr(row) for row in self.rows(query)]
            tails = [f"{n}: {(self.folder / f'{n}.log').read_text(errors='replace')[-1500:]}" for n in COMPONENTS]
            return "\n".join([*lines, *tails])
        return "the database does not answer"
