"""Issue rows: which value breaks which rule. Data trouble is data."""

import hashlib
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengxin.model.rules import rules
from chengxin.parsing.buffers import booleans, fixed_values, repeated, take

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
        ("value", pa.string()),
    ]
)
#: Warnings after which nothing is stored of a value; every error is so.
NOT_STORED = frozenset(
    {"money.foreign_currency", "phone.invalid", "reg_no.is_uscc", "region.elsewhere", "region.unknown"}
)
REASON = pa.struct([("rule", pa.string()), ("element", pa.string()), ("source_column", pa.string())])

_NONE = np.zeros(0, np.int64)


class Issue(NamedTuple):
    """Rows that break one rule in one column. values: as sent, one a row; refuses: whether it quarantines them."""

    rule: str
    rows: np.ndarray
    element: str
    source: str
    values: pa.Array
    refuses: bool


class Reason(NamedTuple):
    """Refused rows of a chunk, and what is wrong with them."""

    rows: np.ndarray
    rule: str
    element: str
    source: str


@dataclass
class IssueLog:
    """Collects issues of one chunk, column by column. `salt` keys the digests (64-bit BLAKE2b)."""

    salt: bytes
    entries: list[Issue] = field(default_factory=list)

    def add(
        self, rule: str, hits: np.ndarray, element: str, source: str, raw: pa.Array, *, refuses: bool = False
    ) -> None:
        """Note that the rows `hits` (boolean mask) break `rule`; `refuses` makes it a reason for quarantine."""
        rows = np.flatnonzero(hits)
        if len(rows):
            self.entries.append(Issue(rule, rows, element, source, take(raw, rows), refuses))

    def reasons(self, refused: np.ndarray) -> list[Reason]:
        """Return all that is wrong with the refused rows.

        What refuses a row, and every other error in it, so that a department can correct the row in one go. A warning
        counts where it is why a required value cannot be used: a filler, a masked code.
        """
        unusable = {each.element: each.rows for each in self.entries if each.rule == "field.required_unusable"}
        found = []
        for each in self.entries:
            rows = each.rows[refused[each.rows]]
            if not each.refuses and rules()[each.rule].level != "error":
                rows = np.intersect1d(rows, unusable.get(each.element, _NONE))
            if len(rows):
                found.append(Reason(rows, each.rule, each.element, each.source))
        return found

    def table(self, row_id: pa.Array, source_row: pa.Array, file_name: str, refused: np.ndarray) -> pa.Table:
        """Build the issue rows, ordered by row. The value stands there where it is stored nowhere else."""
        if not self.entries:
            return ISSUES.empty_table()
        rules_of, indices, elements, sources, raws, _ = zip(*self.entries, strict=True)
        rows = np.concatenate(indices)
        order = np.argsort(rows, kind="stable")
        which = fixed_values(np.repeat(np.arange(len(indices)), [len(index) for index in indices])[order], pa.int64())
        at = fixed_values(rows[order], pa.int64())
        levels = [rules()[rule].level for rule in rules_of]
        columns = [
            row_id.take(at),
            repeated(file_name, len(rows)),
            source_row.take(at),
            *(pa.array(texts, pa.string()).take(which) for texts in (elements, sources, rules_of, levels)),
            pa.concat_arrays([digests(raw, self.salt) for raw in raws]).take(fixed_values(order, pa.int64())),
            pa.concat_arrays(
                [_lost(raw, rule, refused[at]) for raw, rule, at in zip(raws, rules_of, indices, strict=True)]
            ).take(fixed_values(order, pa.int64())),
        ]
        return pa.Table.from_arrays(columns, schema=ISSUES)


def _lost(raw: pa.Array, rule: str, refused: np.ndarray) -> pa.Array:
    """Return the values of rows that were not refused, where the rule is why a value was not taken; else null."""
    if rules()[rule].level != "error" and rule not in NOT_STORED:
        return pa.nulls(len(raw), pa.string())
    return pc.if_else(booleans(~refused), raw.cast(pa.string()), pa.scalar(None, pa.string()))


def digests(raw: pa.Array, salt: bytes) -> pa.Array:
    """Return keyed digests of values, null for null; distinct values are hashed once."""
    encoded = raw.dictionary_encode()
    keyed = hashlib.blake2b(digest_size=8, key=salt)
    hashed = []
    for text in encoded.dictionary.to_pylist():
        digest = keyed.copy()
        digest.update(text.encode())
        hashed.append(digest.hexdigest())
    return pa.array(hashed, pa.string()).take(encoded.indices)
