"""Every rule that may cast doubt on a value, a row or a batch: level and words, Chinese first. Read from rules.yaml."""

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from chengxin.errors import ContractError
from chengxin.facts import Doubt, Finding
from chengxin.model.declarations import read_yaml


class Rule(BaseModel):
    """One rule.

    of: a row (an issue row names it), a batch (a verdict names it) or a link (an answer names it for a row of an
    admitted batch). level: of rows, error = the value cannot be used
    and becomes null, warning = it is kept, maybe corrected; of batches, critical = held, warning or info = accepted.
    zh/en: one sentence on what is wrong; mend_zh/mend_en: what the sending department should do. row_...: the same of
    one row, of rules of batches whose rows an answer lists.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    of: Literal["row", "batch", "link"] = "row"
    level: Literal["error", "critical", "warning", "info"]
    zh: str
    en: str
    mend_zh: str = ""
    mend_en: str = ""
    row_zh: str = ""
    row_en: str = ""
    row_mend_zh: str = ""
    row_mend_en: str = ""


@cache
def _all() -> dict[str, Rule]:
    body = read_yaml(Path(__file__).parent / "rules.yaml")
    return {key: Rule(id=key, **value) for key, value in body.items()}


@cache
def rules() -> dict[str, Rule]:
    """Return the rules that issue rows name, by id."""
    return {key: rule for key, rule in _all().items() if rule.of == "row"}


@cache
def batch_rules() -> dict[str, Rule]:
    """Return the rules that verdicts name, by id; of some a part is `*`."""
    return {key: rule for key, rule in _all().items() if rule.of == "batch"}


@cache
def link_rules() -> dict[str, Rule]:
    """Return the rules that answers name for rows of admitted batches, by id."""
    return {key: rule for key, rule in _all().items() if rule.of == "link"}


def row_words(rule_id: str) -> tuple[str, str]:
    """Return what is wrong with a row that an answer lists, and what to do; {place} is the row that counts instead."""
    rule = _all()[rule_id]
    return (rule.zh, rule.mend_zh) if rule.of == "link" else (rule.row_zh, rule.row_mend_zh)


@cache
def batch_rule(rule_id: str) -> Rule:
    """Return the rule of a batch by its id, or the closest one with `*` in the place of kinds and columns."""
    parts = rule_id.split(".")
    found = [key for key in batch_rules() if _fits(key.split("."), parts)]
    if not found:
        raise ContractError(f"没有规则 {rule_id}，见 docs/reference/rules.md")
    return batch_rules()[min(found, key=lambda key: key.count("*"))]


def _fits(key: list[str], parts: list[str]) -> bool:
    return len(key) == len(parts) and all(k in ("*", p) for k, p in zip(key, parts, strict=True))


def in_words(doubt: Doubt) -> Finding:
    """Return a doubt about a batch as its verdict keeps it: with the words of its rule."""
    rule = batch_rule(doubt.rule)
    places = {"file": doubt.file, "place": doubt.place, "stated": doubt.stated, "found": doubt.found}
    words = (rule.zh, rule.mend_zh) if rule.mend_zh else (rule.zh,)
    message = "。".join(text.format(**places) for text in words)
    level = doubt.level or rule.level
    assert level != "error", doubt.rule
    found = None if doubt.found is None else str(doubt.found)
    return Finding(doubt.rule, level, message, found, doubt.rows)
