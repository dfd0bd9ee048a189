"""A file that is our table of refused rows, corrected and sent back: recognition, and which row answers which.

A table is known by its name, its header or, in a workbook, the hidden sheet; so it may be renamed, saved by another
program, have its columns moved or some of ours deleted.
"""

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.contracts.corrections import BATCH, FILE, ROW, SHEET, is_named
from chengxin.contracts.models import Contract, FileSpec
from chengxin.contracts.plan import Plan, plan_of
from chengxin.errors import ChengxinError, DeliveryMismatch
from chengxin.facts import TableFormat
from chengxin.parsing.reader import RawChunk, header_at
from chengxin.parsing.workbooks.sheets import sheet_names

#: Which refused row a row of a corrected table answers.
ANSWERS = pa.schema(
    [("row_id", pa.int64()), ("batch_id", pa.string()), ("source_file", pa.string()), ("source_row", pa.int64())]
)
_MOST = 256 << 20  # bytes of an unpacked workbook that is looked into
_BATCH_ID = r"^(?P<dataset>.+)-[0-9]{8}-[0-9a-f]{12}$"
_OLD_BOOK = b"\xd0\xcf\x11\xe0"


def recognised(path: Path, contract: Contract) -> TableFormat | None:
    """Return the format of a corrected table of refused rows; None for any other file. Never raises on bytes."""
    with path.open("rb") as stream:
        head = stream.read(4)
    named = is_named(path.name)
    if head == b"PK\x03\x04" or head == _OLD_BOOK:
        form: TableFormat = "xls" if head == _OLD_BOOK else "xlsx"
        return form if _is_book(path, form, contract) or (named and path.suffix.lower() != ".csv") else None
    texts: tuple[TableFormat, ...] = ("csv", "tsv")
    plan = plan_of(contract)
    of_ours = (t for t in texts if plan.is_ours(header_at(path, FileSpec(format=t, encoding="auto"), 1)))
    return next(of_ours, "csv" if named else None)


def _is_book(path: Path, form: TableFormat, contract: Contract) -> bool:
    with suppress(ChengxinError, zipfile.BadZipFile, OSError):
        if form == "xlsx":
            with zipfile.ZipFile(path) as package:
                if sum(info.file_size for info in package.infolist()) > _MOST:
                    return False
        if SHEET in sheet_names(path, form):
            return True
        return plan_of(contract).is_ours(header_at(path, FileSpec(format=form, sheet=1), 1))
    return False


def without_ours(chunk: RawChunk, plan: Plan) -> tuple[RawChunk, pa.Table | None]:
    """Take our columns out of a chunk; return which refused row each row answers (ANSWERS but for row_id, or None).

    Rows in which the department's own columns are all empty hold nothing but ours, and are left out. Raise
    DeliveryMismatch where it is the table of another data set.
    """
    ours = plan.ours(chunk.table.column_names)
    if not ours:
        return chunk, None
    told = chunk.table
    table = told.drop_columns(list(ours.values()))
    kept = np.zeros(told.num_rows, dtype=bool)
    for column in table.columns:
        kept |= pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(column), ""), False).to_numpy()
    if kept.all():
        return replace(chunk, table=table), _answers(told, ours, plan.contract.id)
    index, place = pa.array(np.flatnonzero(kept), pa.int64()), np.cumsum(kept) - 1

    def moved(marked: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
        return {column: [int(place[n]) for n in rows if kept[n]] for column, rows in marked.items()}

    taken = replace(
        chunk,
        table=table.take(index).combine_chunks(),
        rows=chunk.rows.take(index),
        nested=moved(chunk.nested),
        dated=moved(chunk.dated),
        partial=moved(chunk.partial),
    )
    return taken, _answers(told.take(index), ours, plan.contract.id)


def refuse_misplaced(chunks: Iterable[RawChunk], plan: Plan) -> None:
    """Raise DeliveryMismatch where a corrected table is of another data set, whatever its columns are."""
    for chunk in chunks:
        without_ours(chunk, plan)


def _answers(told: pa.Table, ours: Mapping[str, str], dataset: str) -> pa.Table | None:
    if not {FILE, ROW, BATCH} <= ours.keys():
        return None
    file, row, batch = (
        pc.replace_substring_regex(pc.utf8_trim_whitespace(told[ours[name]]), "^'", "") for name in (FILE, ROW, BATCH)
    )
    number = pc.if_else(pc.match_substring_regex(row, r"^\d{1,15}$"), row, None).cast(pa.int64())
    for other in pc.unique(pc.struct_field(pc.extract_regex(batch, _BATCH_ID), "dataset")).to_pylist():
        if other is not None and other != dataset:
            raise DeliveryMismatch(
                f"{dataset}：这是数据集 {other} 的“需更正”表，放错了地方；没有采用。请把它放回该数据集的投递目录"
            )
    return pa.table({"batch_id": batch, "source_file": file, "source_row": number})
