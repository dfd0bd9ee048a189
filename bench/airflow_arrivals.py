"""Airflow's own share: small deliveries of many data sets that arrive at once, through an Airflow of its own, and bare.

    .venv/bin/python bench/airflow_arrivals.py [--datasets 20] [--deliveries 10] [--rows 50] [--json FILE]

Both take the same files, each into a home of its own. Bare: one process that has imported everything calls the stage
functions one after the other. Airflow (SQLite, LocalExecutor) is up beforehand; the clock runs from switching `collect`
and the drain on to the last admission. Its CPU is that of all its processes meanwhile, by component; `task` is what the
task processes took, the stage functions included.
"""

import argparse
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chengxin.home import Home
from generate import generate
from measure import Cost, Watch, family, run_child

HERE = Path(__file__).resolve().parent
CONTRACT = HERE / "contracts" / "bench" / "bench_registry.yaml"
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
TICKS = os.sysconf("SC_CLK_TCK")
WITHIN_SECONDS = 3600


def prepare(folder: Path, datasets: int, deliveries: int, rows: int) -> None:
    """Write contracts below `folder/contracts`, and into `folder/<way>/inbox` the deliveries of each way."""
    header, *lines = (generate(10 * datasets * deliveries * rows) / "registry.csv").read_text("utf-8").splitlines()
    shipped = CONTRACT.read_text("utf-8")
    for dataset in range(datasets):
        name = f"arrivals_{dataset:02}"
        text = shipped.replace("bench_registry", name).replace("bench.scjg", f"bench.{name}").replace("registry", name)
        contract = folder / "contracts" / "bench" / f"{name}.yaml"
        contract.parent.mkdir(parents=True, exist_ok=True)
        contract.write_text(text.replace(f"kind: {name}", "kind: registration"), "utf-8")
        for delivery in range(deliveries):
            first = (dataset * deliveries + delivery) * rows
            for way in ("bare", "airflow"):
                inbox = folder / way / "inbox" / "bench" / name
                inbox.mkdir(parents=True, exist_ok=True)
                body = "\n".join([header, *lines[first : first + rows]])
                (inbox / f"{delivery:03}.csv").write_text(f"{body}\n", "utf-8")


def bare(folder: Path) -> None:
    """Call the stages of every delivery; print how often and what it took, imports and warming left out."""
    from chengxin import pipeline
    from chengxin.contracts.loader import load
    from chengxin.pipeline.preload import warm_up

    warm_up()
    home = Home.from_environment(home=str(folder / "bare"))
    calls, cpu, wall = 0, time.process_time(), time.perf_counter()
    for contract in load(folder / "contracts").contracts.values():
        offered = pipeline.discover(home, contract)
        for delivery in offered:
            pipeline.land(home, contract, delivery)
        waiting = pipeline.pending(home, contract)
        for batch in waiting:
            pipeline.standardise(home, contract, batch)
            pipeline.validate(home, contract, batch)
            pipeline.admit(home, contract, batch)
        pipeline.answer(home, contract)
        calls += 3 + len(offered) + 3 * len(waiting)
    print(json.dumps({"calls": calls, "cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}))


def through_airflow(folder: Path) -> tuple[dict[str, float], float, float, int]:
    """Let Airflow take them; return CPU by component, wall seconds, peak memory and the number of tasks."""
    from chengxin import pipeline
    from chengxin.cli.embedded_airflow import EmbeddedAirflow
    from chengxin.contracts.loader import load
    from chengxin.settings import Settings

    settings = Settings.from_environment(home=str(folder / "airflow"), contracts=str(folder / "contracts"))
    wanted, home = ("drain__bench", "collect"), Home(settings)
    contracts = load(settings.contracts).contracts.values()
    with EmbeddedAirflow(settings) as airflow:
        airflow.start({})
        api = airflow.api()
        until(lambda: api.dag_ids() >= set(wanted))
        with Watch(os.getpid()) as watch:
            before, began = usage(), time.time()
            for dag_id in wanted:
                api.switch(dag_id, on=True)
            api.trigger("collect", "bench", "bench")
            until(lambda: finished(api.runs()) and not any(pipeline.pending(home, c) for c in contracts))
            spent = {name: seconds - before.get(name, 0) for name, seconds in usage().items()}
        failed = [run for run in api.runs() if run.state != "success"]
        assert not failed, failed
    admitted = max(path.stat().st_mtime for path in (folder / "airflow" / "admissions").glob("*.json"))
    with sqlite3.connect(folder / "airflow" / "airflow" / "airflow.db") as database:
        (tasks,) = database.execute("select count(*) from task_instance where pid is not null").fetchone()
    return spent, admitted - began, watch.peak_mib, tasks


def finished(runs: list[Any]) -> bool:
    """Tell whether what was asked for has run, a drain after it, and nothing goes on."""
    ended = [run.dag_id for run in runs if run.state in ("success", "failed")]
    first = next((n for n, run in enumerate(runs) if run.run_id == "bench"), len(runs))
    return len(ended) == len(runs) and any(run.dag_id == "drain__bench" for run in runs[first:])


def until(reached: Any) -> None:
    """Look every second."""
    ends = time.monotonic() + WITHIN_SECONDS
    while not reached():
        if time.monotonic() > ends:
            raise SystemExit(f"not reached within {WITHIN_SECONDS} s")
        time.sleep(1)


def usage() -> dict[str, float]:
    """Return the CPU seconds so far of each component of the Airflow below this process."""
    spent: Counter[str] = Counter()
    for pid in family(os.getpid()):
        for name, seconds in shares(pid):
            spent[name] += seconds
    return dict(spent)


def shares(pid: int) -> Iterator[tuple[str, float]]:
    """Yield the component of a process with its own seconds and those of the children that it has waited for."""
    try:
        title = " ".join(Path(f"/proc/{pid}/{name}").read_text() for name in ("comm", "cmdline")).replace("_", "-")
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return
    own, waited = (sum(map(int, fields[place : place + 2])) / TICKS for place in (11, 13))
    if "LocalExecutor" in title:
        yield "supervisor", own
        yield "task", waited
    else:
        for name in COMPONENTS:
            if name in title:
                yield name, own + waited


def results(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure both ways; return objects of the shape of build/bench.json."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, given.datasets, given.deliveries, given.rows)
        cost, output = run_child([sys.executable, __file__, "--bare", name])
        alone = json.loads(output.splitlines()[-1])
        spent, wall, peak, tasks = through_airflow(folder)
    rows = given.datasets * given.deliveries * given.rows
    whole = sum(spent.values())
    plain = Cost(alone["cpu_s"], alone["wall_s"], cost.peak_mib)
    each = Cost(plain.cpu_s / alone["calls"], plain.wall_s / alone["calls"], 0.0)
    found = [
        entry("airflow:arrivals_bare", rows, plain),
        entry("airflow:arrivals", rows, Cost(whole, wall, peak), "airflow:arrivals_bare", whole / plain.cpu_s),
        entry("airflow:call", alone["calls"], each),
        entry(
            "airflow:task", tasks, Cost(whole / tasks, wall / tasks, 0.0), "airflow:call", whole / tasks / each.cpu_s
        ),
    ]
    return found + [
        entry(f"airflow:task:{part}", tasks, Cost(seconds / tasks, 0.0, 0.0), "airflow:task", seconds / whole)
        for part, seconds in sorted(spent.items())
    ]


def entry(name: str, rows: int, cost: Cost, against: str | None = None, ratio: float | None = None) -> dict[str, Any]:
    """Return one measured thing; ratio is that of CPU seconds."""
    measured = {"cpu_s": cost.cpu_s, "wall_s": cost.wall_s, "peak_mib": cost.peak_mib}
    body = {"name": name, "rows": rows, **{key: round(value, 4) for key, value in measured.items()}}
    return {**body, "against": against, "ratio": None if ratio is None else round(ratio, 3)}


def main() -> None:
    """Print what was measured."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--datasets", type=int, default=20)
    options.add_argument("--deliveries", type=int, default=10, help="of each data set")
    options.add_argument("--rows", type=int, default=50, help="of each delivery")
    options.add_argument("--json", type=Path)
    options.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.bare:
        bare(given.bare)
        return
    found = results(given)
    print(f"{'what':28} {'count':>7} {'CPU s':>9} {'wall s':>9} {'peak MiB':>9}  CPU to")
    for one in found:
        ratio = f"{one['against']} {one['ratio']:.2f}" if one["against"] else ""
        figures = f"{one['cpu_s']:9.3f} {one['wall_s']:9.3f} {one['peak_mib']:9.0f}"
        print(f"{one['name']:28} {one['rows']:7} {figures}  {ratio}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
