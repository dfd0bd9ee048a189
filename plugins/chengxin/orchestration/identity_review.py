"""The DAG of clerical review: it enters answers that somebody gave on the page 身份核对, and links by them at once."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from airflow.sdk import DAG, Param, ParamsDict, task  # type: ignore[attr-defined]  # Airflow's own stub lacks it

from chengxin.errors import ContractError
from chengxin.home import Home
from chengxin.orchestration import stages
from chengxin.orchestration.alerts import CALLBACKS
from chengxin.orchestration.ingest import SAID, START
from chengxin.orchestration.outcomes import RETRIES

log = logging.getLogger(__name__)
DAG_ID = "identity"
TEXT = """\
**名称核对**：记下“身份核对”页上的回答，随即为等待的行补关联。由页面以您的名义触发，不定时运行。

须两人核对的，第一人的回答只是提出，另一人照样再答一次才生效。撤销用命令 `chengxin identity undo 序号`。
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
