"""From GX results and batch counts to findings in words, and from findings to accept, warn or hold."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from chengxin.contracts.models import Contract
from chengxin.facts import Finding, StandardBatch, VerdictStatus
from chengxin.quality.scan import RowRef

# observed_value of these is a share or a number of rows, never a value of a row
_COUNTING = ("proportion", "unique_value_count", "table_")
#: What is said of a last row without line break, and of a full delivery that is held for it.
UNENDED = "row.last_unended"
CUT_OFF = "row.cut_off"
#: How findings begin that a whole delivery gives rise to, not single rows of it.
_OF_ALL_ROWS = (
    "quarantine.share", "volume.", "freshness", "size.", "running.", "repeated.", "crossed.", "rounded.",
)  # fmt: skip
_KEPT = (
    "element_count", "unexpected_count", "unexpected_percent", "unexpected_percent_total",
    "unexpected_percent_nonmissing", "missing_count", "missing_percent", "details",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """One judged expectation: the rule as bound, GX's result, first failing rows.

    counted: False when the rule failed but the batch has too few rows for it to say anything.
    observed: what may be shown of observed_value (None where it is a value of a row that could be personal).
    """

    rule: Mapping[str, Any]
    success: bool
    result: Mapping[str, Any]
    counted: bool = True
    observed: Any = None
    failing: tuple[RowRef, ...] = field(default=())

    @property
    def failed(self) -> bool:
        """Tell whether the rule enters the verdict."""
        return not self.success and self.counted


def outcome(rule: Mapping[str, Any], judged: Mapping[str, Any], rows: int, shown: Iterable[str]) -> Outcome:
    """Reduce one GX result. rows: of the batch; shown: columns whose extreme values may be shown."""
    raw = judged["result"]
    result = {key: raw[key] for key in _KEPT if key in raw}
    observed = raw.get("observed_value")
    if not any(word in rule["type"] for word in _COUNTING) and rule["kwargs"].get("column") not in shown:
        observed = None
    empty = rule["meta"].get("or_empty", False) and raw.get("observed_value") == 0
    enough = empty or rows >= int(rule["meta"].get("min_rows", 0))
    return Outcome(rule, bool(judged["success"]), result, enough, observed)


def as_result(done: Outcome) -> dict[str, Any]:
    """Return the JSON of one outcome in GX's shape, without ids, times and values of rows."""
    rule = done.rule
    config = {"type": rule["type"], "kwargs": rule["kwargs"], "meta": rule["meta"], "notes": rule.get("notes")}
    body = {**done.result, **({} if done.observed is None else {"observed_value": done.observed})}
    return {
        "success": done.success,
        "counted": done.counted,
        "expectation_config": {**config, "severity": rule["severity"]},
        "result": body,
        "failing_rows": [list(row) for row in done.failing],
    }


def finding(done: Outcome) -> Finding:
    """Put a failed outcome into words."""
    meta = done.rule["meta"]
    unexpected = done.result.get("unexpected_count")
    return Finding(
        rule=str(meta["rule"]),
        severity=done.rule["severity"],
        message=_message(done),
        observed=None if done.observed is None else _text(done.observed),
        failing_rows=None if unexpected is None else int(unexpected),
    )


def _message(done: Outcome) -> str:
    kind, kwargs, title = done.rule["type"], done.rule["kwargs"], done.rule["meta"]["title"]
    if "proportion_of_non_null" in kind:
        before = f"（此前 {done.rule['meta']['usual']:.1%}）" if "usual" in done.rule["meta"] else ""
        if not kwargs.get("min_value"):
            return f"{title} 0.0%{before}，整列为空"
        share = float(done.observed or 0)
        return f"{title} {share:.1%}{before}，低于下限 {float(kwargs['min_value']):.1%}"
    if "before" in done.rule["meta"]:
        return _shrunk(done)
    if kind.startswith("expect_table_row_count"):
        return f"{title}：共 {done.observed} 行，{_limits(kwargs)}"
    unexpected = done.result.get("unexpected_count")
    if "element_count" in done.result:
        share = done.result.get("unexpected_percent") or 0.0
        allowed = 1 - float(kwargs.get("mostly", 1))
        also = f"，允许 {allowed:.1%}" if allowed > 0 else ""
        return f"{title}：{unexpected} 行不符合（{share:.1f}%{also}）{_where(done.failing)}"
    if unexpected:
        return f"{title}：有 {unexpected} 个取值不在允许范围内"
    if done.rule["meta"]["rule"] == "freshness":
        newest = f"最新一条记录的日期为 {done.observed}" if done.observed else "没有一条记录有日期"
        return f"{title}：{newest}，应不早于 {kwargs['min_value']}"
    actual = "未能取得" if done.observed is None else f"实际为 {_text(done.observed)}"
    return f"{title}：{actual}，{_limits(kwargs)}"


def _shrunk(done: Outcome) -> str:
    title, before, now = done.rule["meta"]["title"], int(done.rule["meta"]["before"]), int(done.observed or 0)
    less = f"{title}：本次 {now} 行，比上一次全量的 {before} 行少 {before - now} 行（{1 - now / before:.1%}）"
    if done.rule["severity"] != "critical":
        return f"{less}；缺少的记录将被撤下"
    return (
        f"{less}，缺少的记录会被撤下，故暂不采用。请向提供部门核实：交付不完整的，请其重报；"
        "确属减少的，用 chengxin release 放行并写明理由"
    )


def _limits(kwargs: Mapping[str, Any]) -> str:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if low is not None and high is not None:
        return f"应在 {_text(low)} 至 {_text(high)} 之间"
    if low is not None:
        return f"应不小于 {_text(low)}"
    if high is not None:
        return f"应不大于 {_text(high)}"
    return f"应为 {_text(kwargs['value'])}" if "value" in kwargs else "与规则不符"


def _where(rows: Sequence[RowRef]) -> str:
    if not rows:
        return ""
    file = rows[0][0]
    return f"，例如 {file} 第 {'、'.join(str(row) for name, row in rows if name == file)} 行"


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def batch_findings(
    contract: Contract, counts: StandardBatch, history: Sequence[Mapping[str, Any]] = (), restates: str | None = None
) -> list[Finding]:
    """Judge what the counts say: mismatch, empty delivery, a file cut off, share of rows in 疑问数据; an old list.

    history: facts of earlier admitted batches, oldest first. restates: see handover.Batch.
    """
    if counts.mismatch is not None:
        return [Finding("delivery.mismatch", "critical", f"交付与数据合同不符：{counts.mismatch}")]
    if counts.received == 0:
        return [_empty(contract)]
    return [
        *_restated(restates),
        *_unfinished(counts),
        *_stated(contract, counts),
        *_looks(counts),
        *_perhaps_cut(contract, counts, history),
        *_refused_share(contract, counts.received, counts.quarantined),
    ]


def _unfinished(counts: StandardBatch) -> Iterator[Finding]:
    """Hold a file that says itself that it is one page of a list, an answer that failed, or not written to its end."""
    if counts.unfinished:
        told = "、".join(counts.unfinished)
        yield Finding(
            "delivery.unfinished",
            "critical",
            f"文件在记录之外有 {told}：多半只是接口的一页，没有导完，或是一次失败的应答，不是完整的清单，故暂不采用。"
            "请向提供部门核实：没有导完的，请其重报；确是全部记录的，用 chengxin release 放行并写明理由",
        )


def _looks(counts: StandardBatch) -> Iterator[Finding]:
    """Tell of rows that whoever looks at a workbook may take otherwise than they were read."""
    if counts.unseen:
        message = f"{'；'.join(counts.unseen)}，已照常读取。请与提供部门核对：不应报送的，请其删去这些行后重报"
        yield Finding("rows.unseen", "warning", message)
    if counts.merged:
        yield Finding("rows.merged", "info", "；".join(counts.merged))


def _restated(batch_id: str | None) -> Iterator[Finding]:
    """Hold a full list that may be an old one sent by mistake: it would take back what came since."""
    if batch_id:
        yield Finding(
            "delivery.restated",
            "critical",
            f"本次的名单与以前收到的 {batch_id} 一字不差，而其后还收到过内容不同的名单；采用它会撤回其后的变化，"
            "故暂不采用。请向提供部门核实：误报了旧文件的，不必再报；"
            "名单确已恢复原样的，用 chengxin release 放行并写明理由",
            batch_id,
        )


def unended(counts: StandardBatch) -> bool:
    """Tell whether the last row of a file has no line break."""
    return f"warning:{UNENDED}" in counts.rules


def _stated(contract: Contract, counts: StandardBatch) -> Iterator[Finding]:
    """Hold what has another number of records than its manifest says, or a full list fewer than its own total."""
    ask = "请向提供部门核实：没有传完的，请其重报；数字写错的，用 chengxin release 放行并写明理由"
    for said in counts.stated:
        read = f"实际读到 {said.read} 条（不计列名、合计和说明）"
        if said.by == "manifest":
            message = f"清单写明“{said.file}”有 {said.stated} 条记录，{read}，故暂不采用。{ask}"
            yield Finding("rows.manifest", "critical", message, str(said.read))
        elif said.by == "total" and contract.delivery.mode == "full" and said.read < said.stated:
            message = f"“{said.file}”写明共 {said.stated} 条，{read}，缺少的记录会被撤下，故暂不采用。{ask}"
            yield Finding("rows.total", "critical", message, str(said.read))
        else:
            count = f"{said.stated} 条" if said.by == "total" else f"{said.stated}（户、人或件）"
            message = f"“{said.file}”写明共 {count}，{read}。请与提供部门核对是否有缺失"
            yield Finding("rows.total", "warning", message, str(said.read))


def _perhaps_cut(contract: Contract, counts: StandardBatch, history: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Hold a full delivery whose last row has no line break, as the one before had, and which has fewer rows.

    Either alone says little: some programs never end the last row, and lists get shorter. An increment is taken with a
    warning where its last row is torn, or lacks the line break that the one before had.
    """
    if contract.delivery.mode != "full":
        yield from _torn_increment(counts, history)
        return
    before: Mapping[str, Any] = next((f for f in reversed(history) if f.get("mode") == "full"), {})
    less = int(before.get("received", 0)) - counts.received
    if unended(counts) and before.get("unended") is False and less > 0:
        yield Finding(
            UNENDED,
            "critical",
            f"文件最后一行没有以换行结束（上一次全量的有），并比上一次少 {less} 行：多半没有传完，缺少的记录会被撤下，"
            "故暂不采用。请向提供部门核实：没有传完的，请其重报；确是完整的，用 chengxin release 放行并写明理由",
            str(less),
        )


def _torn_increment(counts: StandardBatch, history: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    torn = counts.rules.get(f"error:{CUT_OFF}", 0)
    after = "已读出的记录照常采用；请提供部门核对是否有缺失，重新报送完整的文件（已采用的不会重复入库）"
    if torn:
        message = f"文件在中间断开，最后一条记录不完整，其后的记录没有收到。{after}"
        yield Finding(CUT_OFF, "warning", message, str(torn), torn)
    elif unended(counts) and history and history[-1].get("unended") is False:
        message = f"文件最后一行没有以换行结束（上一次的有）：可能没有传完，最后一个值可能不完整。{after}"
        yield Finding(UNENDED, "warning", message)


@dataclass(frozen=True)
class Answering:
    """How many rows of a batch answer refusals of earlier batches, and how many of these were refused again."""

    received: int = 0
    quarantined: int = 0


def is_of_all_rows(found: Finding, suite: Mapping[str, Any]) -> bool:
    """Tell whether a finding speaks of all rows of a delivery together: of a share, their number, their newest day."""
    if found.rule.startswith(_OF_ALL_ROWS):
        return True
    shares = {e["meta"]["rule"] for e in suite["expectations"] if "min_rows" in e["meta"]}
    return found.rule in shares


def without_answers(
    contract: Contract,
    counts: StandardBatch,
    findings: Sequence[Finding],
    suite: Mapping[str, Any],
    known: Answering,
) -> list[Finding]:
    """Return what is still to be said when rows that answer known refusals are not counted.

    A full list is judged as it is: what it does not hold is withdrawn.
    """
    if not known.received or contract.delivery.mode == "full":
        return list(findings)
    others = counts.received - known.received
    left = [f for f in findings if f.rule != "quarantine.share"]
    if others < contract.quality.min_rows:
        left = [f for f in left if not is_of_all_rows(f, suite)]
    return left + _refused_share(contract, others, counts.quarantined - known.quarantined)


def _refused_share(contract: Contract, received: int, quarantined: int) -> list[Finding]:
    """Judge how many rows were refused. Few rows say nothing of a share, but that none of them is usable."""
    if received <= 0:
        return []
    share, limits = quarantined / received, contract.quality.quarantined
    words, observed = f"疑问数据 {quarantined} 行，占 {share:.1%}", f"{share:.4f}"
    if quarantined == received:
        message = f"{words}，没有一行可用"
    elif received < contract.quality.min_rows or share <= limits.warn:
        return []
    elif share > limits.hold:
        message = f"{words}，高于上限 {limits.hold:.1%}"
    else:
        message = f"{words}，高于提醒线 {limits.warn:.1%}"
        return [Finding("quarantine.share", "warning", message, observed, quarantined)]
    return [Finding("quarantine.share", "critical", message, observed, quarantined)]


def _empty(contract: Contract) -> Finding:
    severity: Literal["critical", "info"] = "info"
    message = "本次交付没有数据行"
    if contract.delivery.mode == "full":
        severity, message = "critical", message + "；全量交付为空会撤下全部记录，故暂不采用"
    elif contract.quality.rows is not None and contract.quality.rows[0] > 0:
        severity, message = "critical", message + f"，数据合同要求至少 {contract.quality.rows[0]} 行"
    return Finding("delivery.empty", severity, message, "0")


def status_of(findings: Iterable[Finding]) -> VerdictStatus:
    """Return hold for any critical finding, warn for any warning, else accept."""
    severities = {f.severity for f in findings}
    if "critical" in severities:
        return "hold"
    return "warn" if "warning" in severities else "accept"
