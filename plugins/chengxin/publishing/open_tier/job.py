"""What the derivation of the open tier is given, and what is found on its way."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from chengxin.publishing.open_tier.derivations import Known
from chengxin.publishing.open_tier.rules import Births, Horizon, TableRule
from chengxin.records.acts import Record
from chengxin.store.layout import Layout
from chengxin.store.manifest import FileEntry, Manifest


@dataclass(frozen=True)
class Job:
    """All that a derivation is given. folder: the government snapshot; key: the tier's own, derived."""

    layout: Layout
    folder: Path
    government: Manifest
    rules: Mapping[str, TableRule]
    key: bytes | None
    today: date
    draft: Path
    known: Known
    digests: Mapping[str, str]
    objected: Sequence[Record] = ()

    def digest(self, entry: FileEntry) -> str:
        """Return what the form of a file depends on besides files: the table's rule, and objections to its records."""
        mine = sorted(r.record_id for r in self.objected if r.kind == entry.table and entry.may_hold(r.subject_id))
        more = hashlib.sha256("".join(mine).encode()).hexdigest()[:8] if mine else ""
        return self.digests[entry.table] + more


@dataclass
class Part:
    """The facts shared by the files of one part; read when first needed. records: of kinds that may show persons."""

    subjects: list[FileEntry]
    records: list[FileEntry]
    births: Births | None = None
    shown: npt.NDArray[np.int64] | None = None
    horizon: Horizon = field(default_factory=Horizon)


@dataclass
class Seen:
    """What came out while a file was derived. keyed: whether it bears, or would bear, what the key makes.

    aside: rows that are published anonymously only.
    """

    keyed: bool
    horizon: Horizon = field(default_factory=Horizon)
    counts: Counter[str] = field(default_factory=Counter)
    aside: list[pa.Table] = field(default_factory=list)
