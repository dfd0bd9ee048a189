"""How often a batch has failed. After some tries it is set aside until a person looks; the next runs leave it out.

A process that is killed in a batch leaves its mark behind, and so counts as a try. Tries under another contract, rule
pack or version of the library do not count: somebody has changed something.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from chengxin.clock import Clock
from chengxin.contracts.models import Contract
from chengxin.errors import ChengxinError, CommitConflict, ContractError, of_home
from chengxin.operations.alerts.book import Book
from chengxin.operations.alerts.causes import of_contract
from chengxin.pipeline.failures import guarded
from chengxin.pipeline.versions import validation_digest
from chengxin.records import journal
from chengxin.settings import Settings
from chengxin.store import atomic, lock, remote
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


def counted(doing: str, *, last: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a stage, called with contract, batch and settings first, count how often it fails.

    last: with it the batch has its outcome, and its tries are over.
    """

    def wrapped(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            given: Any = args
            contract, landed, settings = given[:3]
            with _under_way(contract, landed.batch_id, settings, doing):
                try:
                    with guarded(doing):
                        done = function(*args, **kwargs)
                except ChengxinError as error:
                    if not (error.retryable or of_home(error) or isinstance(error, ContractError)):
                        aside = _note(contract, landed.batch_id, settings, f"{doing}：{error}")
                        error.args = (f"{error}{aside}",)
                    raise
            if last:
                forgive(contract, landed.batch_id, settings)
            return done

        return run

    return wrapped


def aside(contract: Contract, batch_id: str, settings: Settings) -> Aside | None:
    """Return why a batch is set aside; None where it is not."""
    tries = _tries(Layout(settings.home), contract, batch_id, settings)
    return Aside(batch_id, len(tries), tries[-1]) if len(tries) >= settings.tries else None


def forgive(contract: Contract, batch_id: str, settings: Settings) -> bool:
    """Forget the tries of a batch and close its alert; return whether there were any."""
    if not Layout(remote.opened(settings).home).tries(contract.id, batch_id).exists():
        return False
    with remote.changing(settings, "tries", scopes.batch(contract.id, batch_id)) as here:
        Layout(here.home).tries(contract.id, batch_id).unlink(missing_ok=True)
    with remote.changing(settings, "alerts", scopes.alerts()) as here:
        Book(Layout(here.home)).drop_items("aside", [batch_id], Clock.from_environment().now())
    return True


def settle_killed(contract: Contract, settings: Settings) -> None:
    """Count a try of the batch in which a process was killed, unless one is busy with the data set just now."""
    layout = Layout(remote.opened(settings).home)
    if layout.under_way(contract.id).exists():
        with suppress(CommitConflict), lock.held(layout, _lock(contract), seconds=0):
            _settle(contract, settings, layout)


def _lock(contract: Contract) -> str:
    return f"under-way-{contract.id}"


@contextmanager
def _under_way(contract: Contract, batch_id: str, settings: Settings, doing: str) -> Iterator[None]:
    layout = Layout(remote.opened(settings).home)
    mark = layout.under_way(contract.id)
    with lock.held(layout, _lock(contract)):
        _settle(contract, settings, layout)
        mark.write_text(f"{batch_id}\n{doing}\n", "utf-8")
        try:
            yield
        finally:
            mark.unlink(missing_ok=True)


def _settle(contract: Contract, settings: Settings, layout: Layout) -> None:
    """Count what the mark of a killed process says; the caller holds the lock, so nobody is busy."""
    mark = layout.under_way(contract.id)
    if mark.exists():
        batch_id, _, doing = mark.read_text("utf-8").strip().partition("\n")
        if batch_id and journal.account(layout, contract.id, batch_id):
            forgive(contract, batch_id, settings)  # killed after the batch had its outcome
        elif batch_id and layout.landing(contract.id, batch_id).is_dir():
            _note(contract, batch_id, settings, f"{doing}：{KILLED}")
        mark.unlink()


def _tries(layout: Layout, contract: Contract, batch_id: str, settings: Settings) -> list[str]:
    path = layout.tries(contract.id, batch_id)
    try:
        noted: dict[str, Any] = atomic.read_json(path)
    except (FileNotFoundError, ValueError):
        return []
    return list(noted["tries"]) if noted["digest"] == validation_digest(contract, settings) else []


def _note(contract: Contract, batch_id: str, settings: Settings, said: str) -> str:
    """Count a try; return what is to be added to the words of the last one that a batch has, with its alert open."""
    with remote.changing(settings, "tries", scopes.batch(contract.id, batch_id)) as here:
        layout = Layout(here.home)
        tries = [*_tries(layout, contract, batch_id, settings), said]
        body = {"digest": validation_digest(contract, settings), "tries": tries}
        atomic.write_json(layout.tries(contract.id, batch_id), body)
    if len(tries) < settings.tries:
        return ""
    words = f"；已失败 {len(tries)} 次，该批次搁置，不再自动重试，处理后运行 chengxin retry {contract.id} {batch_id}"
    page = f"/chengxin/batches/{contract.id}/{batch_id}"
    cause = of_contract("aside", contract, f"{batch_id}：{said}{words}", reason=batch_id, item=batch_id, page=page)
    with remote.changing(settings, "alerts", scopes.alerts()) as here:
        Book(Layout(here.home)).open(cause, Clock.from_environment().now())
    return words
