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

from chengxin.engine.session import Connection, literal, parquet
from chengxin.identity.conflicts import places
from chengxin.identity.record_keys import DELETED, RECORD_ID, STATUS, compared
from chengxin.model.schema import ColumnSpec

NAME = "missed.parquet"
_VERSION = "(version_at, batch_order, row_id)"


def create(connection: Connection) -> None:
    """Leave the table `missed`, empty."""
    connection.execute("""CREATE TEMP TABLE missed (row_id BIGINT, source_file VARCHAR, source_row BIGINT,
        other_batch VARCHAR, other_file VARCHAR, other_row BIGINT, adm_order BIGINT)""")


@dataclass(frozen=True)
class Missed:
    """What is told of one batch. key: the columns of the record's key that the contract fills.

    batches: batch_order -> batch id. standard: the passed rows of a batch, by id.
    """

    key: Sequence[ColumnSpec]
    batches: Mapping[int, str]
    standard: Callable[[str], list[Path]]

    def write(self, connection: Connection, target: Path, order: int) -> None:
        """Fill the table `missed` and write the file, where there is any. Needs `rows`, `linked` and `held`."""
        absent = " OR ".join([f"s.{RECORD_ID} IS NOT NULL", *(f"s.{c.name} IS NULL" for c in self.key)])
        connection.execute(f"""CREATE TEMP TABLE lost AS
            SELECT l.subject_id, s.* FROM linked l JOIN rows s USING (row_id)
            WHERE NOT l.waiting AND l.payload IS NULL AND s.{STATUS} = '{DELETED}' AND ({absent})
            AND l.record_id NOT IN (SELECT record_id FROM held WHERE payload IS NOT NULL)
            AND l.record_id NOT IN (SELECT record_id FROM linked WHERE NOT waiting AND payload IS NOT NULL)""")
        if not connection.execute("SELECT count(*) FROM lost").fetchall()[0][0]:
            return
        columns = "record_id, subject_id, payload, version_at, batch_order, row_id"
        connection.execute(f"""CREATE TEMP TABLE standing AS
            SELECT subject_id, max_by(batch_order, {_VERSION}) AS other_order, max_by(row_id, {_VERSION}) AS other_id
            FROM (SELECT {columns} FROM held UNION ALL SELECT {columns} FROM linked WHERE NOT waiting)
            WHERE subject_id IN (SELECT subject_id FROM lost)
            GROUP BY record_id, subject_id HAVING max_by(payload IS NOT NULL, {_VERSION})""")
        found = connection.execute("SELECT DISTINCT other_order FROM standing ORDER BY 1").fetchall()
        meant = " UNION ALL ".join(self._meant(n) for (n,) in found)
        if meant:
            connection.execute(f"INSERT INTO missed SELECT s.*, {order} FROM ({meant}) s ORDER BY row_id")
        if connection.execute("SELECT count(*) FROM missed").fetchall()[0][0]:
            connection.execute(f"COPY missed TO '{target / NAME}' (FORMAT parquet)")

    def _meant(self, order: int) -> str:
        """Return SQL for one record of a batch that each deletion may mean."""
        same = [f"(s.{c.name} IS NULL OR {compared(c, 's')} = {compared(c, 'o')})" for c in self.key]
        absent = " OR ".join(f"s.{c.name} IS NULL" for c in self.key) or "false"
        batch = self.batches[order]
        return f"""SELECT s.row_id, any_value(s.source_file) AS source_file, any_value(s.source_row) AS source_row,
                {literal(batch)} AS other_batch, min_by(o.source_file, o.row_id) AS other_file,
                min_by(o.source_row, o.row_id) AS other_row
            FROM lost s JOIN standing h ON h.subject_id = s.subject_id AND h.other_order = {order}
            JOIN {parquet(self.standard(batch))} o ON o.row_id = h.other_id
            WHERE s.{RECORD_ID} = o.{RECORD_ID} OR ({absent}) AND {" AND ".join(same) or "true"} GROUP BY s.row_id"""


def rows_of(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the deletions of a batch that found no record, by row: columns as in the file."""
    told = places.read(folders, NAME)
    return [] if told is None else told.sort_by("row_id").to_pylist()
