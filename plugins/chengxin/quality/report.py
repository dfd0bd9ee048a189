"""The page of one validation: self-contained HTML in Chinese, light and dark, no outside asset."""

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files

import jinja2

from chengxin.facts import Finding, StandardBatch, Verdict
from chengxin.quality.evidence import BatchFacts
from chengxin.quality.verdict import Outcome

_STATUS = {"accept": "采用", "warn": "采用（有提醒）", "hold": "暂缓，待处理"}
_SEVERITY = {"critical": "严重", "warning": "提醒", "info": "提示"}
_ADMITTED = "<!-- 入库 -->"
# columns of history on the page
_SHOWN = 6


def render(
    title: str,
    counts: StandardBatch,
    verdict: Verdict,
    outcomes: Sequence[Outcome],
    *,
    fill: Mapping[str, float],
    titles: Mapping[str, str],
    history: Sequence[BatchFacts],
) -> str:
    """Return the HTML. fill: share by column; titles: Chinese column titles; history: facts of earlier batches."""
    source = files("chengxin.quality").joinpath("report.html.j2").read_text("utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    recent = list(history)[-_SHOWN:]
    guarded = {o.rule["kwargs"]["column"]: o for o in outcomes if "proportion_of_non_null" in o.rule["type"]}
    fills = [
        {
            "column": column,
            "title": titles.get(column, column),
            "share": share,
            "earlier": [facts.fill.get(column) for facts in recent],
            "bad": column in guarded and guarded[column].failed,
            "guarded": column in guarded,
        }
        for column, share in fill.items()
    ]
    return environment.from_string(source).render(
        title=title,
        counts=counts,
        verdict=verdict,
        status=_STATUS[verdict.status],
        severity=_SEVERITY,
        outcomes=sorted(outcomes, key=lambda o: (o.success, not o.counted)),
        fills=fills,
        earlier=[facts.batch_id for facts in recent],
        earlier_rows=[facts.rows for facts in recent],
    )


def admitted(page: str, status: str, findings: Sequence[Finding]) -> str:
    """Return the page with what was found when the batch was admitted; done again, it is equal."""
    before, *_, after = page.split(_ADMITTED) if _ADMITTED in page else (page, "")
    if not after:  # a page of an earlier version has no place for it
        return page
    told = "".join(
        f'  <li><b class="{f.severity}">{_SEVERITY[f.severity]}</b>　{escape(f.message)} <code>{f.rule}</code></li>\n'
        for f in findings
    )
    shown = f"{before}{_ADMITTED}\n<h2>入库时</h2>\n<ul>\n{told}</ul>\n{_ADMITTED}{after}"
    if status == "warn":
        shown = shown.replace('<div class="verdict accept">', '<div class="verdict warn">', 1)
        shown = shown.replace(f"<strong>{_STATUS['accept']}</strong>", f"<strong>{_STATUS['warn']}</strong>", 1)
    return shown


def released(page: str, reason: str, when: str) -> str:
    """Return the page of a held batch as it is once a person has let the batch in; equal when that stands there."""
    held = '<div class="verdict hold">'
    if 'class="verdict released' in page or held not in page:
        return page
    notice = (
        f'<div class="verdict released warn">\n  <strong>已人工放行</strong>\n  <span>{escape(reason)}</span>\n'
        f'  <span class="number dim">{escape(when)}</span>\n</div>\n\n'
    )
    shown = page.replace(f"<strong>{_STATUS['hold']}</strong>", "<strong>校验结论：暂缓</strong>", 1)
    return shown.replace(held, notice + held, 1)
