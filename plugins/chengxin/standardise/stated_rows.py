"""How many records a delivery says it has, in its manifest or in a total of the table, against what was read."""

import re
from collections.abc import Iterable, Sequence

from chengxin.handover import Batch, StatedRows

MANIFEST, TOTAL = "manifest", "total"
_COUNT = re.compile(
    r"(?:合计|总计|共计|共有|总数|记录数|共)[^0-9条笔行小]{0,20}?(\d{1,3}(?:[,，]\d{3})+|\d+)[\s\"”]*(?:条|笔|行)"
    r"|(?:记录数|条数|总行数)[\s:：,，\"“]{1,4}(\d{1,3}(?:[,，]\d{3})+|\d+)(?![\d.])"
)
_LONGEST = 200  # characters; a note that is longer tells of more than its number


def totals(lines: Iterable[str]) -> list[int]:
    """Return the numbers of records that totals and notes of a table state: 合计 120 条, 共120条记录, 记录数：120."""
    said = (_COUNT.search(line) for line in lines if len(line) <= _LONGEST)
    return [int(re.sub("[,，]", "", match[1] or match[2])) for match in said if match]


def differing(
    batch: Batch, names: Sequence[str], records: Sequence[int], stated: Sequence[Sequence[int]]
) -> tuple[StatedRows, ...]:
    """Return what is stated and was not read. names: of the files; records: read of each; stated: by their totals.

    A file may hold a total of each of its tables: it agrees if the last total, the greatest, or their sum does.
    """
    found = []
    for file in batch.files:
        of_file = [n for n, name in enumerate(names) if name == file.name or name.startswith(f"{file.name}!")]
        read = sum(records[n] for n in of_file)
        if file.rows is not None and file.rows != read:
            found.append(StatedRows(file.name, MANIFEST, file.rows, read))
    for name, read, said in zip(names, records, stated, strict=True):
        if said and read not in {said[-1], max(said), sum(said)}:
            found.append(StatedRows(name, TOTAL, max(said), read))
    return tuple(found)
