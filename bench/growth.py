"""Measure whether a small batch costs more on a home that has grown than on a small one; write build/bench.json.

    python bench/growth.py [--only ingest:batches ...] [--batches 30000] [--subjects 1000000] [--folder FOLDER]

Homes are synthesised once (grown_homes.py) and never changed: what is measured runs on a copy by hard links, in which
one delivery has been admitted before, so that what is derived is there. Big and small home take turns; the ratio is
that of CPU seconds of the stages, without imports.
"""

import argparse
import itertools
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from contest import RESULTS, Bench, Result, ratio_of, save, show
from generate import BUILD
from grown_homes import TEMPLATES, Homes, copy, small_delivery
from measure import Cost
from opens import Opens

ROWS = 500  # of the delivery that is measured
FEW = 10  # batches of the small home
WATCHED = 300  # batches of the home whose opens are watched: the kernel bounds how many folders may be
STAGES = ("land", "pending", "standardise", "validate", "admit", "account")


@dataclass
class Growth:
    """The bench, the homes that it grows, and how large they are."""

    bench: Bench
    homes: Homes
    batches: int
    subjects: int
    base: int  # subjects of the small home, and of all where batches are counted
    datasets: int
    copies: dict[tuple[int, int], Path] = field(default_factory=dict)
    numbers: itertools.count = field(default_factory=lambda: itertools.count(100))  # type: ignore[type-arg]

    def copied(self, batches: int, subjects: int) -> Path:
        """Return a copy of a synthesised home into which one delivery was admitted; all benches share it."""
        if (batches, subjects) not in self.copies:
            self.copies[batches, subjects] = self._copied(batches, subjects)
        return self.copies[batches, subjects]

    def _copied(self, batches: int, subjects: int) -> Path:
        _, made = self.bench.child(
            *("grown_homes.py", self.homes.folder, "--batches", str(batches), "--subjects", str(subjects)),
            *("--datasets", str(self.datasets), "--templates", str(self.homes.templates)),
        )
        source = Path(made.strip().splitlines()[-1])
        target = self.homes.folder / "measured" / source.name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        shutil.copytree(source / "contracts", target / "contracts")
        copy(source / "home", target / "home")
        self.deliver(target, subjects)
        return target

    def stages(self, command: str, place: Path, what: str | Path) -> tuple[Cost, dict[str, Cost]]:
        """Run a command of stages.py on a home."""
        where = ("--home", place / "home", "--contracts", place / "contracts")
        whole, output = self.bench.child("stages.py", command, *where, "bench_penalty", what)
        return whole, {name: Cost(**cost) for name, cost in json.loads(output)["stages"].items()}

    def deliver(self, place: Path, subjects: int) -> tuple[Cost, dict[str, Cost]]:
        """Admit a small delivery; return the cost of all its stages with the peak of the process, and of each."""
        number = next(self.numbers)
        file = place / f"{number}.csv"
        small_delivery(file, number, ROWS, subjects)
        whole, stages = self.stages("deliver", place, file)
        mine = [stages[name] for name in STAGES]
        return Cost(sum(c.cpu_s for c in mine), sum(c.wall_s for c in mine), whole.peak_mib), stages

    def compare(self, name: str, big: tuple[int, int], small: tuple[int, int]) -> tuple[Result, float]:
        """Admit onto a big and a small home in turns; return the big one's result and the ratio."""
        kept: dict[tuple[int, int], list[dict[str, Cost]]] = {big: [], small: []}

        def once(size: tuple[int, int]) -> Callable[[], Cost]:
            place = self.copied(*size)

            def deliver() -> Cost:
                cost, stages = self.deliver(place, size[1])
                kept[size].append(stages)
                return cost

            return deliver

        theirs, ours = self.bench.in_turns(once(small), once(big))
        varied = 0 if big[0] != small[0] else 1
        few, many = small[varied], big[varied]
        base = f"growth:{name}:{few}"
        self.bench.note(base, theirs)
        found = self.bench.note(f"growth:{name}:{many}", ours, base, ratio_of(ours, theirs))
        for stage in STAGES:
            their, our = ([stages[stage] for stages in kept[size]] for size in (small, big))
            self.bench.note(f"{base}:{stage}", their)
            self.bench.note(f"{found.name}:{stage}", our, f"{base}:{stage}", ratio_of(our, their))
        return found, found.ratio or 0.0

    def count(self, name: str, number: int, of: str) -> None:
        """Keep a number that is no cost."""
        self.bench.results.append(Result(f"growth:{name}", self.bench.rows, 0.0, 0.0, 0.0, of, float(number)))


def ingest_batches(growth: Growth) -> None:
    """Ingest a small delivery onto many batches and onto few."""
    _, ratio = growth.compare("ingest:batches", (growth.batches, growth.base), (FEW, growth.base))
    growth.bench.target(f"{ROWS} rows onto {growth.batches:,} batches, CPU to onto {FEW}", ratio, 1.15)


def ingest_subjects(growth: Growth) -> None:
    """Ingest a small delivery onto many registered subjects and onto fewer."""
    result, ratio = growth.compare("ingest:subjects", (FEW, growth.subjects), (FEW, growth.base))
    growth.bench.target(f"{ROWS} rows onto {growth.subjects:,} subjects, CPU to onto {growth.base:,}", ratio, 1.15)
    growth.bench.target(f"peak MiB onto {growth.subjects:,} subjects", result.peak_mib, 400)


def publish_batches(growth: Growth) -> None:
    """Publish one batch where many batches are published, and few."""

    def once(batches: int) -> Callable[[], Cost]:
        place = growth.copied(batches, growth.base)
        growth.stages("publish", place, "-")

        def publish() -> Cost:
            growth.deliver(place, growth.base)
            return growth.stages("publish", place, "-")[1]["publish"]

        return publish

    few, many = growth.bench.in_turns(once(FEW), once(growth.batches))
    growth.bench.note(f"growth:publish:{FEW}", few)
    ratio = ratio_of(many, few)
    growth.bench.note(f"growth:publish:{growth.batches}", many, f"growth:publish:{FEW}", ratio)
    growth.bench.target(f"publish one batch at {growth.batches:,} batches, CPU to at {FEW}", ratio, 1.3)


def status(growth: Growth) -> None:
    """Ask for the status where there are many batches, and few; the whole process counts."""

    def once(batches: int) -> Callable[[], Cost]:
        place = growth.copied(batches, growth.base)
        words = ("chengxin", "--home", place / "home", "--contracts", place / "contracts", "status")
        return lambda: growth.bench.child(*words)[0]

    few, many = growth.bench.in_turns(once(FEW), once(growth.batches))
    growth.bench.note(f"growth:status:{FEW}", few)
    ratio = ratio_of(many, few)
    growth.bench.note(f"growth:status:{growth.batches}", many, f"growth:status:{FEW}", ratio)
    growth.bench.target(f"status at {growth.batches:,} batches, CPU to at {FEW}", ratio, 1.3)


def opens(growth: Growth) -> None:
    """Count the files of other batches that one ingest opens."""
    batches = min(growth.batches, WATCHED)
    place = growth.copied(batches, growth.base)
    with Opens(place / "home") as watched:
        growth.deliver(place, growth.base)
    for name, tops, bound in (("of other batches", ("landing", "batches"), 0), ("of the journal", ("admissions",), 80)):
        found = [p for p in watched.below(*tops) if p.parent.parent.name != "landing" and p.name[0] != "."]
        growth.bench.console.print(f"  {name}: {len(found)}, such as {[p.name for p in found[:3]]}")
        growth.count(f"opens:{batches}:{tops[0]}", len(found), "files")
        growth.bench.target(f"files {name} opened by one ingest onto {batches} batches", len(found), bound)


def inodes(growth: Growth) -> None:
    """Count the inodes that one small batch takes."""
    place = growth.copied(FEW, growth.base)
    before = sum(1 for _ in (place / "home").rglob("*"))
    growth.deliver(place, growth.base)
    taken = sum(1 for _ in (place / "home").rglob("*")) - before
    growth.count("inodes", taken, "inodes")
    growth.bench.target("inodes of one small batch", taken, 10)


BENCHES = {
    "ingest:batches": ingest_batches,
    "ingest:subjects": ingest_subjects,
    "status": status,
    "opens": opens,
    "inodes": inodes,
    "publish:batches": publish_batches,
}


def main() -> None:
    """Parse the arguments, make the homes, run, show, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(BENCHES), default=list(BENCHES))
    parser.add_argument("--batches", type=int, default=30_000)
    parser.add_argument("--subjects", type=int, default=1_000_000)
    parser.add_argument("--base", type=int, default=100_000)
    parser.add_argument("--datasets", type=int, default=20)
    parser.add_argument("--templates", type=int, default=TEMPLATES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=BUILD / "growth")
    parser.add_argument("--json", type=Path, default=RESULTS)
    args = parser.parse_args()
    bench = Bench(ROWS, args.rounds, args.folder, Console())
    homes = Homes(args.folder, args.templates)
    growth = Growth(bench, homes, args.batches, args.subjects, args.base, args.datasets)
    failed: list[str] = []
    for name in args.only:
        bench.console.print(f"[bold]{name}")
        try:
            BENCHES[name](growth)
        except RuntimeError as error:  # the others are still worth their time
            failed.append(name)
            bench.console.print(f"[red]{name} failed: {error}")
        save(bench.results, args.json)
    shutil.rmtree(args.folder / "measured", ignore_errors=True)
    show(bench)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
