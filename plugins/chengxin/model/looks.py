"""What values of some sort look like: an authority, a business, a tax. Read from looks.yaml."""

from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from chengxin.model.declarations import read_yaml


class Look(BaseModel):
    """One sort of values. ends, shortest: what the pattern gives for most values, by their end or length."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    regex: str
    ends: dict[str, bool] = Field(default_factory=dict)
    shortest: int = 0


@cache
def looks() -> dict[str, Look]:
    """Return all looks by name."""
    found: dict[str, Look] = {}
    for name, body in read_yaml(Path(__file__).with_name("looks.yaml")).items():
        look = Look(**body)
        for earlier, known in found.items():
            look = look.model_copy(update={"regex": look.regex.replace(f"<{earlier}>", known.regex)})
        found[name] = look
    return found


@cache
def by_regex() -> dict[str, Look]:
    """Return all looks by pattern."""
    return {look.regex: look for look in looks().values()}
