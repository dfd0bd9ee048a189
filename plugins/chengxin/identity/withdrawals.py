"""Records that a full delivery does not hold any more: they are withdrawn, but for what its refused rows may mean.

File of a links folder:
  withdrawn.parquet  record_id, subject_id, part, version_at, batch_order, adm_order: the records, with that delivery's
                     place in time
"""

from collections.abc import Callable
from pathlib import Path

from chengxin.engine.session import Session
from chengxin.engine.step import Step
from chengxin.facts import Admission, Batch
from chengxin.identity.record_keys import VERSION_ORDER

_PLACE = f"({VERSION_ORDER})"


def lacking(batch: Batch, order: int) -> Step:
    """Return the step `missing`: the records held that this full delivery lacks. Needs `held` and `linked`."""
    sql = f"""SELECT record_id, subject_id, part, CAST($as_of AS TIMESTAMPTZ) AS version_at,
            CAST($place AS INTEGER) AS batch_order, held_in, row_id
        FROM (SELECT record_id, max_by(subject_id, {_PLACE}) AS subject_id, max_by(part, {_PLACE}) AS part,
                     max_by(payload IS NULL, {_PLACE}) AS gone, max_by(batch_order, {_PLACE}) AS held_in,
                     max_by(row_id, {_PLACE}) AS row_id
              FROM held GROUP BY record_id)
        WHERE NOT gone AND record_id NOT IN (SELECT record_id FROM linked WHERE NOT waiting)"""
    return Step("missing", ("held", "linked"), sql, {"as_of": batch.as_of.isoformat(), "place": order})


def overtaken(newer: Admission) -> Step:
    """Return the step `missing`: records of this batch that a newer full delivery lacks. Needs `held` and `linked`.

    This one is an older truth, or its row found its subject late: the newer one has the word, whose versions and
    withdrawals bear its place in time.
    """
    sql = """SELECT DISTINCT ON (record_id) record_id, subject_id, part, CAST($as_of AS TIMESTAMPTZ) AS version_at,
            CAST($place AS INTEGER) AS batch_order, linked.batch_order AS held_in, row_id
        FROM linked WHERE NOT waiting AND record_id NOT IN (
            SELECT record_id FROM held WHERE batch_order = $place AND payload IS NOT NULL)
        ORDER BY record_id, row_id DESC"""
    return Step("missing", ("held", "linked"), sql, {"as_of": newer.as_of, "place": newer.order})


def write(session: Session, missing: Step, spare: Callable[[], int], target: Path, order: int) -> dict[str, int]:
    """Write the file; return how many records are kept, by why, as in linking.Outcome.

    missing: of `lacking` or `overtaken`. spare: leaves the table `spared` (record_id) of those in `missing` that the
    delivery's refused rows name, and returns how many of them name nothing: then nothing is withdrawn.
    """
    lacked = session.leave(missing)
    unnamed = spare()
    kept = "missing" if unnamed else "spared"
    sql = f"""SELECT * EXCLUDE (held_in, row_id), CAST($order AS INTEGER) AS adm_order FROM missing
        WHERE record_id NOT IN (SELECT record_id FROM {kept}) ORDER BY record_id"""
    step = Step("withdrawn_file", ("missing", "spared"), sql, {"order": order})
    session.write(step, target / "withdrawn.parquet")
    spared = session.count("spared")
    return {"spared": spared, "withheld": lacked - spared if unnamed else 0, "unnamed": unnamed}
