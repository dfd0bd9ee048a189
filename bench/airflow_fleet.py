"""Switch the DAGs of N contracts on at once, and see whether Airflow keeps up and its pages and ours answer meanwhile.

    .venv/bin/python bench/airflow_fleet.py [--contracts 700] [--quiet 120] [--json FILE]

An Airflow of its own, as `make run` starts it (SQLite, LocalExecutor). Contracts are the shipped ones with drop
folders, under other names; the folders are empty, as most are on most days. Three phases, each with the CPU of every
component and the pages' answers: `read`, until Airflow is up and all DAGs are there; `all_on`, from switching on to the
end of the run that each DAG owes; `quiet`, while nothing is owed. Cores busy in the quiet phase are what seven hundred
idle DAGs cost.
"""

import argparse
import json
import os
import sqlite3
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from airflow_arrivals import entry, until, usage
from airflow_parse import write_contracts
from chengxin.cli.embedded_airflow import EmbeddedAirflow
from chengxin.settings import Settings
from measure import Cost, Watch

LIMIT_S = 0.5  # for every page of ours
PAUSE_S = 0.5  # between two questions
STAMP = "%Y-%m-%dT%H:%M:%SZ"
SHOWN_ONLY = ("nearly_all_s", "worst_s")
FAILED = 30.0  # seconds; nothing waits longer for a page


class Visitor:
    """Looks at the pages again and again, one at a time, as a person does; keeps how long each took, by phase."""

    def __init__(self, url: str, token: str, dag_id: str) -> None:
        self.phase = ""
        self.took: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=FAILED)
        since = (datetime.now(UTC) - timedelta(days=1)).strftime(STAMP)
        self._places = {
            "ui:dags": "/ui/dags?limit=50&exclude_stale=true&order_by=dag_display_name",
            "ui:home": "/ui/dashboard/dag_stats",
            "ui:history": f"/ui/dashboard/historical_metrics_data?start_date={since}",
            "ui:dag": f"/ui/grid/runs/{dag_id}?limit=10",
            "page:overview": "/chengxin/",
            "page:batches": "/chengxin/batches",
            "page:catalogue": "/chengxin/catalogue",
        }
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._visit, daemon=True)

    def __enter__(self) -> "Visitor":
        for place in self._places.values():  # whatever is built at the first request
            self._client.get(place, timeout=120).raise_for_status()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _visit(self) -> None:
        while True:
            for name, place in self._places.items():
                if self._stop.wait(PAUSE_S):
                    return
                phase, began = self.phase, time.perf_counter()
                try:
                    self._client.get(place).raise_for_status()
                    took = time.perf_counter() - began
                except httpx.HTTPError:
                    took = FAILED
                self.took[phase, name].append(took)


def measure(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Run the three phases; return objects of the shape of build/bench.json."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_contracts(folder / "contracts", given.contracts, without="connector:")
        settings = Settings.from_environment(home=str(folder / "home"), contracts=str(folder / "contracts"))
        (folder / "home" / "inbox").mkdir(parents=True)
        wanted = {f"ingest__{path.stem}" for path in settings.contracts.rglob("*.yaml")}
        scheduled = 1 + len(list(settings.contracts.iterdir()))  # collect and the drains
        found: list[dict[str, Any]] = []
        with Watch(os.getpid()) as watch, ExitStack() as up:
            with phase("read", found, watch):
                airflow = up.enter_context(EmbeddedAirflow(settings))
                airflow.start({})
                api = airflow.api()
                until(lambda: api.dag_ids() >= wanted)
            with Visitor(airflow.url, api._token, min(wanted)) as visitor:
                visitor.phase = "all_on"
                with phase("all_on", found, watch, lambda: tasks(folder)):
                    switch_all(airflow.url, api._token)
                    await_runs(folder, scheduled, given.within)
                visitor.phase = "quiet"
                with phase("quiet", found, watch):
                    time.sleep(given.quiet)
            failed = [run for run in api.runs() if run.state != "success"]
    if failed:
        print(f"{len(failed)} runs did not succeed, for example {failed[0]}")
    return found + answers(visitor)


@contextmanager
def phase(name: str, found: list[dict[str, Any]], watch: Watch, count: Any = lambda: 0) -> Iterator[None]:
    """Measure one phase: CPU of all and of each component; the ratio is how many cores were busy, or the share."""
    watch.reset()
    before, began = usage(), time.perf_counter()
    yield
    wall = time.perf_counter() - began
    spent = {part: seconds - before.get(part, 0) for part, seconds in usage().items()}
    whole = sum(spent.values())
    found.append(entry(f"airflow:{name}", count(), Cost(whole, wall, watch.peak_mib), "cores", whole / wall))
    for part, seconds in sorted(spent.items()):
        found.append(entry(f"airflow:{name}:{part}", 0, Cost(seconds, 0, 0), f"airflow:{name}", seconds / whole))
    print(f"{name}: {wall:.0f} s, {whole:.0f} CPU s", flush=True)


def answers(visitor: Visitor) -> list[dict[str, Any]]:
    """Return each page's median wall time in each phase; the ratio is that of 19 of 20 answers to half a second."""
    found = []
    for (when, name), took in visitor.took.items():
        worst = max(took)
        body = {"name": f"{name}:{when}", "rows": len(took), "cpu_s": 0.0, "wall_s": round(statistics.median(took), 3)}
        nearly = statistics.quantiles(took, n=20)[-1] if len(took) > 1 else worst
        more = {"nearly_all_s": round(nearly, 3), "worst_s": round(worst, 3)}
        found.append({**body, "peak_mib": 0.0, "against": "0.5 s", "ratio": round(nearly / LIMIT_S, 3), **more})
    return found


def switch_all(url: str, token: str) -> None:
    """Switch every DAG on with one request, as the list of DAGs does."""
    header = {"Authorization": f"Bearer {token}"}
    query = {"dag_id_pattern": "%", "update_mask": "is_paused", "limit": 1000}
    body = {"is_paused": False}
    httpx.patch(f"{url}/api/v2/dags", params=query, json=body, headers=header, timeout=120).raise_for_status()


def asked(folder: Path, query: str) -> int:
    """Ask Airflow's database for a number, without taking part in its locks."""
    place = folder.joinpath("home", "airflow", "airflow.db").as_uri()
    with sqlite3.connect(f"{place}?mode=ro", uri=True, timeout=120) as database:
        return int(database.execute(query).fetchone()[0])


def await_runs(folder: Path, wanted: int, seconds: float) -> None:
    """Wait until collect and every drain had a run and no run of any DAG goes on; or tell how far they are by then."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(5)
        ran = asked(
            folder, "select count(distinct dag_id) from dag_run where dag_id = 'collect' or dag_id like 'drain%'"
        )
        left = asked(folder, "select count(*) from dag_run where state in ('queued', 'running')")
        if ran >= wanted and not left:
            return
    print(f"after {seconds:.0f} s {ran} of {wanted} DAGs have a run, {left} runs go on")


def tasks(folder: Path) -> int:
    """Return how many tasks had a process."""
    return asked(folder, "select count(*) from task_instance where pid is not null")


def main() -> None:
    """Print what was measured."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--contracts", type=int, default=700)
    options.add_argument("--quiet", type=float, default=120, help="seconds")
    options.add_argument("--within", type=float, default=3600, help="seconds for the runs that are owed")
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    found = measure(given)
    print(f"{'what':32} {'count':>6} {'CPU s':>9} {'wall s':>9} {'95 % s':>8} {'worst s':>8}  to")
    for one in found:
        figures = (
            f"{one['cpu_s']:9.2f} {one['wall_s']:9.3f} {one.get('nearly_all_s', 0):8.3f} {one.get('worst_s', 0):8.3f}"
        )
        print(f"{one['name']:32} {one['rows']:6} {figures}  {one['against']} {one['ratio']:.2f}")
    if given.json:
        plain = [{key: one[key] for key in one if key not in SHOWN_ONLY} for one in found]
        given.json.write_text(json.dumps(plain, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
