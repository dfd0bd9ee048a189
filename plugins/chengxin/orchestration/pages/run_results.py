"""What became of a run that somebody started from a page, in words: read until it is done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response

from chengxin.clock import Clock
from chengxin.facts import COUNTS
from chengxin.operations.alerts.book import Book
from chengxin.orchestration import forms
from chengxin.orchestration.identity_review import DAG_ID as IDENTITY_DAG
from chengxin.orchestration.ingest import dataset_of
from chengxin.orchestration.legal_acts import CONFIRM, PROPOSE
from chengxin.orchestration.legal_acts import DAG_ID as ACTS_DAG
from chengxin.orchestration.pages.access import IndexDep, Reader, ReaderDep
from chengxin.orchestration.pages.airflow_runs import Run, RunDep, run_page
from chengxin.orchestration.pages.needs import Words
from chengxin.orchestration.pages.rendering import language
from chengxin.orchestration.pages.words import english
from chengxin.orchestration.snapshot import DAG_ID as SNAPSHOT_DAG
from chengxin.store.layout import Layout

router = APIRouter()
SETTLES = timedelta(seconds=10)  # a failed task has told why by then


@dataclass(frozen=True)
class RunResult:
    """How far a run is. done: nothing more will be told. well: it did what was asked. href: where else to look."""

    words: tuple[Words, ...]
    done: bool = False
    well: bool = False
    href: str = ""


@router.get("/runs/{dag_id}/{run_id}")
def run_result(request: Request, reader: ReaderDep, home: IndexDep, run: RunDep, dag_id: str) -> Response:
    """Return state and words of a run as JSON: {done, well, text, href}."""
    if dataset := dataset_of(dag_id):
        reader.require(dataset)
    elif dag_id not in _mine(reader):
        raise HTTPException(404, "没有这个流程 (no such DAG)")
    if run is None:
        raise HTTPException(404, "没有这次运行 (no such run)")
    found = _result(home.layout, run)
    if found.done:
        home.look_anew()
    translate = english if language(request) == "en" else str
    text = " ".join(words.render(translate) for words in found.words)
    return JSONResponse({"done": found.done, "well": found.well, "text": text, "href": found.href})


def _mine(reader: Reader) -> set[str]:
    """Return the DAGs of no data set whose runs a reader may have started."""
    may = {SNAPSHOT_DAG: reader.may_publish(), IDENTITY_DAG: reader.may_judge(), ACTS_DAG: reader.may_act()}
    return {dag_id for dag_id, permitted in may.items() if permitted}


def _result(layout: Layout, run: Run) -> RunResult:
    if run.state == "queued":
        if run.paused:
            return RunResult((Words("该流程已停用，运行在排队；启用流程后才会运行。"),), done=True)
        return RunResult((Words("排队中：前一次运行结束后开始。"),))
    if run.state == "running":
        return _running(run)
    if run.state == "failed":
        why = _why(layout, run)
        if not why and run.ended and Clock().now() - run.ended < SETTLES:
            return RunResult((Words("运行失败，正在查明原因……"),))
        names = "、".join(sorted({name for name, at in run.tasks if at == "failed"})) or "–"
        what = Words(why) if why else Words("任务 {names} 失败，原因见任务日志。", {"names": names})
        return RunResult((Words("没有成功："), what, *words_of(run.said, partly=True)), done=True)
    if run.dag == SNAPSHOT_DAG:
        published = ("publish", "success") in run.tasks
        words = "已发布新快照。" if published else "没有发布新快照：没有变化，或审批意见为“不发布”。"
        return RunResult((Words(words),), done=True, well=published)
    return RunResult(tuple(words_of(run.said)), done=True, well=True)


def _running(run: Run) -> RunResult:
    if waiting := next((name for name, at in run.tasks if at == "awaiting_input"), None):
        href = f"{run_page(run.dag, run.run_id)}/tasks/{waiting}/required_actions"
        return RunResult((Words("有存疑的批次，等待审批；作答后发布。"),), done=True, href=href)
    again = [name for name, at in run.tasks if at == "up_for_retry"]
    if again:
        return RunResult((Words("任务 {names} 没有成功，稍后自动再试；可以关闭本窗口。", {"names": "、".join(again)}),))
    return RunResult((Words("运行中……"),))


def _why(layout: Layout, run: Run) -> str:
    """Return why a task of this run failed, as its alert tells."""
    pages = f"/dags/{run.dag}/runs/{run.run_id}/"
    found = [e for e in Book(layout).open_entries() if f"{e.cause.page}/".startswith(pages)]
    return max(found, key=lambda entry: entry.seen_at).cause.text if found else ""


def words_of(said: Sequence[dict[str, Any]], *, partly: bool = False) -> list[Words]:
    """Put what the tasks of an ingest run left into words. partly: of a run that failed, what it did all the same."""
    asked = next((one for one in said if "action" in one), {})
    batches = [one for one in said if "action" not in one]
    if partly:
        return _batches(batches)
    return [*_asked(asked, batches), *_batches(batches)]


def _asked(asked: dict[str, Any], batches: list[dict[str, Any]]) -> list[Words]:
    action = asked.get("action")
    if action == "judge":
        return _judged(asked)
    if action in {PROPOSE, CONFIRM}:
        return [_acted(asked)]
    if action == forms.REPLAY:
        if not asked["checked"]:
            return [Words("没有待更正的疑问数据，无可重放。")]
        left = asked["checked"] - asked["passed"]
        values = {"checked": asked["checked"], "passed": asked["passed"], "left": left}
        return [Words("重新检查 {checked} 行：{passed} 行通过，{left} 行仍退回。", values)]
    if action == forms.RELEASE:
        return [Words("已放行。" if batches else "该批次此前已入库，未作改动。")]
    if action in {forms.CLOSE, forms.REOPEN}:
        words = "办结 {n} 行。" if action == forms.CLOSE else "{n} 行重新列为待更正。"
        again = [Words("另有 {n} 行本来就是如此。", {"n": asked["already"]})] if asked["already"] else []
        return [Words(words, {"n": asked["changed"]}), *again]
    if asked.get("found") or batches:
        return [Words("收到 {n} 份新报送。", {"n": asked.get("found", 0)})]
    return [Words("来源处没有新的报送。")]


def _acted(said: dict[str, Any]) -> Words:
    if "refused" in said:
        return Words(said["refused"])
    proposed = "已提出第 {n} 号撤回，{records} 条记录已停止提供，待另一人确认。"
    confirmed = "已确认第 {n} 号撤回：{records} 条记录在下次发布时从全部快照撤下。"
    values = {"n": said["number"], "records": said["records"]}
    return Words(proposed if said["action"] == PROPOSE else confirmed, values)


def _judged(said: dict[str, Any]) -> list[Words]:
    found = [
        Words("记下 {n} 个回答，{batches} 个批次的行随之补关联。", {"n": said["entered"], "batches": said["batches"]})
    ]
    if said["proposed"]:
        found.append(Words("{n} 个待另一人确认。", {"n": said["proposed"]}))
    return [*found, *map(Words, said["refused"])]


def _batches(batches: list[dict[str, Any]]) -> list[Words]:
    """Return the account of the batches that were admitted, added up, and how many are held."""
    held, failed = ([one for one in batches if one.get(how)] for how in ("held", "failed"))
    admitted = [one for one in batches if one not in held and one not in failed]
    found = []
    if admitted:
        values = {name: sum(int(one.get(name, 0)) for one in admitted) for name in COUNTS}
        found.append(Words("入库 {n} 个批次：", {"n": len(admitted)}))
        account = "收到 {received} 行 = 入库 {accepted} + 疑问 {quarantined} + 重复 {duplicate} + 未关联 {unlinked}。"
        found.append(Words(account, values))
    if held:
        found.append(Words("{n} 个批次暂缓，未入库。", {"n": len(held)}))
    return found
