"""Quarantined rows (疑问数据): the raw text and every reason, so that the department can correct and send again."""

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.cleaning.issues import ISSUES, REASON, Reason
from chengxin.parsing.buffers import fixed_values, parts, repeated, replaced, rows_at, take
from chengxin.parsing.reader import Damaged

QUARANTINE = pa.schema(
    [
        ("row_id", pa.int64()),
        ("source_file", pa.string()),
        ("source_row", pa.int64()),
        ("raw", pa.string()),
        ("raw_bytes", pa.binary()),
        ("reasons", pa.list_(REASON)),
    ]
)


def quarantine_table(
    raw: pa.Table,
    row_id: pa.Array,
    source_row: pa.Array,
    file_name: str,
    *,
    refused: np.ndarray,
    reasons: list[Reason],
) -> pa.Table:
    """Build the quarantine rows of a chunk: `refused` marks them, `reasons`: see IssueLog.reasons."""
    index = np.flatnonzero(refused)
    if not len(index):
        return QUARANTINE.empty_table()
    at = fixed_values(index, pa.int64())
    return pa.Table.from_arrays(
        [
            row_id.take(at),
            repeated(file_name, len(index)),
            source_row.take(at),
            json_lines(raw.take(at)),
            pa.nulls(len(index), pa.binary()),
            _reason_lists(index, reasons),
        ],
        schema=QUARANTINE,
    )


def _reason_lists(index: np.ndarray, reasons: list[Reason]) -> pa.Array:
    rows = np.concatenate([reason.rows for reason in reasons])
    which = np.concatenate([np.full(len(reason.rows), n) for n, reason in enumerate(reasons)])
    order = np.lexsort((which, rows))
    rows, which = rows[order], which[order]
    offsets = np.append(np.searchsorted(rows, index, side="left"), len(rows)).astype(np.int32)
    structs = pa.StructArray.from_arrays(
        [
            pa.array(texts).take(fixed_values(which, pa.int64()))
            for texts in zip(*((reason.rule, reason.element, reason.source) for reason in reasons), strict=True)
        ],
        fields=list(REASON),
    )
    return pa.ListArray.from_arrays(fixed_values(offsets, pa.int32()), structs)


def json_lines(table: pa.Table) -> pa.Array:
    """Render each row as a JSON object of header -> text, column by column."""
    pieces: list[str | pa.Array] = [""]
    for n, name in enumerate(table.column_names):
        column = table[name].combine_chunks()
        text = _escaped(column.chunk(0) if isinstance(column, pa.ChunkedArray) else column)
        lead = ("{" if n == 0 else ", ") + json.dumps(name, ensure_ascii=False) + ": "
        if text.null_count:
            text, edge = pc.fill_null(pc.binary_join_element_wise('"', text, '"', ""), "null"), ""
        else:
            edge = '"'
        pieces[-1] += lead + edge
        pieces += [text, edge]
    pieces[-1] += "}"
    return pc.binary_join_element_wise(*pieces, "")


def _escaped(text: pa.StringArray) -> pa.StringArray:
    """Return texts as they stand between the quotes of JSON; the few that need it go through the JSON library."""
    offsets, data = parts(text)
    used = data[offsets[0] : offsets[-1]]
    special = np.flatnonzero((used < 0x20) | (used == 0x22) | (used == 0x5C))
    if not special.size:
        return text
    rows = rows_at(offsets, special + offsets[0])
    # No text holds a line break once it is JSON: one call writes them all, and lines separate them.
    said = json.dumps(take(text, rows).to_pylist(), ensure_ascii=False, separators=("\n", ":"))[1:-1].split("\n")
    return replaced(text, rows, pa.array([None if s == "null" else s[1:-1] for s in said], pa.string()))


def damaged_table(damaged: Sequence[Damaged], base: int, file_name: str) -> tuple[pa.Table, pa.Table]:
    """Build quarantine and issue rows of what could not be read into fields. `base` = row_id of row 0 of the file."""
    rows = [d.row for d in damaged]
    ids, names = [base + r for r in rows], [file_name] * len(rows)
    reasons = [[{"rule": d.rule, "element": "", "source_column": d.note}] for d in damaged]
    quarantined = pa.Table.from_arrays(
        [
            pa.array(ids, pa.int64()),
            pa.array(names),
            pa.array(rows, pa.int64()),
            pa.array([d.raw for d in damaged]),
            pa.array([d.raw_bytes for d in damaged], pa.binary()),
            pa.array(reasons, pa.list_(REASON)),
        ],
        schema=QUARANTINE,
    )
    level = ["error"] * len(rows)
    issues = pa.Table.from_arrays(
        [
            pa.array(ids, pa.int64()),
            pa.array(names),
            pa.array(rows, pa.int64()),
            pa.array([""] * len(rows)),
            pa.array([d.note for d in damaged]),
            pa.array([d.rule for d in damaged]),
            pa.array(level),
            pa.nulls(len(rows), pa.string()),
            pa.nulls(len(rows), pa.string()),
        ],
        schema=ISSUES,
    )
    return quarantined, issues
