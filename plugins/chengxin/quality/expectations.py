"""One expectation as a suite holds it; severity, title and notes come from model/rules.yaml."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from chengxin.errors import ContractError
from chengxin.facts import BatchLevel
from chengxin.model.elements import elements
from chengxin.model.rules import batch_rule
from chengxin.model.schema import PROVENANCE, element_columns

Expectation = dict[str, Any]


def expectation(
    kind: str,
    rule: str,
    kwargs: Mapping[str, Any],
    *,
    level: BatchLevel | None = None,
    place: str = "",
    stated: str = "",
    found: str = "",
) -> Expectation:
    """Return an expectation of GX type `kind`.

    level: where it is not the rule's. place, stated, found: fill the rule's words in.
    """
    said = batch_rule(rule)
    filled = {"place": place, "stated": stated, "found": found}
    meta = {"rule": rule, "title": said.zh.format(**filled)}
    notes = said.mend_zh.format(**filled)
    return {"type": kind, "kwargs": dict(kwargs), "severity": level or said.level, "notes": notes, "meta": meta}


def load_pack(pack: Path, kind: str) -> list[Expectation]:
    """Read expectations/<kind>.json with the words of its rules; no file, no rules."""
    path = pack / f"{kind}.json" if pack.is_dir() else pack
    if not path.is_file():
        return []
    try:
        body = json.loads(path.read_text("utf-8"))
        return [_with_words(rule) for rule in body["expectations"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ContractError(f"规则文件 {path.name} 不可用：{error}") from error


def _with_words(raw: Mapping[str, Any]) -> Expectation:
    kwargs = raw["kwargs"]
    columns = [kwargs[key] for key in ("column_B", "column", "column_A") if key in kwargs]
    titles = [_title(column) for column in columns] or [""]
    bound = next((kwargs[key] for key in ("min_value", "max_value") if kwargs.get(key)), "")
    stated = titles[1] if len(titles) > 1 else f"{bound:,}" if isinstance(bound, int) else str(bound)
    made = expectation(raw["type"], raw["meta"]["rule"], kwargs, place=titles[0], stated=stated)
    return {**made, **raw, "meta": {**made["meta"], **raw["meta"]}}


@cache
def _title(column: str) -> str:
    titles = {c.name: e.title for e in elements().values() for c in element_columns(e)}
    return titles.get(column) or next((c.title or column for c in PROVENANCE if c.name == column), column)
