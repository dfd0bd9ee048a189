"""How long each page of the operators takes over a large invented home, asked of a real API server.

python bench/pages.py FOLDER --datasets 700 --days 365      makes the home in FOLDER when it is not there

Prints one JSON object a page: path, median wall milliseconds, CPU milliseconds of the server, bytes.
"""

import argparse
import json
import os
import re
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil
import requests

PROJECT = Path(__file__).resolve().parents[1]
HOMES = PROJECT / "tests" / "serve" / "overview_homes.py"
NOW = "2026-11-24T04:00:00+00:00"  # the last day of the invented home
BIN = Path(sys.executable).parent


def main() -> None:
    """Make the home, serve it, ask every page several times."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--datasets", type=int, default=700)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    if not (given.folder / "home").exists():
        size = ["--datasets", str(given.datasets), "--days", str(given.days)]
        subprocess.run([sys.executable, HOMES, given.folder, *size], check=True)
    server = Server(given.folder)
    try:
        for path in pages(server):
            print(json.dumps(server.measure(path, given.times)), flush=True)
    finally:
        server.stop()


class Server:
    """An `airflow api-server` over an invented home, with its database and password beside it."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        airflow, password = folder / "airflow", secrets.token_urlsafe(12)
        airflow.mkdir(exist_ok=True)
        (airflow / "passwords.json").write_text(json.dumps({"admin": password}))
        environment = os.environ | {
            "AIRFLOW_HOME": str(airflow),
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(airflow / "passwords.json"),
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
            "CHENGXIN_HOME": str(folder / "home"),
            "CHENGXIN_CONTRACTS": str(folder / "contracts"),
            "CHENGXIN_NOW": NOW,
        }
        with (airflow / "server.log").open("wb") as log:
            subprocess.run([BIN / "airflow", "db", "migrate"], env=environment, stdout=log, stderr=log, check=True)
            command = [BIN / "airflow", "api-server", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        self.url, self.session = f"http://127.0.0.1:{port}", requests.Session()
        try:
            self._log_in(password)
            self._index()
        except BaseException:
            self.stop()
            raise

    def _log_in(self, password: str) -> None:
        until = time.monotonic() + 240
        while True:
            try:
                login = {"username": "admin", "password": password}
                answer = requests.post(f"{self.url}/auth/token", json=login, timeout=60)
                answer.raise_for_status()
                break
            except requests.RequestException:
                if time.monotonic() > until or self._process.poll() is not None:
                    raise
                time.sleep(0.5)
        self.session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def _index(self) -> None:
        """Wait until the index of the home is whole: the first page says that it is being made."""
        while "正在首次建立索引" in self.get("").text:
            time.sleep(2)

    def get(self, path: str) -> requests.Response:
        """Ask for a page."""
        answer = self.session.get(f"{self.url}/chengxin/{path}", timeout=1200)
        answer.raise_for_status()
        return answer

    def measure(self, path: str, times: int) -> dict[str, object]:
        """Ask for a page several times; the first answer, which may read files anew, is not counted."""
        answer, took, before = self.get(path), [], self._cpu()
        for _ in range(times):
            began = time.perf_counter()
            answer = self.get(path)
            took.append((time.perf_counter() - began) * 1000)
        cpu = (self._cpu() - before) * 1000 / times
        return {
            "path": path or "/",
            "wall_ms": round(statistics.median(took), 1),
            "cpu_ms": round(cpu, 1),
            "bytes": len(answer.content),
        }

    def _cpu(self) -> float:
        whole = [psutil.Process(self._process.pid), *psutil.Process(self._process.pid).children(recursive=True)]
        return sum(sum(p.cpu_times()[:2]) for p in whole)

    def stop(self) -> None:
        """End the server."""
        os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(60)


def pages(server: Server) -> list[str]:
    """Return the pages to ask for, with a batch, a department and a snapshot that are there."""
    held = server.get("batches?state=held").text
    found = re.search(r"/batches/([^/\"?]+)/([^/\"?]+)\"", held)
    if found is None:
        raise SystemExit("no held batch in this home")
    dataset, batch = found.groups()
    snapshot = re.findall(r"/snapshots/(government/[^\"]+)\"", server.get("snapshots").text)[:1]
    department = re.findall(r'<option value="([^"]+)"', held)[:1]
    return [
        "", "batches", *(f"batches?department={d}" for d in department), "batches?rule=uscc.check",
        "batches?state=held", "batches?text=20260303", "batches?number=200",
        f"batches?dataset={dataset}", f"batches/{dataset}/{batch}",
        "refused", "refused?rule=date.invalid", f"refused?dataset={dataset}&rule=uscc.check", "waiting", "snapshots",
        *(f"snapshots/{s}" for s in snapshot), "catalogue", f"catalogue/{dataset}", "scorecards",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
