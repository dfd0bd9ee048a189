"""How many records a delivery says it has, in its manifest or in a total of the table, against what was read."""

from collections.abc import Sequence

from chengxin.facts import Batch, StatedRows
from chengxin.parsing.shapes import Told

MANIFEST, TOTAL, LEAST = "manifest", "total", "least"
_LIKELY = 10  # a number without 条 that is so many times the rows is a sum of something


def differing(
    batch: Batch, names: Sequence[str], records: Sequence[int], told: Sequence[Told]
) -> tuple[StatedRows, ...]:
    """Return what is stated and was not read. names: of the files; records: read of each; told: of each.

    A file may hold a total of each of its tables: it agrees if the last total, the greatest, or their sum does.
    """
    found = []
    for file in batch.files:
        of_file = [n for n, name in enumerate(names) if name == file.name or name.startswith(f"{file.name}!")]
        read = sum(records[n] for n in of_file)
        if file.rows is not None and file.rows != read:
            found.append(StatedRows(file.name, MANIFEST, file.rows, read))
    for name, read, says in zip(names, records, told, strict=True):
        if says.stated and read not in {says.stated[-1], max(says.stated), sum(says.stated)}:
            found.append(StatedRows(name, TOTAL, max(says.stated), read))
        elif not says.stated and read < max(says.least, default=0) <= _LIKELY * read:
            found.append(StatedRows(name, LEAST, max(says.least), read))
    return tuple(found)


def unfinished(records: Sequence[int], told: Sequence[Told]) -> tuple[str, ...]:
    """Return what says that the files of a delivery are not the whole list. Several may be the pages of one."""
    read = sum(records)
    longer = {name: number for says in told for name, number in says.longer if number > read}
    found = [f"{name}={number}" for name, number in longer.items()]
    found += told[0].unfinished if len(told) == 1 else ()
    return tuple(dict.fromkeys([*found, *(word for says in told for word in says.torn)]))
