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
    number = "主键" if keys.has_record_id else "文号"
    yield from _beside(
        links, NAME, standard, keys, by="one_subject", cases=words.SAME_NUMBER_AS[replaces], number=number
    )
    yield from _beside(links, near_duplicates.NAME, standard, keys, by="exchanged", cases=words.ALIKE_AS)


def _beside(
    links: Sequence[Path],
    name: str,
    standard: Sequence[Path],
    keys: RowKeys,
    *,
    by: str,
    cases: tuple[str, str],
    number: str = "",
) -> Iterator[pa.RecordBatch]:
    """Yield the lines of rows beside which another one stands. name: of the files that list them.

    cases: the rules where `by` is true, and where it is not. number: what the number in question is called.
    """
    told = places.read(links, name)
    if told is None:
        return
    rows = _places(told["row_id"], standard, keys)
    found = told.join(rows, "row_id", join_type="inner").sort_by("row_id")
    which = pc.if_else(found[by], pa.scalar(0), pa.scalar(1))
    texts = [words.of_row(case, number=number, subject=words.SUBJECTS[n]) for n, case in enumerate(cases)]
    rule, before, after, remedy = (pa.array(part, pa.string()).take(which) for part in zip(*texts, strict=True))
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
    reasons = (name_conflicts.OTHER, name_conflicts.SAME, name_conflicts.UNKNOWN)
    cases = {reason: words.of_row(rule) for reason, rule in zip(reasons, words.MISNAMED_AS, strict=True)}
    told = [cases[asked[row]] for row in rows["row_id"].to_pylist()]
    identity = keys.plan.kind.roles["subject"].identity
    header = next(c.source for c in keys.plan.columns if c.element.id == identity["name"])
    columns = {n: rows[n] for n in (*_PLACE, "label")} | {"source_column": pa.repeat(header, rows.num_rows)}
    columns["rule"] = pa.array([case.rule for case in told], pa.string())
    columns["problem"] = pa.array([case.before for case in told], pa.string())
    columns["remedy"] = pa.array([case.remedy for case in told], pa.string())
    yield from pa.table(columns).combine_chunks().to_batches()


def _places(asked: pa.ChunkedArray, standard: Sequence[Path], keys: RowKeys) -> pa.Table:
    """Return row_id, source_file, source_row and label of these rows."""
    wanted = pc.field("row_id").isin(pc.unique(asked))
    columns = ["row_id", *_PLACE, *keys.naming]
    rows = pa.concat_tables(pq.read_table(p, columns=columns, filters=wanted) for p in standard)
    return rows.append_column("label", keys.labels(rows)).select(["row_id", *_PLACE, "label"])
