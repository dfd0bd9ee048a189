"""Run the benchmarks side by side and print ratios with their targets; write build/bench.json.

    python bench/run.py --rows 1000000 [--only PART ...] [--rounds 3]      parts: pipeline, gx, airflow ..., see BENCHES

Every contestant is a child process whose CPU (user + system of its whole tree), wall time and peak memory are measured
from outside. Two things that are compared run in turns, and the ratio is the median of the ratios of the same round:
a shared machine slows both. Nothing here is compared with a figure from another day.
"""

import argparse
import json
import shutil
import statistics
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from airflow_parse import LIMIT_S
from contest import HERE, MEMORY_MIB, THREADS, Bench, Result, ratio_of, save, show
from generate import generate
from measure import Cost
from readers import FORMATS, STREAMED, XLS_ROWS
from sources import SOURCES, serving

PAGES_ROWS = 1_000_000  # from so many rows on the pages are measured over a whole year
PANDAS_ROWS = 1_000_000  # the usual way needs over 2 GiB a million rows


def read_stages(output: str) -> tuple[dict[str, Cost], dict[str, int]]:
    """Read what stages.py printed: cost of each stage, and the account of the batch."""
    body = json.loads(output)
    return {name: Cost(**values) for name, values in body["stages"].items()}, body["account"]


def pipeline_once(bench: Bench, command: str = "stages") -> tuple[Cost, Path, dict[str, Cost]]:
    """Take the landed main file to a committed snapshot in a fresh home; return the cost, the home and the stages'."""
    bench.built = None
    home = bench.home("main")
    landing, batch = bench.land(home, "bench_penalty", bench.files / "penalty.gb18030.csv")
    if command == "cli":
        arguments = ("--home", home, "--contracts", HERE / "contracts", "run", "bench_penalty", "--json")
        return bench.child("chengxin", *arguments)[0], home, {"land": landing}
    cost, output = bench.child("stages.py", "run", "--home", home, "bench_penalty", batch)
    stages, account = read_stages(output)
    bench.console.print(f"  account: {account}")
    bench.built = (home, cost)
    return cost, home, {"land": landing} | stages


def duckdb_once(bench: Bench) -> Cost:
    """Copy the UTF-8 twin with DuckDB."""
    target = bench.files / "copy.parquet"
    cost, _ = bench.child("baseline_duckdb.py", bench.files / "penalty.utf8.csv", target, str(MEMORY_MIB), str(THREADS))
    target.unlink()
    return cost


def pandas_once(bench: Bench) -> Cost:
    """Do the work with pandas."""
    target = bench.files / "pandas"
    cost, _ = bench.child(
        "baseline_pandas.py", bench.files / "penalty.gb18030.csv", bench.files / "registry.csv", target
    )
    shutil.rmtree(target)
    return cost


def bench_pipeline(bench: Bench) -> None:
    """Measure the pipeline from landed bytes to committed snapshot against DuckDB's bare copy; print the stages."""
    kept: list[dict[str, Cost]] = []

    def ours() -> Cost:
        cost, _, stages = pipeline_once(bench)
        kept.append(stages)
        return cost

    copies, runs = bench.in_turns(lambda: duckdb_once(bench), ours)
    bench.note("duckdb_copy", copies)
    whole = bench.note("pipeline", runs, "duckdb_copy", ratio_of(runs, copies))
    for stage in kept[0]:
        costs = [stages[stage] for stages in kept]
        share = statistics.median(c.cpu_s / r.cpu_s for c, r in zip(costs, runs, strict=True))
        bench.note(f"stage:{stage}", costs, "pipeline", round(share, 3))
    bench.target("pipeline CPU to DuckDB's bare copy (landing not counted)", whole.ratio or 0, 3.0)
    bench.target("pipeline peak MiB", whole.peak_mib, 4096)


def bench_checks(bench: Bench) -> None:
    """Print what each row check costs as a share of standardising; none should take more than 1 %."""
    shares = json.loads(bench.child("row_checks.py", "bench_penalty", bench.files / "penalty.gb18030.csv")[1])
    for name, share in shares.items():
        bench.console.print(f"  {name}: {share:.2%}")
    bench.target("the dearest row check, share of standardising", max(shares.values()), 0.01)


def bench_floor(bench: Bench) -> None:
    """Measure what the bare libraries take for what no pipeline of this kind can leave out."""
    if bench.built is None:
        pipeline_once(bench)
    assert bench.built
    files = ("--gb18030", bench.files / "penalty.gb18030.csv", "--utf8", bench.files / "penalty.utf8.csv")
    copy = duckdb_once(bench)
    steps = json.loads(bench.child("floor.py", "--home", bench.built[0], *files)[1])
    costs = {name: Cost(**cost) for name, cost in steps.items()}
    costs["all"] = Cost(sum(c.cpu_s for c in costs.values()), sum(c.wall_s for c in costs.values()), 0)
    for name, cost in costs.items():
        bench.note(f"floor:{name}", [cost], "duckdb_copy", ratio_of([cost], [copy]))


def bench_cli(bench: Bench) -> None:
    """Measure the same through the command line in another process, as an operator runs it."""
    cost, _, _ = pipeline_once(bench, "cli")
    copy = duckdb_once(bench)
    bench.note("pipeline_cli", [cost], "duckdb_copy", ratio_of([cost], [copy]))


def bench_pandas(bench: Bench) -> None:
    """Measure the usual pandas way; at its size only."""
    if bench.rows > PANDAS_ROWS:
        bench.console.print(f"  pandas: left out above {PANDAS_ROWS:,} rows")
        return
    once = pandas_once(bench)
    ours = [r for r in bench.results if r.name == "pipeline"]
    mine = Cost(ours[-1].cpu_s, ours[-1].wall_s, ours[-1].peak_mib) if ours else pipeline_once(bench)[0]
    ratio = round(once.cpu_s / mine.cpu_s, 2)
    bench.note("pandas", [once], "pipeline", ratio)
    faster = round(once.wall_s / mine.wall_s, 2)
    bench.target("times faster than pandas (wall; CPU ratio in the table)", faster, 10, at_least=True)


def bench_delta(bench: Bench) -> None:
    """Measure 1 % deliveries onto the data set against rebuilding it: in one prefecture, and of new rows everywhere."""
    if bench.built is None:
        pipeline_once(bench)
    assert bench.built
    (home, rebuild), bench.built = bench.built, None
    # Once after a bulk load, by itself or by `chengxin state build`: what the next small batches ask.
    output = bench.child("stages.py", "state", "--home", home)[1]
    costs, counted = read_stages(output)
    each = round(costs["state"].cpu_s * 1e6 / counted["facts"], 2)
    bench.note("state:build", [costs["state"]], "microseconds a fact", each)
    bench.target("state built, microseconds of CPU a fact", each, 4)
    bench.note("rebuild", [rebuild])
    # Both targets are for 4 M rows: what a publication takes at least is more than the share at smaller sizes.
    for name, what, bound in (("delta", "one prefecture", 0.03), ("spread", "new rows everywhere", 0.05)):
        _, batch = bench.land(home, "bench_penalty", bench.files / f"{name}.gb18030.csv")
        cost, output = bench.child("stages.py", "run", "--home", home, "bench_penalty", batch)
        ratio = round(cost.cpu_s / rebuild.cpu_s, 3)
        bench.note(name, [cost], "rebuild", ratio)
        for stage, took in read_stages(output)[0].items():
            bench.note(f"{name}:{stage}", [took], name, round(took.cpu_s / cost.cpu_s, 3))
        bench.target(f"1 % delivery, {what}, CPU to rebuilding", ratio, bound)


def bench_gx(bench: Bench) -> None:
    """Measure judging with Great Expectations against a plain DuckDB pass over the same rules."""
    home = bench.files / "home-main"
    judged = list(home.glob("batches/bench_penalty/*/validation/suite.json"))
    if not judged:
        _, home, _ = pipeline_once(bench)
        judged = list(home.glob("batches/bench_penalty/*/validation/suite.json"))
    batch = max(
        judged, key=lambda path: sum(f.stat().st_size for f in (path.parents[1] / "standard").iterdir())
    ).parents[1]
    _, output = bench.child("stages.py", "gx", "--home", home, "bench_penalty", batch.name)
    costs, _ = read_stages(output)
    with_gx = [cost for name, cost in costs.items() if name.startswith("gx ")]
    plain = [cost for name, cost in costs.items() if name.startswith("plain ")]
    bench.note("plain_rules", plain)
    result = bench.note("gx_rules", with_gx, "plain_rules", ratio_of(with_gx, plain))
    bench.target("GX CPU to the plain pass (import not counted)", result.ratio or 0, 1.3)


def bench_encoding(bench: Bench) -> None:
    """Measure standardising the GB18030 file against its UTF-8 twin."""

    def once(name: str, encoding: str) -> Cost:
        home = bench.files / "home-encoding"
        shutil.rmtree(home, ignore_errors=True)
        options = ("--encoding", encoding)
        _, batch = bench.land(home, "bench_penalty", bench.files / f"penalty.{name}.csv", *options)
        arguments = ("run", "--home", home, *options, "--until", "standardise", "bench_penalty", batch)
        _, output = bench.child("stages.py", *arguments)
        shutil.rmtree(home)
        return read_stages(output)[0]["standardise"]

    utf8, gb18030 = bench.in_turns(lambda: once("utf8", "utf-8"), lambda: once("gb18030", "gb18030"))
    bench.note("standardise_utf8", utf8)
    bench.note("standardise_gb18030", gb18030, "standardise_utf8", ratio_of(gb18030, utf8))


def bench_readers(bench: Bench) -> None:
    """Measure each reader beside the bare library it stands on, and the GB18030 CSV beside its UTF-8 twin."""
    found: dict[str, list[Cost]] = {}
    for kind in FORMATS:
        file = bench.child("readers.py", "make", kind, str(bench.rows), bench.files)[1].strip()
        bare, ours = bench.in_turns(
            *(lambda who=who: bench.child("readers.py", who, kind, file)[0] for who in ("bare", "ours"))  # noqa: B023
        )
        found[kind] = ours
        bench.note(f"bare:{kind}", bare)
        result = bench.note(f"reader:{kind}", ours, f"bare:{kind}", ratio_of(ours, bare))
        rows = min(bench.rows, XLS_ROWS) if kind == "xls" else bench.rows
        bench.console.print(f"    {rows / result.wall_s:,.0f} rows/s")
    bench.target("GB18030 CSV CPU to its UTF-8 twin", ratio_of(found["csv_gb18030"], found["csv"]), 1.5)


def bench_sources(bench: Bench) -> None:
    """Measure pulling a database, an interface and an archive beside the bare library; the server is not counted."""
    for source in SOURCES:
        with serving(source, bench.rows, bench.files) as place:
            if place is None:
                bench.console.print(f"  {source}: left out, PostgreSQL is not installed")
                continue
            counted: set[str] = set()

            def once(who: str, source: str = source, place: str = place, counted: set[str] = counted) -> Cost:
                cost, rows = bench.child("sources.py", who, source, place)
                counted.add(rows.strip())
                return cost

            bare, ours = bench.in_turns(lambda: once("bare"), lambda: once("ours"))
        if counted != {str(bench.rows)}:
            raise RuntimeError(f"{source}: {bench.rows} rows were served, {counted} came")
        bench.note(f"bare:{source}", bare)
        result = bench.note(f"source:{source}", ours, f"bare:{source}", ratio_of(ours, bare))
        bench.console.print(f"    {bench.rows / result.wall_s:,.0f} rows/s")


def bench_airflow(bench: Bench) -> None:
    """Measure Airflow's own share: parsing 20, 200 and 700 contracts, and 200 deliveries of 20 data sets at once."""
    for program in ("airflow_parse.py", "airflow_arrivals.py"):
        measured = bench.files / "airflow.json"
        bench.console.print(bench.child(program, "--json", measured)[1], highlight=False)
        bench.results += [Result(**one) for one in json.loads(measured.read_text())]
    (parsed,) = (r for r in bench.results if (r.name, r.rows) == ("airflow:parse", 700))
    bench.target("CPU seconds to parse 700 contracts", parsed.cpu_s, LIMIT_S)


def bench_fleet(bench: Bench) -> None:
    """Switch the DAGs of 700 contracts on at once; see whether Airflow and the pages keep up."""
    measured = bench.files / "fleet.json"
    bench.console.print(bench.child("airflow_fleet.py", "--json", measured)[1], highlight=False)
    bench.results += [Result(**one) for one in json.loads(measured.read_text())]
    (quiet,) = (r for r in bench.results if r.name == "airflow:quiet")
    bench.target("cores that 700 idle DAGs keep busy", quiet.ratio or 0.0, 0.5)


def bench_pages(bench: Bench) -> None:
    """Measure every page in Airflow over 700 data sets and a year of batches; a smaller bench takes fewer days."""
    days = max(30, min(365, 365 * bench.rows // PAGES_ROWS))
    folder = bench.files / f"pages-{days}"
    _, output = bench.child("pages.py", folder, "--datasets", "700", "--days", str(days))
    found = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    for page in found:
        wall, cpu = page["wall_ms"] / 1000, page["cpu_ms"] / 1000
        bench.results.append(
            Result(f"page:{page['path']}", 700 * days, cpu, wall, 0, "half a second", round(wall / 0.5, 3))
        )
        bench.console.print(f"  {page['path']}: CPU {cpu * 1000:.0f} ms, wall {wall * 1000:.0f} ms")
    bench.target("slowest page, wall s", max(page["wall_ms"] for page in found) / 1000, 0.5)
    bench.target("dearest page, CPU s", max(page["cpu_ms"] for page in found) / 1000, 0.5)


def bench_memory(bench: Bench) -> None:
    """Measure whether a reader's peak memory depends on the size of the file: at a quarter of the rows, and at all.

    A quarter is some ten chunks at least: the peak of a file of a few is warm-up.
    """
    some = max(bench.rows // 4, 500_000)
    for kind in STREAMED:
        peaks = []
        for count in (some, 4 * some):
            folder = bench.files / f"memory-{count}"
            folder.mkdir(exist_ok=True)
            file = bench.child("readers.py", "make", kind, str(count), folder)[1].strip()
            cost = bench.child("readers.py", "ours", kind, file)[0]
            cost = replace(cost, peak_mib=cost.resident_mib)  # a reader is one process
            peaks.append(cost.peak_mib)
            bench.note(f"memory:{kind}:{count}", [cost])
        bench.target(f"peak memory of {kind} at 4n rows to n", peaks[1] / peaks[0], 1.1)


BENCHES = {
    "pipeline": bench_pipeline,
    "checks": bench_checks,
    "floor": bench_floor,
    "delta": bench_delta,
    "gx": bench_gx,
    "pandas": bench_pandas,
    "cli": bench_cli,
    "encoding": bench_encoding,
    "readers": bench_readers,
    "sources": bench_sources,
    "memory": bench_memory,
    "airflow": bench_airflow,
    "fleet": bench_fleet,
    "pages": bench_pages,
}


def main() -> None:
    """Parse the arguments, make the data, run, show, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", nargs="+", choices=list(BENCHES), default=list(BENCHES))
    parser.add_argument("--rounds", type=int, help="default: 3 up to 1 M rows, else 1")
    args = parser.parse_args()
    console = Console()
    console.print(f"[bold]bench data, {args.rows:,} rows")
    files = generate(args.rows)
    shutil.rmtree(files / "home-registry", ignore_errors=True)
    bench = Bench(args.rows, args.rounds or (3 if args.rows <= 1_000_000 else 1), files, console)
    failed: list[str] = []
    for name in args.only:
        console.print(f"[bold]{name}")
        try:
            BENCHES[name](bench)
        except RuntimeError as error:  # the others are still worth their time
            failed.append(name)
            console.print(f"[red]{name} failed: {error}")
        save(bench.results)
    show(bench)
    for home in files.glob("home-*"):
        shutil.rmtree(home)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
