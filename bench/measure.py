"""Cost of a child process and all its descendants: CPU and wall seconds, peak memory."""

import os
import resource
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

INTERVAL_S = 0.1


@dataclass(frozen=True)
class Cost:
    """What a run took. cpu_s: user + system of the tree. peak_mib: highest sum of PSS over the tree (0.1 s samples).

    resident_mib: the most that one process of the tree ever held; samples may miss a short peak, the kernel does not.
    """

    cpu_s: float
    wall_s: float
    peak_mib: float
    resident_mib: float = 0.0


def cpu_s() -> float:
    """Return the CPU seconds of this process and its finished children."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def family(pid: int) -> list[int]:
    """Return a process and its living descendants."""
    found = [pid]
    for parent in found:
        try:
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def pss_mib(pid: int) -> float:
    """Return the memory of a process and its descendants, pages shared between them counted once."""
    total = 0
    for member in family(pid):
        try:
            text = Path(f"/proc/{member}/smaps_rollup").read_text()
            total += int(text.split("\nPss:", 1)[1].split(None, 1)[0])
        except (OSError, IndexError):
            continue
    return total / 1024


def private_mib(pid: int) -> float:
    """Return the anonymous memory of a process and its descendants; unlike PSS it costs next to nothing to ask."""
    total = 0
    for member in family(pid):
        try:
            _, resident, shared, *_ = map(int, Path(f"/proc/{member}/statm").read_text().split())
            total += resident - shared
        except (OSError, ValueError):
            continue
    return total * os.sysconf("SC_PAGE_SIZE") / 2**20


class Watch:
    """Sample the memory of a process tree in a thread; `peak_mib` is the highest sample since the start or `reset`.

    ask: `pss_mib` from outside; `private_mib` where the sampling itself would count as work of the watched process.
    """

    def __init__(self, pid: int, ask: Callable[[int], float] = pss_mib) -> None:
        self.pid, self.ask = pid, ask
        self.peak_mib = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._stop.is_set():
            self.peak_mib = max(self.peak_mib, self.ask(self.pid))
            self._stop.wait(INTERVAL_S)

    def reset(self) -> None:
        """Forget the peak so far."""
        self.peak_mib = self.ask(self.pid)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def run_child(command: list[str], env: Mapping[str, str] | None = None) -> tuple[Cost, str]:
    """Run a program to its end; return its cost and its standard output. Raise RuntimeError when it fails."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}) as child:
        with Watch(child.pid) as watch:
            assert child.stdout
            output = child.stdout.read()
            _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}:\n{output[-2000:]}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, watch.peak_mib, usage.ru_maxrss / 1024), output
