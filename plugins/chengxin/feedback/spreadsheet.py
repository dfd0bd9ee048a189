"""CSV that a clerk opens in Excel: UTF-8 with BOM, parts that Excel can hold, no cell that runs or loses its digits.

A cell gets a single quote in front when a spreadsheet program would take it for a formula (it begins with = + - @,
their full-width forms, a tab or a line end), or would spoil it as a number (a leading zero, twelve digits and more).
Plain numbers such as -12.5 stay as they are. Our own reader removes the quote when a row comes back.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

BOM = b"\xef\xbb\xbf"
ROWS_A_FILE = 200_000
_FORMULA = r"^[\s\x{FEFF}]*[=+\-@＝＋－＠]|^[\t\r\n]"
_NUMBER = r"^([+-]?\d{1,11}(\.\d+)?%?|-+)$"
_SPOILED = r"^(0\d+|[+-]?\d{12,}|\d+[eE]\d+)$"


def safe(texts: pa.Array) -> pa.Array:
    """Return texts that no spreadsheet program runs or changes; null stays null."""
    danger = pc.match_substring_regex(texts, _FORMULA)
    danger = pc.and_(danger, pc.invert(pc.match_substring_regex(texts, _NUMBER)))
    danger = pc.fill_null(pc.or_(danger, pc.match_substring_regex(texts, _SPOILED)), False)
    return pc.if_else(danger, pc.binary_join_element_wise("'", texts, ""), texts)


def write_sheets(batches: Iterable[pa.RecordBatch], titles: Sequence[str], folder: Path, stem: str) -> tuple[str, ...]:
    """Write rows under `titles` into <stem>.csv, then <stem>-2.csv ...; nothing without rows. Return the names."""
    heads = safe(pa.array(titles, pa.string())).to_pylist()
    names: list[str] = []
    writer: csv.CSVWriter | None = None
    stream = None
    room = 0
    options = csv.WriteOptions(quoting_style="all_valid")
    for batch in batches:
        rows = _texts(batch, heads)
        while rows.num_rows:
            if room == 0:
                if writer is not None and stream is not None:
                    writer.close()
                    stream.close()
                names.append(f"{stem}.csv" if not names else f"{stem}-{len(names) + 1}.csv")
                stream = (folder / names[-1]).open("wb")
                stream.write(BOM)
                writer, room = csv.CSVWriter(stream, rows.schema, write_options=options), ROWS_A_FILE
            assert writer is not None
            writer.write_table(rows.slice(0, room))
            taken = min(room, rows.num_rows)
            rows, room = rows.slice(taken), room - taken
    if writer is not None and stream is not None:
        writer.close()
        stream.close()
    return tuple(names)


def _texts(batch: pa.RecordBatch, titles: Sequence[str]) -> pa.Table:
    columns = [safe(column.cast(pa.string())) for column in batch.columns]
    return pa.Table.from_arrays(columns, schema=pa.schema([(t, pa.string()) for t in titles]))
