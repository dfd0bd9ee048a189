"""The receipt of a batch: what was received, what became of it, what to do. As JSON values and as a page of text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from chengxin.clock import SHANGHAI
from chengxin.contracts.models import Contract
from chengxin.facts import COUNTS
from chengxin.feedback import words
from chengxin.feedback.outcomes import Outcome, wait_until
from chengxin.model.assessment import assessment
from chengxin.model.working_days import working_days
from chengxin.records.refused import Standing

_TOP = 20  # kinds of problems on the page
_COUNTED = (
    ("untaken", words.HOW_UNTAKEN),
    ("overtaken", words.HOW_OVERTAKEN),
    ("same_number", words.HOW_SAME_NUMBER),
    ("misnamed", words.HOW_MISNAMED),
)


@dataclass(frozen=True)
class Settling:
    """How many rows of earlier batches a batch settles, by their batch: mended, and refused once more."""

    mended: Mapping[str, int] = field(default_factory=dict)
    again: Mapping[str, int] = field(default_factory=dict)


def settling(standing: Mapping[str, Standing]) -> dict[str, Settling]:
    """Return what each batch settles. standing: of the batches that refused rows, by batch id."""
    found: dict[str, tuple[dict[str, int], dict[str, int]]] = {}
    for batch_id, state in standing.items():
        for which, rows_by in enumerate((state.mended, state.again_in)):
            for by, rows in rows_by.items():
                found.setdefault(by, ({}, {}))[which][batch_id] = rows
    return {by: Settling(*both) for by, both in found.items()}


def body(
    contract: Contract, outcome: Outcome, standing: Standing, today: date, settles: Settling | None = None
) -> dict[str, Any]:
    """Return the receipt without its number: it is sent again when, and only when, this changes."""
    batch, own, said = outcome.batch, words.OwnWords.of(contract), outcome.verdict.released
    more: dict[str, Any] = {}
    if standing.open and outcome.account:
        more["mend_by"] = assessment().correction_deadline(outcome.arrived, working_days()).isoformat()
        more["mend_days"] = assessment().correction_days
    if outcome.counts["unlinked"]:
        until = wait_until(contract, outcome.arrived)
        more["waits"] = {"until": until.isoformat(), "over": today > until}
    if settles:
        more["settles"] = {"mended": dict(settles.mended), "again": dict(settles.again)}
    return {
        "format": 1,
        "department": contract.department.name,
        "dataset": contract.id,
        "title": contract.title,
        "batch_id": batch.batch_id,
        "delivery": batch.delivery,
        "received_files": [{"name": f.name, "size": f.size, "sha256": f.sha256} for f in batch.files],
        "received_at": batch.received_at.astimezone(SHANGHAI).isoformat(),
        "arrived_on": outcome.arrived.isoformat(),
        "mode": contract.delivery.mode,
        "verdict": outcome.verdict.status,
        "counts": {name: outcome.counts[name] for name in COUNTS},
        "refused": {
            "total": standing.refused,
            "open": standing.open,
            "mended": dict(standing.mended),
            "overtaken": standing.overtaken,
            "again": standing.again,
            **({"closed": dict(standing.closed)} if standing.closed else {}),
        },
        "findings": [
            {"severity": words.SEVERITY[f.severity], "message": words.for_department(f.message, f.rule, own)}
            for f in outcome.verdict.findings
        ]
        + ([{"severity": words.SEVERITY["info"], "message": f"人工放行：{said.reason}"}] if said else []),
        "advice": advice(contract, outcome, standing, more.get("waits")),
        **more,
        **({"superseded": outcome.superseded} if outcome.superseded else {}),
    }


def advice(contract: Contract, outcome: Outcome, standing: Standing, waits: Mapping[str, Any] | None = None) -> str:
    """Describe in one sentence what the department should do, as far as account and verdict tell."""
    if outcome.account is None:
        settled = not standing.open and standing.refused == outcome.counts["received"] > 0
        return words.HOW_SETTLED if settled else words.HOW_HELD
    if outcome.superseded:
        return words.NOTHING
    todo = []
    if standing.open:
        todo.append(f"请更正“需更正”表中的 {standing.open} 条记录后重新报送")
    if waits and waits["over"]:
        todo.append(f"请核对“待关联”表中的 {outcome.counts['unlinked']} 条记录的主体代码，有误的更正后重新报送")
    elif waits:
        until = words.day(waits["until"])
        todo.append(f"“待关联”表中的 {outcome.counts['unlinked']} 条请先等待（至 {until}），表中另有办法的除外")
    said = "；".join(todo) + "。" if todo else ""
    said += words.HOW_FULL if contract.delivery.mode == "full" and standing.open else ""
    warned = sum(f.severity == "warning" and f.rule not in words.SAID_ELSEWHERE for f in outcome.verdict.findings)
    return said + (words.HOW_WARNED.format(n=warned) if warned else "") or words.NOTHING


def todo(receipt: Mapping[str, Any]) -> list[str]:
    """Return the sentences that say what the department should do, all lists considered.

    receipt: with the advice of `body` and the counts of `package.build`.
    """
    if receipt.get("superseded"):
        return [receipt["advice"]]
    told = [text.format(n=receipt[name]) for name, text in _COUNTED if receipt.get(name)]
    if receipt["refused"]["open"] and any(p["rule"] == "row.not_a_record" for p in receipt["problems"]):
        told = [words.HOW_NO_RECORDS, *told]
    if receipt["advice"] != words.NOTHING:
        return [receipt["advice"], *told]
    doubts = sum(p["times"] for p in receipt["problems"] if p["level"] == "warning")
    if not told and doubts:
        return [words.HOW_DOUBTED.format(n=doubts)]
    return told or [receipt["advice"]]


def page(receipt: Mapping[str, Any]) -> str:
    """Return the receipt as text for people."""
    lines = [
        "诚信湖南　数据接收回执",
        "",
        f"报送部门：{receipt['department']}",
        f"数据集　：{receipt['title']}（{receipt['dataset']}）",
        f"来文　　：{receipt['delivery']}",
        f"接收时间：{_local(receipt['received_at'])}（北京时间）",
        *_arrival(receipt),
        f"批次号　：{receipt['batch_id']}",
        f"反馈编号：{receipt['id']}（第 {receipt['revision'] + 1} 次反馈{_again(receipt)}）",
        "",
        "一、处理结果",
        _outcome(receipt),
        *_counts(receipt),
        *_changes(receipt),
        "",
        "二、需要贵单位做什么",
        *receipt["todo"],
    ]
    if "mend_by" in receipt:
        lines.append(words.MEND_BY.format(day=words.day(receipt["mend_by"]), n=receipt["mend_days"]))
    if receipt.get("contact"):
        lines.append(f"联系人：{receipt['contact']}")
    if receipt["files"]:
        lines.append("附表：" + "、".join(receipt["files"]))
    if receipt["refused"]["open"] and receipt["verdict"] != "hold":
        again, back = words.AGAIN[receipt["mode"]], receipt["send_back"]
        lines += ["", "三、怎样更正", words.HOW_TO_MEND.format(again=again, back=back)]
    lines += _findings(receipt)
    lines += _listed(receipt["problems"], several=len(receipt["received_files"]) > 1)
    return "\n".join(lines) + "\n"


def summary(receipt: Mapping[str, Any]) -> str:
    """Return result and counts in one line."""
    return _outcome(receipt) + _sum(receipt) + "。"


def _arrival(receipt: Mapping[str, Any]) -> list[str]:
    """Describe when a delivery lay ready that was taken in on a later day: terms count from there."""
    on = receipt["arrived_on"]
    return [] if receipt["received_at"].startswith(on) else [f"送达日期：{words.day(on)}（各期限由此日起算）"]


def _outcome(receipt: Mapping[str, Any]) -> str:
    by = receipt.get("superseded")
    return words.SUPERSEDED.format(by=by) if by else words.OUTCOME[receipt["verdict"]]


def _sum(receipt: Mapping[str, Any]) -> str:
    counts = receipt["counts"]
    kept = "留存" if receipt.get("superseded") else "入库"
    if receipt["verdict"] == "hold" and not counts["received"]:
        return words.UNREAD
    return (
        f"收到 {counts['received']} 条 = {kept} {counts['accepted']} + 疑问 {counts['quarantined']}"
        f" + 重复 {counts['duplicate']} + 未关联 {counts['unlinked']}"
    )


def _counts(receipt: Mapping[str, Any]) -> list[str]:
    counts, refused = receipt["counts"], receipt["refused"]
    lines = [_sum(receipt)]
    if receipt["verdict"] == "hold":
        lines.append("（整批暂缓期间，各条记录都暂计为“疑问”，不代表每条都有错。）")
    meaning = {
        "quarantined": "疑问　：记录有误，未采用，见“需更正”表",
        "duplicate": "重复　：与已入库的内容相同，无需处理",
        "unlinked": "未关联：记录可用，但还不知道是哪一个主体，见“待关联”表；登记信息到达后自动入库",
    }
    lines += [f"　{text}" for name, text in meaning.items() if counts[name] and receipt["verdict"] != "hold"]
    if receipt.get("corrected"):
        lines.append(
            f"入库的记录中，{receipt['corrected']} 条曾等待关联，此后由更正的记录取代，见“已更正”表，无需处理。"
        )
    mended = sum(refused["mended"].values())
    if mended:
        lines.append(f"疑问 {refused['total']} 条中，已更正 {mended} 条，尚待更正 {refused['open']} 条。")
        lines += [f"　其中 {n} 条由批次 {by} 更正" for by, n in refused["mended"].items()]
    if refused["again"]:
        lines.append(f"疑问 {refused['total']} 条中，{refused['again']} 条此后又报来、仍然有误，以新批次的回执为准。")
    if refused.get("closed"):
        settled = sum(refused["closed"].values())
        lines.append(
            f"疑问 {refused['total']} 条中，{settled} 条经平台核实办结，不必再更正，尚待更正 {refused['open']} 条。"
        )
        lines += [f"　其中 {n} 条：{reason}" for reason, n in refused["closed"].items()]
    settles = receipt.get("settles", {"mended": {}, "again": {}})
    lines += [f"本批更正了批次 {b} 的疑问 {n} 条，已核销。" for b, n in settles["mended"].items()]
    lines += [
        f"批次 {b} 的疑问中 {n} 条本批又报来、仍然有误，转由本批的“需更正”表列出。" for b, n in settles["again"].items()
    ]
    if refused["overtaken"]:
        lines.append("已收到更新的全量报送，本批疑问记录不必再更正；以新一期的回执为准。")
    return lines


def _changes(receipt: Mapping[str, Any]) -> list[str]:
    """Describe what is different from the answer before."""
    since = receipt.get("since")
    if not since:
        return []
    told = [text.format(n=since[name]) for name, text in words.SINCE.items() if since[name]]
    return [f"与上次反馈相比：{'，'.join(told) or '数量没有变化'}；尚待更正 {receipt['refused']['open']} 条。"]


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, int]:
    """Return what is different between two receipts of a batch: rows settled, moved on, refused, linked or let in."""
    old, new = before["refused"], now["refused"]
    moved = new["again"] - old["again"]
    settled = (new["total"] - new["open"]) - (old["total"] - old["open"]) - moved
    is_in = before["verdict"] == "hold" != now["verdict"]
    linked = 0 if is_in else before["counts"]["unlinked"] - now["counts"]["unlinked"]
    return {
        "let_in": now["counts"]["received"] if is_in else 0,
        "settled": max(settled, 0),
        "moved": max(moved, 0),
        "reopened": max(-settled, 0) + (0 if is_in else max(new["total"] - old["total"], 0)),
        "linked": max(linked, 0),
    }


def _findings(receipt: Mapping[str, Any]) -> list[str]:
    told = [f"　[{f['severity']}] {f['message']}" for f in receipt["findings"]]
    return ["", "校验意见", *told] if told else []


def _listed(problems: list[dict[str, Any]], *, several: bool) -> list[str]:
    if not problems:
        return []
    lines = ["", "本批各类问题（次数；包括已入库记录中未采用或需留意的值）"]
    lines += [
        f"　{p['times']} 次　{_field(p['column'])}{p['problem']}。{p['remedy']}。（{_places(p, several)}；{p['rule']}）"
        for p in problems[:_TOP]
    ]
    more = len(problems) - _TOP
    return [*lines, f"　另有 {more} 类，见回执.json"] if more > 0 else lines


def _places(problem: Mapping[str, Any], several: bool) -> str:
    """Describe in which rows a problem stands: 第 3、9 行等; of several files, in which files."""
    rows: dict[str, list[str]] = {}
    for place in problem["places"]:
        rows.setdefault(place["file"] if several else "", []).append(str(place["row"]))
    told = "、".join(f"{file} 第 {'、'.join(numbers)} 行".strip() for file, numbers in rows.items())
    return told + ("等" if problem["times"] > len(problem["places"]) else "")


def _field(column: str) -> str:
    return f"【{column}】" if column else ""


def _again(receipt: Mapping[str, Any]) -> str:
    return "，替代此前各次" if receipt["revision"] else ""


def _local(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
