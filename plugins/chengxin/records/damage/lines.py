"""Rows that could not be read into fields, known again when they come mended: by whole values that name a record.

Which cell is which is not known where one is too many or too few. So a usable row counts as the mended line only if all
that names it (the source's own key, every key field, the name) stands in the line, each as a whole value, and under its
own name where names stand there (JSON, XML). Where one of these names stands there twice, it may be two records.

Of a line that the end of its file cuts off, or whose bytes are damaged, some of it is lost: a value may be
missing that was cut off or stood in a damaged cell, as long as what is left names one record: the source's own key (a
short one beside the name or a number), else the name and a number. What is longer than a record may be may hold many.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.contracts.headers import fold_header
from chengxin.contracts.models import FileSpec
from chengxin.identity.record_keys import RECORD_ID
from chengxin.records.damage.values import Value, values_of
from chengxin.records.match_keys import RowKeys

_BROKEN = ["row.width", "row.quote_unclosed", "row.quote_stray", "row.formula_error", "row.merged"]
_BROKEN_RECORD = ["row.not_a_record", "row.key_twice"]
_CUT_OFF, _UNDECODABLE = "row.cut_off", "row.undecodable"
_BYTE = re.compile(r"\\x[0-9a-f]{2}|\\udc[0-9a-f]{2}")  # what stands for a byte that is no text
_ALL = 1_000  # values may be missing
_SURE = 6  # characters: a key this long stands in no other cell by chance
_NAMED = frozenset({"json", "jsonl", "xml"})


def lines_of(keys: RowKeys, batches: Mapping[int, Iterable[Path]]) -> pa.Table | None:
    """Return the cells of the broken lines, each cleaned as everything that names a record.

    batches: batch_no -> quarantine files. Columns: batch_no, row_id, raw, lost (how many values may be missing in it),
    and those of what names a record; None where there is no such line, or a line could not be told from one that holds
    names of others.
    """
    if not _telling(keys):
        return None
    own = _BROKEN_RECORD if keys.contract.file.format in _NAMED else _BROKEN
    rules = pa.array([*own, _CUT_OFF, _UNDECODABLE])
    found = [
        _cells(keys, number, table)
        for number, files in batches.items()
        for path in files
        if (table := _broken(path, rules)).num_rows
    ]
    return pa.concat_tables(found) if found else None


def mends(keys: RowKeys) -> str:
    """Return SQL for (batch_no, row_id, mended_by) of `lines` and `good`.

    Lines of one batch with one key are distinguished by their number: as many as come again are corrected.
    """
    wanted = _wanted(keys)
    anchor, *others = wanted
    told = {e: (_text(keys, e, "l"), _text(keys, e, "g")) for e in wanted}
    lists = "".join(f", list({told[e][0]}) AS {_column(keys, e)}" for e in others)
    stands = {e: f"coalesce(list_contains(r.{_column(keys, e)}, {told[e][1]}), false)" for e in others}
    missing = {e: f"({told[e][1]} IS NOT NULL AND NOT {stands[e]})" for e in others}
    lost = " + ".join(["0", *(f"CAST({m} AS INTEGER)" for m in missing.values())])
    agree = f" AND {lost} <= r.lost"
    if keys.contract.file.format in _NAMED:  # under its name stands another value
        agree += "".join(
            f" AND NOT ({m} AND len(list_filter(r.{_column(keys, e)}, lambda x: x IS NOT NULL)) > 0)"
            for e, m in missing.items()
        )
    agree += f" AND (r.lost = 0 OR {_enough(keys, told[anchor][1], stands)})"
    key = ", ".join(told[e][1] for e in wanted)
    return f"""WITH whole AS (
            SELECT batch_no, row_id, raw, lost, list_distinct(list({told[anchor][0]})) AS anchors{lists}
            FROM lines l GROUP BY ALL),
        anchored AS (SELECT *, unnest(anchors) AS anchor FROM whole),
        come AS (
            SELECT r.batch_no, r.row_id, r.raw, g.batch_no AS mended_by, concat_ws(chr(31), {key}) AS key,
                count(*) AS n
            FROM anchored r JOIN good g ON r.anchor = {told[anchor][1]} AND g.batch_no > r.batch_no
            WHERE {" AND ".join(f"g.{c} IS NOT NULL" for c in _named(keys))}{agree} GROUP BY ALL),
        numbered AS (
            SELECT *, dense_rank() OVER (PARTITION BY batch_no, mended_by, key ORDER BY raw) AS place FROM come)
        SELECT batch_no, row_id, min(mended_by) AS mended_by FROM numbered WHERE n >= place GROUP BY ALL"""


def _enough(keys: RowKeys, anchor: str, stands: Mapping[str, str]) -> str:
    """Return the SQL condition that what stands whole in a line of which some is lost names one record."""
    numbers = [sql for e, sql in stands.items() if e != keys.name and keys.is_number(e)]
    if keys.has_record_id:
        beside = [*numbers, *(sql for e, sql in stands.items() if e == keys.name)]
        return " OR ".join([f"length({anchor}) >= {_SURE}", *beside])
    return " OR ".join(["false", *numbers])


def _broken(path: Path, broken_by: pa.Array) -> pa.Table:
    """Return row_id, raw and rule of the broken lines of a part; the texts of a part without any are not read."""
    reasons = pq.read_table(path, columns=["reasons"])["reasons"]
    rules = pc.list_flatten(reasons).combine_chunks().field("rule")
    rows = pc.list_parent_indices(reasons).combine_chunks()
    hits = pc.is_in(rules, value_set=broken_by)
    broken = pa.table({"row": rows.filter(hits), "rule": rules.filter(hits).cast(pa.string())})
    broken = broken.group_by("row").aggregate([("rule", "min")]).sort_by("row")  # cut_off before undecodable
    schema = pa.schema([("row_id", pa.int64()), ("raw", pa.string()), ("rule", pa.string())])
    if not broken.num_rows:
        return schema.empty_table()
    return pq.read_table(path, columns=schema.names[:2]).take(broken["row"]).append_column("rule", broken["rule_min"])


def _cells(keys: RowKeys, number: int, table: pa.Table) -> pa.Table:
    under = {e: _names(keys, e) for e in _wanted(keys)}
    spec = keys.contract.file
    rows = zip(*(table[n].to_pylist() for n in ("raw", "rule")), strict=True)
    legible = [_legible_values(raw, rule, spec) for raw, rule in rows]
    split, lost = [values for values, _ in legible], [n for _, n in legible]
    if spec.format in _NAMED:
        split = [values if _is_single(values, under) else [] for values in split]
    rows = pa.array([n for n, values in enumerate(split) for _ in values], pa.int64())
    lines = {"batch_no": pa.repeat(pa.scalar(number, pa.int32()), len(rows))} | {
        n: table[n].take(rows) for n in ("row_id", "raw")
    }
    lines["lost"] = pa.array(lost, pa.int32()).take(rows)
    cells = [(name and fold_header(name), value) for values in split for name, value in values]
    columns = {
        e: pa.array([v if name is None or name in names else None for name, v in cells], pa.string())
        for e, names in under.items()
    }
    return pa.table(lines | {_column(keys, e): keys.cleaned(texts, e) for e, texts in columns.items()})


def _legible_values(raw: str, rule: str, spec: FileSpec) -> tuple[list[Value], int]:
    """Return the values of a line, and how many more of them may have stood in what is lost of it."""
    values = values_of(raw, spec)
    if rule not in {_CUT_OFF, _UNDECODABLE}:
        return values, 0
    if rule == _CUT_OFF and spec.format not in _NAMED:
        values = values[:-1]  # where the file ends, a value may go on
    whole = [(name, None if value is not None and _BYTE.search(value) else value) for name, value in values]
    in_cells = rule == _UNDECODABLE and spec.format in {"csv", "tsv", "xlsx", "xls"}
    return whole, sum(value is None for _, value in whole) if in_cells else _ALL


def _names(keys: RowKeys, element: str) -> frozenset[str]:
    """Return the folded headers of an element, without the path before them."""
    return frozenset(re.split("[/@]", header)[-1] for header in keys.folded(element))


def _is_single(values: Sequence[Value], under: Mapping[str, frozenset[str]]) -> bool:
    """Return whether each name that names the record stands there once, or again with the same value."""
    found = [{v for name, v in values if name is not None and fold_header(name) in names} for names in under.values()]
    return all(len(texts) <= 1 for texts in found)


def _column(keys: RowKeys, element: str) -> str:
    return RECORD_ID if element == RECORD_ID else keys.column(element)


def _wanted(keys: RowKeys) -> list[str]:
    """Return what names a record, the most distinctive first."""
    name = [p for p in keys.parts if p == keys.name]
    return [*([RECORD_ID] if keys.has_record_id else []), *name, *(p for p in keys.parts if p != keys.name)]


def _text(keys: RowKeys, element: str, alias: str) -> str:
    return f"{alias}.{RECORD_ID}" if element == RECORD_ID else keys.text(element, alias)


def _named(keys: RowKeys) -> list[str]:
    """Return the columns that a usable row must have filled: a line may hold names of others, or their numbers."""
    if keys.has_record_id:
        return [RECORD_ID, *([keys.column(keys.name)] if keys.name in keys.parts else [])]
    optional = keys.plan.kind.key_optional
    return [keys.column(p) for p in keys.parts if p not in optional]


def _telling(keys: RowKeys) -> bool:
    """Return whether more than a name, or a number, names a record."""
    return len(_wanted(keys)) > 1 and (keys.has_record_id or (keys.name in keys.parts and bool(keys.plan.kind.key)))
