"""The code lists: official short codes, their names, and the other spellings departments use. codelists/*.csv."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_REGIONS = "regions"  # has periods and successors of its own: model.regions


@dataclass(frozen=True)
class Code:
    """One value of a code list. aliases: texts that mean the same, besides code and name."""

    code: str
    name: str
    name_en: str
    aliases: tuple[str, ...]


@cache
def codelists() -> dict[str, dict[str, Code]]:
    """Return every code list: list name -> code -> entry, in file order."""
    found: dict[str, dict[str, Code]] = {}
    for path in sorted((Path(__file__).parent / "codelists").glob("*.csv")):
        if path.stem != _REGIONS:
            found[path.stem] = _read(path)
    return found


def _read(path: Path) -> dict[str, Code]:
    entries: dict[str, Code] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["code"] in entries:
                raise ValueError(f"code list {path.stem} has {row['code']} twice")
            aliases = tuple(alias for alias in row["aliases"].split("|") if alias)
            entries[row["code"]] = Code(row["code"], row["name"], row["name_en"], aliases)
    return entries
