"""Run the pipeline's stages on one delivery in one process; print the cost of each as JSON.

    python bench/stages.py land --home H DATASET FILE          bytes -> landed batch; prints its id
    python bench/stages.py run  --home H DATASET BATCH         landed batch -> committed snapshot
    python bench/stages.py run  --home H DATASET BATCH --until standardise [--encoding utf-8]
    python bench/stages.py gx   --home H DATASET BATCH         a judged batch again: GX and the plain pass, in turns
    python bench/stages.py deliver --home H DATASET FILE       bytes -> admitted batch; imports are a stage of their own
    python bench/stages.py publish --home H DATASET -          what was admitted -> committed snapshot

cpu_s is user + system of this process and of the workers it has waited for; peak_mib is the anonymous memory in the
stage. Imports are a stage of their own, all but Great Expectations (3 CPU seconds), which is imported beside
`standardise` as the pipeline does. The package is imported inside functions because worker processes import this file
again.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import Cost, Watch, cpu_s, private_mib

if TYPE_CHECKING:
    from chengxin.contracts.models import Contract
    from chengxin.home import Home

CONTRACTS = Path(__file__).with_name("contracts")
GX_ROUNDS = 3
STATES = ("received", "accepted", "quarantined", "duplicate", "unlinked")


class Stages:
    """Times named steps one after the other."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.costs: dict[str, Cost] = {}
        self.account: dict[str, int] = {}

    def run(self, name: str, step: Callable[[], Any]) -> Any:
        """Run a step and note what it took."""
        self.watch.reset()
        cpu, wall = cpu_s(), time.perf_counter()
        result = step()
        self.costs[name] = Cost(cpu_s() - cpu, time.perf_counter() - wall, self.watch.peak_mib)
        return result


def contracts_of(folder: Path, dataset: str, encoding: str | None) -> "dict[str, Contract]":
    """Load the contracts; `encoding` replaces that of the file of one data set."""
    from chengxin.contracts.loader import load

    loaded = load(folder)
    if loaded.problems:
        raise SystemExit("\n".join(f"{p.path}: {p.message}" for p in loaded.problems))
    contract = loaded.contracts[dataset]
    if encoding:
        contract = contract.model_copy(update={"file": contract.file.model_copy(update={"encoding": encoding})})
    return {**loaded.contracts, dataset: contract}


def import_pipeline() -> None:
    """Import the pipeline without Great Expectations, which is imported while workers standardise."""
    import chengxin.pipeline

    del chengxin


def import_engines() -> None:
    """Import what stages import when they first need it, so that no stage pays for it."""
    import chengxin.quality.engine

    del chengxin


def land(contracts: "dict[str, Contract]", args: argparse.Namespace, home: "Home") -> None:
    """Land a file and print the id of its batch."""
    from chengxin import pipeline
    from chengxin.connectors.files.drop import file_delivery

    contract = contracts[args.dataset]
    delivery = file_delivery(home, contract, Path(args.what))
    print(pipeline.land(home, contract, delivery).batch_id)


def run(stages: Stages, contracts: "dict[str, Contract]", args: argparse.Namespace, home: "Home") -> None:
    """Take one landed batch to a committed snapshot."""
    stages.run("import", import_pipeline)
    from chengxin import pipeline
    from chengxin.quality import runner

    contract = contracts[args.dataset]
    batch = pipeline.batch(home, args.dataset, args.what)
    if args.until == "publish":
        runner.import_ahead()  # as pipeline.ingest does
    stages.run("standardise", lambda: pipeline.standardise(home, contract, batch))
    if args.until == "standardise":
        return
    stages.run("validate", lambda: pipeline.validate(home, contract, batch))
    admission = stages.run("admit", lambda: pipeline.admit(home, contract, batch))
    if admission is None:
        raise SystemExit("the batch was held; see its validation folder")
    stages.account = {state: getattr(admission, state) for state in STATES}
    if stages.run("publish", lambda: pipeline.publish(home, contracts)) is None:
        raise SystemExit("nothing was published")


def deliver(stages: Stages, contracts: "dict[str, Contract]", args: argparse.Namespace, home: "Home") -> None:
    """Take a file to an admitted batch as `chengxin run` does, in one process."""
    stages.run("import", import_pipeline)
    stages.run("engines", import_engines)
    from chengxin import pipeline
    from chengxin.connectors.files.drop import file_delivery

    contract = contracts[args.dataset]
    delivery = file_delivery(home, contract, Path(args.what))
    batch = stages.run("land", lambda: pipeline.land(home, contract, delivery))
    waiting = stages.run("pending", lambda: pipeline.pending(home, contract))
    if batch.batch_id not in {b.batch_id for b in waiting}:
        raise SystemExit("the file had been delivered before")
    stages.run("standardise", lambda: pipeline.standardise(home, contract, batch))
    stages.run("validate", lambda: pipeline.validate(home, contract, batch))
    if stages.run("admit", lambda: pipeline.admit(home, contract, batch)) is None:
        raise SystemExit("the batch was held; see its validation folder")
    counts = stages.run("account", lambda: pipeline.counts_of(home, contract, batch))
    stages.account = {state: counts[state] for state in STATES}


def publish(stages: Stages, contracts: "dict[str, Contract]", home: "Home") -> None:
    """Publish what was admitted."""
    stages.run("import", import_pipeline)
    from chengxin import pipeline

    if stages.run("publish", lambda: pipeline.publish(home, contracts)) is None:
        raise SystemExit("nothing was published")


def build_state(stages: Stages, home: "Home") -> None:
    """Let the state catch up with the journal."""
    from chengxin.state.database import caught_up

    def build() -> int:
        with caught_up(home.layout) as state:
            tables = ("subjects", "identifiers", "names", "versions")
            return sum(state.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables)

    stages.account = {"facts": stages.run("state", build)}


def gx(stages: Stages, args: argparse.Namespace, home: "Home") -> None:
    """Judge a batch again by its own suite: Great Expectations, then the same rules as plain DuckDB SQL, in turns."""
    stages.run("import", import_engines)
    import duckdb

    from chengxin import pipeline
    from chengxin.clock import SHANGHAI
    from chengxin.identity.registry import RegistryFiles
    from chengxin.quality.engine import judge
    from chengxin.quality.scan import Scan, plain_sql
    from chengxin.quality.suites import bind
    from chengxin.records import journal
    from chengxin.store.atomic import read_json
    from chengxin.store.layout import Layout

    layout = Layout(home.settings.home)
    parts = sorted(layout.standard(args.dataset, args.what).glob("standard-*.parquet"))
    today = pipeline.batch(home, args.dataset, args.what).received_at.astimezone(SHANGHAI).date()
    suite = bind(read_json(layout.validation(args.dataset, args.what) / "suite.json"), today)
    registry = RegistryFiles(layout, journal.admissions(layout)).files("identifiers")
    memory, threads = home.settings.memory_limit_mib, home.settings.workers

    def with_gx() -> None:
        with Scan(parts, home.resources, registry=registry) as scan:
            judge(suite, scan)

    def plain() -> None:
        with duckdb.connect(config={"memory_limit": f"{memory}MiB", "threads": threads}) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for statement in plain_sql(suite, parts, registry):
                connection.execute(statement).fetchall()

    for n in range(GX_ROUNDS):
        stages.run(f"gx {n}", with_gx)
        stages.run(f"plain {n}", plain)


def main() -> None:
    """Parse the arguments and run."""
    from chengxin.home import Home
    from chengxin.store.memory import expect_short_life

    expect_short_life()  # as the command line does
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["land", "run", "gx", "deliver", "publish", "state"])
    parser.add_argument("--home", required=True)
    parser.add_argument("--contracts", type=Path, default=CONTRACTS)
    parser.add_argument("--until", choices=["standardise", "publish"], default="publish")
    parser.add_argument("--encoding")
    parser.add_argument("dataset")
    parser.add_argument("what")
    args = parser.parse_args()
    home = Home.from_environment(home=args.home, contracts=args.contracts)
    contracts = contracts_of(args.contracts, args.dataset, args.encoding)
    if args.command == "land":
        land(contracts, args, home)
        return
    with Watch(os.getpid(), private_mib) as watch:
        stages = Stages(watch)
        if args.command == "gx":
            gx(stages, args, home)
        elif args.command == "publish":
            publish(stages, contracts, home)
        elif args.command == "state":
            build_state(stages, home)
        else:
            {"run": run, "deliver": deliver}[args.command](stages, contracts, args, home)
    costs = {name: asdict(cost) for name, cost in stages.costs.items()}
    json.dump({"stages": costs, "account": stages.account}, sys.stdout)


if __name__ == "__main__":
    main()
