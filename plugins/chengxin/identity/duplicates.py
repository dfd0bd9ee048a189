"""Rows that say what is already held, and rows of one delivery that contradict each other.

Files of a links folder:
  duplicates.parquet  row_id, adm_order: rows that say what is already held
  overtaken.parquet   row_id, by_row, adm_order: rows that say something else of their record than by_row, which has the
                      same place in time, stands further below in the delivery and is shown
  disputed.parquet    record_id: records of this batch with more than one version, here or held before
"""

from pathlib import Path

import pyarrow as pa

from chengxin.engine.session import Connection
from chengxin.identity.record_keys import VERSION_ORDER
from chengxin.store.repeats import Digests


def write(
    connection: Connection,
    twice: Digests,
    target: Path,
    order: int,
    *,
    any_held: bool,
    withdraws: bool,
) -> None:
    """Write the three files; leave the tables `mine` and `superseded`. Needs `linked` and `held`.

    `mine`: all versions of the records that may be disputed, `here` or held; `superseded` (row_id): rows of this batch
    after which another version of their record stands. twice: hash(record_id) that several settled rows of this batch
    have. any_held: whether anything is held; withdraws: whether a row of this batch may withdraw its record.
    """
    _gather(connection, twice, any_held=any_held, withdraws=withdraws)
    connection.execute(f"""COPY (
        SELECT row_id, {order} AS adm_order FROM (
            SELECT *, lag(payload) OVER w AS before, lag(true) OVER w AS has_before, lead(payload) OVER w AS after,
                   lead(here) OVER w AS after_here
            FROM mine WINDOW w AS (PARTITION BY record_id ORDER BY {VERSION_ORDER}))
        WHERE here AND (has_before AND payload IS NOT DISTINCT FROM before
            OR payload IS NOT DISTINCT FROM after AND NOT after_here) ORDER BY row_id
    ) TO '{target / "duplicates.parquet"}' (FORMAT parquet)""")
    connection.execute(f"""COPY (
        SELECT row_id, by_row, {order} AS adm_order FROM (
            SELECT *, max(row_id) OVER (PARTITION BY record_id, version_at, batch_order) AS by_row,
                   lead(payload) OVER w AS after, lead(here) OVER w AS after_here
            FROM mine WINDOW w AS (PARTITION BY record_id, version_at, batch_order ORDER BY row_id))
        WHERE payload <> after AND (here OR after_here) ORDER BY row_id
    ) TO '{target / "overtaken.parquet"}' (FORMAT parquet)""")
    connection.execute(f"""COPY (SELECT DISTINCT record_id FROM mine ORDER BY record_id)
        TO '{target / "disputed.parquet"}' (FORMAT parquet)""")
    connection.execute(f"""CREATE TEMP TABLE superseded AS SELECT row_id FROM (
        SELECT row_id, here, lead(row_id) OVER (PARTITION BY record_id ORDER BY {VERSION_ORDER}) AS next FROM mine)
        WHERE here AND next IS NOT NULL""")


def _gather(connection: Connection, twice: Digests, *, any_held: bool, withdraws: bool) -> None:
    """Leave the table `mine`. Only records that occur twice here, or that are already held, can be duplicates."""
    withdrawn_here = "OR payload IS NULL" if withdraws else ""
    connection.register("repeated", pa.table({"h": twice}))
    connection.execute(f"""CREATE TEMP TABLE mine AS
        SELECT record_id, payload, version_at, batch_order, row_id, true AS here FROM linked
        WHERE NOT waiting AND (hash(record_id) IN (SELECT h FROM repeated) {withdrawn_here})""")
    connection.unregister("repeated")
    if any_held:
        connection.execute("""CREATE TEMP TABLE known AS
            SELECT record_id, payload, version_at, batch_order, row_id, false AS here FROM held
            WHERE record_id IN (SELECT record_id FROM linked WHERE NOT waiting)""")
        connection.execute("""INSERT INTO mine
            SELECT record_id, payload, version_at, batch_order, row_id, true FROM linked
            WHERE NOT waiting AND record_id IN (SELECT record_id FROM known)
            AND row_id NOT IN (SELECT row_id FROM mine)""")
        connection.execute("INSERT INTO mine SELECT * FROM known")
