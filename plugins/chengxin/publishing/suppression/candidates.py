"""Records of a snapshot that an act may be about: by record number, or by subject, decision number and authority."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.model.kinds import Kind, kinds
from chengxin.publishing.disclosure.renewal import TABLE as CREDIT_RECORD
from chengxin.publishing.history.table import kind_of
from chengxin.publishing.merges import LINKED_SUBJECT as LINKED
from chengxin.publishing.reader import Snapshot
from chengxin.records.acts import AUTHORITY, Record, comparable, number_column
from chengxin.store.manifest import FileEntry


def by_id(snapshot: Snapshot, record_id: str) -> list[Record]:
    """Return the record of this number and all others that bear the same decision; none where there is none."""
    for entry in snapshot.manifest.tables[CREDIT_RECORD].files if CREDIT_RECORD in snapshot.tables else ():
        table = pq.read_table(snapshot.path(entry), columns=["record_id", "subject_id"], partitioning=None)
        found = table.filter(pc.equal(table.column("record_id"), record_id))
        if found.num_rows:
            kind, subject = entry.part.rpartition("-")[0], found.column("subject_id")[0].as_py()
            held = list(_of_subjects(snapshot, kinds()[kind], {subject}))
            named = [r for r in held if r.record_id == record_id]
            return [r for r in held if r in named or (r.decision and r.decision == named[0].decision)]
    return []


def by_decision(snapshot: Snapshot, identifier: str, number: str, authority: str) -> list[Record]:
    """Return the records about the subject of an identifier with a decision number; authority "" = of any."""
    subjects = set(snapshot.find(identifier).column("subject_id").to_pylist())
    return by_subject(snapshot, subjects, number, authority)


def by_subject(snapshot: Snapshot, subjects: Collection[int], number: str, authority: str) -> list[Record]:
    """Return the records about some subjects with a decision number, of an authority where one is given."""
    wanted = comparable(number), comparable(authority)
    held = (r for kind in _numbered(snapshot) for r in _of_subjects(snapshot, kind, subjects))
    return [
        r
        for r in held
        if wanted[0] and comparable(r.number) == wanted[0] and wanted[1] in ("", comparable(r.authority))
    ]


def shared(snapshot: Snapshot, subjects: Collection[int]) -> int:
    """Return how many decisions are on record about more than one of some subjects, whatever they are called now."""
    about: dict[tuple[str, str, str], set[int]] = {}
    asked = {snapshot.current_id(s) for s in subjects}
    for record in (r for kind in _numbered(snapshot) for r in _of_subjects(snapshot, kind, asked)):
        if record.decision:
            kind, subject, number, authority = record.decision
            about.setdefault((kind, number, authority), set()).add(subject)
    return sum(len(found & set(subjects)) > 1 for found in about.values())


def _numbered(snapshot: Snapshot) -> Iterator[Kind]:
    return (kind for kind in kinds().values() if kind.id in snapshot.tables and number_column(kind))


def _of_subjects(snapshot: Snapshot, kind: Kind, subjects: Collection[int]) -> Iterator[Record]:
    for entry in snapshot.manifest.tables[kind.id].files:
        if any(entry.may_hold(s) for s in subjects):
            yield from records(snapshot.path(entry), kind, subjects, snapshot.decryption(entry))


def records(path: Path, kind: Kind, subjects: Collection[int], decryption: Any | None = None) -> Iterator[Record]:
    """Give the records about some subjects that a file of a kind's table holds."""
    rows = read_subjects(path, [*columns(kind), LINKED], subjects, decryption)
    for row in rows.to_pylist():
        number = number_column(kind)
        yield Record(
            record_id=row["record_id"],
            kind=kind.id,
            subject_id=row.get(LINKED) or row["subject_id"],
            number=(row[number] or "") if number else "",
            authority=row.get(AUTHORITY) or "",
            event_on=str(row[kind.event_on] or "") if kind.event_on else "",
        )


def columns(kind: Kind) -> list[str]:
    """Return the columns of a kind's table by which its records are named."""
    named = [number_column(kind), AUTHORITY if AUTHORITY in kind.elements else None, kind.event_on]
    return ["record_id", "subject_id", *dict.fromkeys(n for n in named if n)]


def read_subjects(path: Path, columns: list[str], subjects: Collection[int], decryption: Any | None = None) -> pa.Table:
    """Read columns, those that there are, of the rows about some subjects.

    Only row groups are read whose statistics allow for one of them.
    """
    file = pq.ParquetFile(path, decryption_properties=decryption)
    place = file.schema_arrow.names.index("subject_id")
    columns = [name for name in columns if name in file.schema_arrow.names]
    groups = [n for n in range(file.metadata.num_row_groups) if _may_hold(file, n, place, subjects)]
    rows = file.read_row_groups(groups, columns=columns, use_threads=False)
    return rows.filter(pc.is_in(rows.column("subject_id"), value_set=pa.array(sorted(subjects), pa.int64())))


def _may_hold(file: pq.ParquetFile, group: int, place: int, subjects: Iterable[int]) -> bool:
    statistics = file.metadata.row_group(group).column(place).statistics
    return bool(statistics and statistics.has_min_max) and any(statistics.min <= s <= statistics.max for s in subjects)


def named(entry: FileEntry, snapshot: Snapshot, removed: Iterable[Record]) -> set[str]:
    """Return the numbers of the records in a file of a kind's table that acts remove, by number or by decision."""
    kind = kinds()[kind_of(entry.table)]
    mine = [r for r in removed if r.kind == kind.id and entry.may_hold(r.subject_id)]
    if not mine:
        return set()
    ids, decisions = {r.record_id for r in mine}, {r.decision for r in mine} - {None}
    held = records(snapshot.path(entry), kind, {r.subject_id for r in mine}, snapshot.decryption(entry))
    return {r.record_id for r in held if r.record_id in ids or r.decision in decisions}
