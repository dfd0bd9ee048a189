"""The operators' and administrators' pages know every alert and every metric that the code does, and no other."""

import re
from pathlib import Path

from chengxin.operations.alerts.causes import KINDS
from chengxin.orchestration.metrics import METRICS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_alert_has_its_row_with_meaning_and_remedy():
    rows = dict(
        re.findall(
            r"^\| (\S+ `[a-z]+`) \| (.+ \| .+) \|$", (DOCS / "operators" / "alerts.md").read_text("utf-8"), re.MULTILINE
        )
    )
    assert set(rows) == {f"{kind.name} `{name}`" for name, kind in KINDS.items()}


def test_every_metric_has_its_row_with_kind_and_tags():
    text = (DOCS / "deployment.md").read_text("utf-8")
    rows = re.findall(r"^\| `(chengxin\.[a-z_.]+)` \| (\w+)[^|]*\| ?([a-z, ]*) ?\| .+ \|$", text, re.MULTILINE)
    assert {name: (kind, tags.strip()) for name, kind, tags in rows} == {
        name: (kind, tags) for name, (kind, tags, _) in METRICS.items()
    }
