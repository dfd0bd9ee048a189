"""The DAGs of clerical review.

One enters what somebody answered on the page 身份核对, and links by it at once; the other puts a question of
Airflow's every morning, which states how many names wait.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import (  # type: ignore[attr-defined]  # Airflow's own stub lacks some
    DAG,
    CronTriggerTimetable,
    Param,
    ParamsDict,
    task,
)
from airflow.sdk.exceptions import AirflowSkipException

from chengxin.clock import SHANGHAI
from chengxin.errors import ContractError
from chengxin.home import Home
from chengxin.orchestration import stages
from chengxin.orchestration.alerts import CALLBACKS
from chengxin.orchestration.ingest import SAID, START
from chengxin.orchestration.outcomes import RETRIES

log = logging.getLogger(__name__)
DAG_ID, BELL = "identity", "identity_bell"
MORNING = CronTriggerTimetable("30 8 * * *", timezone=SHANGHAI.key)
SEEN = "已知悉"
HEAVIEST = 20  # names that the question lists
TEXT = """\
**名称核对**：记下“身份核对”页上的回答，随即为等待的行补关联。由页面以您的名义触发，不定时运行。

须两人核对的，第一人的回答只是提出，另一人照样再答一次才生效。撤销用命令 `chengxin identity undo 序号`。
"""
BELL_TEXT = """\
**待核对提醒**：每天早上在 Airflow 的“待办”里提醒有多少名称等人核对，列出最要紧的几个；没有则跳过。

核对在“身份核对”页上做，这里只须点“已知悉”；到次日无人点也不影响什么。
"""
_ANSWER = {
    "type": "object",
    "required": ["about", "outcome"],
    "additionalProperties": False,
    "properties": {
        "about": {"type": "string", "pattern": "^[0-9a-f]{12}$"},
        "outcome": {"enum": ["same", "different", "unsure"]},
    },
}
_ANSWERS = {"title": "回答", "type": "array", "maxItems": 1000, "items": _ANSWER}
_REASON = {"title": "如何核实", "type": ["null", "string"], "maxLength": 500}
Say = Callable[[dict[str, Any]], None]


def build() -> DAG:
    """Build the DAG. Its task reads the contracts."""
    with DAG(
        dag_id=DAG_ID,
        dag_display_name="名称核对",
        doc_md=TEXT,
        tags=["统一标识"],
        schedule=None,
        start_date=START,
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,  # nothing of it runs until somebody answers
        default_args={**RETRIES, **CALLBACKS, "owner": "信用中心"},
    ) as dag:

        @task(task_display_name="记下回答 answer")
        def answer(*, params: Any, dag_run: Any, ti: Any) -> None:
            enter(params, dag_run.triggering_user_name, partial(ti.xcom_push, SAID))

        answer()
    form = {
        "answers": Param([], "编号见“身份核对”页或 chengxin identity review", "dag", schema=_ANSWERS),
        "reason": Param(None, "写入判断，请勿写个人信息", "dag", schema=_REASON),
    }
    dag.params.update(ParamsDict(form))
    return dag


def build_bell() -> DAG:
    """Build the DAG that asks every morning. Nothing hangs on the answer: the work is done on the page."""
    with DAG(
        dag_id=BELL,
        dag_display_name="待核对提醒",
        doc_md=BELL_TEXT,
        tags=["统一标识"],
        schedule=MORNING,
        start_date=START,
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,  # skipped where nothing waits
        default_args={**RETRIES, **CALLBACKS, "owner": "信用中心"},
    ) as dag:

        @task(task_display_name="清点 count")
        def count() -> dict[str, Any]:
            return waiting()

        ask = HITLOperator(
            task_id="ask",
            task_display_name="提醒 ask",
            subject="{{ ti.xcom_pull(task_ids='count')['names'] }} 个名称待核对",
            body="{{ ti.xcom_pull(task_ids='count')['text'] }}",
            options=[SEEN],
            defaults=[SEEN],
            response_timeout=timedelta(hours=20),
        )
        count() >> ask
    return dag


def waiting() -> dict[str, Any]:
    """Return how many names wait for a person, and a text with the heaviest. Raise AirflowSkipException for none."""
    from chengxin.pipeline import judgements
    from chengxin.store.remote import scopes

    cases = judgements.queue(Home.from_environment().here(scopes.WITHOUT_PAYLOAD)).cases
    if not cases:
        raise AirflowSkipException("没有名称待核对")
    heavy = sum(case.is_heavy for case in cases)
    lines = [f"{len(cases)} 个名称待核对，其中 {heavy} 个须两人。请到页面“身份核对”上作答，此处只须知悉。", ""]
    lines += ["| 编号 | 行数 | 候选 | 数据集 |", "| --- | --- | --- | --- |"]
    for case in cases[:HEAVIEST]:
        datasets = "、".join(sorted({dataset for dataset, _ in case.batches}))
        lines.append(f"| {case.id} | {case.rows} | {len(case.pairs)} | {datasets} |")
    return {"names": len(cases), "text": "\n".join(lines)}


def enter(params: Mapping[str, Any], by: str | None, say: Say) -> None:
    """Enter the answers of a form and try the waiting rows; raise ContractError where nobody is known to have answered.

    A task that is run again finds its answers entered, and refuses them one by one.
    """
    from chengxin import pipeline
    from chengxin.errors import JudgementRefused
    from chengxin.pipeline import judgements

    if not by:
        raise ContractError("核对须由登录的用户触发：须两人核对的，要知道各是谁")
    given: Sequence[Mapping[str, Any]] = params.get("answers") or ()
    said = [judgements.Answer(about=one["about"], outcome=one["outcome"]) for one in given]
    home, reason = Home.from_environment(), (params.get("reason") or "").strip() or judgements.REASON
    done = judgements.answer(home, said, by=by, reason=reason)
    refused = [str(one) for one in done if isinstance(one, JudgementRefused)]
    for sentence in refused:
        log.warning("%s", sentence)
    entered = [one for one in done if not isinstance(one, JudgementRefused)]
    proposed = sum(one.needs_second and one.confirms is None for one in entered)
    changed = pipeline.retry_waiting(home, stages.contracts()) if len(entered) > proposed else []
    say(
        {
            "action": "judge",
            "entered": len(entered) - proposed,
            "proposed": proposed,
            "refused": refused[:5],
            "batches": len(changed),
        }
    )
