"""What the files of a delivery cast doubt on beside their rows: numbers of records, pages of a list, merged cells."""

from collections.abc import Iterator, Sequence

from chengxin.facts import Batch, BatchLevel, Doubt
from chengxin.parsing.shapes import Statements


def doubts(
    batch: Batch, names: Sequence[str], records: Sequence[int], told: Sequence[Statements], *, is_full: bool
) -> Iterator[Doubt]:
    """Report what is stated and was not read, and what is no whole list.

    names: of the files; records: read of each; told: of each. is_full: what a delivery lacks is withdrawn.
    """
    if words := unfinished(records, told):
        yield Doubt(rule="delivery.unfinished", stated="、".join(words))
    for file in batch.files:
        of_file = [n for n, name in enumerate(names) if name == file.name or name.startswith(f"{file.name}!")]
        read = sum(records[n] for n in of_file)
        if file.rows is not None and file.rows != read:
            yield Doubt(rule="rows.manifest", file=file.name, stated=file.rows, found=read)
    for name, read, says in zip(names, records, told, strict=True):
        yield from _of_totals(name, read, says, is_full=is_full)
    if merged := [words for says in told for words in says.merged]:
        yield Doubt(rule="rows.merged", place="；".join(merged))


def _of_totals(name: str, read: int, says: Statements, *, is_full: bool) -> Iterator[Doubt]:
    """Compare the totals of a file: it may hold one of each of its tables; the last, the greatest or the sum agrees."""
    if says.stated and read not in {says.stated[-1], max(says.stated), sum(says.stated)}:
        level: BatchLevel = "critical" if is_full and read < max(says.stated) else "warning"
        yield Doubt(rule="rows.total", level=level, file=name, stated=f"{max(says.stated)} 条", found=read)
    elif not says.stated and read < max(says.least, default=0):
        stated = f"{max(says.least)}（户、人或件）"
        yield Doubt(rule="rows.total", level="warning", file=name, stated=stated, found=read)


def unfinished(records: Sequence[int], told: Sequence[Statements]) -> tuple[str, ...]:
    """Return what shows that the files of a delivery are not the whole list. Several may be the pages of one."""
    read = sum(records)
    longer = {name: number for says in told for name, number in says.longer if number > read}
    found = [f"{name}={number}" for name, number in longer.items()]
    found += told[0].unfinished if len(told) == 1 else ()
    return tuple(dict.fromkeys([*found, *(word for says in told for word in says.torn)]))
