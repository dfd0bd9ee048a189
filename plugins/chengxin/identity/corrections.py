"""Rows that waited until their record came again, mended: they get the subject of the row that mended them.

File of a links folder:
  corrected.parquet  row_id, by_batch, by_file, by_row, adm_order: the row and the place of the one that mended it
"""

from pathlib import Path

import pyarrow as pa

from chengxin.engine.session import Connection

NAME = "corrected.parquet"
RULE = "corrected"  # by which such a row has its subject
JOIN = "LEFT JOIN corrected k ON k.row_id = s.row_id LEFT JOIN subject_now n ON n.subject_id = k.subject_id"


def write(connection: Connection, rows: pa.Table, target: Path, order: int) -> None:
    """Leave the table `corrected`, and the file. rows: as records.superseded finds them."""
    connection.register("corrected_rows", rows)
    connection.execute("CREATE TEMP TABLE corrected AS SELECT * FROM corrected_rows")
    connection.unregister("corrected_rows")
    connection.execute(f"""COPY (SELECT row_id, by_batch, by_file, by_row, {order} AS adm_order FROM corrected
        ORDER BY row_id) TO '{target / NAME}' (FORMAT parquet)""")
