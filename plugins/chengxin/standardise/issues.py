"""Issue rows: which rule spoke of which value. Data trouble is data."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.model.rules import rules

ISSUES = pa.schema(
    [
        ("row_id", pa.int64()),
        ("source_file", pa.string()),
        ("source_row", pa.int64()),
        ("element", pa.string()),
        ("source_column", pa.string()),
        ("rule", pa.string()),
        ("level", pa.string()),
        ("value_digest", pa.string()),
    ]
)
REASON = pa.struct([("rule", pa.string()), ("element", pa.string()), ("source_column", pa.string())])


@dataclass
class IssueLog:
    """Collects issues of one chunk, column by column. `salt` keys the digests (64-bit BLAKE2b)."""

    salt: bytes
    entries: list[tuple[str, np.ndarray, str, str, pa.Array, bool]] = field(default_factory=list)

    def add(
        self, rule: str, hits: np.ndarray, element: str, source: str, raw: pa.Array, *, refuses: bool = False
    ) -> None:
        """Note that `rule` spoke of the rows `hits` (boolean mask); `refuses` makes it a reason for quarantine."""
        index = np.flatnonzero(hits)
        if len(index):
            self.entries.append((rule, index, element, source, raw.take(pa.array(index)), refuses))

    def reasons(self, refused: np.ndarray) -> list[tuple[np.ndarray, str, str, str]]:
        """Return all that is wrong with the refused rows: (row indices, rule, element, source column).

        What refuses a row, and every other error in it, so that a department can mend the row in one go.
        """
        found = [
            (index[refused[index]], rule, element, source)
            for rule, index, element, source, _, refuses in self.entries
            if refuses or rules()[rule].level == "error"
        ]
        return [entry for entry in found if len(entry[0])]

    def table(self, row_id: pa.Array, source_row: pa.Array, file_name: str) -> pa.Table:
        """Build the issue rows, ordered by row."""
        parts = []
        for rule, index, element, source, raw, _ in self.entries:
            at, size = pa.array(index), len(index)
            parts.append(
                pa.Table.from_arrays(
                    [
                        row_id.take(at),
                        _constant(file_name, size),
                        source_row.take(at),
                        _constant(element, size),
                        _constant(source, size),
                        _constant(rule, size),
                        _constant(rules()[rule].level, size),
                        digests(raw, self.salt),
                    ],
                    schema=ISSUES,
                )
            )
        return pa.concat_tables(parts).sort_by("row_id").combine_chunks() if parts else ISSUES.empty_table()


def digests(raw: pa.Array, salt: bytes) -> pa.Array:
    """Return keyed digests of values, null for null; distinct values are hashed once."""
    encoded = raw.dictionary_encode()
    hashed = [
        None if v is None else hashlib.blake2b(v.encode("utf-8", "surrogatepass"), digest_size=8, key=salt).hexdigest()
        for v in encoded.dictionary.to_pylist()
    ]
    return pc.take(pa.array(hashed, pa.string()), encoded.indices)


def _constant(value: str, size: int) -> pa.Array:
    return pa.array([value]).take(pa.array(np.zeros(size, dtype=np.int64)))
