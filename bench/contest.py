"""Contestants measured in turns, what was measured, and the tables and the file that show it."""

import json
import os
import shutil
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from generate import BUILD
from measure import Cost, run_child

HERE = Path(__file__).resolve().parent
RESULTS = BUILD.parent / "bench.json"
MEMORY_MIB, THREADS = 1536, 2
ENVIRONMENT = {
    "CHENGXIN_MEMORY_MIB": str(MEMORY_MIB),
    "CHENGXIN_WORKERS": str(THREADS),
    "CHENGXIN_TOKEN_KEY": "a key for measurements, known to all",
}


@dataclass(frozen=True)
class Result:
    """One measured thing. ratio: its CPU seconds to those of `against`, the median over rounds."""

    name: str
    rows: int
    cpu_s: float
    wall_s: float
    peak_mib: float
    against: str | None = None
    ratio: float | None = None


@dataclass
class Bench:
    """The contestants' shared ground: files, rounds, what was measured so far, and which targets were met."""

    rows: int
    rounds: int
    files: Path
    console: Console
    results: list[Result] = field(default_factory=list)
    targets: list[tuple[str, float, float, bool]] = field(default_factory=list)
    built: tuple[Path, Cost] | None = None  # a home with the main file published, and what that took

    def child(self, *command: str | Path) -> tuple[Cost, str]:
        """Run a program of this folder, or of .venv/bin when the name has no suffix."""
        head, *rest = map(str, command)
        program = (
            [sys.executable, str(HERE / head)] if head.endswith(".py") else [str(Path(sys.executable).parent / head)]
        )
        return run_child([*program, *rest], ENVIRONMENT)

    def home(self, name: str) -> Path:
        """Return a fresh home in which the registry has been published."""
        base = self.files / "home-registry"
        if not base.exists():
            building = self.files / "home-building"
            shutil.rmtree(building, ignore_errors=True)
            self._ingest(building, "bench_registry", self.files / "registry.csv")
            building.rename(base)
        home = self.files / f"home-{name}"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(base, home)
        return home

    def land(self, home: Path, dataset: str, file: Path, *options: str) -> tuple[Cost, str]:
        """Land a file; return the cost and the batch id."""
        cost, output = self.child("stages.py", "land", "--home", home, *options, dataset, file)
        return cost, output.strip()

    def _ingest(self, home: Path, dataset: str, file: Path) -> None:
        _, batch = self.land(home, dataset, file)
        self.child("stages.py", "run", "--home", home, dataset, batch)

    def note(self, name: str, costs: list[Cost], against: str | None = None, ratio: float | None = None) -> Result:
        """Keep the median cost of some rounds, the highest peak, and say so."""
        middle = [statistics.median(getattr(c, key) for c in costs) for key in ("cpu_s", "wall_s")]
        result = Result(name, self.rows, *middle, max(c.peak_mib for c in costs), against, ratio)
        result = Result(**{k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(result).items()})
        self.results.append(result)
        self.console.print(
            f"  {name}: CPU {result.cpu_s:.2f} s, wall {result.wall_s:.2f} s, peak {result.peak_mib:.0f} MiB"
        )
        return result

    def target(self, text: str, value: float, bound: float, *, at_least: bool = False) -> None:
        """Hold a measured value against its target."""
        self.targets.append((text, value, bound, value >= bound if at_least else value <= bound))

    def in_turns(self, *contestants: Callable[[], Cost]) -> list[list[Cost]]:
        """Run the contestants round by round; return the costs of each."""
        rounds = [[contestant() for contestant in contestants] for _ in range(self.rounds)]
        return [list(costs) for costs in zip(*rounds, strict=True)]


def ratio_of(ours: list[Cost], theirs: list[Cost]) -> float:
    """Return the median over rounds of the ratio of CPU seconds."""
    return round(statistics.median(a.cpu_s / b.cpu_s for a, b in zip(ours, theirs, strict=True)), 3)


def show(bench: Bench) -> None:
    """Print the table of all results and the targets."""
    table = Table(title=f"{bench.rows:,} rows, {bench.rounds} round(s), {os.cpu_count()} cores", title_justify="left")
    for heading in ("what", "CPU s", "wall s", "peak MiB", "CPU to", "ratio"):
        table.add_column(heading, justify="left" if heading in ("what", "CPU to") else "right")
    for r in bench.results:
        ratio = "" if r.ratio is None else f"{r.ratio:.2f}"
        table.add_row(r.name, f"{r.cpu_s:.2f}", f"{r.wall_s:.2f}", f"{r.peak_mib:.0f}", r.against or "", ratio)
    bench.console.print(table)
    goals = Table(title="targets", title_justify="left")
    for heading in ("target", "bound", "measured", ""):
        goals.add_column(heading)
    for text, value, bound, met in bench.targets:
        goals.add_row(text, f"{bound:g}", f"{value:g}", "[green]met" if met else "[red]not met")
    bench.console.print(goals)


def save(results: list[Result], path: Path = RESULTS) -> None:
    """Write the results to build/bench.json; those of other sizes and names stay."""
    old = json.loads(path.read_text()) if path.exists() else []
    new = {(r.name, r.rows) for r in results}
    kept = [r for r in old if (r["name"], r["rows"]) not in new]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([*kept, *map(asdict, results)], ensure_ascii=False, indent=1) + "\n")
