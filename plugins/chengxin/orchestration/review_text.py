"""What a person reads before approving a snapshot."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from chengxin.clock import SHANGHAI
from chengxin.orchestration.answers import REJECT

WHY = {"warn": "有告警", "shrunk": "全量减少", "released": "**已放行**", "held": "**暂缓**"}
NAMES = {
    "received": "收到",
    "accepted": "入库",
    "quarantined": "疑问",
    "duplicate": "重复",
    "unlinked": "未关联",
    "withdrawn": "撤下",
}
ACTIONS = {"added": "新增", "changed": "更新", "withdrawn": "撤下"}
MOST = 50
FEW = 5
EXAMPLES = 40


def markdown(review: Mapping[str, Any], pages: str) -> str:
    """Return the question: what is new and would change, then each doubtful batch with counts, findings and a link.

    review: as JSON (pipeline.review.Review). pages: the path of our pages in Airflow.
    """
    doubts: Sequence[Mapping[str, Any]] = review["doubts"]
    heads = ["数据集", "部门", "批次", "情况", *NAMES.values()]
    lines = [
        f"待发布 **{review['fresh']}** 个新批次，收到 {review['rows']:,} 行；"
        f"当前快照：{review['previous'] or '（尚无）'}。",
        "",
        *_changes(review["changes"], pages),
        f"以下 **{len(doubts)}** 项请核对：",
        "",
        f"| {' | '.join(heads)} |",
        f"|{' --- |' * 4}{' ---: |' * len(NAMES)}",
    ]
    for doubt in doubts[:MOST]:
        counts = [f"{doubt['counts'][name]:,}" if name in doubt["counts"] else "" for name in NAMES]
        row = [_cell(doubt["title"]), _cell(doubt["department"]), _link(doubt, pages), WHY[doubt["why"]], *counts]
        lines.append(f"| {' | '.join(row)} |")
    lines += ["", *_findings(doubts[:MOST], pages)]
    if len(doubts) > MOST:
        lines += ["", f"另有 {len(doubts) - MOST} 项，见“批次”页。"]
    if any(doubt["why"] == "held" for doubt in doubts):
        lines += ["", "暂缓的批次不在发布之列；核实后可在其批次页“放行”。"]
    if any(doubt["why"] == "released" for doubt in doubts):
        lines += ["", "已放行的批次在发布之列：此问之后还须由放行人和首位审批人以外的人复核。"]
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


def first_opinion(said: Mapping[str, Any]) -> str:
    """Return the first person's answer, to stand before the second question."""
    left_out = f"，不含 {'、'.join(map(_cell, said['without']))}" if said["without"] else ""
    return (
        f"首位审批人 **{_cell(said['by'])}** 的答复：{said['decision']}{left_out}；意见：{_cell(said['reason'])}。\n\n"
    )


def _changes(changes: Sequence[Mapping[str, Any]], pages: str) -> list[str]:
    """Return how many records of each table come, change and go, with a few of them."""
    if not changes:
        return ["发布后各表记录不变。", ""]
    lines = ["发布后的变化（记录数）：", "", f"| 表 | {' | '.join(ACTIONS.values())} |", "| --- | ---: | ---: | ---: |"]
    for one in changes:
        counts = " | ".join(f"{one[action]:,}" for action in ACTIONS)
        lines.append(f"| {_cell(one['title'])} `{one['kind']}` | {counts} |")
    shown = [(one, example) for one in changes for example in one["examples"]]
    lines += ["", "例：", ""] if shown else [""]
    for one, example in shown[:EXAMPLES]:
        values = "，".join(f"{_cell(title)} {_code(text)}" for title, text in example["values"].items())
        said = values or "自然人的记录，不列内容"
        place = f"{_link(example, pages)} 第 {example['source_row']} 行"
        lines.append(f"- {ACTIONS[example['action']]}·{_cell(one['title'])}：{said}（{place}）")
    return [*lines, ""]


def _findings(doubts: Sequence[Mapping[str, Any]], pages: str) -> list[str]:
    lines = []
    for doubt in doubts:
        report = f"{pages}/batches/{doubt['dataset']}/{doubt['batch_id']}/validation"
        lines += [f"- **{_cell(doubt['title'])}**（{doubt['batch_id']}，[校验报告]({report})）"]
        if released := doubt.get("released"):
            lines += [f"  - **{_cell(released['by'])}** 已放行，理由：{_cell(released['reason'])}"]
        lines += [f"  - {_cell(message)}" for message in doubt["findings"][:FEW]]
        left = len(doubt["findings"]) - FEW
        lines += [f"  - 另有 {left} 条"] if left > 0 else []
    return lines


def _link(about: Mapping[str, Any], pages: str) -> str:
    return f"[{about['batch_id']}]({pages}/batches/{about['dataset']}/{about['batch_id']})"


def _cell(text: str) -> str:
    """Return a text that is only a text: it breaks no table, and no mark or link in it counts."""
    return re.sub(r"([\\`*_\[\]<>~#!])", r"\\\1", " ".join(text.replace("|", "｜").split()))


def _code(text: str) -> str:
    return f"`{' '.join(text.replace('|', '｜').replace('`', '´').split())}`"
