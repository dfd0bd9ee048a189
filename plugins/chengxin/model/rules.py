"""The rules that an issue row can name: level and words, Chinese first. Read from rules.yaml."""

from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict


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
    body = yaml.safe_load((Path(__file__).parent / "rules.yaml").read_text("utf-8"))
    return {key: Rule(id=key, **value) for key, value in body.items()}
