"""Why a batch is held and how that is settled: the same words on the pages, in alerts and on the command line."""

from dataclasses import dataclass
from typing import Any

from chengxin.quality import evidence
from chengxin.store import atomic
from chengxin.store.layout import Layout


@dataclass(frozen=True, kw_only=True)
class Hold:
    """A held batch. why: its critical findings, in Chinese. rules: of these. mismatch: columns that do not fit, or ''.

    releasable: a person may let it in: its columns fit, and some row of it is usable or none came.
    """

    dataset: str
    batch_id: str
    why: tuple[str, ...]
    rules: tuple[str, ...]
    mismatch: str
    releasable: bool

    @property
    def command(self) -> str:
        """Return the command that releases it."""
        return f"chengxin release {self.dataset} {self.batch_id} --reason 核实的情况"

    def remedy(self) -> str:
        """Describe in Chinese what to do."""
        wrong = "数据有误的，请部门更正重报；合同有误的，改后触发流程"
        if not self.releasable:
            return f"没有一行可用，不能放行：{wrong}"
        return f"核实无误的，在批次页按“放行”，或运行 {self.command}；{wrong}"


def hold_of(layout: Layout, dataset: str, batch_id: str) -> Hold:
    """Read what is kept of a held batch; what is missing or damaged states nothing."""
    verdict = evidence.readable_verdict(layout.validation(dataset, batch_id))
    findings = verdict.findings if verdict else ()
    counts = _read(layout, dataset, batch_id, "standard/summary.json")
    grave = [f for f in findings if f.severity == "critical"]
    mismatch = str(counts.get("mismatch") or "")
    usable = bool(findings) and not mismatch and bool(counts.get("passed") or not counts.get("received"))
    why = tuple(f.message for f in grave) or ((mismatch,) if mismatch else ())
    return Hold(
        dataset=dataset,
        batch_id=batch_id,
        why=why,
        rules=tuple(sorted({f.rule for f in grave})),
        mismatch=mismatch,
        releasable=usable,
    )


def _read(layout: Layout, dataset: str, batch_id: str, name: str) -> dict[str, Any]:
    try:
        body = atomic.read_json(layout.batch(dataset, batch_id) / name)
    except (OSError, ValueError):
        return {}
    return body if isinstance(body, dict) else {}
