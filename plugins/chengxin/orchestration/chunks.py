"""Batches of many data sets in one process: which share a task (`plan`), and each through all its stages (`drain`).

A task costs a process and half a second, a small batch less. So a task takes many, one after the other. What goes wrong
with one batch stops no other.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from chengxin.contracts.models import Contract
from chengxin.errors import ChengxinError, DeliveryCorrupt, of_home
from chengxin.home import Home
from chengxin.orchestration import lineage, stages
from chengxin.store import atomic, lock
from chengxin.store.remote import scopes

log = logging.getLogger(__name__)
MOST, LARGEST = 50, 200 << 20  # batches and bytes received of a chunk; what is larger is one of its own
UNDER_WAY, KILLED = "under_way", "killed"  # in the store of a task's state, which its tries have in common
TWICE = 2
DOING = "处理批次"
SHOWN = 20  # tasks that handled a batch
Chunk = list[list[str]]  # pairs of data set and batch


@dataclass(frozen=True)
class Place:
    """Which try of which task of Airflow's this process runs. last: no other try comes after it."""

    dag: str
    run: str
    task: str
    map_index: int
    number: int
    last: bool = True

    @classmethod
    def of(cls, ti: Any) -> Self:
        """Return the place of a running task instance."""
        last = ti.try_number > ti.max_tries
        return cls(ti.dag_id, ti.run_id, ti.task_id, -1 if ti.map_index is None else ti.map_index, ti.try_number, last)

    @property
    def page(self) -> str:
        """Return where Airflow shows it."""
        mapped = f"/mapped/{self.map_index}" if self.map_index >= 0 else ""
        return f"/dags/{self.dag}/runs/{self.run}/tasks/{self.task}{mapped}"

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values, as layout.handled keeps them."""
        return {"dag": self.dag, "run": self.run, "task": self.task, "map_index": self.map_index, "try": self.number}


@dataclass(frozen=True)
class Outcome:
    """What became of a batch: its account once it is admitted, None where it is held; or what went wrong with it."""

    dataset: str
    batch_id: str
    account: dict[str, Any] | None = None
    error: ChengxinError | None = None

    def for_people(self) -> dict[str, Any]:
        """Return plain JSON values for the pages (pages/run_results.py) and for the task that ends the run."""
        named = {"dataset": self.dataset, "batch": self.batch_id}
        if self.error:
            return {**named, "failed": str(self.error)}
        if self.account is None:
            return {**named, "held": True}
        return {**named, **{name: self.account[name] for name in stages.SEEN}}


def plan(contracts: Mapping[str, Contract]) -> tuple[list[Chunk], int]:
    """Return the chunks of what is landed and has no outcome, and how many batches are left for the next run.

    What founds subjects goes first, then the data set of which the oldest batch waits longest.
    """
    from chengxin import pipeline
    from chengxin.contracts.plan import registers_first

    home = Home.from_environment()
    failures = pipeline.Failures(home)
    found = []
    for contract in contracts.values():
        with failures.of(contract, "查找待处理批次"):
            if batches := pipeline.pending(home, contract):
                sizes = [(b.batch_id, sum(file.size for file in b.files)) for b in batches]
                oldest = min(b.received_at for b in batches)
                found.append(((registers_first(contract), oldest, contract.id), sizes))
    failures.tell()
    found.sort()
    chunks = stages.for_one_run("组批次", packed((key[-1], sizes) for key, sizes in found))
    return list(chunks), sum(len(sizes) for _, sizes in found) - sum(map(len, chunks))


def packed(waiting: Iterable[tuple[str, Sequence[tuple[str, int]]]]) -> list[Chunk]:
    """Put batches into chunks. waiting: data sets, each with its batches in order and their bytes.

    A data set lies in one chunk only, so that its batches keep their order; what does not fit waits for the next run.
    """
    chunks: list[Chunk] = []
    filled = 0
    for dataset, batches in waiting:
        mine: Chunk = []
        size = 0
        for batch_id, more in batches[:MOST]:
            if mine and size + more > LARGEST:
                break
            mine.append([dataset, batch_id])
            size += more
        if not chunks or len(chunks[-1]) + len(mine) > MOST or filled + size > LARGEST:
            chunks.append([])
            filled = 0
        chunks[-1] += mine
        filled += size
    return chunks


def drain(contracts: Mapping[str, Contract], chunk: Chunk, marks: Any, place: Place) -> list[Outcome]:
    """Take each batch through all its stages and return what became of each; done already is found done.

    marks: the store of the task's state. A mark stands there while a batch is worked on, so the next try knows in which
    one a process was killed: that one comes last, and after a second time it is set aside. Trouble of one batch is an
    alert, and raised only where another try of the task may help. Raises what is trouble of the whole home.
    """
    from chengxin.pipeline import Failures

    home = Home.from_environment()
    killed: dict[str, int] = marks.get(KILLED) or {}
    if under_way := marks.get(UNDER_WAY):
        killed[under_way] = killed.get(under_way, 0) + 1
        marks.set(KILLED, killed)
    outcomes: list[Outcome] = []
    try:
        for dataset, batch_id in sorted(chunk, key=lambda pair: killed.get(pair[1], 0)):
            if killed.get(batch_id, 0) >= TWICE:
                error = DeliveryCorrupt("处理进程两次中断（被终止、内存不足或停机），本次运行不再处理，其余批次照常")
                outcomes.append(Outcome(dataset, batch_id, error=error))
                continue
            marks.set(UNDER_WAY, batch_id)
            outcomes.append(_one(home, contracts[dataset], batch_id, place))
    except Exception:
        marks.delete(UNDER_WAY)  # what ends the process, or runs out of time, does not come here
        raise
    marks.delete(UNDER_WAY)
    again = [o.error for o in outcomes if o.error and o.error.retryable]
    if again and not place.last:
        raise again[0]
    marks.delete(KILLED)
    failures = Failures(home, place.page)
    for outcome in outcomes:
        with failures.of(contracts[outcome.dataset], DOING, outcome.batch_id):
            if outcome.error:
                raise outcome.error
    failures.tell({o.dataset for o in outcomes}, doing=(DOING,))
    return outcomes


def _one(home: Home, contract: Contract, batch_id: str, place: Place) -> Outcome:
    from chengxin.pipeline.failures import guarded

    try:
        # Held from the first stage to the last: a drain and a run that somebody started do not mix their batches.
        with guarded(DOING), lock.held(home.opened().layout, f"ingest-{contract.id}"):
            _note(home, contract, batch_id, place)
            return Outcome(contract.id, batch_id, stages.ingest(contract, batch_id))
    except ChengxinError as error:
        if of_home(error):
            raise
        log.error("%s：%s", batch_id, error)
        lineage.failed(contract, batch_id)
        return Outcome(contract.id, batch_id, error=error)


def _note(home: Home, contract: Contract, batch_id: str, place: Place) -> None:
    """Write down which task handles a batch; the pages link to it."""
    with home.changing("handled", scopes.batch(contract.id, batch_id)) as here:
        path = here.layout.handled(contract.id, batch_id)
        known = handled(here, contract.id, batch_id)
        if place.as_json() not in known:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_json(path, [*known, place.as_json()][-SHOWN:])


def handled(home: Home, dataset: str, batch_id: str) -> list[dict[str, Any]]:
    """Return the tasks that handled a batch, the newest last, each as Place.as_json."""
    try:
        found = atomic.read_json(home.layout.handled(dataset, batch_id))
    except (OSError, ValueError):
        return []
    return found if isinstance(found, list) else []
