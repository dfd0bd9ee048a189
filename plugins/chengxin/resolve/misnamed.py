"""Rows with the USCC of one subject and the name of another: the code counts, and the contradiction is told.

File of a links folder:
  misnamed.parquet  row_id, other_id, adm_order: rows found by their USCC that bear a name which is none of their
                    subject's and is that of exactly one other organisation
"""

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from chengxin.resolve.linker import RoleLink

NAME = "misnamed.parquet"
# As match keys are made, but for forms of letters: a name that this does not make equal is not told of.
_KEY = r"upper(regexp_replace({0}, '[\s　（）()〔〕\[\]【】《》·•・.。,，、-]', '', 'g'))"


def renamed(link: RoleLink, alias: str) -> str:
    """Return SQL that tells whether the row `s` bears another name than its subject in `lookup_uscc` does now."""
    if "name" not in link.fields or "uscc" not in link.fields:
        return "false"
    return f"coalesce({alias}.name_hash <> hash(s.{link.fields['name']}), false)"


def write(connection: duckdb.DuckDBPyConnection, link: RoleLink, target: Path, order: int, *, registers: bool) -> None:
    """Leave the table `misnamed` (row_id) and the file, where there is any. Needs `rows`, `linked` and the lookups.

    registers: rows of a registering kind may tell a new name; they count only where their registration number is the
    other's as well.
    """
    connection.execute("CREATE OR REPLACE TEMP TABLE misnamed (row_id BIGINT, other_id BIGINT)")
    if "name" not in link.fields or "uscc" not in link.fields:
        return
    name = _KEY.format(f"s.{link.fields['name']}")
    number = f"s.{link.fields['reg_no']}" if "reg_no" in link.fields else "NULL"
    also = ""
    if registers:
        also = """AND EXISTS (SELECT 1 FROM registry_identifiers x WHERE x.subject_id = b.subject_id
            AND x.identifier_type = 'reg_no' AND x.identifier_value = c.reg_no)"""
    connection.execute(f"""INSERT INTO misnamed
        WITH candidates AS (SELECT l.row_id, l.subject_id, {name} AS name_key, {number} AS reg_no
            FROM (SELECT row_id, subject_id FROM linked WHERE renamed AND NOT waiting) l JOIN rows s USING (row_id))
        SELECT c.row_id, min(b.subject_id) FROM candidates c
        JOIN registry_names b ON b.name_key = c.name_key AND b.subject_id <> c.subject_id
        JOIN subject_now w ON w.subject_id = b.subject_id AND w.subject_type <> 'person'
        WHERE NOT EXISTS (SELECT 1 FROM registry_names a
            WHERE a.subject_id = c.subject_id AND a.name_key = c.name_key) {also}
        GROUP BY c.row_id HAVING min(b.subject_id) = max(b.subject_id)""")
    if connection.execute("SELECT count(*) FROM misnamed").fetchall()[0][0]:
        connection.execute(f"""COPY (SELECT *, {order} AS adm_order FROM misnamed ORDER BY row_id)
            TO '{target / NAME}' (FORMAT parquet)""")


def rows_of(folders: Sequence[Path]) -> list[int]:
    """Return the row ids of a batch that are so named, ascending."""
    files = [f for f in (folder / NAME for folder in folders) if f.exists()]
    return sorted({row for f in files for row in pq.read_table(f, columns=["row_id"])["row_id"].to_pylist()})
