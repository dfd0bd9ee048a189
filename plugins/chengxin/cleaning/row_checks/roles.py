"""Rows whose two parties are one subject though the record rules it out: nobody is surety for himself."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.model.kinds import Kind
from chengxin.parsing.buffers import Mask, as_mask, take

_LONG = 4  # characters; longer names are no persons' of this country: persons of one name are many


def both_roles(kind: Kind, values: Mapping[str, pa.Array], codes: tuple[str, ...]) -> Mask | None:
    """Return where both roles are one subject, by a code or, without codes that differ, by name; None if none can be.

    values: clean columns by element. codes: the identity parts that are numbers of one subject.
    """
    subject, other = kind.roles["subject"], kind.roles.get("related")
    told: Mask | None = None
    for element, forbidden in other.other_when.items() if other else ():
        if other is None or element not in values:
            continue
        rows = np.flatnonzero(as_mask(pc.is_in(values[element], value_set=pa.array(forbidden, pa.string()))))
        one, two = (
            {p: _of(values, role.identity.get(p), rows) for p in (*codes, "name")}  # type: ignore[call-overload]
            for role in (subject, other)
        )
        same, apart = np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
        for part in codes:
            same |= as_mask(pc.equal(one[part], two[part]))
            apart |= as_mask(pc.not_equal(one[part], two[part]))
        long = as_mask(pc.greater(pc.utf8_length(one["name"]), _LONG))
        same |= as_mask(pc.equal(one["name"], two["name"])) & ~apart & long
        told = np.zeros(len(values[element]), np.bool_) if told is None else told
        told[rows] |= same
    return told


def _of(values: Mapping[str, pa.Array], element: str | None, rows: np.ndarray) -> pa.Array:
    column = values.get(element or "")
    return pa.nulls(len(rows), pa.string()) if column is None else take(column, rows)
