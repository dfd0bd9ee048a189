"""Words of which names are invented and by which they are corrupted: words.yaml and the divisions of Hunan."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from chengxin.model.regions import regions


@cache
def words() -> dict[str, Any]:
    """Return the words."""
    body: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "words.yaml").read_text("utf-8"))
    return body | {"characters": body["characters"].replace(" ", "").replace("\n", "")}


@cache
def divisions() -> dict[str, list[str]]:
    """Return today's counties of each of Hunan's prefectures, by name."""
    today = [r for r in regions() if r.code.startswith("43") and r.valid_to is None and not r.successor and r.name]
    prefectures = {r.code[:4]: r.name for r in today if r.level == "prefecture"}
    counties = [r for r in today if r.level == "county" and r.name != "市辖区" and r.code[:4] in prefectures]
    return {name: [c.name for c in counties if c.code.startswith(code)] for code, name in prefectures.items()}
