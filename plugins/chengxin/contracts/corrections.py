"""The table of refused rows (需更正) that a department gets, corrects and sends back: what in it is ours.

Our columns are named here and nowhere else: the answer writes them, and every reader passes over them.
"""

from collections.abc import Container, Iterable

from chengxin.contracts.headers import fold_header

#: How the name of such a file begins.
STEM = "需更正"
#: The hidden sheet of such a workbook; programs that save it anew keep it.
SHEET = "chengxin_correction"
FILE, ROW, RULES, BATCH = "来源文件", "行号", "规则代码", "批次号"
#: The columns that tell of a row, in order: its place, its label, what is wrong with it and how to correct it.
COLUMNS = (FILE, ROW, "记录标识", "问题字段", "问题说明", "更正办法", RULES, BATCH)
#: The text of a row that could not be split into fields.
LINE = "整行原文（未能拆分）"
#: What our titles end with where the department has a column of that name.
MARK = "（反馈）"
#: So many of our columns in one header are no chance.
TELLING = 3
_KNOWN = {fold_header(t): t for t in (*COLUMNS, LINE)} | {fold_header(t + MARK): t for t in (*COLUMNS, LINE)}


def titles(wanted: Iterable[str], own: Iterable[str]) -> list[str]:
    """Return our titles as they stand beside the headers of the department."""
    taken = {fold_header(header) for header in own}
    return [title + MARK if fold_header(title) in taken else title for title in wanted]


def ours(headers: Iterable[str], declared: Container[str]) -> dict[str, str]:
    """Return our title -> header as sent, of the columns that are ours. declared: folded headers of the contract."""
    found: dict[str, str] = {}
    for header in headers:
        folded = fold_header(header)
        if folded in _KNOWN and folded not in declared:
            found.setdefault(_KNOWN[folded], header)
    return found


def is_named(name: str) -> bool:
    """Tell by a file's name whether it is such a table: 需更正.csv, 需更正-2 (1).xlsx."""
    return name.startswith(STEM) and name.lower().endswith((".csv", ".xlsx", ".xls"))
