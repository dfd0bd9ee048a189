"""Read parts of a data file: chosen row groups, chosen rows, chosen columns, and none of those without a value.

Texts that repeat come as the file holds them: codes with a dictionary for each row group.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

Mask = npt.NDArray[np.bool_]


def coded(metadata: pq.FileMetaData) -> list[str]:
    """Return the texts that a file holds as places in a dictionary, by its first row group."""
    first = metadata.row_group(0) if metadata.num_row_groups else None
    return [
        field.name
        for n, field in enumerate(metadata.schema.to_arrow_schema())
        if first and pa.types.is_string(field.type) and first.column(n).has_dictionary_page
    ]


class DataFile:
    """One open data file; a context manager. names: its columns."""

    def __init__(self, path: Path) -> None:
        self.metadata = pq.read_metadata(path)
        schema = self.metadata.schema.to_arrow_schema()
        self.names: list[str] = schema.names
        self._file = pq.ParquetFile(path, metadata=self.metadata, read_dictionary=coded(self.metadata))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def groups(self) -> list[int]:
        """Return the numbers of the row groups."""
        return list(range(self.metadata.num_row_groups))

    def rows_of(self, group: int) -> int:
        """Return the number of rows of a row group."""
        return int(self.metadata.row_group(group).num_rows)

    def highest(self, group: int, name: str) -> Any | None:
        """Return the highest value of a column in a row group; None when it is not known or a value is missing."""
        told = self._statistics(group, name)
        return told.max if told is not None and told.has_min_max and told.null_count == 0 else None

    def read(self, groups: Sequence[int], names: Sequence[str]) -> pa.Table:
        """Read all rows of some row groups."""
        return self._file.read_row_groups(list(groups), columns=list(names), use_threads=False)

    def filled(self, groups: Sequence[int], names: Sequence[str]) -> list[str]:
        """Return those columns that may have a value in one of the row groups."""
        return [name for name in names if any(not self._is_empty(group, name) for group in groups)]

    def rows(self, groups: Sequence[int], chosen: Mask, names: Sequence[str], known: pa.Table) -> pa.Table:
        """Read the chosen rows of some row groups; columns without any value are left out.

        known: what was read of all these rows already. Row groups without a chosen row are not read.
        """
        borders = np.cumsum([0, *(self.rows_of(group) for group in groups)])
        pieces = [chosen[start:stop] for start, stop in pairwise(borders)]
        met = [n for n, piece in enumerate(pieces) if piece.any()]
        wanted = self.filled([groups[n] for n in met], names)
        missing = [name for name in wanted if name not in known.column_names]
        made = known.select([name for name in wanted if name in known.column_names]).filter(pa.array(chosen))
        if missing:
            mask = pa.array(np.concatenate([pieces[n] for n in met]))
            more = self.read([groups[n] for n in met], missing).filter(mask)
            for name in missing:
                made = made.append_column(name, more.column(name))
        return made

    def _is_empty(self, group: int, name: str) -> bool:
        told = self._statistics(group, name)
        return told is not None and told.has_null_count and told.null_count == self.rows_of(group)

    def _statistics(self, group: int, name: str) -> Any | None:
        return self.metadata.row_group(group).column(self.names.index(name)).statistics
