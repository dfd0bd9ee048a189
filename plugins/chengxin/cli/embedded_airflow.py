"""An Airflow of one home folder: SQLite, LocalExecutor, loopback only; child processes that end with this one."""

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from chengxin.cli.embedded_api import AirflowApi, answers
from chengxin.cli.embedded_guard import end_session
from chengxin.contracts import loader
from chengxin.errors import ChengxinError
from chengxin.settings import PROJECT, Settings, environment
from chengxin.store import privacy

HOST, PORT, USER = "127.0.0.1", 8080, "admin"
SECOND = "second"  # the second person, who approves what the first one released
START_SECONDS = 240
STOP_SECONDS = 20
PORTS_TRIED = 10
TASKS_AT_A_TIME = (os.cpu_count() or 1) + 4
LOOK_AGAIN = 120  # seconds; with more contracts, a second for each
BUSY_SECONDS = 120  # how long a process waits while another writes the metadata


class AirflowFailed(ChengxinError):
    """The embedded Airflow does not start, or one of its processes ended."""


class EmbeddedAirflow:
    """Airflow over a home: the `with` block takes the home and begins to make its database, `start` starts Airflow.

    It ends with the block. Everything it writes lies in `<home>/airflow`: the metadata database, the logs of tasks and
    processes, the password file (readable by its owner). Raises AirflowFailed when it does not come up, or runs
    already on this home.
    """

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.home / "airflow"
        self.user, self.password, self.url = USER, "", ""
        self.second, self.second_password = SECOND, ""
        self._settings = settings
        self._lock = FileLock(settings.home / "airflow.lock")
        self._ports: list[FileLock] = []
        self._execution = 0
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._settings.home.mkdir(parents=True, exist_ok=True)
        privacy.close(self._settings.home)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise AirflowFailed(f"{self.folder} 上已有一个 Airflow 在运行；请先停止它") from error
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            self.password, self.second_password = _passwords(self.folder / "password.json", self.user, self.second)
            self._launch(PORT)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def logs(self) -> Path:
        """Return the folder with one log for each Airflow process."""
        return self.folder / "processes"

    def start(self, environment: Mapping[str, str]) -> None:
        """Start all components and wait until they are healthy.

        environment: what the tasks need besides, for example the connections.
        """
        if not self._up(environment):
            self._end()  # somebody was quicker to take the port
            self._launch(0)
            if not self._up(environment):
                raise AirflowFailed(f"{HOST} 上没有可用端口；日志：{self.logs}")

    def check(self) -> None:
        """Raise AirflowFailed when one of the processes has ended."""
        ended = self.logs / "ended"  # the guard writes it before it stops the others
        if ended.exists():
            name = ended.read_text().replace("\n", "、")
            raise AirflowFailed(f"Airflow 的 {name} 意外退出；日志：{self.logs}")
        if self._guard is None or self._guard.poll() is not None:
            raise AirflowFailed(f"Airflow 的守护进程意外退出；日志：{self.logs}")

    def api(self) -> AirflowApi:
        """Return a client that is logged in."""
        return AirflowApi(self.url, self.user, self.password)

    def second_api(self) -> AirflowApi:
        """Return a client that is logged in as the second person."""
        return AirflowApi(self.url, self.second, self.second_password)

    def _reserved(self, wanted: int) -> int:
        port, lock = reserved_port(wanted)
        self._ports.append(lock)
        return port

    def _launch(self, wanted: int) -> None:
        """Start the guard, which makes the database; 0 = any port for the pages."""
        port, self._execution = self._reserved(wanted), self._reserved(0)
        self.url = f"http://{HOST}:{port}"
        (self.logs / "ended").unlink(missing_ok=True)
        command = [sys.executable, "-m", "chengxin.cli.embedded_guard", str(self.logs), str(self._execution)]
        environment = _environment(self, self._settings, port, self._execution)
        with (self.logs / "guard.log").open("ab") as log:
            self._guard = subprocess.Popen(  # noqa: S603  our own words
                command,
                env=environment,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _up(self, environment: Mapping[str, str]) -> bool:
        """Let the guard start the components, and wait; return False when another Airflow answers at our address."""
        assert self._guard is not None
        assert self._guard.stdin is not None
        try:
            self._guard.stdin.write(f"{json.dumps(dict(environment))}\n".encode())
        except BrokenPipeError:  # it has ended: why, `check` says
            self._guard.wait()
        return self._ours()

    def _ours(self) -> bool:
        api = self.api()
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if api.refused():
                return False
            self.check()
            if api.healthy() and answers(f"http://{HOST}:{self._execution}/execution/health"):
                return True
            time.sleep(0.5)
        raise AirflowFailed(f"Airflow 在 {START_SECONDS} 秒内没有就绪；日志：{self.logs}")

    def _stop(self) -> None:
        self._end()
        self._lock.release()

    def _end(self) -> None:
        guard, self._guard = self._guard, None
        if guard is not None:
            assert guard.stdin is not None
            guard.stdin.close()
            try:
                guard.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                guard.kill()
            end_session(guard.pid)
            guard.wait()
        while self._ports:
            self._ports.pop().release()


def reserved_port(wanted: int) -> tuple[int, FileLock]:
    """Return this port when nobody has it, else a free one, and the lock that says so to other embedded Airflows.

    An Airflow listens only a quarter of a minute after it was started: until then nothing but the lock keeps the port.
    """
    for asked in (wanted, *[0] * PORTS_TRIED):
        with suppress(OSError, Timeout):
            port = _free(asked)
            lock = FileLock(Path(tempfile.gettempdir()) / f"chengxin-port-{port}.lock", mode=0o666)
            lock.acquire(timeout=0)
            return port, lock
    raise AirflowFailed("本机没有可用端口")


def _free(port: int) -> int:
    """Return this port, or any for 0; raises OSError where somebody listens."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, port))
        return int(probe.getsockname()[1])


def _passwords(path: Path, *users: str) -> list[str]:
    """Return the passwords of the users, made up at the first start and kept, so that a browser may remember them."""
    known = json.loads(path.read_text()) if path.exists() else {}
    if missing := [user for user in users if user not in known]:
        known |= {user: secrets.token_urlsafe(9) for user in missing}
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(known, file)
    return [str(known[user]) for user in users]


def _look_again(settings: Settings) -> int:
    """Return after how many seconds contracts are read again; a changed DAG file is seen at once.

    A look at seven hundred costs some twenty CPU seconds and holds SQLite's one write lock for half of them: so it
    comes at most so often that it takes three hundredths of a core.
    """
    return max(LOOK_AGAIN, len(loader.names(settings.contracts)))


def _environment(embedded: EmbeddedAirflow, settings: Settings, port: int, execution: int) -> dict[str, str]:
    """Return the environment of all Airflow processes; Airflow settings of the surroundings do not leak in."""
    unwanted = ("AIRFLOW", "_AIRFLOW", "PYTHONDONTWRITEBYTECODE")
    kept = {key: value for key, value in environment().items() if not key.startswith(unwanted)}
    here = f"{HOST},localhost"
    return kept | {
        "AIRFLOW_HOME": str(embedded.folder),
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        # 700 contracts take three CPU seconds: many times as long beside other work
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "240",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{HOST}:{execution}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": str(TASKS_AT_A_TIME),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(embedded.folder / "password.json"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{embedded.user}:admin,{embedded.second}:user",
        "AIRFLOW__API__BASE_URL": f"http://{HOST}:{port}",
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__INSTANCE_NAME": "诚信湖南",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": str(_look_again(settings)),
        "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "300",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{embedded.folder / 'airflow.db'}?timeout={BUSY_SECONDS}",
        # between two looks at all that runs; more tasks than cores go on, so that none of these waits for a look
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        # Airflow sets these itself, whatever mask a process has
        "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": "0o600",
        "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": "0o700",
        # runs that wait for a place are looked at in vain: more of them a loop only cost what the tasks need
        "AIRFLOW__SCHEDULER__MAX_DAGRUNS_PER_LOOP_TO_SCHEDULE": str(TASKS_AT_A_TIME + 4),
        # the first task after a start waits while the api-server builds its interface
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        # One task in four closes its sockets a moment before it exits. Its supervisor then looks again only after this
        # time, five seconds if not set, and keeps its place among those at work until then. Patience stays the same.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "15",
        "CHENGXIN_CONTRACTS": str(settings.contracts),
        "CHENGXIN_EXPECTATIONS": str(settings.expectations),
        "CHENGXIN_HOME": settings.origin or str(settings.home),
        "CHENGXIN_WORK": str(settings.work),
        "GX_ANALYTICS_ENABLED": "False",
        "NO_PROXY": here,
        "no_proxy": here,
    }
