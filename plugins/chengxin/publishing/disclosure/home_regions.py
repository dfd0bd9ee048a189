"""Where each subject of a draft is at home: in the snapshot before, and by what the registry learned since.

A part is the prefecture of a subject's first registration and states nothing of today.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.engine.session import Session
from chengxin.engine.step import Schema, Step
from chengxin.facts import Admission
from chengxin.identity.registry import SUBJECTS, RegistryFiles
from chengxin.publishing.merges import Merges
from chengxin.publishing.registry_facts import about
from chengxin.state import seals
from chengxin.store.columns import Mask
from chengxin.store.layout import Layout
from chengxin.store.manifest import Manifest

_Ids = npt.NDArray[np.int64]
_NOBODY = (np.zeros(0, np.int64), pa.array([], pa.string()))
_FRESH = Step("fresh_homes", ("home_fresh",), "SELECT DISTINCT subject_id FROM home_fresh")
_FACTS = Schema({**SUBJECTS.columns, "filename": "VARCHAR"})
_REGIONS = Step(
    "home_regions",
    ("home_subjects", "home_files", "home_fresh"),
    """SELECT part, subject_id, arg_max(region_code, (version_at, adm_order, row_id)) AS region_code
        FROM home_subjects JOIN home_files USING (filename)
        WHERE subject_id IN (SELECT subject_id FROM home_fresh)
        GROUP BY part, subject_id ORDER BY part, subject_id""",
)


@dataclass
class HomeRegions:
    """Regions by part, read when first needed. fresh: of the subjects that were registered since `previous`."""

    layout: Layout
    previous: Manifest | None
    fresh: dict[str, tuple[_Ids, pa.Array]]
    _known: dict[str, tuple[_Ids, pa.Array]] = field(default_factory=dict)

    @classmethod
    def learn(
        cls, session: Session, layout: Layout, shown: Sequence[Admission], previous: Manifest | None, merges: Merges
    ) -> "HomeRegions":
        """Ask the registry. shown: the admissions that may be published."""
        last = previous.last_order if previous else -1
        fresh = RegistryFiles(layout, tuple(a for a in shown if a.order > last)).files("subjects")
        if not (fresh or merges.changed):
            return cls(layout, previous, {})
        session.files("home_stated", fresh, Schema({"subject_id": "BIGINT", "part": "VARCHAR"}))
        session.rows("home_renewed", pa.table({"subject_id": pa.array(sorted(merges.renewed), pa.int64())}))
        sql = f"""SELECT subject_id FROM {merges.followed("home_stated")}
            UNION ALL SELECT subject_id FROM home_renewed"""
        session.view(Step("home_fresh", ("home_stated", "home_renewed", *merges.reads), sql))
        registry = RegistryFiles(layout, tuple(shown))
        if previous:  # else everything is fresh
            subjects = session.table(_FRESH)["subject_id"].to_pylist()
            if not subjects:
                return cls(layout, previous, {})
            registry = about(registry, merges.members(subjects))
        seals.check(layout, registry.admissions, f"{seals.LINKS}subjects.")
        session.files("home_registered", registry.files("subjects"), _FACTS, filename=True)
        orders = {str(p): a.order for a in registry.admissions for p in RegistryFiles(layout, (a,)).files("subjects")}
        session.rows(
            "home_files", pa.table({"filename": [*orders], "adm_order": pa.array(orders.values(), pa.int64())})
        )
        sql = f"SELECT * FROM {merges.followed('home_registered')}"
        session.view(Step("home_subjects", ("home_registered", *merges.reads), sql))
        found = session.table(_REGIONS)
        parts = {}
        for part in pc.unique(found.column("part")).to_pylist():
            rows = found.filter(pc.equal(found.column("part"), part))
            parts[part] = (rows.column("subject_id").to_numpy(), rows.column("region_code").combine_chunks())
        return cls(layout, previous, parts)

    def of(self, part: str, subjects: _Ids, own: pa.Array | None) -> pa.Array:
        """Return the home of each row's subject; else the row's own region, else that of the part."""
        fresh, place, met = self._fresh(part, subjects)
        home = fresh.take(pa.array(place, mask=~met))
        if not met.all():
            before, place, known = _look_up(self._before(part), subjects)
            home = pc.if_else(pa.array(met), home, before.take(pa.array(place, mask=~known)))
        return pc.coalesce(home, *([] if own is None else [own.cast(pa.string())]), f"{part[-4:]}00")

    def moved(self, part: str) -> _Ids:
        """Return the subjects of a part whose home is another than in the snapshot before."""
        ids, now = self.fresh.get(part, _NOBODY)
        before, place, known = _look_up(self._before(part), ids)
        same = pc.equal(pc.fill_null(now, ""), pc.fill_null(before.take(pa.array(place, mask=~known)), ""))
        return np.asarray(ids[known & ~np.asarray(same.to_numpy(zero_copy_only=False), bool)])

    def _fresh(self, part: str, subjects: _Ids) -> tuple[pa.Array, _Ids, Mask]:
        return _look_up(self.fresh.get(part, _NOBODY), subjects)

    def _before(self, part: str) -> tuple[_Ids, pa.Array]:
        if part not in self._known:
            table = self.previous.tables.get("subject") if self.previous else None
            paths = [self._folder() / f.name for f in table.files if f.part == part] if table else []
            pieces = [pq.read_table(p, columns=["subject_id", "region_code"], partitioning=None) for p in paths]
            rows = pa.concat_tables(pieces).sort_by("subject_id") if pieces else None
            self._known[part] = (
                (rows.column("subject_id").to_numpy(), rows.column("region_code").combine_chunks()) if rows else _NOBODY
            )
        return self._known[part]

    def _folder(self) -> Path:
        assert self.previous is not None
        return self.layout.snapshot(self.previous.tier, self.previous.snapshot_id) / "subject"


def _look_up(known: tuple[_Ids, pa.Array], subjects: _Ids) -> tuple[pa.Array, _Ids, Mask]:
    """Return the values known, where among them each subject is, and whether it is there at all."""
    ids, values = known
    if not len(ids):
        return values, np.zeros(len(subjects), np.int64), np.zeros(len(subjects), bool)
    place = np.minimum(np.searchsorted(ids, subjects), len(ids) - 1)
    return values, place, np.asarray(ids[place] == subjects, bool)
