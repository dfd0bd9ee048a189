"""Deletions (数据状态 2) that found no record, since their key is not that of the one they mean, which stays.

A deletion may come before its record, so one that finds none is nothing to tell. It is where a record of the subject is
held that it may mean: with its number, or with the same key as far as the deletion gives it.

File of a links folder:
  missed.parquet  row_id, source_file, source_row, other_batch, other_file, other_row, adm_order: the deletion, and a
                  record that it may mean
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chengxin.engine.session import Session
from chengxin.engine.step import Schema, Step, identifier, union
from chengxin.identity.conflicts import places
from chengxin.identity.record_keys import DELETED, RECORD_ID, STATUS, compared
from chengxin.model.schema import ColumnSpec

NAME = "missed.parquet"
#: The deletions, and the record that each may mean: what stands in the file.
MISSED = Schema(
    {
        "row_id": "BIGINT",
        "source_file": "VARCHAR",
        "source_row": "BIGINT",
        "other_batch": "VARCHAR",
        "other_file": "VARCHAR",
        "other_row": "BIGINT",
        "adm_order": "INTEGER",
    }
)
_MEANT = Schema(
    {
        "row_id": "BIGINT",
        "source_file": "VARCHAR",
        "source_row": "BIGINT",
        "batch_order": "BIGINT",
        "other_file": "VARCHAR",
        "other_row": "BIGINT",
    }
)
_VERSION = "(version_at, batch_order, row_id)"
_PLACE = "record_id, subject_id, payload, version_at, batch_order, row_id"
_STANDING = Step(
    "standing",
    ("held", "linked", "lost"),
    f"""SELECT subject_id, max_by(batch_order, {_VERSION}) AS other_order, max_by(row_id, {_VERSION}) AS other_id
        FROM (SELECT {_PLACE} FROM held UNION ALL SELECT {_PLACE} FROM linked WHERE NOT waiting)
        WHERE subject_id IN (SELECT subject_id FROM lost)
        GROUP BY record_id, subject_id HAVING max_by(payload IS NOT NULL, {_VERSION})""",
)


@dataclass(frozen=True, kw_only=True)
class Missed:
    """What is told of one batch. key: the columns of the record's key that the contract fills; None: nothing is.

    batches: batch_order -> batch id. standard: the passed rows of a batch, by id.
    """

    key: Sequence[ColumnSpec] | None
    batches: Mapping[int, str]
    standard: Callable[[str], list[Path]]

    def write(self, session: Session, target: Path, order: int) -> None:
        """Leave the table `missed` and write the file, where there is any. Needs `rows`, `linked` and `held`."""
        if self.key is None or not session.leave(self._lost(self.key)):
            session.leave(Step("missed", (), MISSED.empty))
            return
        session.leave(_STANDING)
        orders = session.fetch(
            Step("standing_batches", ("standing",), "SELECT DISTINCT other_order FROM standing ORDER BY 1")
        )
        inputs = places.attach(session, [n for (n,) in orders], self.batches, self.standard)
        meant = union((self._meant(self.key, n, table) for n, table in inputs.items()), _MEANT)
        reads = ("lost", "standing", "batch_names", *inputs.values())
        sql = f"""SELECT m.row_id, m.source_file, m.source_row, b.batch_id AS other_batch, m.other_file, m.other_row,
                CAST($order AS INTEGER) AS adm_order
            FROM ({meant}) m JOIN batch_names b USING (batch_order)"""
        if session.leave(Step("missed", reads, sql, {"order": order}), MISSED):
            session.write(Step("missed_file", ("missed",), "SELECT * FROM missed ORDER BY row_id"), target / NAME)

    def _lost(self, key: Sequence[ColumnSpec]) -> Step:
        """Return the step with the deletions that find no record and give less than its whole key."""
        given = [f"s.{RECORD_ID} IS NOT NULL"]
        absent = " OR ".join([*given, *(f"{identifier(c.name, 's')} IS NULL" for c in key)])
        sql = f"""SELECT l.subject_id, s.* FROM linked l JOIN rows s USING (row_id)
            WHERE NOT l.waiting AND l.payload IS NULL AND s.{STATUS} = '{DELETED}' AND ({absent})
            AND l.record_id NOT IN (SELECT record_id FROM held WHERE payload IS NOT NULL)
            AND l.record_id NOT IN (SELECT record_id FROM linked WHERE NOT waiting AND payload IS NOT NULL)"""
        return Step("lost", ("linked", "rows", "held"), sql)

    def _meant(self, key: Sequence[ColumnSpec], order: int, standard: str) -> str:
        """Return SQL for one record of a batch that each deletion may mean."""
        same = [f"({identifier(c.name, 's')} IS NULL OR {compared(c, 's')} = {compared(c, 'o')})" for c in key]
        absent = " OR ".join(f"{identifier(c.name, 's')} IS NULL" for c in key) or "false"
        return f"""SELECT s.row_id, any_value(s.source_file) AS source_file, any_value(s.source_row) AS source_row,
                CAST({order} AS BIGINT) AS batch_order, min_by(o.source_file, o.row_id) AS other_file,
                min_by(o.source_row, o.row_id) AS other_row
            FROM lost s JOIN standing h ON h.subject_id = s.subject_id AND h.other_order = {order}
            JOIN {standard} o ON o.row_id = h.other_id
            WHERE s.{RECORD_ID} = o.{RECORD_ID} OR ({absent}) AND {" AND ".join(same) or "true"} GROUP BY s.row_id"""


def rows_of(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the deletions of a batch that found no record, by row: columns as in the file."""
    told = places.read(folders, NAME)
    return [] if told is None else told.sort_by("row_id").to_pylist()
