"""The demo through Airflow: two rounds of deliveries, received, drained and published; progress in the terminal."""

import math
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.live import Live
from rich.table import Table

from chengxin import pipeline
from chengxin.cli.demo import ROUNDS, issue_scorecard
from chengxin.cli.embedded_airflow import AirflowFailed, EmbeddedAirflow
from chengxin.cli.embedded_api import ENDED, AirflowApi, Question
from chengxin.cli.inspect import TIERS
from chengxin.connectors import landing
from chengxin.contracts.models import Contract
from chengxin.contracts.plan import kind_of
from chengxin.demo import DemoServer, DemoSources, make_demo
from chengxin.publishing import commit as snapshots
from chengxin.quality import evidence
from chengxin.records import journal
from chengxin.store.remote import scopes

if TYPE_CHECKING:
    from chengxin.cli.context import Context

SNAPSHOT, COLLECT, INGEST, DRAIN = "snapshot", "collect", "ingest__", "drain__"
LOOK_EVERY = 0.5
AT_A_TIME = 10  # as many as the scheduler looks at in a round: more of them only cost more
TELL_EVERY = 15.0
LIMIT_SECONDS = 3600
# An answer that is there before the scheduler has noticed that the task waits fails the task, which then asks again.
SETTLES_WITHIN = 3.0
NOTE = "chengxin demo --airflow"
REASON = "演示：由 chengxin demo 自动作答"


@dataclass(frozen=True)
class Mode:
    """How the demo is run. once: end when published. ask: leave approvals to whoever has the pages open."""

    seed: int
    once: bool
    ask: bool
    quiet: bool


def run_embedded(context: "Context", mode: Mode, tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Run the demo through an Airflow of this home, pass its outcome to `tell`, and unless `once` stay up until Ctrl-C.

    The outcome has the shape of the direct path's. Raises AirflowFailed when Airflow itself fails.
    """
    contracts = context.contracts()
    before = {b["batch_id"] for b in _accounts(context, contracts)}
    _say(context, mode, "正在启动 Airflow（约二十秒）……")
    with ExitStack() as served, EmbeddedAirflow(context.home.settings) as airflow:
        sources = make_demo(context.home, contracts.values(), seed=mode.seed, round=ROUNDS[0])
        airflow.start(served.enter_context(DemoServer(sources)).environment)
        _say(context, mode, _door(airflow))
        failures = _rounds(context, mode, airflow, contracts, sources)
        if card := issue_scorecard(context, contracts):
            _say(context, mode, card)
        made = [b for b in _accounts(context, contracts) if b["batch_id"] not in before]
        result = {"batches": made, "snapshot": _current(context), "failures": failures}
        tell(result)
        if not mode.once:
            _stay(context, airflow)
    return result


def _rounds(
    context: "Context",
    mode: Mode,
    airflow: EmbeddedAirflow,
    contracts: Mapping[str, Contract],
    sources: DemoSources,
) -> list[str]:
    """Run both rounds; return what failed. A request that gets no answer is mostly a component that died."""
    run = _Run(context, mode, airflow, contracts)
    failures = []
    try:
        for number in ROUNDS:
            if number != ROUNDS[0]:
                sources = make_demo(context.home, contracts.values(), seed=mode.seed, round=number)
            failures += run.round(number, sources.rows)
    except httpx.HTTPError as error:
        airflow.check()
        raise AirflowFailed(f"Airflow 没有按预期回答：{error}") from error
    return failures


class _Run:
    """One run of the demo: the rounds, the questions that come up, and what the terminal shows meanwhile."""

    def __init__(
        self, context: "Context", mode: Mode, airflow: EmbeddedAirflow, contracts: Mapping[str, Contract]
    ) -> None:
        self._context, self._mode, self._airflow, self._contracts = context, mode, airflow, contracts
        self._api: AirflowApi = airflow.api()
        self._second: AirflowApi = airflow.second_api()
        self._seen: dict[tuple[str, str, str, int, int], float] = {}
        self._asked: set[tuple[str, str, str, int, int]] = set()
        self._until = time.monotonic() + (math.inf if mode.ask else LIMIT_SECONDS)  # a person may take long
        self._started = time.monotonic()

    def round(self, number: int, delivering: Container[str]) -> list[str]:
        """Receive what these data sets deliver, drain it, publish; return what failed, in Chinese."""
        mine = [c for c in self._contracts.values() if c.id in delivering]
        drains = [DRAIN + domain for domain in sorted({c.domain for c in mine})]
        self._await_dags({*drains, COLLECT, SNAPSHOT})
        # Publication follows every admission; here it waits for the round, or it would publish each domain by itself.
        self._api.switch(SNAPSHOT, on=False)
        failures = []
        if number == ROUNDS[0]:  # without any subject, all others would be warned about
            founding = [INGEST + c.id for c in mine if kind_of(c).registers == "found"]
            self._await_dags(set(founding))
            failures += self._all(f"第 {number} 轮 登记", founding, number)
        failures += self._all(f"第 {number} 轮 接收", [COLLECT], number)
        failures += self._all(f"第 {number} 轮 入库", drains, number)
        was = _current(self._context)
        failures += self._all(f"第 {number} 轮 发布", [SNAPSHOT], number)
        if _current(self._context) == was and pipeline.review(self._context.home, self._contracts):
            failures.append(f"第 {number} 轮：快照未发布，审批答复为“不发布”；再次送审：在页面触发流程 snapshot")
        return failures

    def _all(self, title: str, dag_ids: Sequence[str], number: int) -> list[str]:
        """See that each of these DAGs runs, in this order and some at a time; return what failed, in Chinese."""
        before, waiting, begun = self._api.newest_run(), list(dag_ids), set[str]()
        run_id = f"demo-{number}-{datetime.now().astimezone():%Y%m%dT%H%M%S}"
        with _shown(self._context, self._mode) as show:
            while True:
                runs = [run for run in self._api.runs(before) if run.dag_id in begun]
                ended = {run.dag_id for run in runs} - {run.dag_id for run in runs if run.state not in ENDED}
                line = f"{title}：{len(ended)}/{len(dag_ids)} 个 DAG 运行完毕，第 {self._seconds()} 秒"
                show(self._contracts, line)
                if len(ended) == len(dag_ids):
                    break
                for dag_id in waiting[: max(0, AT_A_TIME - len(begun - ended))]:
                    self._begin(dag_id, run_id)
                    waiting.remove(dag_id)
                    begun.add(dag_id)
                if time.monotonic() > self._until:
                    raise AirflowFailed(f"{title}：{LIMIT_SECONDS} 秒内没有完成")
                self._look()
                if SNAPSHOT in begun:
                    self.answer()
        self._say(line)
        return [
            f"{run.dag_id}：{'、'.join(self._api.failed_tasks(run)) or '运行失败'}"
            for run in runs
            if run.state == "failed"
        ]

    def _begin(self, dag_id: str, run_id: str) -> None:
        """Start a run of a DAG. A publication that its schedule owes comes by itself when the DAG is switched on."""
        owed = dag_id == SNAPSHOT and self._api.owed(dag_id, datetime.now().astimezone())
        self._api.switch(dag_id, on=True)
        if not owed:
            self._api.trigger(dag_id, run_id, NOTE)

    def answer(self) -> None:
        """Answer every question that is open, or print where it waits."""
        for question in self._api.questions():
            seen = self._seen.setdefault(question.key, time.monotonic())
            if question.key in self._asked or time.monotonic() - seen < SETTLES_WITHIN:
                continue
            self._asked.add(question.key)
            place = f"{self._airflow.url}/dags/{question.dag_id}/runs/{question.run_id}/tasks/{question.task_id}"
            if self._mode.ask:
                self._say(f"[yellow]等待审批[/] {question.subject}\n  请在此作答：{place}/required_actions")
                continue
            option = question.options[0]
            api = self._second if question.task_id == "second" else self._api
            api.answer(question, option, _filled(question))
            self._say(f"[yellow]待审批[/] {question.subject} → 演示自动选择“{option}”（{place}/required_actions）")

    def _await_dags(self, wanted: set[str]) -> None:
        while missing := wanted - self._api.dag_ids():
            self._look()
            errors = self._api.import_errors()
            if errors:
                raise AirflowFailed("DAG 文件不能用：" + "；".join(errors))
            if time.monotonic() > self._until:
                raise AirflowFailed(f"Airflow 没有读到这些 DAG：{'、'.join(sorted(missing))}")

    def _look(self) -> None:
        time.sleep(LOOK_EVERY)
        self._airflow.check()

    def _seconds(self) -> int:
        return round(time.monotonic() - self._started)

    def _say(self, words: str) -> None:
        _say(self._context, self._mode, words)


def _stay(context: "Context", airflow: EmbeddedAirflow) -> None:
    context.console.print(_door(airflow), highlight=False)
    context.console.print("Airflow 继续运行，按 Ctrl-C 结束。", highlight=False)
    try:
        while True:
            time.sleep(LOOK_EVERY)
            airflow.check()
    except KeyboardInterrupt:
        context.console.print("正在停止 Airflow……", highlight=False)


def _door(airflow: EmbeddedAirflow) -> str:
    second = f"复核放行批次的第二人：用户 [bold]{airflow.second}[/]  密码 [bold]{airflow.second_password}[/]"
    return f"Airflow：{airflow.url}  用户 [bold]{airflow.user}[/]  密码 [bold]{airflow.password}[/]\n  {second}"


def _filled(question: Question) -> dict[str, Any]:
    """Fill in what the question wants written; texts state that nobody looked."""
    return {
        name: REASON if value is None or isinstance(value, str) else value for name, value in question.params.items()
    }


def _accounts(context: "Context", contracts: Mapping[str, Contract]) -> list[dict[str, Any]]:
    context.home.here()
    return [
        pipeline.counts_of(context.home, contract, landed)
        for contract in contracts.values()
        for landed in landing.batches(context.home, contract.id)
    ]


def _current(context: "Context") -> dict[str, Any] | None:
    """Return the snapshots that readers are served, as the direct path reports them."""
    layout = context.home.here().layout
    found = {tier: snapshots.current(layout, tier) for tier in TIERS}
    government = found["government"]
    if government is None:
        return None
    tiers = {
        tier: {"path": context.home.settings.shown(layout.snapshot(tier, now.snapshot_id)), "tables": now.rows()}
        for tier, now in found.items()
        if now
    }
    return {"id": government.snapshot_id, "tiers": tiers}


@contextmanager
def _shown(context: "Context", mode: Mode) -> Iterator[Callable[[Mapping[str, Contract], str], None]]:
    """Give a function that shows how far the departments are: a live table, or a line now and then."""
    if mode.quiet:
        yield lambda *_: None
    elif context.console.is_terminal:
        with Live(console=context.console, transient=True, auto_refresh=False) as live:
            yield lambda contracts, line: live.update(
                Group(_progress(_departments(context, contracts)), line), refresh=True
            )
    else:
        told = [time.monotonic()]

        def tell(contracts: Mapping[str, Contract], line: str) -> None:
            if time.monotonic() - told[0] >= TELL_EVERY:
                told[0] = time.monotonic()
                total = [sum(numbers) for numbers in zip(*_departments(context, contracts).values(), strict=True)]
                arrived, admitted, held = total
                context.console.print(f"{line}；到件 {arrived}，入库 {admitted}，暂缓 {held}", highlight=False)

        yield tell


def _departments(context: "Context", contracts: Mapping[str, Contract]) -> dict[str, tuple[int, int, int]]:
    """Return for each department how many deliveries arrived, are admitted, are held."""
    found: dict[str, tuple[int, int, int]] = {}
    layout = context.home.here(scopes.FACTS).layout
    accounts = journal.accounts(layout)
    for contract in contracts.values():
        batches = landing.batches(context.home, contract.id)
        admitted = accounts.batches(contract.id)
        waiting = [b for b in batches if b.batch_id not in admitted]
        judged = [b for b in waiting if evidence.is_judged(layout.validation(contract.id, b.batch_id))]
        held = sum(pipeline.counts_of(context.home, contract, b)["verdict"] == "hold" for b in judged)
        counts = (len(batches), len(batches) - len(waiting), held)
        before = found.get(contract.department.name, (0, 0, 0))
        found[contract.department.name] = (before[0] + counts[0], before[1] + counts[1], before[2] + counts[2])
    return found


def _progress(departments: Mapping[str, tuple[int, int, int]]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("部门")
    for label in ("到件", "入库", "暂缓"):
        table.add_column(label, justify="right")
    for department, numbers in sorted(departments.items()):
        table.add_row(department, *(str(n) if n else "–" for n in numbers))
    return table


def _say(context: "Context", mode: Mode, words: str) -> None:
    if not mode.quiet:
        context.console.print(words, highlight=False, soft_wrap=True)
