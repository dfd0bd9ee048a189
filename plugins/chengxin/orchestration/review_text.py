"""What a person reads before approving a snapshot, and what becomes of the answer."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from chengxin.clock import SHANGHAI
from chengxin.errors import ContractError

PUBLISH, WITHOUT, REJECT = "发布", "不含所选来源发布", "不发布"
OPTIONS = [PUBLISH, WITHOUT, REJECT]
WHY = {"warn": "有告警", "shrunk": "全量减少", "held": "**暂缓**"}
NAMES = {
    "received": "收到",
    "accepted": "入库",
    "quarantined": "疑问",
    "duplicate": "重复",
    "unlinked": "未关联",
    "withdrawn": "撤下",
}
MOST = 50
FEW = 5
MARKED = "（在 Airflow 中直接标记为成功，未留意见）"


def markdown(previous: str | None, fresh: int, rows: int, doubts: Sequence[Mapping[str, Any]], pages: str) -> str:
    """Return the question: how much is new, then each doubtful batch with counts, findings and a link.

    pages: the path of our pages in Airflow.
    """
    heads = ["数据集", "部门", "批次", "情况", *NAMES.values()]
    lines = [
        f"待发布 **{fresh}** 个新批次，收到 {rows:,} 行；当前快照：{previous or '（尚无）'}。",
        "",
        f"以下 **{len(doubts)}** 项请核对：",
        "",
        f"| {' | '.join(heads)} |",
        f"|{' --- |' * 4}{' ---: |' * len(NAMES)}",
    ]
    for doubt in doubts[:MOST]:
        counts = [f"{doubt['counts'][name]:,}" if name in doubt["counts"] else "" for name in NAMES]
        link = f"[{doubt['batch_id']}]({pages}/batches/{doubt['dataset']}/{doubt['batch_id']})"
        row = [_cell(doubt["title"]), _cell(doubt["department"]), link, WHY[doubt["why"]], *counts]
        lines.append(f"| {' | '.join(row)} |")
    lines += ["", *_findings(doubts[:MOST], pages)]
    if len(doubts) > MOST:
        lines += ["", f"另有 {len(doubts) - MOST} 项，见“批次”页。"]
    if any(doubt["why"] == "held" for doubt in doubts):
        lines += ["", "暂缓的批次不在发布之列；核实后可在其批次页“放行”。"]
    return "\n".join(lines)


def rejections(said: Sequence[Mapping[str, Any]]) -> str:
    """Return how often publication was refused since the last snapshot, and why; to stand before the question."""
    if not said:
        return ""
    last = said[-1]
    by = f"{_cell(last['by'])}，" if last["by"] else ""
    at = datetime.fromisoformat(last["at"]).astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M")
    reason = _cell(last["reason"]) if last["reason"] else "逾时无人作答"
    return f"此前 {len(said)} 次答复“{REJECT}”；最近一次（{by}{at}）：{reason}。\n\n"


def _findings(doubts: Sequence[Mapping[str, Any]], pages: str) -> list[str]:
    lines = []
    for doubt in doubts:
        report = f"{pages}/batches/{doubt['dataset']}/{doubt['batch_id']}/validation"
        lines += [f"- **{_cell(doubt['title'])}**（{doubt['batch_id']}，[校验报告]({report})）"]
        lines += [f"  - {_cell(message)}" for message in doubt["findings"][:FEW]]
        left = len(doubt["findings"]) - FEW
        lines += [f"  - 另有 {left} 条"] if left > 0 else []
    return lines


def _cell(text: str) -> str:
    return text.replace("|", "｜").replace("\n", " ")


def said_of(found: Mapping[str, Any], said: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the fields of an approval from the answer of the form; found: what was asked, as of stages.review.

    A task that somebody marks as successful gives no answer: that is an approval too, and written down as such. Raise
    ContractError where sources are to be left out and none was chosen.
    """
    answer = dict(said or {"chosen_options": [PUBLISH]})
    decision = answer["chosen_options"][0]
    typed = answer.get("params_input") or {}
    left_out = sorted(set(typed.get("without") or ()) & set(found["choices"])) if decision == WITHOUT else []
    if decision == WITHOUT and not left_out:
        raise ContractError(f"选了“{WITHOUT}”却没有选来源；请清除（Clear）审批任务，重新作答")
    user, at = answer.get("responded_by_user") or {}, answer.get("responded_at")
    return {
        "decision": decision,
        "reason": typed.get("reason") or (MARKED if said is None else ""),
        "by": user.get("name") or user.get("id") or "",
        "at": (at if isinstance(at, datetime) else datetime.now(UTC)).isoformat(),
        "without": tuple(left_out),
        "held": tuple(found["held"]),
        "upto": found["upto"],
    }
