"""Records that a full delivery does not hold any more: they are withdrawn, but for what its refused rows may mean.

File of a links folder:
  withdrawn.parquet  record_id, subject_id, part, version_at, batch_order, adm_order: the records, with that delivery's
                     place in time
"""

from collections.abc import Callable
from pathlib import Path

from chengxin.engine.session import Connection
from chengxin.facts import Admission, Batch
from chengxin.identity.record_keys import VERSION_ORDER


def lacking(batch: Batch, order: int) -> str:
    """Return SQL for the records held that this full delivery lacks. Needs `held` and `linked`."""
    place = f"({VERSION_ORDER})"
    return f"""SELECT record_id, subject_id, part,
            TIMESTAMPTZ '{batch.as_of.isoformat()}' AS version_at, {order} AS batch_order, held_in, row_id
        FROM (SELECT record_id, max_by(subject_id, {place}) AS subject_id, max_by(part, {place}) AS part,
                     max_by(payload IS NULL, {place}) AS gone, max_by(batch_order, {place}) AS held_in,
                     max_by(row_id, {place}) AS row_id
              FROM held GROUP BY record_id)
        WHERE NOT gone AND record_id NOT IN (SELECT record_id FROM linked WHERE NOT waiting)"""


def overtaken(newer: Admission) -> str:
    """Return SQL for the records of this batch that a newer full delivery lacks. Needs `held` and `linked`.

    This one is an older truth, or its row found its subject late: the newer one has the word, whose versions and
    withdrawals bear its place in time.
    """
    return f"""SELECT DISTINCT ON (record_id) record_id, subject_id, part,
            TIMESTAMPTZ '{newer.as_of}' AS version_at, {newer.order} AS batch_order,
            linked.batch_order AS held_in, row_id
        FROM linked WHERE NOT waiting AND record_id NOT IN (
            SELECT record_id FROM held WHERE batch_order = {newer.order} AND payload IS NOT NULL)
        ORDER BY record_id, row_id DESC"""


def write(connection: Connection, missing: str, spare: Callable[[], int], target: Path, order: int) -> dict[str, int]:
    """Write the file; return how many records are kept, by why, as in linking.Outcome.

    missing: SQL of `lacking` or `overtaken`. spare: leaves the table `spared` (record_id) of those in `missing` that
    the delivery's refused rows name, and returns how many of them name nothing: then nothing is withdrawn.
    """
    connection.execute(f"CREATE TEMP TABLE missing AS {missing}")
    unnamed = spare()
    kept = "missing" if unnamed else "spared"
    connection.execute(f"""COPY (SELECT * EXCLUDE (held_in, row_id), {order} AS adm_order FROM missing
            WHERE record_id NOT IN (SELECT record_id FROM {kept}) ORDER BY record_id)
        TO '{target / "withdrawn.parquet"}' (FORMAT parquet)""")
    counted = connection.execute("SELECT (SELECT count(*) FROM spared), (SELECT count(*) FROM missing)")
    spared, lacked = counted.fetchall()[0]
    return {"spared": spared, "withheld": lacked - spared if unnamed else 0, "unnamed": unnamed}
