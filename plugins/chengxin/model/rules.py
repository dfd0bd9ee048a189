"""The rules that an issue row can name: level and words, Chinese first. Read from rules.yaml."""

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from chengxin.model.declarations import read_yaml


class Rule(BaseModel):
    """One rule. level error = the value cannot be used and becomes null; warning = it is kept, maybe mended.

    zh/en: one sentence that says what is wrong; mend_zh/mend_en: what the sending department should do.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    level: Literal["error", "warning"]
    zh: str
    en: str
    mend_zh: str
    mend_en: str


@cache
def rules() -> dict[str, Rule]:
    """Return all rules by id."""
    body = read_yaml(Path(__file__).parent / "rules.yaml")
    return {key: Rule(id=key, **value) for key, value in body.items()}
