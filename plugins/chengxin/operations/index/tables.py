"""Queue rows as CSV for a spreadsheet: UTF-8 with a mark, and no cell that a spreadsheet would take for a formula."""

import csv
import io
from collections.abc import Iterable, Iterator

from chengxin.operations.index.rows import Row

HEADER = ("数据集", "批次", "文件", "行号", "原因", "规则", "内容")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def safe(value: object) -> str:
    """Return a cell that a spreadsheet shows as text: what looks like a formula gets an apostrophe in front."""
    text = "" if value is None else str(value)
    text = text.replace("\x00", "")
    return f"'{text}" if text.lstrip(" \u3000").startswith(_FORMULA) or text.startswith(_FORMULA) else text


def lines(rows: Iterable[Row]) -> Iterator[str]:
    """Give the CSV text, header first, a piece at a time."""
    yield "\ufeff" + _line(HEADER)
    for row in rows:
        reasons = "；".join(r.zh for r in row.reasons) if row.reasons else row.waits
        content = "；".join(f"{name}：{value}" if name else str(value) for name, value in row.values.items() if value)
        broken = " ".join(r.rule for r in row.reasons)
        yield _line((row.dataset, row.batch_id, row.file, row.row, reasons, broken, content))


def _line(cells: Iterable[object]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow([safe(cell) for cell in cells])
    return buffer.getvalue()
