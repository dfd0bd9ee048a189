"""How many records a delivery says it has, in its manifest or in a total of the table, against what was read."""

from collections.abc import Sequence

from chengxin.handover import Batch, StatedRows

MANIFEST, TOTAL = "manifest", "total"


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
