"""Prove that no file below `published/` holds a removed record: rows of every Parquet file, bytes of every other."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from chengxin.home import Home
from chengxin.publishing.open_tier import key
from chengxin.publishing.suppression.rows import Found, remaining
from chengxin.records import acts


@dataclass(frozen=True)
class Swept:
    """What was read and what is left. left: file below the home -> rows, or mentions."""

    acts: int
    files: int
    left: dict[str, int]


def sweep(home: Home) -> Swept:
    """Read every distinct file below `published/`, folders under construction included."""
    layout = home.layout
    removed = acts.read(layout).removed()
    found = Found(removed, key.derive(key.master(home)))
    distinct: dict[tuple[int, int], Path] = {}
    for path in sorted((layout.home / "published").rglob("*")):
        if path.is_file() and path != layout.overlay:
            seen = path.stat()
            distinct.setdefault((seen.st_dev, seen.st_ino), path)
    tables = [p for p in distinct.values() if p.suffix == ".parquet"]
    left = Counter(remaining(tables, found)) if removed else Counter[Path]()
    numbers = [n.encode() for n in found.numbers()]
    for path in (p for p in distinct.values() if p.suffix != ".parquet"):
        data = path.read_bytes()
        left[path] += sum(number in data for number in numbers)
    named = {str(path.relative_to(layout.home)): rows for path, rows in left.items() if rows}
    return Swept(len(removed), len(distinct), dict(sorted(named.items())))
