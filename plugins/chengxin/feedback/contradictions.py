"""Rows that contradict what is known: the source's own number of another record, the name of another subject."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.feedback import words
from chengxin.identity.conflicts import name_conflicts, near_duplicates, places
from chengxin.identity.conflicts.shared_numbers import NAME
from chengxin.identity.record_keys import RECORD_ID
from chengxin.records.findings import number_of
from chengxin.records.match_keys import RowKeys

_PLACE = ["source_file", "source_row"]


def same_number(links: Sequence[Path], standard: Sequence[Path], keys: RowKeys) -> Iterator[pa.RecordBatch]:
    """Yield one line a row: source_file, source_row, label, source_column, rule, problem, remedy; by row.

    links: the links folders of a batch, one a revision. standard: the parts of its passed rows.
    """
    replaces = keys.contract.delivery.versions_by == RECORD_ID
    number = "主键与 " if keys.has_record_id else "文号与 "
    cases = [words.SAME_NUMBER_AS[replaces, one] for one in (True, False)]
    yield from _beside(links, NAME, standard, keys, before=number, by="one_subject", cases=cases)
    cases = [words.ALIKE_AS[exchanged] for exchanged in (True, False)]
    yield from _beside(links, near_duplicates.NAME, standard, keys, before="与 ", by="exchanged", cases=cases)


def _beside(
    links: Sequence[Path],
    name: str,
    standard: Sequence[Path],
    keys: RowKeys,
    *,
    before: str,
    by: str,
    cases: Sequence[tuple[str, str, str]],
) -> Iterator[pa.RecordBatch]:
    """Yield the lines of rows that stand beside another one. name: of the files that tell; cases: if `by`, if not."""
    told = places.read(links, name)
    if told is None:
        return
    rows = _places(told["row_id"], standard, keys)
    found = told.join(rows, "row_id", join_type="inner").sort_by("row_id")
    which = pc.if_else(found[by], pa.scalar(0), pa.scalar(1))
    rule, after, remedy = (pa.array([case[n] for case in cases], pa.string()).take(which) for n in range(3))
    place = [found["other_batch"], " 批次 ", found["other_file"], " 第 ", found["other_row"].cast(pa.string()), " 行"]
    columns = {
        **{n: found[n] for n in (*_PLACE, "label")},
        "source_column": pa.repeat(number_of(keys.contract), found.num_rows),
        "rule": rule,
        "problem": pc.binary_join_element_wise(before, *place, after, ""),
        "remedy": remedy,
    }
    yield from pa.table(columns).combine_chunks().to_batches()


def named_otherwise(links: Sequence[Path], standard: Sequence[Path], keys: RowKeys) -> Iterator[pa.RecordBatch]:
    """Yield one line a row with the code of one subject and another name; as `same_number`."""
    asked = name_conflicts.rows_of(links)
    if not asked:
        return
    rows = _places(pa.chunked_array([pa.array(list(asked), pa.int64())]), standard, keys).sort_by("row_id")
    cases = {
        name_conflicts.OTHER: words.NAMED_OTHERWISE,
        name_conflicts.SAME: words.SAME_NAMED,
        name_conflicts.UNKNOWN: words.NAME_UNKNOWN,
    }
    told = [cases[asked[row]] for row in rows["row_id"].to_pylist()]
    identity = keys.plan.kind.roles["subject"].identity
    header = next(c.source for c in keys.plan.columns if c.element.id == identity["name"])
    columns = {n: rows[n] for n in (*_PLACE, "label")} | {"source_column": pa.repeat(header, rows.num_rows)}
    for n, name in enumerate(("rule", "problem", "remedy")):
        columns[name] = pa.array([case[n] for case in told], pa.string())
    yield from pa.table(columns).combine_chunks().to_batches()


def _places(asked: pa.ChunkedArray, standard: Sequence[Path], keys: RowKeys) -> pa.Table:
    """Return row_id, source_file, source_row and label of these rows."""
    wanted = pc.field("row_id").isin(pc.unique(asked))
    columns = ["row_id", *_PLACE, *keys.naming]
    rows = pa.concat_tables(pq.read_table(p, columns=columns, filters=wanted) for p in standard)
    return rows.append_column("label", keys.labels(rows)).select(["row_id", *_PLACE, "label"])
