"""Rows that waited until their record came again, mended: they get the subject of the row that corrected them.

File of a links folder:
  corrected.parquet  row_id, by_batch, by_file, by_row, adm_order: the row and the place of the one that corrected it
"""

from pathlib import Path

import pyarrow as pa

from chengxin.engine.session import Session
from chengxin.engine.step import Schema, Step

NAME = "corrected.parquet"
RULE = "corrected"  # by which such a row has its subject
CORRECTED = Schema(
    {
        "row_id": "BIGINT",
        "subject_id": "BIGINT",
        "related_subject_id": "BIGINT",
        "by_batch": "VARCHAR",
        "by_file": "VARCHAR",
        "by_row": "BIGINT",
        "part": "VARCHAR",
        "subject_type": "VARCHAR",
    }
)


def write(session: Session, rows: pa.Table | None, target: Path, order: int) -> None:
    """Leave the table `corrected`, and the file where there is any. rows: as records.superseded finds them."""
    if rows is None:
        session.leave(Step("corrected", (), CORRECTED.empty))
        return
    session.rows("corrected_rows", rows)
    found = """SELECT c.*, n.part, n.subject_type
        FROM corrected_rows c LEFT JOIN subject_now n ON n.subject_id = c.subject_id"""
    session.leave(Step("corrected", ("corrected_rows", "subject_now"), found), CORRECTED)
    said = """SELECT row_id, by_batch, by_file, by_row, CAST($order AS INTEGER) AS adm_order FROM corrected
        ORDER BY row_id"""
    session.write(Step("corrected_file", ("corrected",), said, {"order": order}), target / NAME)
