"""What Airflow's own part costs: parsing the DAG files at 20, 200 and 700 contracts, and what a task pays of it.

    .venv/bin/python bench/airflow_parse.py [--contracts 20,200,700] [--json FILE]

Each figure is a process of its own, as in the DAG processor, with Airflow imported beforehand: its import is the same
for one contract and for a thousand, and shown by itself. Contracts are the shipped ones under other names, in a
temporary folder. To reach: 700 contracts in less than 4 seconds, and no data library among the imports.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
LIMIT_S = 4.0  # for 700 contracts; bench/run.py holds the figure against it
HEAVY = ("pyarrow", "duckdb", "great_expectations", "pandas", "numpy", "requests", "sqlglot")
PROGRAM = """
import json, resource, runpy, sys, time
began = time.perf_counter(), time.process_time()
import airflow.sdk, airflow.providers.standard.operators.hitl
ready, before = (time.perf_counter(), time.process_time()), set(sys.modules)
dags = 0
for name in {files!r}:
    dags += sum(isinstance(v, airflow.sdk.DAG) for v in runpy.run_path(name).values())
done = time.perf_counter(), time.process_time()
print(json.dumps({{
    "dags": dags,
    "import_cpu": ready[1] - began[1],
    "parse_wall": done[0] - ready[0],
    "parse_cpu": done[1] - ready[1],
    "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "heavy": sorted(set({heavy!r}) & (set(sys.modules) - before)),
}}))
"""


def write_contracts(folder: Path, count: int, without: str = "\0") -> None:
    """Write `count` contracts: the shipped ones, again and again, each time under other ids; none with that text."""
    shipped = sorted((PROJECT / "dags" / "contracts").rglob("*.yaml"))
    shipped = [path for path in shipped if without not in path.read_text("utf-8")]
    for number in range(count):
        source = shipped[number % len(shipped)]
        name = f"{source.stem}_{number // len(shipped)}"
        text = source.read_text("utf-8").replace(f"id: {source.stem}\n", f"id: {name}\n", 1)
        target = folder / source.parent.name / f"{name}.yaml"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")


def parse(work: Path, contracts: Path, files: list[Path], dag_id: str | None = None) -> dict[str, Any]:
    """Parse DAG files in a fresh process; dag_id: as the process of a task of this DAG does."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "_AIRFLOW", "CHENGXIN"))}
    environment = kept | {
        "AIRFLOW_HOME": str(work / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "CHENGXIN_CONTRACTS": str(contracts),
        **({"_AIRFLOW_PARSING_CONTEXT_DAG_ID": dag_id} if dag_id else {}),
    }
    program = PROGRAM.format(files=[str(f) for f in files], heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, cwd=work
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(counts: list[int]) -> list[dict[str, Any]]:
    """Measure each number of contracts: all DAG files, then one task's share of them."""
    files = sorted((PROJECT / "dags").glob("*.py"))
    found = []
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for count in counts:
            contracts = work / str(count)
            write_contracts(contracts, count)
            first = sorted(contracts.rglob("*.yaml"))[0].stem
            whole = parse(work, contracts, files)
            task = parse(work, contracts, [PROJECT / "dags" / "ingest.py"], f"ingest__{first}")
            found.append({"contracts": count, **whole, "task_cpu": task["parse_cpu"], "task_wall": task["parse_wall"]})
    return found


def results(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return objects as in build/bench.json: all DAG files beside the import of Airflow, one task's share of them."""
    listed = []
    for row in found:
        whole = {"cpu_s": row["parse_cpu"], "wall_s": row["parse_wall"], "peak_mib": row["peak_mib"]}
        share = {"cpu_s": row["task_cpu"], "wall_s": row["task_wall"], "peak_mib": 0.0}
        for name, cost, against, other in (
            ("airflow:parse", whole, "airflow:import", row["import_cpu"]),
            ("airflow:parse_task", share, "airflow:parse", row["parse_cpu"]),
        ):
            figures = {key: round(value, 4) for key, value in cost.items()}
            ratio = round(cost["cpu_s"] / other, 3)
            listed.append({"name": name, "rows": row["contracts"], **figures, "against": against, "ratio": ratio})
    return listed


def main() -> int:
    """Print a table; return 1 when a data library was imported."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--contracts", default="20,200,700")
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    found = measure([int(n) for n in given.contracts.split(",")])
    print("contracts  DAGs  import CPU s  parse wall s  parse CPU s  one task CPU s  heavy imports")
    for row in found:
        print(
            f"{row['contracts']:>9}  {row['dags']:>4}  {row['import_cpu']:>12.2f}  {row['parse_wall']:>12.2f}"
            f"  {row['parse_cpu']:>11.2f}  {row['task_cpu']:>14.2f}  {', '.join(row['heavy']) or '-'}"
        )
    if given.json:
        given.json.write_text(json.dumps(results(found), indent=1) + "\n", "utf-8")
    return 1 if any(row["heavy"] for row in found) else 0


if __name__ == "__main__":
    sys.exit(main())
