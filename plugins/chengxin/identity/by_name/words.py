"""Words of names of organisations, read from words.yaml."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

PATH = Path(__file__).parent / "words.yaml"
#: Classes of legal forms; 0 is none.
FORMS = (
    "",
    "limited",
    "stock",
    "company",
    "factory",
    "shop",
    "cooperative",
    "branch",
    "partnership",
    "institution",
    "group",
)


@dataclass(frozen=True)
class Words:
    """forms: word -> class and how many characters are cut off; in_brackets: word -> class; marks: one set a class."""

    forms: dict[str, tuple[int, int]]
    in_brackets: dict[str, int]
    inner: re.Pattern[str]
    marks: tuple[str, ...]
    organisation: re.Pattern[str]


@cache
def words() -> Words:
    """Return the words."""
    body: dict[str, Any] = yaml.safe_load(PATH.read_text("utf-8"))
    cut: dict[str, int] = {**body["cut"], **dict.fromkeys(body["kept"], 0)}
    number = {name: place for place, name in enumerate(FORMS)}
    return Words(
        forms={w: (number[name], cut.get(w, len(w))) for name, group in body["forms"].items() for w in group},
        in_brackets={word: number[name] for word, name in body["in_brackets"].items()},
        inner=re.compile(f"(?:{'|'.join(body['inner'])})(?=..)"),
        marks=tuple(body["marks"].values()),
        organisation=re.compile("|".join(body["organisation"])),
    )


def may_be_person(name: str) -> bool:
    """Return whether a name may be a natural person's: short or with a dot, and without a word of an organisation."""
    return (len(name) <= 4 or "·" in name) and not words().organisation.search(name)
