"""Prove that no file below `published/`, nor the assembly, holds a removed record: rows of Parquet, bytes of others."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chengxin.home import Home
from chengxin.publishing import key, pseudonyms
from chengxin.publishing.reader import Snapshot
from chengxin.publishing.suppression.rows import Found, remaining
from chengxin.records import acts
from chengxin.store import pointer
from chengxin.store.layout import ASSEMBLY, Layout

AUTHORISED = "authorised"


@dataclass(frozen=True)
class Swept:
    """What was read and what is left. left: file below the home -> rows, or mentions."""

    acts: int
    files: int
    left: dict[str, int]


def sweep(home: Home) -> Swept:
    """Read every distinct file of the tiers and of the assembly, folders under construction included.

    Raises ChengxinError where files are encrypted and their key is not given.
    """
    layout = home.layout
    removed = acts.read(layout).removed()
    found = Found(removed, pseudonyms.all_keys(home))
    private = {layout.overlay, layout.served_notices}
    distinct: dict[tuple[int, int], Path] = {}
    for path in (p for top in ("published", ASSEMBLY) for p in sorted((layout.home / top).rglob("*"))):
        if path.is_file() and path not in private:
            seen = path.stat()
            distinct.setdefault((seen.st_dev, seen.st_ino), path)
    encrypted = _encrypted(layout, key.derive(key.master(home), AUTHORISED))
    tables = {p: encrypted.get(p) for p in distinct.values() if p.suffix == ".parquet"}
    left = Counter(remaining(tables, found)) if removed else Counter[Path]()
    numbers = [n.encode() for n in found.numbers()]
    for path in (p for p in distinct.values() if p.suffix != ".parquet"):
        data = path.read_bytes()
        left[path] += sum(number in data for number in numbers)
    named = {str(path.relative_to(layout.home)): rows for path, rows in left.items() if rows}
    return Swept(len(removed), len(distinct), dict(sorted(named.items())))


def _encrypted(layout: Layout, key_given: bytes | None) -> dict[Path, Any]:
    """Return the files of the authorised tier, each with what decrypts it."""
    found: dict[Path, Any] = {}
    for name in pointer.snapshot_ids(layout, AUTHORISED):
        folder = layout.snapshot(AUTHORISED, name)
        snapshot = Snapshot(pointer.read_manifest(folder), folder, key=key_given)
        found |= {snapshot.path(entry): snapshot.decryption(entry) for entry in snapshot.manifest.files()}
    return found
