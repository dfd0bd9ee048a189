"""How often a batch has failed. After some tries it is set aside until a person looks; the next runs leave it out.

A process that is killed in a batch leaves its mark behind, and so counts as a try. Tries under another contract, rule
pack or version of the library do not count: somebody has changed something.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

from chengxin.contracts.models import Contract
from chengxin.errors import ChengxinError, CommitConflict, ContractError, of_home
from chengxin.facts import Batch
from chengxin.home import Home
from chengxin.operations.alerts.book import Book
from chengxin.operations.alerts.causes import of_contract
from chengxin.pipeline.failures import guarded
from chengxin.pipeline.versions import validation_digest
from chengxin.records import journal
from chengxin.store import atomic, lock
from chengxin.store.layout import Layout
from chengxin.store.remote import scopes

P = ParamSpec("P")
R = TypeVar("R")
KILLED = "处理进程中断（被终止、内存不足或停机）"


@dataclass(frozen=True)
class Aside:
    """A batch that is set aside: after how many tries, and what was said at the last one."""

    batch_id: str
    tries: int
    said: str


Stage = Callable[Concatenate[Home, Contract, Batch, P], R]


def counted(doing: str, *, last: bool = False) -> Callable[[Stage[P, R]], Stage[P, R]]:
    """Make a stage of a batch count how often it fails.

    last: with it the batch has its outcome, and its tries are over.
    """

    def wrapped(function: Stage[P, R]) -> Stage[P, R]:
        @functools.wraps(function)
        def run(home: Home, contract: Contract, landed: Batch, /, *args: P.args, **kwargs: P.kwargs) -> R:
            with _under_way(home, contract, landed.batch_id, doing):
                try:
                    with guarded(doing):
                        done = function(home, contract, landed, *args, **kwargs)
                except ChengxinError as error:
                    if not (error.retryable or of_home(error) or isinstance(error, ContractError)):
                        aside = _note(home, contract, landed.batch_id, f"{doing}：{error}")
                        error.args = (f"{error}{aside}",)
                    raise
            if last:
                forgive(home, contract, landed.batch_id)
            return done

        return run

    return wrapped


def aside(home: Home, contract: Contract, batch_id: str) -> Aside | None:
    """Return why a batch is set aside; None where it is not."""
    tries = _tries(home, home.layout, contract, batch_id)
    return Aside(batch_id, len(tries), tries[-1]) if len(tries) >= home.settings.tries else None


def forgive(home: Home, contract: Contract, batch_id: str) -> bool:
    """Forget the tries of a batch and close its alert; return whether there were any."""
    if not home.opened().layout.tries(contract.id, batch_id).exists():
        return False
    with home.changing("tries", scopes.batch(contract.id, batch_id)) as here:
        here.layout.tries(contract.id, batch_id).unlink(missing_ok=True)
    with home.changing("alerts", scopes.alerts()) as here:
        Book(here.layout).drop_items("aside", [batch_id], home.clock.now())
    return True


def settle_killed(home: Home, contract: Contract) -> None:
    """Count a try of the batch in which a process was killed, unless one is busy with the data set just now."""
    layout = home.opened().layout
    if layout.under_way(contract.id).exists():
        with suppress(CommitConflict), lock.held(layout, _lock(contract), seconds=0):
            _settle(home, contract, layout)


def _lock(contract: Contract) -> str:
    return f"under-way-{contract.id}"


@contextmanager
def _under_way(home: Home, contract: Contract, batch_id: str, doing: str) -> Iterator[None]:
    layout = home.opened().layout
    mark = layout.under_way(contract.id)
    with lock.held(layout, _lock(contract)):
        _settle(home, contract, layout)
        mark.write_text(f"{batch_id}\n{doing}\n", "utf-8")
        try:
            yield
        finally:
            mark.unlink(missing_ok=True)


def _settle(home: Home, contract: Contract, layout: Layout) -> None:
    """Count what the mark of a killed process says; the caller holds the lock, so nobody is busy."""
    mark = layout.under_way(contract.id)
    if mark.exists():
        batch_id, _, doing = mark.read_text("utf-8").strip().partition("\n")
        if batch_id and batch_id in journal.accounts(layout).batches(contract.id):
            forgive(home, contract, batch_id)  # killed after the batch had its outcome
        elif batch_id and layout.landing(contract.id, batch_id).is_dir():
            _note(home, contract, batch_id, f"{doing}：{KILLED}")
        mark.unlink()


def _tries(home: Home, layout: Layout, contract: Contract, batch_id: str) -> list[str]:
    path = layout.tries(contract.id, batch_id)
    try:
        noted: dict[str, Any] = atomic.read_json(path)
    except (FileNotFoundError, ValueError):
        return []
    return list(noted["tries"]) if noted["digest"] == validation_digest(home, contract) else []


def _note(home: Home, contract: Contract, batch_id: str, said: str) -> str:
    """Count a try; return what is to be added to the words of the last one that a batch has, with its alert open."""
    with home.changing("tries", scopes.batch(contract.id, batch_id)) as here:
        layout = here.layout
        tries = [*_tries(home, layout, contract, batch_id), said]
        body = {"digest": validation_digest(home, contract), "tries": tries}
        atomic.write_json(layout.tries(contract.id, batch_id), body)
    if len(tries) < home.settings.tries:
        return ""
    words = f"；已失败 {len(tries)} 次，该批次搁置，不再自动重试，处理后运行 chengxin retry {contract.id} {batch_id}"
    page = f"/chengxin/batches/{contract.id}/{batch_id}"
    cause = of_contract("aside", contract, f"{batch_id}：{said}{words}", reason=batch_id, item=batch_id, page=page)
    with home.changing("alerts", scopes.alerts()) as here:
        Book(here.layout).open(cause, home.clock.now())
    return words
