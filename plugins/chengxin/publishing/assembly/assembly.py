"""Assemble all tables, sealed data sets left out: what changed, part by part; untouched parts are kept as files.

The set operations are in `steps`; this module decides which parts are touched, streams the sorted rows out of the
engine and writes them.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chengxin.contracts.models import Contract
from chengxin.contracts.plan import plan_of
from chengxin.engine.session import Session, session
from chengxin.errors import SnapshotDamaged
from chengxin.facts import Admission, Resources
from chengxin.identity import supersession
from chengxin.identity.held_links import link_files
from chengxin.model.kinds import Kind, kinds
from chengxin.model.schema import kind_columns
from chengxin.publishing.assembly import order, routes, rows, steps, subjects
from chengxin.publishing.assembly.origins import Origins
from chengxin.publishing.assembly.tables import (
    CREDIT_RECORD,
    RECORD_SOURCE,
    RecordWriter,
    table_schema,
    titles,
)
from chengxin.publishing.disclosure.columns import Disclosure
from chengxin.publishing.disclosure.home_regions import HomeRegions
from chengxin.publishing.disclosure.renewal import Renewal
from chengxin.publishing.merges import SUPERSESSION, Merges
from chengxin.publishing.suppression import redelivery
from chengxin.records.acts import NO_ACTS, Effects
from chengxin.state import seals
from chengxin.store.atomic import sha256_file
from chengxin.store.columns import coded
from chengxin.store.layout import Layout
from chengxin.store.manifest import FileEntry, Manifest, TableEntry
from chengxin.store.parquet import column_entries, write_parquet
from chengxin.store.scratch import scratch

_WHOLE = "0000"  # the only part of subject_supersession


@dataclass
class Draft:
    """An assembled draft. base: the snapshot that it builds on.

    inserted/removed: rows per data set against the base, for reconciliation.
    """

    folder: Path
    tables: dict[str, TableEntry]
    base: Manifest | None = None
    inserted: dict[str, int] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Assembly:
    """One assembling run.

    sealed: data sets that are ingested and never published. previous: the assembly to build on; None = build
    everything anew, as after a change of what is sealed. today: on which standing and publicity are judged. acts: what
    legal acts mean for it; `previous` holds none of the records that they removed.
    """

    layout: Layout
    contracts: Mapping[str, Contract]
    admissions: tuple[Admission, ...]
    sealed: frozenset[str]
    previous: Manifest | None
    folder: Path
    resources: Resources
    today: date
    acts: Effects = NO_ACTS
    superseded: Sequence[Mapping[str, Any]] = ()  # the whole of subject_supersession

    @cached_property
    def merges(self) -> Merges:
        """Return which subjects are published under other ids."""
        return Merges.learn(self.layout, self.superseded, self.previous)

    @property
    def last_order(self) -> int:
        """The newest admission that the previous snapshot holds; -1 = none."""
        return self.previous.last_order if self.previous else -1

    def run(self) -> Draft:
        """Write the changed files below `folder` and return all tables, changed and kept."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        origins = Origins(self.admissions)
        new_files: dict[str, list[FileEntry]] = {}
        replaced: dict[str, set[str]] = {}
        draft = Draft(self.folder, {}, self.previous)
        with session(self.layout.work, self.resources) as opened:
            self.merges.attach(opened)
            known = subjects.Known(self.layout, self.admissions, self.sealed, self.last_order, self.merges)
            homes = HomeRegions.learn(opened, self.layout, known.shown.admissions, self.previous, self.merges)
            for kind in kinds().values():
                if not kind.sealed:
                    self._kind(opened, kind, origins, homes, draft, new_files=new_files, replaced=replaced)
            if self.previous:
                Renewal(self.layout, self.previous, homes, self.today, self.folder, self.acts.objected).run(
                    new_files, replaced
                )
            if self.admissions[-1].order > self.last_order or self.merges.changed:
                records = self._paths(CREDIT_RECORD, new_files, replaced)
                subjects.write(
                    opened,
                    known,
                    origins,
                    records=records,
                    kept=self._kept_files,
                    folder=self.folder,
                    new_files=new_files,
                    replaced=replaced,
                )
        self._supersede(new_files, replaced)
        draft.tables = self._tables(new_files, replaced)
        return draft

    def _supersede(self, new_files: dict[str, list[FileEntry]], replaced: dict[str, set[str]]) -> None:
        replaced[SUPERSESSION] = {_WHOLE}
        rows = supersession.table(self.superseded, table_schema(SUPERSESSION))
        written = write_parquet(rows, self.folder / SUPERSESSION, table=SUPERSESSION, part=_WHOLE) if rows else None
        new_files[SUPERSESSION] = [written] if written else []

    def _kind(
        self,
        opened: Session,
        kind: Kind,
        origins: Origins,
        homes: HomeRegions,
        draft: Draft,
        *,
        new_files: dict[str, list[FileEntry]],
        replaced: dict[str, set[str]],
    ) -> None:
        mine = [a for a in self.admissions if a.kind == kind.id and a.dataset not in self.sealed]
        fresh = [a for a in mine if a.order > self.last_order]
        moved = self._moved(kind.id)
        rejudged = self._rejudged(kind) | moved
        if not (fresh or rejudged):
            return
        redelivery.leave(opened, self.layout, kind, fresh, self.acts.removed)
        decision = steps.Decision(opened, self.merges)
        steps.decide(decision, self.layout, mine, last_order=self.last_order)
        restored = routes.decide(decision, self.layout, self.contracts, mine, last_order=self.last_order)
        decision.close()
        touched = steps.touched_parts(opened) | rejudged
        if not touched:
            return
        kept = self._kept_files(kind.id, touched)
        steps.count_changes(opened, list(kept), draft.inserted, draft.removed)
        objected = frozenset(r.record_id for r in self.acts.objected if r.kind == kind.id)
        disclose = partial(Disclosure, kind, day=self.today, homes=homes, objected=objected)
        writer = RecordWriter(kind, origins, self.folder, disclose)
        with scratch(self.layout.work) as folder:
            ordered = self._rows(
                opened, kind, origins, mine, fresh, restored=restored, kept=kept, parts=sorted(touched), folder=folder
            )
            writer.write(ordered)
        for table, files in ((kind.id, writer.typed), (CREDIT_RECORD, writer.common)):
            new_files.setdefault(table, []).extend(files)
        replaced.setdefault(kind.id, set()).update(touched)
        replaced.setdefault(CREDIT_RECORD, set()).update(f"{kind.id}-{p}" for p in touched)
        if any(a.route for a in (mine if moved else fresh)):
            places = {f"{kind.id}-{p}" for p in routes.touched_parts(opened) | moved}
            sources = list(self._kept_files(RECORD_SOURCE, places))
            written = routes.write_sources(
                opened, kind, origins, mine, kept=sources, folder=self.folder, merges=self.merges
            )
            new_files.setdefault(RECORD_SOURCE, []).extend(written)
            replaced.setdefault(RECORD_SOURCE, set()).update(places)

    def _rows(
        self,
        opened: Session,
        kind: Kind,
        origins: Origins,
        mine: Sequence[Admission],
        fresh: Sequence[Admission],
        *,
        restored: Sequence[Admission],
        kept: Mapping[Path, FileEntry],
        parts: Sequence[str],
        folder: Path,
    ) -> Iterator[tuple[str, pa.Table]]:
        """Give the rows of the touched parts in their final order: kept ones that nothing displaced, fresh winners."""
        columns = self._present(kind, [*fresh, *restored], kept)
        texts = set(coded(pq.read_metadata(self._standard([*fresh, *mine][0])[0])))
        repeating = tuple(c for c in columns if c in texts)
        shape = rows.Shape(columns, "related" in kind.roles, tuple(parts), repeating, self.merges)
        counts, sample = steps.sample_of_subjects(opened, self.layout, fresh, parts)
        for file in kept.values():
            counts[parts.index(file.part)] += file.rows
        seals.check(self.layout, [*fresh, *restored], seals.STANDARD)
        windows = [rows.kept({p: f.part for p, f in kept.items()}, shape, origins, steps.displaced(opened))]
        for a in (*fresh, *restored):
            linked = link_files(self.layout, [a], "linked")
            first = origins.first(a.batch_id)
            back = a in restored
            picked = steps.restored_rows(opened, a) if back else steps.gone(opened, self.layout, a)
            windows.append(rows.fresh(self._standard(a), linked, shape, first, rows.Picked(picked, only=back)))
        begins = order.borders(counts, sample)
        memory = self.resources.memory_limit_mib << 19  # half of it: the engine holds the other
        threads = self.resources.threads
        ordered = order.in_order(chain(*windows), begins, folder, memory_bytes=memory, threads=threads)
        yield from ((parts[part], table) for part, table in ordered)

    def _rejudged(self, kind: Kind) -> set[str]:
        """Return the parts of the snapshot before with a record of which an objection came or went."""
        table = self.previous.tables.get(kind.id) if self.previous else None
        subjects = [r.subject_id for r in self.acts.rejudged if r.kind == kind.id]
        return {f.part for f in table.files if any(f.may_hold(s) for s in subjects)} if table else set()

    def _moved(self, table: str) -> set[str]:
        """Return the parts that rows of changed ids leave and come into."""
        if not (self.merges.changed and self.previous and table in self.previous.tables):
            return set()
        asked = self._kept_files(table, self.merges.asked(self.previous.tables[table]))
        found = self.merges.touched(list(asked.items()))
        parts, roots = self.merges.parts, self.merges.roots
        return {*found, *(parts[roots.get(i, i)] for ids in found.values() for i in ids)}

    def _standard(self, admission: Admission) -> list[Path]:
        return sorted(self.layout.standard(admission.dataset, admission.batch_id).glob("standard-*.parquet"))

    def _present(self, kind: Kind, fresh: Sequence[Admission], kept: Mapping[Path, FileEntry]) -> tuple[str, ...]:
        """Return the columns that may hold values: those the contracts fill; all where older files are taken along."""
        columns = [c for c in kind_columns(kind) if c.element]
        contracts = [self.contracts.get(a.dataset) for a in fresh]
        if kept or None in contracts:
            return tuple(c.name for c in columns)
        filled = {c.element.id for contract in contracts if contract for c in plan_of(contract).columns}
        return tuple(c.name for c in columns if c.element and c.element.id in filled)

    def _kept_files(self, table: str, touched: set[str]) -> dict[Path, FileEntry]:
        """Return files of the snapshot before, by parts. Raise SnapshotDamaged where one is not as it was published."""
        if not self.previous or table not in self.previous.tables:
            return {}
        folder = self.layout.snapshot(self.previous.tier, self.previous.snapshot_id) / table
        found = {folder / f.name: f for f in self.previous.tables[table].files if f.part in touched}
        for path, entry in found.items():
            if sha256_file(path) != entry.sha256:
                raise SnapshotDamaged(
                    f"快照 {self.previous.snapshot_id} 的 {table}/{entry.name} 与发布时不符（sha256），停止发布："
                    "请运行 chengxin verify，之后的发布从前一个完好的快照做起"
                )
        return found

    def _paths(self, table: str, new_files: dict[str, list[FileEntry]], replaced: dict[str, set[str]]) -> list[Path]:
        """Return where the files of a table of the draft lie, new ones and kept ones."""
        paths = [self.folder / table / f.name for f in new_files.get(table, [])]
        if self.previous and table in self.previous.tables:
            folder = self.layout.snapshot(self.previous.tier, self.previous.snapshot_id) / table
            kept = (f for f in self.previous.tables[table].files if f.part not in replaced.get(table, set()))
            paths += [folder / f.name for f in kept]
        return paths

    def _tables(self, new_files: dict[str, list[FileEntry]], replaced: dict[str, set[str]]) -> dict[str, TableEntry]:
        kept = {n: t.files for n, t in self.previous.tables.items()} if self.previous else {}
        tables = {}
        for name in sorted({*kept, *new_files}):
            files: Iterable[FileEntry] = [
                *(f for f in kept.get(name, ()) if f.part not in replaced.get(name, set())),
                *new_files.get(name, []),
            ]
            schema = table_schema(name)
            entry = TableEntry.of(column_entries(schema, titles(name)), files)
            tables[name] = entry
        return {n: t for n, t in tables.items() if t.files}
