"""docker-compose.yml read as compose reads it, and its services as plain processes: same commands, same environment."""

import os
import re
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

PROJECT = Path(__file__).resolve().parents[1]
VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?::-([^}]*))?\})")


def load_compose(environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Parse docker-compose.yml and put in its variables, `${NAME:-default}` and `$$`."""
    given = environment or {}

    def put(match: re.Match[str]) -> str:
        if match[1]:
            return "$"
        value = given.get(match[2]) or match[3]
        assert value is not None, f"{match[2]} has neither value nor default"
        return value

    def filled(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: filled(value) for key, value in node.items()}
        if isinstance(node, list):
            return [filled(value) for value in node]
        return VARIABLE.sub(put, node) if isinstance(node, str) else node

    return filled(yaml.safe_load((PROJECT / "docker-compose.yml").read_text("utf-8")))


def image_environment() -> dict[str, str]:
    """Return what the Dockerfile sets with ENV."""
    text = (PROJECT / "Dockerfile").read_text().replace("\\\n", " ")
    return dict(
        pair.split("=", 1) for line in re.findall(r"^ENV (.+)$", text, re.MULTILINE) for pair in shlex.split(line)
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Stack:
    """The services of docker-compose.yml as processes below `folder`.

    Only what containers would give is replaced: host names and ports, /opt, /var/lib/chengxin and /run/secrets.
    """

    def __init__(self, folder: Path, database: str, objects: str) -> None:
        self.folder, self.database, self.objects = folder, database, objects
        self.compose = load_compose()
        self.ports = {n: free_port() for n in ("api", "redis", "health", "worker_logs", "triggerer_logs")}
        self.airflow_home, self.home = folder / "airflow", folder / "home"
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.airflow_home.mkdir(parents=True)
        self._secrets()

    def _secrets(self) -> None:
        made = {**os.environ, "CHENGXIN_STACK_FOLDER": str(self.folder)}
        subprocess.run([PROJECT / "deploy" / "stack", "secrets"], env=made, check=True)
        places = {"airflow_database": ("@postgres/", f"@{self.database}/")}
        places["celery_broker"] = ("@redis:6379/", f"@127.0.0.1:{self.ports['redis']}/")
        for name, (there, here) in places.items():
            path = self.folder / "secrets" / name
            text = path.read_text()
            assert there in text
            path.write_text(text.replace(there, here))

    def home_objects(self) -> list[str]:
        """Return what lies in the home, seen with the workers' own credentials."""
        import fsspec

        environment = self.environment("worker")
        bucket = environment["CHENGXIN_HOME"].removeprefix("s3://")
        with patch.dict(os.environ, environment):
            store = fsspec.filesystem("s3", skip_instance_cache=True)
            return [name.removeprefix(f"{bucket}/") for name in store.find(bucket)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['api']}"

    def secret(self, name: str) -> str:
        return (self.folder / "secrets" / name).read_text()

    def environment(self, service: str, **more: str) -> dict[str, str]:
        unwanted = ("AIRFLOW", "_AIRFLOW", "CHENGXIN", "PYTHONDONTWRITEBYTECODE")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(unwanted)}
        given = image_environment() | {k: str(v) for k, v in self.compose["services"][service]["environment"].items()}
        ours = {
            "AIRFLOW_HOME": str(self._airflow_home(service)),
            "AIRFLOW__API__PORT": str(self.ports["api"]),
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.folder / "logs"),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(self.ports["health"]),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(self.ports["worker_logs"]),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(self.ports["triggerer_logs"]),
            "HOSTNAME": socket.gethostname(),
            "NO_PROXY": "127.0.0.1,localhost",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        return kept | {key: self.here(value) for key, value in given.items()} | ours | more

    def _airflow_home(self, service: str) -> Path:
        """Return Airflow's folder of a service: of its own, as in a container, unless it has the volume."""
        has = any(mount.endswith(":/opt/airflow") for mount in self.compose["services"][service]["volumes"])
        return self.airflow_home if has else self.folder / "containers" / service

    def here(self, text: str) -> str:
        """Replace what only exists in containers."""
        for there, replaced in (
            ("/run/secrets/", f"{self.folder}/secrets/"),
            ("http://objects:9000", self.objects),
            ("/run/credentials", f"{self.folder}/secrets/connections"),
            ("http://api-server:8080", self.url),
            ("http://localhost:8080", self.url),
            ("localhost:8974", f"localhost:{self.ports['health']}"),
            ("/opt/airflow", str(self.airflow_home)),
            ("/opt/chengxin", str(PROJECT)),
            ("/var/lib/chengxin", str(self.home)),
            ("--dir /data", f"--dir {self.folder} --port {self.ports['redis']} --bind 127.0.0.1"),
            ("redis-cli ping", f"redis-cli -p {self.ports['redis']} ping"),
        ):
            text = text.replace(there, replaced)
        return text

    def run(self, service: str, **more: str) -> None:
        """Run a service that ends, as `migrate` does."""
        words = shlex.split(self.here(self.compose["services"][service]["command"]))
        done = subprocess.run(
            words, env=self.environment(service, **more), cwd=self.folder, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def airflow(self, *words: str) -> None:
        """Run a command of Airflow's where its database is reached, as `docker compose run migrate` does."""
        done = subprocess.run(
            ["airflow", *words],
            env=self.environment("migrate"),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self, service: str, **more: str) -> None:
        environment = self.environment(service, **more) if "environment" in self.compose["services"][service] else None
        self._start(service, shlex.split(self.here(self.compose["services"][service]["command"])), environment)

    def start_replica(self, service: str, name: str, **more: str) -> None:
        """Start a Celery worker once more; a container would have this name, and ports of its own."""
        host = {"HOSTNAME": name, "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port())}
        words = shlex.split(self.here(self.compose["services"][service]["command"]))
        environment = self.environment(service, **more, **host)
        self._start(name, [*words, "--celery-hostname", f"celery@{name}"], environment)

    def _start(self, name: str, words: list[str], environment: dict[str, str] | None) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                words, env=environment, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )

    def healthy(self, service: str, **more: str) -> bool:
        """Run the health check of a service."""
        test = self.compose["services"][service]["healthcheck"]["test"]
        words = [self.here(word) for word in test[1:]]
        words = ["sh", "-c", words[0]] if test[0] == "CMD-SHELL" else words
        inside = "environment" in self.compose["services"][service]
        environment = self.environment(service, **more) if inside else None
        return subprocess.run(words, env=environment, cwd=self.folder, capture_output=True, timeout=90).returncode == 0

    def await_healthy(self, *services: str, seconds: float = 180) -> None:
        until = time.monotonic() + seconds
        for service in services:
            while not self.healthy(service):
                assert self.running[service].poll() is None, self.log(service)
                assert time.monotonic() < until, self.log(service)
                time.sleep(1)

    def log(self, service: str) -> str:
        return (self.folder / f"{service}.log").read_text(errors="replace")[-4000:]

    def errors_of_tasks(self) -> str:
        """Return what the tasks logged as errors, each with the path of its log, and the end of the scheduler's log."""
        logs = sorted((self.airflow_home / "logs").rglob("attempt=*.log"))
        lines = [(log, line) for log in logs for line in log.read_text(errors="replace").splitlines()]
        found = [f"{log.parent}: {line[:6000]}" for log, line in lines if '"level":"error"' in line]
        return "\n".join([*found, self.log("scheduler")])

    def stop(self) -> None:
        from chengxin.cli.embedded_guard import end_session

        for process in reversed(self.running.values()):
            process.terminate()
        for process in self.running.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
            end_session(process.pid)
            process.wait()
