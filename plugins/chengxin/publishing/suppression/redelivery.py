"""Removed records that a department delivers again: known by number, or by subject, decision number and authority."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.engine.session import Session
from chengxin.engine.step import Step
from chengxin.facts import Admission
from chengxin.identity.held_links import link_files
from chengxin.model.kinds import Kind
from chengxin.records.acts import AUTHORITY, Record, decision, number_column
from chengxin.store.layout import Layout

SUPPRESSED = "suppressed"  # input: the records (record_id) of a kind that legal acts keep out


def leave(session: Session, layout: Layout, kind: Kind, fresh: Sequence[Admission], removed: Iterable[Record]) -> None:
    """Leave the input `suppressed`: the records of a kind that must not come, whatever fresh admissions hold."""
    ids = _suppressed(session, layout, kind, fresh, removed)
    session.rows(SUPPRESSED, pa.table({"record_id": pa.array(sorted(ids), pa.string())}))


def _suppressed(
    session: Session, layout: Layout, kind: Kind, fresh: Sequence[Admission], removed: Iterable[Record]
) -> set[str]:
    """Return the removed records, and those of fresh rows about a removed decision."""
    mine = [r for r in removed if r.kind == kind.id]
    ids, decisions = {r.record_id for r in mine}, {r.decision for r in mine} - {None}
    number = number_column(kind)
    if not decisions or number is None:
        return ids
    for admission in fresh:
        found = _about(session, layout, admission, {d[1] for d in decisions if d})
        if found.num_rows:
            rows = _standard(layout, admission, [number, AUTHORITY], found.column("row_id"))
            linked = {row["row_id"]: row for row in found.to_pylist()}
            for row in rows.to_pylist():
                link = linked[row["row_id"]]
                named = decision(kind.id, link["subject_id"], row[number] or "", row.get(AUTHORITY) or "")
                ids |= {link["record_id"]} if named in decisions else set()
    return ids


def _about(session: Session, layout: Layout, admission: Admission, subjects: set[int]) -> pa.Table:
    """Return the linked rows of an admission about some subjects."""
    files = link_files(layout, [admission], "linked")
    if not files:
        return pa.table({"row_id": []})
    session.files("acts_linked", files)
    session.rows("acts_subjects", pa.table({"subject_id": pa.array(sorted(subjects), pa.int64())}))
    sql = """SELECT row_id, record_id, subject_id FROM acts_linked JOIN acts_subjects USING (subject_id)
        WHERE NOT waiting"""
    return session.table(Step("rows_under_acts", ("acts_linked", "acts_subjects"), sql))


def _standard(layout: Layout, admission: Admission, columns: Sequence[str], rows: pa.ChunkedArray) -> pa.Table:
    """Return these columns, as far as there are such, of some rows of a batch."""
    folder = layout.standard(admission.dataset, admission.batch_id)
    pieces = [_some(path, columns, rows) for path in sorted(folder.glob("standard-*.parquet"))]
    return pa.concat_tables(pieces, promote_options="default")


def _some(path: Path, columns: Sequence[str], rows: pa.ChunkedArray) -> pa.Table:
    present = set(pq.read_schema(path).names)
    named = ["row_id", *(c for c in columns if c in present)]
    return pq.read_table(path, columns=named, filters=pc.field("row_id").isin(rows.combine_chunks()), partitioning=None)
