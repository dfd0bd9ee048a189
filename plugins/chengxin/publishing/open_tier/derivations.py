"""What the files of a derived tier were made from, and until when they hold: kept in the home, never published.

Of a small file the digest alone gives hidden values away: whoever knows the rest tries them out. The day
until which a file holds may be the eighteenth birthday of somebody hidden in it.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from chengxin.errors import InvariantBroken
from chengxin.publishing.open_tier.generalisation import SUFFIX
from chengxin.publishing.open_tier.rules import CREDIT_RECORD
from chengxin.store import atomic
from chengxin.store.layout import Layout
from chengxin.store.manifest import FileEntry, Manifest, TableEntry

FORMAT = 1
_REGISTRY = {"subject", "subject_identifier", "subject_name", CREDIT_RECORD}


@dataclass(frozen=True)
class Derivation:
    """One file in the form that a tier has of it.

    of: sha256 of the file and of those it depends on. rule: digest of the table's rule. key: id of the key where the
    file bears what it makes, "" where it would but there is none. valid_from, valid_until: ISO days. counts: visible
    records by `kind|department|dataset`. entry: the file of the tier, None where no row is visible. aside: name of the
    file with its visible rows that are published anonymously only. anonymity: what became of all such rows of a kind.
    """

    table: str
    of: tuple[str, ...]
    rule: str
    key: str | None
    valid_from: str
    valid_until: str | None
    counts: dict[str, int] = field(default_factory=dict)
    entry: FileEntry | None = None
    aside: str | None = None
    anonymity: dict[str, Any] = field(default_factory=dict)

    def holds(self, today: date) -> bool:
        """Return whether nothing changes in it up to a day, from the one on which it was made."""
        until = self.valid_until
        return self.valid_from <= today.isoformat() and (until is None or today.isoformat() <= until)


class Known:
    """What was made before, of which the previous snapshot of the tier still has the file."""

    def __init__(self, layout: Layout, previous: Manifest | None) -> None:
        self._layout = layout
        present = {(f.table, f.name): f for f in previous.files()} if previous else {}
        self._found: dict[str, Derivation] = {}
        for body in _read(layout.derivations(previous.tier)) if previous else ():
            name = body.pop("name")
            entry = present.get((body["table"], name))
            if entry or name is None:
                made = Derivation(**{**body, "of": tuple(body["of"]), "entry": entry})
                self._found[_identity(made.table, made.of, made.rule)] = made

    def get(self, table: str, of: Iterable[str], rule: str, key: str | None, today: date) -> Derivation | None:
        """Return what would come out today, where it is known. key: id of the tier's key."""
        found = self._found.get(_identity(table, of, rule))
        if not found or found.key not in (None, key or "") or not found.holds(today):
            return None
        return found if not found.aside or aside(self._layout, table, found.aside).exists() else None


def aside(layout: Layout, table: str, name: str = "") -> Path:
    """Return where rows of a table lie that the open tier has anonymously only; without a name, their folder."""
    return layout.derivations("open").with_suffix("") / table / name


def write(layout: Layout, tier: str, made: Iterable[Derivation]) -> None:
    """Keep what the current snapshot of a tier was made from."""
    files = [_plain(one) for one in made]
    body = {"format": FORMAT, "files": sorted(files, key=lambda f: (f["table"], f["of"]))}
    path = layout.derivations(tier)
    if not path.exists() or atomic.read_json(path) != body:
        atomic.write_json(path, body)
    kept = {aside(layout, one["table"], one["aside"]) for one in files if one["aside"]}
    for stale in {*path.with_suffix("").glob("*/*.parquet")} - kept:
        stale.unlink(missing_ok=True)


def _plain(made: Derivation) -> dict[str, Any]:
    body = asdict(made)
    del body["entry"]
    return {**body, "of": list(made.of), "name": made.entry.name if made.entry else None}


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        body = atomic.read_json(path)
    except (FileNotFoundError, ValueError):
        return []  # then everything is derived anew
    files: list[dict[str, Any]] = body["files"] if body.get("format") == FORMAT else []
    return files


def _identity(table: str, of: Iterable[str], rule: str) -> str:
    return json.dumps([table, list(of), rule])


def counted(made: Iterable[Derivation]) -> Mapping[tuple[str, str, str], int]:
    """Add up the visible records by kind, department and data set."""
    total: dict[tuple[str, str, str], int] = {}
    for one in made:
        for group, rows in one.counts.items():
            kind, department, dataset = group.split("|")
            total[kind, department, dataset] = total.get((kind, department, dataset), 0) + rows
    return total


def count(rows: pa.Table, counts: Counter[str]) -> None:
    """Count the rows of each kind, department and dataset by their codes."""
    for batch in rows.select(["kind", "department_code", "dataset"]).to_batches():
        coded = [c if pa.types.is_dictionary(c.type) else c.dictionary_encode() for c in batch.columns]
        texts = [column.dictionary for column in coded]
        shape = tuple(len(text) for text in texts)
        codes = np.ravel_multi_index([np.asarray(column.indices) for column in coded], shape)
        for code, found in zip(*np.unique(codes, return_counts=True), strict=True):
            group = (text[int(n)].as_py() for text, n in zip(texts, np.unravel_index(code, shape), strict=True))
            counts["|".join(group)] += int(found)


def sources(made: Iterable[Derivation]) -> dict[str, dict[str, Any]]:
    """Add up the visible records of each dataset."""
    total: dict[str, dict[str, Any]] = {}
    for (_, department, dataset), rows in counted(made).items():
        found = total.setdefault(dataset, {"department": department, "rows": 0})
        found["rows"] += rows
    return dict(sorted(total.items()))


def agree(tables: Mapping[str, TableEntry], made: Iterable[Derivation]) -> None:
    """Check that credit_record shows as many records of each kind as the kind's own table; it has no anonymous ones."""
    if CREDIT_RECORD not in tables:
        return
    stated: Counter[str] = Counter()
    for (kind, _, _), rows in counted(made).items():
        stated[kind] += rows
    typed = {name: table.rows for name, table in tables.items() if name not in _REGISTRY}
    wrong = {k: (stated[k], typed.get(k, 0)) for k in {*stated, *typed} if stated[k] != typed.get(k, 0)}
    if wrong:
        words = "；".join(
            f"{kind}：{'清点' if kind.endswith(SUFFIX) else '总表'} {a} 条，明细表 {b} 条"
            for kind, (a, b) in sorted(wrong.items())
        )
        raise InvariantBroken(f"开放层的信用记录总表与明细表不一致：{words}")
