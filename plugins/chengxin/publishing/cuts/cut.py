"""A cut: kinds, columns, regions and persons that some recipients are granted alike, and which rows it lets through."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from chengxin.contracts.recipients import KEPT, Grant, Recipient
from chengxin.model.kinds import IdentityPart, kinds
from chengxin.publishing.assembly.tables import RECORD_SOURCE
from chengxin.publishing.merges import SUPERSESSION
from chengxin.store.layout import CUT

REGISTRY = ("subject", "subject_identifier", "subject_name")
OF_PERSONS: dict[str, IdentityPart] = {
    "subject_identifier": "person_doc",
    "subject_name": "name",
}  # registry table -> what it gives of persons


@dataclass(frozen=True)
class KindCut:
    """What is given of one kind. regions: beginnings of codes, none = all; only, drop: columns."""

    regions: tuple[str, ...]
    only: tuple[str, ...]
    drop: tuple[str, ...]
    persons: bool

    @classmethod
    def of(cls, grant: Grant) -> "KindCut":
        """Take over a grant, in an order of its own."""
        names = (grant.regions, grant.columns.only, grant.columns.drop)
        regions, only, drop = (tuple(sorted(set(some))) for some in names)
        return cls(regions, only, drop, grant.persons == "all")

    def columns(self, names: list[str]) -> list[str]:
        """Return which of a table's columns are given."""
        kept = [n for n in names if n in self.only or n in KEPT] if self.only else names
        return [n for n in kept if n not in self.drop]

    def rows(self, homes: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return which rows lie in the regions. homes: codes of the subjects' homes; without one a row is in none."""
        return pc.fill_null(reduce(pc.or_, (pc.starts_with(homes, region) for region in self.regions)), False)


@dataclass(frozen=True)
class Cut:
    """kinds: what is given of each. bearer, epoch: where persons are given, whose pseudonyms they bear."""

    kinds: Mapping[str, KindCut] = field(default_factory=dict)
    bearer: str = ""
    epoch: int = 0

    @classmethod
    def of(cls, recipient: Recipient, epoch: int = 1) -> "Cut":
        """Return what a recipient is granted: alike for equal grants, but of its own where persons are given."""
        given = {name: KindCut.of(grant) for grant in recipient.grants for name in grant.kinds}
        own = any(kind.persons for kind in given.values())
        return cls(dict(sorted(given.items())), recipient.id if own else "", epoch if own else 0)

    @property
    def digest(self) -> str:
        """Return what tells this cut from others."""
        kinds = {name: asdict(cut) for name, cut in self.kinds.items()}
        body = json.dumps([kinds, self.bearer, self.epoch], sort_keys=True)
        return hashlib.sha256(body.encode()).hexdigest()

    @property
    def tier(self) -> str:
        """Return the name of its tier."""
        return f"{CUT}{self.digest[:12]}"

    def gives(self, table: str, part: str) -> bool:
        """Return whether anything of a file may be given. part: as in the manifest of the government tier."""
        kind, _, place = part.rpartition("-")
        of = kind or table
        if table == RECORD_SOURCE and place.startswith("p"):
            return False  # it leads to the delivered rows
        if of in self.kinds:
            return self.kinds[of].persons or not place.startswith("p")
        if not place.startswith("p"):
            return table in (*REGISTRY, SUPERSESSION)
        return table in (*REGISTRY, SUPERSESSION) and bool(self.with_persons(OF_PERSONS.get(table)))

    def with_persons(self, part: IdentityPart | None = None) -> list[str]:
        """Return the kinds of which persons are given. part: only those that give this of them too."""
        found = [name for name, cut in self.kinds.items() if cut.persons]
        if part is None:
            return found
        elements = {name: kinds()[name].roles["subject"].identity.get(part) for name in found}
        return [name for name, element in elements.items() if element and self.kinds[name].columns([element])]

    def columns(self, table: str, names: list[str]) -> list[str]:
        """Return which columns of a table are given; of those that kinds share, what no grant leaves out."""
        if table in self.kinds:
            return self.kinds[table].columns(names)
        if table == RECORD_SOURCE:
            return names
        dropped = set.intersection(*(set(k.drop) for k in self.kinds.values()))
        return [n for n in names if n not in dropped]

    def is_whole(self, kind: str) -> bool:
        """Return whether all rows of a kind are given."""
        return not self.kinds[kind].regions
