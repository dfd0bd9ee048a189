"""What a publication would change, before it is made: how many records of each kind come, change and go, and a few.

The same steps as assembling decide; no row is sorted or written, and only the rows that are named are read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chengxin.contracts.models import Contract
from chengxin.engine.session import Connection, parquet, session
from chengxin.facts import Admission
from chengxin.identity.held_links import link_files
from chengxin.model.elements import elements
from chengxin.model.kinds import Kind, kinds
from chengxin.model.schema import kind_columns
from chengxin.publishing.assembly import routes, steps
from chengxin.publishing.assembly.origins import FILES_BITS
from chengxin.store.layout import Layout
from chengxin.store.manifest import Manifest

FEW = 3  # examples of each action and kind
ACTIONS = ("added", "changed", "withdrawn")
_BUSINESSES = ("enterprise", "organisation")
_PERSON, _NAME = "person", "subject_name"


@dataclass(frozen=True)
class Example:
    """One record. values: what names it and is nobody's personal value: title -> text; nothing of natural persons."""

    action: str
    dataset: str
    batch_id: str
    source_row: int
    subject_type: str
    values: dict[str, str]


@dataclass(frozen=True)
class Change:
    """What changes of one kind: records that come, records with a new version, records that go."""

    kind: str
    title: str
    added: int
    changed: int
    withdrawn: int
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class _Side:
    """The published files of a kind and the admissions that come on top of them."""

    layout: Layout
    contracts: Mapping[str, Contract]
    previous: Manifest | None
    kind: Kind

    def kept(self, parts: set[str]) -> list[Path]:
        if not self.previous or self.kind.id not in self.previous.tables:
            return []
        folder = self.layout.snapshot("government", self.previous.snapshot_id) / self.kind.id
        return [folder / f.name for f in self.previous.tables[self.kind.id].files if f.part in parts]

    @property
    def shown(self) -> dict[str, str]:
        """Return column -> title of what may be shown of a business's record: name, code and open fields of its key."""
        columns = {c.name for c in kind_columns(self.kind)}
        wanted = [elements()[n] for n in (self.kind.roles["subject"].identity.get("uscc"), *self.kind.key) if n]
        open_ones = [e for e in wanted if e.sensitivity == "open" and e.type != "name"]
        return {e.id: e.title for e in (elements()[_NAME], *open_ones) if e.id in columns}


def changes(
    layout: Layout,
    contracts: Mapping[str, Contract],
    admissions: Sequence[Admission],
    sealed: frozenset[str],
    previous: Manifest | None,
    *,
    memory_limit_mib: int,
    threads: int,
) -> tuple[Change, ...]:
    """Return what publishing these admissions would change of the snapshot `previous`, by kind; unchanged ones lack."""
    found = []
    with session(layout.work, memory_limit_mib=memory_limit_mib, threads=threads) as opened:
        connection = opened.connection
        for kind in kinds().values():
            mine = [a for a in admissions if a.kind == kind.id and a.dataset not in sealed]
            side = _Side(layout, contracts, previous, kind)
            counts, examples = dict.fromkeys(ACTIONS, 0), list[Example]()
            for last, group in _by_last_order(mine, previous).items():
                fresh = [a for a in group if a.order > last]
                if fresh and not kind.sealed:
                    _decide(connection, side, group, fresh, last)
                    for action in ACTIONS:
                        counts[action] += _count(connection, action)
                    examples += _examples(connection, side, group)
            if any(counts.values()):
                found.append(Change(kind.id, kind.title, **counts, examples=tuple(examples)))
    return tuple(found)


def _by_last_order(mine: Sequence[Admission], previous: Manifest | None) -> dict[int, list[Admission]]:
    """Group admissions by the last one that readers have: a data set that was left out lags behind the others."""
    if previous is None:
        return {-1: list(mine)} if mine else {}
    published = {(b["dataset"], b["batch_id"]): b["revision"] for b in previous.batches}
    groups: dict[int, list[Admission]] = {}
    for dataset in dict.fromkeys(a.dataset for a in mine):
        own = [a for a in mine if a.dataset == dataset]
        last = int(previous.extra["last_order"])
        if dataset in previous.extra.get("left_out", ()):
            known = (a.order for a in own if a.revision <= published.get((a.dataset, a.batch_id), -1))
            last = max(known, default=-1)
        groups.setdefault(last, []).extend(own)
    return {last: sorted(group, key=lambda a: a.order) for last, group in groups.items()}


def _decide(connection: Connection, side: _Side, mine: list[Admission], fresh: list[Admission], last: int) -> None:
    """Leave `coming` (record_id, adm_order, row_id, subject_type) and `going` (record_id and where it is on record)."""
    steps.decide(connection, side.layout, side.contracts, mine, fresh, last)
    restored = routes.decide(connection, side.layout, side.contracts, mine, fresh, last)
    columns = "l.record_id, l.adm_order, l.row_id, l.subject_type"
    linked, duplicates = (link_files(side.layout, fresh, name) for name in ("linked", "duplicates"))
    out = "SELECT adm_order, row_id FROM losers"
    out += f" UNION SELECT adm_order, row_id FROM {parquet(duplicates)}" if duplicates else ""
    come = f"SELECT {columns} FROM {parquet(linked)} l ANTI JOIN ({out}) USING (adm_order, row_id) WHERE NOT waiting"
    if restored:
        back = parquet(link_files(side.layout, restored, "linked"))
        come += f" UNION ALL SELECT {columns} FROM {back} l SEMI JOIN restored USING (adm_order, row_id)"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE coming AS {come}")
    kept = side.kept(steps.touched_parts(connection))
    names = ["dataset", "batch_id", "source_row", "subject_type", *side.shown]
    listed = ", ".join(names)
    empty = ", ".join(f"NULL::VARCHAR AS {name}" for name in names)
    going = f"SELECT record_id, {listed} FROM {parquet(kept)} SEMI JOIN displaced USING (record_id)"
    nothing = f"SELECT NULL::VARCHAR AS record_id, {empty} WHERE false"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE going AS {going if kept else nothing}")


_WHICH = {
    "added": "coming ANTI JOIN going USING (record_id)",
    "changed": "coming SEMI JOIN going USING (record_id)",
    "withdrawn": "going ANTI JOIN coming USING (record_id)",
}


def _count(connection: Connection, action: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {_WHICH[action]}").fetchall()[0][0])


def _examples(connection: Connection, side: _Side, mine: Sequence[Admission]) -> list[Example]:
    found: list[Example] = []
    batches = {a.order: a for a in mine}
    for action in ("added", "changed"):
        query = f"SELECT adm_order, row_id, subject_type FROM {_WHICH[action]} ORDER BY record_id LIMIT {FEW}"
        for order, row_id, subject_type in connection.execute(query).fetchall():
            a = batches[order]
            values = _values(connection, side, a, row_id, subject_type)
            row = row_id & ((1 << FILES_BITS) - 1)
            found.append(Example(action, a.dataset, a.batch_id, row, subject_type, values))
    query = f"SELECT * FROM {_WHICH['withdrawn']} ORDER BY record_id LIMIT {FEW}"
    for row in connection.sql(query).to_arrow_table().to_pylist():
        values = _shown(side, row, row["subject_type"])
        place = (row["dataset"], row["batch_id"], int(row["source_row"]), row["subject_type"])
        found.append(Example("withdrawn", *place, values))
    return found


def _values(
    connection: Connection, side: _Side, admission: Admission, row_id: int, subject_type: str
) -> dict[str, str]:
    """Return what may be shown of one standard row."""
    files = sorted(side.layout.standard(admission.dataset, admission.batch_id).glob("standard-*.parquet"))
    found = connection.sql(f"SELECT * FROM {parquet(files)} WHERE row_id = {int(row_id)}").to_arrow_table().to_pylist()
    return _shown(side, found[0], subject_type) if found else {}


def _shown(side: _Side, row: Mapping[str, Any], subject_type: str) -> dict[str, str]:
    if subject_type == _PERSON:
        return {}
    named = subject_type in _BUSINESSES  # a household may be called after its operator
    values = {title: row.get(column) for column, title in side.shown.items() if named or column != _NAME}
    return {title: str(value) for title, value in values.items() if value is not None}
