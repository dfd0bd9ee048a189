"""From what happens in Airflow to causes of alerts: failed and corrected tasks, held batches, questions, daily looks.

Everything here runs where tasks run, because the book of open causes lies in the home. A process without the home (the
DAG processor of docker-compose.yml) only writes into its log. Nothing here may fail a task.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from airflow.sdk import BaseNotifier

from chengxin.clock import instant_of_timestamp
from chengxin.contracts.models import Contract
from chengxin.errors import ChengxinError, InvariantBroken, SourceUnavailable, no_room
from chengxin.home import Home
from chengxin.operations.alerts.book import Book
from chengxin.operations.alerts.causes import Cause, contract_cause, held_cause
from chengxin.operations.alerts.holds import hold_of
from chengxin.operations.alerts.notices import deliver
from chengxin.orchestration.answers import AGAIN
from chengxin.orchestration.outcomes import AlreadyTold
from chengxin.store.remote import scopes

log = logging.getLogger(__name__)
LAST = ("act", "collect", "settle", "publish")  # the tasks that come after all others of a run
OF_RUNS = ("failed", "source", "broken", "disk")  # what is over when a whole run went well


class Tell(BaseNotifier):  # type: ignore[misc]  # Airflow is untyped to us
    """Opens the cause of a task that failed for good (on_failure_callback)."""

    def notify(self, context: Any) -> None:
        """Open it."""
        ti, error = context["ti"], context.get("exception")
        if isinstance(error, AlreadyTold):
            return
        cause = of_failure(ti.dag_id, ti.task_id, error, **_who(context), page=_page(ti))
        happened(cause)


class Ask(BaseNotifier):  # type: ignore[misc]
    """Opens the cause that somebody must answer a question (notifiers of HITLOperator)."""

    def notify(self, context: Any) -> None:
        """Open it; answering the task closes it."""
        ti = context["ti"]
        text = "有新批次待发布，其中有告警、全量骤减、已放行或暂缓的批次，须由人核对后决定是否发布"
        if wrong := context["task_state_store"].get(AGAIN):
            text += f"；上次作答无效：{wrong}"
        happened(Cause("approval", ti.dag_id, text, f"{ti.task_id}:", **_who(context), page=_page(ti)))


def recovered(context: Any) -> None:
    """Close what a task that went well had opened; of an ingest run, at its end, all that its failures had opened."""
    with_book(lambda book: _close_resolved(book, context["ti"]))


CALLBACKS: dict[str, Any] = {
    "on_failure_callback": [Tell()],
    "on_success_callback": [recovered],
    "on_skipped_callback": [recovered],
}


def about_of(dag_id: str) -> str:
    """Return what the tasks of a DAG are about: its data set, or the DAG itself."""
    return dag_id.removeprefix("ingest__")


def of_failure(dag_id: str, task_id: str, error: BaseException | None, **more: str) -> Cause:
    """Return the cause behind a failed task. The words of errors that are not ours are not repeated."""
    about, name = about_of(dag_id), type(error).__name__ if error else "进程中断"
    if error is not None and no_room(error):
        text = f"任务 {dag_id}.{task_id} 写不下去：磁盘空间不足，多次再试仍然如此"
        return Cause("disk", "", text, page=more.get("page", ""))
    surprise = f"任务 {task_id} 遇到未预料的错误（{name}），详见任务日志"
    text = str(error) if isinstance(error, ChengxinError) else surprise
    match error, dag_id, task_id:
        case InvariantBroken(), _, _:
            kind = "broken"
        case _, "housekeeping", "rehash":
            kind = "damaged"
        case _, "snapshot", "publish":
            kind = "unpublished"
        case SourceUnavailable(), _, _:
            kind = "source"
        case _:
            kind = "failed"
    return Cause(kind, about, text, f"{task_id}:{name}", **more)


def happened(cause: Cause) -> None:
    """Open a cause and say what is due."""
    if not with_book(lambda book: book.open(cause, Home.from_environment().clock.now())):
        log.error("%s：%s", cause.kind, cause.text)


def with_book(change: Callable[[Book], Any], dataset: str = "") -> bool:
    """Change the book and say what is due; return whether there is a home. What goes wrong is only logged.

    dataset: whose receipts the change looks at.
    """
    home = Home.from_environment()
    if not home.settings.home.is_dir():
        return False
    try:
        home.run("alerts", scopes.alerts(dataset), lambda here: change(Book(here.layout)))
        with home.changing("alerts told", scopes.alerts()) as here:
            deliver(here)
    except (OSError, ChengxinError, ValueError) as error:
        log.warning("告警未能登记或送出：%s", error if isinstance(error, ChengxinError) else type(error).__name__)
    return True


def held(contract: Contract, batch_id: str) -> None:
    """Tell that a batch is held; batches held for the same rules are one cause."""
    layout = Home.from_environment().opened().layout
    happened(held_cause(contract, hold_of(layout, contract.id, batch_id)))


def admitted(contract: Contract, batch_id: str) -> None:
    """Close what a batch that came in settles: its own hold, and holds told before it landed (it is the correction)."""

    def change(book: Book) -> None:
        now = Home.from_environment().clock.now()
        book.drop_items("held", [batch_id], now)
        open_holds = [e for e in book.open_entries() if e.cause.kind == "held" and e.cause.about == contract.id]
        if open_holds:
            receipt = Home.from_environment().opened().layout.landing(contract.id, batch_id) / "receipt.json"
            landed = instant_of_timestamp(receipt.stat().st_mtime).isoformat()
            late = {e.id for e in open_holds if e.opened_at < landed}
            book.close(lambda e: e.id in late, now)

    with_book(change, contract.id)


def arrived(contract: Contract) -> None:
    """Close the alert of an overdue delivery, if there is one and the delivery came; name one that is late too."""

    def change(book: Book) -> None:
        from chengxin.operations import housekeeping

        is_mine = [e for e in book.open_entries() if e.cause.kind == "overdue" and e.cause.about == contract.id]
        if not is_mine:
            return
        home = Home.from_environment().opened()
        late = housekeeping.overdue(home, {contract.id: contract})
        if not late:
            book.close(lambda e: e.id == is_mine[0].id, home.clock.now())
        elif late[0].message != is_mine[0].cause.text:  # it names the arrival before this one
            book.open(replace(is_mine[0].cause, text=late[0].message), home.clock.now())

    with_book(change, contract.id)


def seen(batches: Collection[str], by: str) -> None:
    """Close the holds of batches that a person saw before approving a publication."""
    with_book(lambda book: book.drop_items("held", batches, Home.from_environment().clock.now(), by or "审批人"))


def settle(kind: str, causes: Collection[Cause]) -> None:
    """Make the open causes of a kind these and no others."""
    with_book(lambda book: book.settle(kind, causes, Home.from_environment().clock.now()))


def settle_contracts(problems: Iterable[Any]) -> None:
    """Open a cause for each contract file that cannot be used, close those of files that are corrected."""
    settle("contracts", [contract_cause(str(p.path), p.message) for p in problems])


def _close_resolved(book: Book, ti: Any) -> None:
    about = about_of(ti.dag_id)
    mine = [e for e in book.open_entries() if e.cause.about == about or e.cause.kind == "disk"]
    over = {e.id for e in mine if ti.map_index < 0 and e.cause.reason.partition(":")[0] == ti.task_id}
    if ti.task_id in LAST and len(over) < len(mine) and not _failures(ti):
        over |= {e.id for e in mine if e.cause.kind in OF_RUNS}
    if over:
        book.close(lambda e: e.id in over, Home.from_environment().clock.now())


def _failures(ti: Any) -> int:
    """Return how many tasks of this run failed."""
    return int(ti.get_ti_count(dag_id=ti.dag_id, run_ids=[ti.run_id], states=["failed", "upstream_failed"]))


def _who(context: Mapping[str, Any]) -> dict[str, str]:
    """Return title and department as the DAG shows them."""
    dag, task = context.get("dag"), context.get("task")
    title = str(getattr(dag, "dag_display_name", "") or "")
    return {"title": title.removeprefix("入库 · "), "department": str(getattr(task, "owner", "") or "")}


def _page(ti: Any) -> str:
    mapped = f"/mapped/{ti.map_index}" if ti.map_index is not None and ti.map_index >= 0 else ""
    return f"/dags/{ti.dag_id}/runs/{ti.run_id}/tasks/{ti.task_id}{mapped}"
