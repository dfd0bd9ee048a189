"""The tables of refused rows (需更正) of one batch: as CSV, and as a workbook where a clerk may correct it by hand."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chengxin.contracts.corrections import COLUMNS, LINE, titles
from chengxin.contracts.derivation import columns_of
from chengxin.contracts.headers import fold_header
from chengxin.feedback import words, workbook
from chengxin.feedback.spreadsheet import write_sheets
from chengxin.model.codelists import codelists
from chengxin.records.match_keys import RowKeys
from chengxin.records.refused import OpenRefusals

_ODD = re.compile(r"(?:\\x[0-9a-f]{2}|\\ud[89a-f][0-9a-f]{2}|\\ufffd)+")
_NO_SIGN = "□"
_RECORDS = frozenset({"json", "xml"})  # formats whose rows are counted, not lines


def write(
    folder: Path,
    rows: OpenRefusals,
    batch_id: str,
    writer: pq.ParquetWriter,
    *,
    keys: RowKeys,
    open_rows: int,
) -> tuple[str, ...]:
    """Write the open refused rows of a batch, and one line a reason to `writer`; return the names of the files."""
    own = words.OwnWords.of(keys.contract)
    told = words.explained(rows.reasons(batch_id), own)
    by_hand = open_rows <= workbook.MOST_ROWS
    suggested = rows.suggested(batch_id)
    reasons: dict[tuple[str, int], list[tuple[str, str, str]]] = {}
    for batch in rows.explained(batch_id, told):
        batch = _suggesting(_labelled(batch, keys), suggested)
        category = pa.repeat(words.REFUSED, batch.num_rows)
        writer.write_table(pa.Table.from_arrays([category, *batch.columns], schema=writer.schema))
        if by_hand:
            wanted = (batch[n].to_pylist() for n in ("source_file", "source_row", "source_column", "problem", "remedy"))
            for file, row, *said in zip(*wanted, strict=True):
                reasons.setdefault((file, row), []).append((said[0] or "", said[1], said[2]))
    headers = _headers(rows.headers(batch_id), keys)
    ours = [*COLUMNS, *([LINE] if rows.damaged(batch_id) else [])]
    heads = titles(ours, headers)
    lines: list[workbook.Line] = []

    def sheet() -> Iterator[pa.RecordBatch]:
        for batch in rows.sheet(batch_id, told, headers):
            shown = _shown(_suggesting(_labelled(batch, keys), suggested), batch_id, ours)
            if by_hand:
                lines.extend(_lines(shown, len(ours), headers, reasons))
            yield shown

    names = write_sheets(sheet(), [*heads, *headers], folder, words.REFUSED)
    if not by_hand:
        return names
    return names + workbook.write(workbook.Table(heads, headers, lines, _choices(headers, keys)), folder)


def _headers(sent: Sequence[str], keys: RowKeys) -> list[str]:
    """Return the headers of the rows as sent, and those that the contract wants besides: a field may be missing."""
    known = {fold_header(header) for header in sent}
    declared = columns_of(keys.contract)
    return [*sent, *(c.source for c in declared if known.isdisjoint(map(fold_header, (c.source, *c.aliases))))]


def _shown(batch: pa.RecordBatch, batch_id: str, ours: Sequence[str]) -> pa.RecordBatch:
    """Return our columns, all texts, then the department's. batch: as of OpenRefusals.sheet."""
    named = [batch[n].cast(pa.string()) for n in batch.schema.names[:7]]
    named.append(pa.repeat(batch_id, batch.num_rows))
    if LINE in ours:
        pairs = zip(batch["line"].to_pylist(), batch["bytes"].to_pylist(), strict=True)
        named.append(pa.array([readable(text, raw) for text, raw in pairs], pa.string()))
    columns = [*named, *batch.columns[9:]]
    return pa.RecordBatch.from_arrays(columns, names=[str(n) for n in range(len(columns))])


def _suggesting(batch: pa.RecordBatch, suggested: Mapping[tuple[str, int], str]) -> pa.RecordBatch:
    """Add to how a row is corrected the code of the company that it names."""
    if not suggested:
        return batch
    place = zip(batch["source_file"].to_pylist(), batch["source_row"].to_pylist(), strict=True)
    codes = pa.array([suggested.get(at) for at in place], pa.string())
    before, after = words.SUGGESTED.split("{code}")
    told = pc.binary_join_element_wise(batch["remedy"], before, codes, after, "")
    about = pc.is_valid(codes)
    if "rule" in batch.schema.names:
        about = pc.and_(about, pc.match_substring_regex(batch["rule"], r"^(uscc|org_code|reg_no|tax_no|subject)[._]"))
    remedy = pc.if_else(about, told, batch["remedy"])
    return batch.set_column(batch.schema.get_field_index("remedy"), "remedy", remedy)


def readable(text: str | None, raw: bytes | None) -> str | None:
    """Return the text of a row as far as it can be read: in UTF-8 or GBK where it is either; □ stands for a gap."""
    if text is None:
        return None
    shown = text
    for encoding in ("gbk", "utf-8") if raw else ():
        with suppress(UnicodeDecodeError):
            shown = (raw or b"").decode(encoding)
    return _ODD.sub(_NO_SIGN, shown).replace("\ufffd", _NO_SIGN)


def _labelled(batch: pa.RecordBatch, keys: RowKeys) -> pa.RecordBatch:
    """Give rows of which nothing could be read their place for a label."""
    if not batch["label"].null_count:
        return batch
    what = "条" if keys.contract.file.format in _RECORDS else "行"
    rows = zip(batch["label"].to_pylist(), batch["source_row"].to_pylist(), strict=True)
    labels = pa.array([f"第 {row} {what}" if label is None else label for label, row in rows], pa.string())
    return batch.set_column(batch.schema.get_field_index("label"), "label", labels)


def _lines(
    batch: pa.RecordBatch,
    ours: int,
    headers: Sequence[str],
    reasons: dict[tuple[str, int], list[tuple[str, str, str]]],
) -> Iterator[workbook.Line]:
    places = {fold_header(header): n for n, header in enumerate(headers)}
    for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
        remarks: dict[int, str] = {}
        for header, problem, remedy in reasons.get((cells[0], int(cells[1])), ()):
            at = places.get(fold_header(header)) if header else None
            if at is not None:
                said = f"{problem}。{remedy}"
                remarks[at] = f"{remarks[at]}\n{said}" if at in remarks else said
        yield workbook.Line(cells[:ours], cells[ours:], remarks)


def _choices(headers: Sequence[str], keys: RowKeys) -> dict[int, list[str]]:
    """Return what may stand in the columns of codes, as the department writes it."""
    found: dict[int, list[str]] = {}
    for column in keys.plan.columns:
        if column.element.type == "code" and column.constant is None:
            listed = codelists().get(column.element.codelist or "", {})
            said = [text for text, code in (column.codes or {}).items() if code in listed]
            choices = said or [entry.name for entry in listed.values()]
            at = next((n for n, header in enumerate(headers) if fold_header(header) in column.folded), None)
            if at is not None:
                found[at] = workbook.choices_of(choices)
    return found
