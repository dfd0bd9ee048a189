"""Files of credit_record that nobody delivered anything to, but in which the day or a move changed something."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.model.kinds import kinds
from chengxin.publishing.disclosure.columns import Disclosure, holds
from chengxin.publishing.disclosure.home_regions import HomeRegions
from chengxin.records.acts import Record
from chengxin.store.layout import Layout
from chengxin.store.manifest import FileEntry, Manifest
from chengxin.store.parquet import write_parquet

TABLE = "credit_record"
_BATCH = 122_880  # rows


def due(previous: Manifest, day: date) -> bool:
    """Return whether the passing of days alone changes the government tier."""
    table = previous.tables.get(TABLE)
    return table is not None and not all(holds(entry, day) for entry in table.files)


@dataclass(frozen=True)
class Renewal:
    """Renews the files of the snapshot before that are to be kept. folder: the draft.

    objected: records with an open objection.
    """

    layout: Layout
    previous: Manifest
    homes: HomeRegions
    day: date
    folder: Path
    objected: Sequence[Record]

    def run(self, new_files: dict[str, list[FileEntry]], replaced: dict[str, set[str]]) -> None:
        """Write what changed and note it with what else the draft replaces; the other files of such a part stay."""
        done = replaced.setdefault(TABLE, set())
        table = self.previous.tables.get(TABLE)
        kept = [f for f in table.files if f.part not in done] if table else []
        made = {f.name: self._renewed(f) for f in kept}
        parts = {f.part for f in kept if made[f.name] is not None}
        new_files.setdefault(TABLE, []).extend(made[f.name] or f for f in kept if f.part in parts)
        done |= parts

    def _renewed(self, entry: FileEntry) -> FileEntry | None:
        kind, _, part = entry.part.rpartition("-")
        moved = pa.array(self.homes.moved(part)) if part in self.homes.fresh else pa.array([], pa.int64())
        folder = self.layout.snapshot(self.previous.tier, self.previous.snapshot_id)
        path = folder / TABLE / entry.name
        if holds(entry, self.day) and not _has(path, moved):
            return None
        objected = frozenset(r.record_id for r in self.objected if r.kind == kind)
        disclosure = Disclosure(kinds()[kind], part, self.day, self.homes, objected=objected)
        typed = next(f.name for f in self.previous.tables[kind].files if f.part == part)
        schema = pq.read_schema(path).remove_metadata()
        rows = _rows(path, folder / kind / typed, disclosure)
        written = write_parquet(rows, self.folder / TABLE, table=TABLE, part=entry.part, schema=schema)
        return replace(written, extra=disclosure.extra()) if written else None


def _rows(path: Path, typed: Path, disclosure: Disclosure) -> Iterator[pa.RecordBatch]:
    """Read both files side by side: they hold the same records in the same order."""
    judged = pq.ParquetFile(typed)
    names = sorted(disclosure.judged & set(judged.schema_arrow.names))
    both = (pq.ParquetFile(path).iter_batches(_BATCH), judged.iter_batches(_BATCH, columns=names))
    for batch, facts in zip(*both, strict=True):
        columns = dict(zip(facts.schema.names, facts.columns, strict=True))
        yield disclosure.renewed(batch.replace_schema_metadata(None), columns)


def _has(path: Path, subjects: pa.Array) -> bool:
    if not len(subjects):
        return False
    ids = pq.ParquetFile(path).read(columns=["subject_id"]).column(0)
    return bool(pc.any(pc.is_in(ids, value_set=subjects)).as_py())
