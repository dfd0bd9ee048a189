"""The DAG of legal acts: it enters a withdrawal that somebody proposes on the page 依法共享, and another confirms."""

import logging
from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from typing import Any

from airflow.sdk import DAG, Param, ParamsDict, task  # type: ignore[attr-defined]  # Airflow's own stub lacks it

from chengxin.errors import ActRefused, ContractError
from chengxin.home import Home
from chengxin.orchestration.alerts import CALLBACKS
from chengxin.orchestration.ingest import SAID, START
from chengxin.orchestration.outcomes import RETRIES

log = logging.getLogger(__name__)
DAG_ID = "acts"
PROPOSE, CONFIRM = "propose", "confirm"
ACTIONS = {PROPOSE: "提出撤回", CONFIRM: "确认撤回（须为另一人）"}
TEXT = """\
**撤回**：记下“依法共享”页上提出或确认的撤回。由页面以您的名义触发，不定时运行。

提出后记录立即不再提供；另一人确认后从全部快照中撤下，并通知得到过它的接收方。其余文书用命令。
"""
_FORM: dict[str, tuple[str | None, str, dict[str, Any]]] = {
    "action": (PROPOSE, "", {"title": "要做什么", "type": "string", "enum": list(ACTIONS), "values_display": ACTIONS}),
    "record": (
        None,
        "用于提出：记录编号（record_id），勿填证件号码",
        {"title": "记录编号", "type": ["null", "string"], "pattern": "^[0-9a-f]{32}$"},
    ),
    "document": (
        None,
        "用于提出：撤回依据的文书",
        {"title": "文书号", "type": ["null", "string"], "minLength": 2, "maxLength": 100},
    ),
    "day": (None, "用于提出", {"title": "文书日期", "type": ["null", "string"], "format": "date"}),
    "number": (None, "用于确认", {"title": "撤回的编号", "type": ["null", "string"], "pattern": "^[0-9]{1,9}$"}),
}
Say = Callable[[dict[str, Any]], None]


def build() -> DAG:
    """Build the DAG."""
    with DAG(
        dag_id=DAG_ID,
        dag_display_name="撤回",
        doc_md=TEXT,
        tags=["依法共享"],
        schedule=None,
        start_date=START,
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,  # nothing of it runs until somebody acts
        default_args={**RETRIES, **CALLBACKS, "owner": "信用中心"},
    ) as dag:

        @task(task_display_name="记下撤回 enter")
        def enter_act(*, params: Any, dag_run: Any, ti: Any) -> None:
            enter(params, dag_run.triggering_user_name, partial(ti.xcom_push, SAID))

        enter_act()
    dag.params.update(
        ParamsDict({n: Param(value, text, "dag", schema=schema) for n, (value, text, schema) in _FORM.items()})
    )
    return dag


def enter(params: Mapping[str, Any], by: str | None, say: Say) -> None:
    """Propose a withdrawal or confirm one; raise ContractError where nobody is known to do so, or a field is missing.

    A refusal is logged and changes nothing.
    """
    from chengxin.pipeline import acts

    if not by:
        raise ContractError("撤回须由登录的用户提出和确认：须两人办理，要知道各是谁")
    action, home = params["action"], Home.from_environment()
    needed = ("number",) if action == CONFIRM else ("record", "document", "day")
    if missing := [_FORM[name][2]["title"] for name in needed if not params.get(name)]:
        raise ContractError(f"表单缺少：{'、'.join(missing)}")
    try:
        if action == CONFIRM:
            case = acts.confirm(home, int(params["number"]), (), by=by)
        else:
            target, day = acts.Target(record_id=params["record"]), date.fromisoformat(params["day"])
            case = acts.enter(home, "withdrawal", target, by=by, document=params["document"], day=day)
    except ActRefused as error:
        log.warning("%s", error)
        say({"action": action, "refused": str(error)})
        return
    say({"action": action, "number": case.act.id, "records": len(case.records)})
