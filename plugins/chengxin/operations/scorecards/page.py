"""The page of a scorecard: self-contained HTML in Chinese, light and dark, no outside asset."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import jinja2

from chengxin.contracts.cadence import WORDS

_SCOPES = {"departments": "各部门", "prefectures": "各市州"}


def page(body: Mapping[str, Any]) -> str:
    """Return the HTML of a scorecard."""
    source = files("chengxin.operations.scorecards").joinpath("scorecard.html.j2").read_text("utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    by_department: dict[str, list[dict[str, Any]]] = {}
    for one in body["datasets"]:
        by_department.setdefault(one["department"], []).append(one)
    return environment.from_string(source).render(
        body=body, scopes=_SCOPES, rules=body["rules"], datasets=by_department, cadence=WORDS, remarks=remarks(body)
    )


def remarks(body: Mapping[str, Any]) -> list[str]:
    """Describe in Chinese what a reader of a scorecard must know beside the numbers."""
    found = []
    if body["state"] == "draft":
        found.append(f"这是草稿，只算到 {body['through']}，定稿时可能不同。")
    unknown = body["calendar"]["unknown_years"]
    if unknown:
        years = "、".join(map(str, unknown))
        found.append(f"{years} 年的节假日尚未录入，工作日按周一至周五计（见 model/working_days.yaml）。")
    never = [one["name"] for one in body["datasets"] if one["last_arrival"] is None]
    if never:
        shown = "、".join(never[:10]) + (f" 等 {len(never)} 个" if len(never) > 10 else "")
        found.append(f"尚未收到过报送的数据集：{shown}。")
    return found
