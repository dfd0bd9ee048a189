"""From GX results and batch counts to findings in words, and from findings to accept, warn or hold."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from chengxin.contracts.models import Contract
from chengxin.facts import BatchLevel, Doubt, Finding, StandardBatch, VerdictStatus
from chengxin.model.rules import in_words
from chengxin.quality.evidence import BatchFacts
from chengxin.quality.scan import RowRef

# observed_value of these is a share or a number of rows, never a value of a row
_COUNTING = ("proportion", "unique_value_count", "table_")
#: How rules begin that a whole delivery gives rise to, not single rows of it.
_OF_ALL_ROWS = ("quarantine.", "volume.", "freshness", "size.", "rounded.")
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
        """Return whether the rule enters the verdict."""
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


def batch_doubts(
    contract: Contract,
    counts: StandardBatch,
    history: Sequence[BatchFacts] = (),
    restates: str | None = None,
    ahead: date | None = None,
) -> list[Doubt]:
    """Return what the counts of a batch cast doubt on: columns, an empty delivery, the share refused, an old list.

    history: facts of earlier admitted batches, oldest first. restates: see facts.Batch. ahead: the day as of which it
    counts, where that had not come yet.
    """
    if counts.mismatch is not None:
        return [Doubt(rule="delivery.mismatch", found=counts.mismatch)]
    if counts.received == 0:
        return [_empty(contract)]
    old = [Doubt(rule="delivery.restated", found=restates)] if restates else []
    refused = _refused_share(contract, counts.received, counts.quarantined)
    old += [Doubt(rule="delivery.future", found=f"{ahead:%Y-%m-%d}")] if ahead else []
    return [*old, *_is_whole(contract, counts, history), *refused]


def _is_whole(contract: Contract, counts: StandardBatch, history: Sequence[BatchFacts]) -> Iterator[Doubt]:
    """Ask whether these are all the rows: by what the files state, by their ends, by the delivery before."""
    is_full = contract.delivery.mode == "full"
    yield from counts.doubts
    torn = counts.rules.get("error:row.cut_off", 0)
    if not is_full and torn:  # a full delivery that breaks off does not get so far
        yield Doubt(rule="increment.cut_off", found=torn, rows=torn)
    if not is_unended(counts) or torn:
        return
    # Alone it means little: some programs never end the last row, and lists get shorter.
    before = next((f for f in reversed(history) if not is_full or f.mode == "full"), BatchFacts())
    less = before.received - counts.received
    if before.unended is False and (less > 0 or not is_full):
        yield Doubt(rule="delivery.unended", found=less) if is_full else Doubt(rule="increment.unended")


def is_unended(counts: StandardBatch) -> bool:
    """Return whether the last row of a file has no line break."""
    return "warning:row.last_unended" in counts.rules


@dataclass(frozen=True)
class Answering:
    """How many rows of a batch answer refusals of earlier batches, and how many of these were refused again."""

    received: int = 0
    quarantined: int = 0


def findings_of(
    contract: Contract,
    counts: StandardBatch,
    suite: Mapping[str, Any],
    *,
    doubts: Iterable[Doubt],
    outcomes: Sequence[Outcome],
    answering: Callable[[], Answering] = Answering,
) -> list[Finding]:
    """Turn all that casts doubt on a batch into the findings of its verdict: doubts, then expectations that failed.

    answering: asked where some share is doubtful; rows that answer known refusals do not count in it.
    """
    failed = {str(done.rule["meta"]["rule"]) for done in outcomes if done.failed}
    milder = {f"{rule}.warn" for rule in failed}  # the graver of two bounds on the same covers it
    found = [in_words(doubt) for doubt in doubts]
    found += [finding(done) for done in outcomes if done.failed and done.rule["meta"]["rule"] not in milder]
    if any(is_of_all_rows(f, suite) for f in found):
        return without_answers(contract, counts, found, suite, answering())
    return found


def is_of_all_rows(found: Finding, suite: Mapping[str, Any]) -> bool:
    """Return whether a finding is about all rows of a delivery together: a share, their number, their newest day."""
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
    """Return what is left when rows that answer known refusals are not counted.

    A full list is judged as it is: what it does not hold is withdrawn.
    """
    if not known.received or contract.delivery.mode == "full":
        return list(findings)
    others = counts.received - known.received
    left = [f for f in findings if not f.rule.startswith("quarantine.")]
    if others < contract.quality.min_rows:
        left = [f for f in left if not is_of_all_rows(f, suite)]
    refused = _refused_share(contract, others, counts.quarantined - known.quarantined)
    return left + [in_words(doubt) for doubt in refused]


def _refused_share(contract: Contract, received: int, quarantined: int) -> list[Doubt]:
    """Judge how many rows were refused. Few rows mean nothing as a share, unless none of them is usable."""
    if received <= 0:
        return []
    share, limits = quarantined / received, contract.quality.quarantined
    if quarantined == received:
        return [Doubt(rule="quarantine.all", found=quarantined, rows=quarantined)]
    if received < contract.quality.min_rows or share <= limits.warn:
        return []
    level: BatchLevel = "critical" if share > limits.hold else "warning"
    limit = limits.hold if level == "critical" else limits.warn
    words = {"place": f"{share:.1%}", "stated": f"{limit:.1%}"}
    return [Doubt(rule="quarantine.share", level=level, **words, found=quarantined, rows=quarantined)]


def _empty(contract: Contract) -> Doubt:
    if contract.delivery.mode == "full":
        return Doubt(rule="delivery.empty_list", found=0)
    least = contract.quality.rows[0] if contract.quality.rows is not None else 0
    return Doubt(rule="delivery.too_few", stated=least, found=0) if least else Doubt(rule="delivery.empty", found=0)


def status_of(findings: Iterable[Finding]) -> VerdictStatus:
    """Return hold for any critical finding, warn for any warning, else accept."""
    severities = {f.severity for f in findings}
    if "critical" in severities:
        return "hold"
    return "warn" if "warning" in severities else "accept"
