"""Rows that another row overtook: of the same delivery, one record with two contents; or a later one that mended it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.feedback import words
from chengxin.identity.corrections import NAME
from chengxin.records.match_keys import RowKeys

_PLACE = ["source_file", "source_row"]


def corrected(links: Sequence[Path], standard: Sequence[Path], keys: RowKeys) -> Iterator[pa.RecordBatch]:
    """Yield one line a row that waited until its record came again, corrected; as `overtaken`."""
    files = [f for f in (folder / NAME for folder in links) if f.exists()]
    if not files:
        return
    told = pa.concat_tables(pq.read_table(f) for f in files)
    asked = pc.field("row_id").isin(told["row_id"].combine_chunks())
    rows = pa.concat_tables(
        pq.read_table(p, columns=["row_id", *_PLACE, *keys.naming], filters=asked) for p in standard
    )
    rows = rows.append_column("label", keys.labels(rows)).select(["row_id", *_PLACE, "label"])
    found = rows.join(told, "row_id", join_type="inner").sort_by("row_id")
    rule, before, after, remedy = words.of_row(words.CORRECTED_BY)
    place = [before, found["by_batch"], " ", found["by_file"], " 第 ", found["by_row"].cast(pa.string()), " 行", after]
    same = {"source_column": pa.nulls(found.num_rows, pa.string()), "rule": pa.repeat(rule, found.num_rows)}
    columns = {n: found[n] for n in (*_PLACE, "label")} | same
    columns |= {"problem": pc.binary_join_element_wise(*place, ""), "remedy": pa.repeat(remedy, found.num_rows)}
    yield from pa.table(columns).combine_chunks().to_batches()


def overtaken(links: Sequence[Path], standard: Sequence[Path], keys: RowKeys) -> Iterator[pa.RecordBatch]:
    """Yield one line a row: source_file, source_row, label, source_column, rule, problem, remedy; by row.

    links: the links folders of a batch, one a revision. standard: the parts of its passed rows.
    """
    files = [f for f in (folder / "overtaken.parquet" for folder in links) if f.exists()]
    pairs = [t for t in (pq.read_table(f, columns=["row_id", "by_row"]) for f in files) if t.num_rows]
    if not pairs:
        return
    pair = pa.concat_tables(pairs)
    asked = pc.unique(pa.chunked_array([*pair["row_id"].chunks, *pair["by_row"].chunks]))
    places = pa.concat_tables(
        pq.read_table(p, columns=["row_id", *_PLACE, *keys.naming], filters=pc.field("row_id").isin(asked))
        for p in standard
    )
    places = places.append_column("label", keys.labels(places)).select(["row_id", *_PLACE, "label"])
    shown = places.select(["row_id", *_PLACE]).rename_columns(["by_row", "by_file", "by_place"])
    found = pair.join(places, "row_id", join_type="inner").join(shown, "by_row", join_type="inner").sort_by("row_id")
    rule, before, after, remedy = words.of_row(words.OVERTAKEN_BY)
    place = found["by_place"].cast(pa.string())
    elsewhere = pc.if_else(pc.equal(found["by_file"], found["source_file"]), "", found["by_file"])
    n = found.num_rows
    columns = {
        "source_file": found["source_file"],
        "source_row": found["source_row"],
        "label": found["label"],
        "source_column": pa.nulls(n, pa.string()),
        "rule": pa.repeat(rule, n),
        "problem": pc.binary_join_element_wise(before, elsewhere, "第 ", place, " 行", after, ""),
        "remedy": pa.repeat(remedy, n),
    }
    yield from pa.table(columns).combine_chunks().to_batches()
