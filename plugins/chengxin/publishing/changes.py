"""What a publication would change, before it is made: how many records of each kind come, change and go, and a few.

The same steps as assembling decide; no row is sorted or written, and only the rows that are named are read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chengxin.contracts.models import Contract
from chengxin.engine.session import Session, session
from chengxin.engine.step import Schema, Step, identifier
from chengxin.facts import Admission, Resources
from chengxin.identity.duplicates import DUPLICATES
from chengxin.identity.held_links import link_files
from chengxin.model.elements import elements
from chengxin.model.kinds import Kind, kinds
from chengxin.model.schema import kind_columns
from chengxin.publishing.assembly import routes, steps
from chengxin.publishing.assembly.origins import FILES_BITS
from chengxin.publishing.merges import Merges
from chengxin.publishing.suppression import redelivery
from chengxin.records import acts
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
    merges: Merges

    def kept(self, parts: set[str]) -> list[Path]:
        if not self.previous or self.kind.id not in self.previous.tables:
            return []
        folder = self.layout.snapshot(self.previous.tier, self.previous.snapshot_id) / self.kind.id
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
    resources: Resources,
) -> tuple[Change, ...]:
    """Return what publishing these admissions would change of the snapshot `previous`, by kind; unchanged ones lack."""
    found = []
    superseded = previous.basis.superseded if previous else ()
    merges = Merges.learn(layout, superseded, previous)
    with session(layout.work, resources) as opened:
        merges.attach(opened)
        for kind in kinds().values():
            mine = [a for a in admissions if a.kind == kind.id and a.dataset not in sealed]
            side = _Side(layout, contracts, previous, kind, merges)
            counts, examples = dict.fromkeys(ACTIONS, 0), list[Example]()
            for last, group in _by_last_order(mine, previous).items():
                fresh = [a for a in group if a.order > last]
                if fresh and not kind.sealed:
                    _decide(opened, side, group, fresh, last)
                    for action in ACTIONS:
                        counts[action] += opened.fetch(_step(action, "count(*)"))[0][0]
                    examples += _examples(opened, side, group)
            if any(counts.values()):
                found.append(Change(kind.id, kind.title, **counts, examples=tuple(examples)))
    return tuple(found)


def _by_last_order(mine: Sequence[Admission], previous: Manifest | None) -> dict[int, list[Admission]]:
    """Group admissions by the last one that readers have: a data set that was left out lags behind the others."""
    if previous is None:
        return {-1: list(mine)} if mine else {}
    groups: dict[int, list[Admission]] = {}
    for dataset in dict.fromkeys(a.dataset for a in mine):
        own = [a for a in mine if a.dataset == dataset]
        groups.setdefault(previous.upto(dataset), []).extend(own)
    return {last: sorted(group, key=lambda a: a.order) for last, group in groups.items()}


def _decide(opened: Session, side: _Side, mine: list[Admission], fresh: list[Admission], last: int) -> None:
    """Leave `coming` (record_id, adm_order, row_id, subject_type) and `going` (record_id and where it is on record)."""
    redelivery.leave(opened, side.layout, side.kind, fresh, acts.read(side.layout).removed())
    decision = steps.Decision(opened, side.merges)
    steps.decide(decision, side.layout, mine, last_order=last)
    restored = routes.decide(decision, side.layout, side.contracts, mine, last_order=last)
    decision.close()
    opened.files("come_linked", link_files(side.layout, fresh, "linked"))
    opened.files("come_duplicates", link_files(side.layout, fresh, "duplicates"), DUPLICATES)
    columns, reads = "l.record_id, l.adm_order, l.row_id, l.subject_type", ["come_linked", "losers", "come_duplicates"]
    come = f"""SELECT {columns} FROM come_linked l ANTI JOIN (SELECT adm_order, row_id FROM losers
        UNION SELECT adm_order, row_id FROM come_duplicates) o USING (adm_order, row_id) WHERE NOT waiting"""
    if restored:
        opened.files("back_linked", link_files(side.layout, restored, "linked"))
        come += f" UNION ALL SELECT {columns} FROM back_linked l SEMI JOIN restored USING (adm_order, row_id)"
        reads += ["back_linked", "restored"]
    opened.leave(Step("coming", tuple(reads), come))
    kept = side.kept(steps.touched_parts(opened))
    names = ["record_id", "dataset", "batch_id", "source_row", "subject_type", *side.shown]
    opened.files("kept", kept, Schema(dict.fromkeys(names, "VARCHAR")))
    listed = ", ".join(map(identifier, names))
    going = f"SELECT {listed} FROM kept SEMI JOIN displaced USING (record_id)"
    opened.leave(Step("going", ("kept", "displaced"), going))


_WHICH = {
    "added": "coming ANTI JOIN going USING (record_id)",
    "changed": "coming SEMI JOIN going USING (record_id)",
    "withdrawn": "going ANTI JOIN coming USING (record_id)",
}


def _step(action: str, columns: str, order: str = "") -> Step:
    return Step(action, ("coming", "going"), f"SELECT {columns} FROM {_WHICH[action]} {order}")


def _examples(opened: Session, side: _Side, mine: Sequence[Admission]) -> list[Example]:
    found: list[Example] = []
    batches = {a.order: a for a in mine}
    few = f"ORDER BY record_id LIMIT {FEW}"
    for action in ("added", "changed"):
        step = _step(action, "adm_order, row_id, subject_type", few)
        for order, row_id, subject_type in opened.fetch(step):
            a = batches[order]
            values = _values(opened, side, a, row_id, subject_type)
            row = row_id & ((1 << FILES_BITS) - 1)
            found.append(Example(action, a.dataset, a.batch_id, row, subject_type, values))
    for row in opened.table(_step("withdrawn", "*", few)).to_pylist():
        values = _shown(side, row, row["subject_type"])
        place = (row["dataset"], row["batch_id"], int(row["source_row"]), row["subject_type"])
        found.append(Example("withdrawn", *place, values))
    return found


def _values(opened: Session, side: _Side, admission: Admission, row_id: int, subject_type: str) -> dict[str, str]:
    """Return what may be shown of one standard row."""
    files = sorted(side.layout.standard(admission.dataset, admission.batch_id).glob("standard-*.parquet"))
    opened.files("example_rows", files)
    sql = "SELECT * FROM example_rows WHERE row_id = $row"
    found = opened.table(Step("example", ("example_rows",), sql, {"row": row_id})).to_pylist()
    return _shown(side, found[0], subject_type) if found else {}


def _shown(side: _Side, row: Mapping[str, Any], subject_type: str) -> dict[str, str]:
    if subject_type == _PERSON:
        return {}
    named = subject_type in _BUSINESSES  # a household may be called after its operator
    values = {title: row.get(column) for column, title in side.shown.items() if named or column != _NAME}
    return {title: str(value) for title, value in values.items() if value is not None}
