"""The tables `<kind>_history`: rows of a kind's table that a publication replaced, with the time for which they held.

They stand beside the content of a snapshot, as the admissions do. A file is named as those of credit_record are.
"""

import pyarrow as pa
import pyarrow.compute as pc

from chengxin.model.schema import ColumnSpec, arrow_type

FROM, TO, CHANGE = "known_from_at", "known_to_at", "change_code"
WAITED = "waited"  # no version: between the two instants the record of a published batch was in no snapshot
CORRECTED, ENDED, MOVED, WITHDRAWN = "corrected", "ended", "moved", "withdrawn"
_SUFFIX = "_history"
SPECS = (
    ColumnSpec(FROM, "timestamp", title="自何次发布起"),
    ColumnSpec(TO, "timestamp", title="至何次发布止"),
    ColumnSpec(CHANGE, "string", title="此后如何"),
)


def table_of(kind: str) -> str:
    """Return the name of a kind's history."""
    return kind + _SUFFIX


def kind_of(table: str) -> str:
    """Return the kind whose rows a table has, present or former ones."""
    return table.removesuffix(_SUFFIX)


def schema(present: pa.Schema) -> pa.Schema:
    """Return the Arrow schema of a history from that of the kind's table."""
    return pa.schema([*present, *((c.name, arrow_type(c.type)) for c in SPECS)])


def later(one: pa.ChunkedArray, other: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the later of two instants, row by row; `one` where there is no other."""
    return pc.if_else(pc.fill_null(pc.greater(other, one), False), other, one)
