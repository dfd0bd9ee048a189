"""How long each page of the operators takes over a large invented home, asked of a real API server.

python bench/pages.py FOLDER --datasets 700 --days 365      makes the home in FOLDER when it is not there

Prints one JSON object a page and occasion: milliseconds (median, 95th percentile, worst), CPU milliseconds of the
server a request, bytes. Occasions: the first index is being made (--rebuild); the server has just started; quiet; a
batch has just come; a night's batches have come.
"""

import argparse
import json
import os
import random
import re
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import requests

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "tests" / "operations"))
import overview_homes  # noqa: E402  the invented home

NOW = "2026-11-24T04:00:00+00:00"  # the last day of the invented home
BIN = Path(sys.executable).parent
CACHES = "overview-*"


def main() -> None:
    """Make the home, serve it, ask every page on each occasion."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--datasets", type=int, default=700)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--night", type=int, default=3000, help="batches of the night")
    parser.add_argument("--rebuild", action="store_true", help="delete the index first")
    given = parser.parse_args()
    if not (given.folder / "home").exists():
        size = ["--datasets", str(given.datasets), "--days", str(given.days)]
        subprocess.run([sys.executable, overview_homes.__file__, given.folder, *size], check=True)
    if given.rebuild:
        for path in (given.folder / "home" / "cache").glob(CACHES):
            path.unlink()
    with Server(given.folder, given.workers) as server:
        if given.rebuild:
            server.first_index()
        paths = pages(server)
        for path in paths:
            server.measure("quiet", path, given.times)
        for path in paths:
            server.measure("a batch came", path, 5, before=lambda: arrive(given.folder, 1))
        arrive(given.folder, given.night)
        for _ in range(3):
            for path in paths:
                server.measure("a night came", path, 1)
    with Server(given.folder, given.workers) as server:
        for path in paths:
            server.measure("just started", path, 1)


def arrive(folder: Path, count: int) -> None:
    """Land and admit batches of the next day, from as many data sets as there are."""
    home, chance = folder / "home", random.Random()  # noqa: S311  invented numbers
    datasets = sorted(path.name for path in (home / "landing").iterdir())
    order = sum(1 for _ in (home / "admissions").iterdir())
    refused = folder / "refused.parquet"
    for n in range(count):
        at = datetime.combine(overview_homes.TODAY, datetime.min.time(), UTC) + timedelta(hours=3, seconds=n)
        order += overview_homes.batch(home, datasets[n % len(datasets)], n, at, chance, order, refused)


class Server:
    """An `airflow api-server` over an invented home, with its database and password beside it."""

    def __init__(self, folder: Path, workers: int) -> None:
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
            command = [BIN / "airflow", "api-server", "--workers", str(workers), "--host", "127.0.0.1"]
            command += ["--port", str(port)]
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        self.url, self.session = f"http://127.0.0.1:{port}", requests.Session()
        try:
            self._log_in(password)
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

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def first_index(self) -> None:
        """Ask for pages until the index is whole: they say meanwhile that it is being made."""
        began, cpu = time.monotonic(), self._cpu()
        building = True
        while building:
            for path in ("", "batches", "refused", "waiting", "snapshots", "catalogue", "scorecards"):
                building = "正在首次建立索引" in self.measure("first index", path, 1)
        took = {"first index, seconds": round(time.monotonic() - began, 1), "cpu": round(self._cpu() - cpu, 1)}
        print(json.dumps(took, ensure_ascii=False), flush=True)

    def get(self, path: str) -> requests.Response:
        """Ask for a page."""
        answer = self.session.get(f"{self.url}/chengxin/{path}", timeout=1200)
        answer.raise_for_status()
        return answer

    def measure(self, occasion: str, path: str, times: int, before: Callable[[], None] = lambda: None) -> str:
        """Ask for a page several times, each after `before`; print how long it took and return it."""
        took, cpu = [], self._cpu()
        for _ in range(times):
            before()
            began = time.perf_counter()
            answer = self.get(path)
            took.append((time.perf_counter() - began) * 1000)
        told = {
            "occasion": occasion,
            "path": path or "/",
            "p50": round(statistics.median(took), 1),
            "p95": round(sorted(took)[-(-len(took) * 95 // 100) - 1], 1),
            "max": round(max(took), 1),
            "cpu": round((self._cpu() - cpu) * 1000 / times, 1),
            "bytes": len(answer.content),
        }
        print(json.dumps(told, ensure_ascii=False), flush=True)
        return answer.text

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
        "batches?state=held", "batches?state=stopped", "batches?state=open", "batches?state=warn",
        "batches?since=2026-06-01&until=2026-06-30", "batches?text=20260303", "batches?number=200",
        f"batches?dataset={dataset}", f"batches/{dataset}/{batch}", f"batches/{dataset}/{batch}/validation",
        f"dags/ingest__{dataset}",
        "refused", "refused?rule=date.invalid", f"refused?dataset={dataset}&rule=uscc.check",
        f"refused.csv?dataset={dataset}",
        "waiting", f"waiting?dataset={dataset}", "snapshots", "snapshots?tier=open",
        *(f"snapshots/{s}" for s in snapshot), "catalogue", f"catalogue/{dataset}", "scorecards",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
