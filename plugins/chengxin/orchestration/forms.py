"""The trigger form of an ingest DAG, in Chinese: what an operator may ask of one data set beyond its schedule."""

from datetime import datetime
from typing import Any

from airflow.sdk import Param, ParamsDict  # type: ignore[attr-defined]  # Airflow's own stub lacks it

from chengxin.clock import SHANGHAI
from chengxin.errors import ContractError

NEW, FILE, REPLAY, RELEASE, CLOSE, REOPEN, SINCE = "new", "file", "replay", "release", "close", "reopen", "since"

ACTIONS = {
    NEW: "接收新报送（与定时运行相同）",
    FILE: "接收指定文件",
    REPLAY: "重放疑问数据（合同修订后）",
    RELEASE: "放行暂缓批次（核实后）",
    CLOSE: "办结疑问数据（核实后不必再更正）",
    REOPEN: "撤销办结，重新列为待更正",
    SINCE: "从指定时间起重新拉取",
}


_FORM: dict[str, tuple[str | None, str | None, dict[str, Any]]] = {
    "action": (NEW, None, {"title": "要做什么", "type": "string", "enum": list(ACTIONS), "values_display": ACTIONS}),
    "file": (
        None,
        "仅用于“接收指定文件”：收件箱内的路径，从投递总目录算起，如 tax/arrears/2026-10.csv",
        {"title": "文件", "type": ["null", "string"], "pattern": r"^[^\x00]{1,500}$"},
    ),
    "batch": (
        None,
        "用于“重放疑问数据”（只重放这一批次，留空为全部）、“放行暂缓批次”、“办结疑问数据”和撤销办结",
        {"title": "批次号", "type": ["null", "string"], "pattern": r"^[a-z0-9_]+-\d{8}-[0-9a-f]{12}$"},
    ),
    "rows": (
        None,
        "用于“办结疑问数据”和撤销办结：来文中的行号，如 12,15-18；一批有多个文件的，写 文件名:12",
        {"title": "行号", "type": ["null", "string"], "minLength": 1, "maxLength": 2000},
    ),
    "reason": (
        None,
        "用于“放行暂缓批次”“办结疑问数据”和撤销办结：核实的情况。放行的写入校验结论与快照清单，办结的写入给部门的回执，"
        "请勿写个人信息",
        {"title": "理由", "type": ["null", "string"], "minLength": 2, "maxLength": 500},
    ),
    "since": (
        None,
        "仅用于“从指定时间起重新拉取”；已收到的相同内容不会重复入库",
        {"title": "起始时间", "type": ["null", "string"], "format": "date-time"},
    ),
}


def ingest_form() -> ParamsDict:
    """Return the parameters of an ingest DAG. A scheduled run takes the defaults."""
    return ParamsDict({n: Param(value, text, "dag", schema=schema) for n, (value, text, schema) in _FORM.items()})


def asked_release(params: dict[str, Any], by: str | None) -> tuple[str, str, str]:
    """Return the batch to be released, why and by whom; raise ContractError in words."""
    batch, reason = params.get("batch"), (params.get("reason") or "").strip()
    if not batch or not reason:
        raise ContractError("放行须在表单中填写批次号和理由")
    if not by:
        raise ContractError("放行须由登录的用户触发：放行人不能批准自己放行的批次，所以要知道是谁")
    return batch, reason, by


def asked_rows(params: dict[str, Any], by: str | None) -> tuple[str, list[str], str, str]:
    """Return batch, rows, by whom and why of a demand to settle refused rows; raise ContractError in words."""
    batch, rows, reason = (str(params.get(n) or "").strip() for n in ("batch", "rows", "reason"))
    if not (batch and rows and reason):
        raise ContractError("办结疑问数据须在表单中填写批次号、行号和理由")
    return batch, rows.splitlines(), by or "（未署名）", reason


def asked_since(params: dict[str, Any]) -> datetime:
    """Return the instant from which to ask again, by default in China's time; raise ContractError in words."""
    try:
        moment = datetime.fromisoformat(params.get("since") or "")
    except ValueError as error:
        raise ContractError("请在表单中填写起始时间，如 2026-10-01T00:00:00+08:00") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI)
