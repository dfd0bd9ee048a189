"""Rows that say what is already held, and rows of one delivery that contradict each other.

Files of a links folder, each left out where it would have no row:
  duplicates.parquet  row_id, adm_order: rows that say what is already held
  overtaken.parquet   row_id, by_row, adm_order: rows that say something else of their record than by_row, which has the
                      same place in time, stands further below in the delivery and is shown
  disputed.parquet    record_id: records of this batch with more than one version, here or held before
"""

from pathlib import Path

import pyarrow as pa

from chengxin.engine.session import Session
from chengxin.engine.step import Schema, Step
from chengxin.identity.record_keys import VERSION_ORDER
from chengxin.store.repeats import Digests

DUPLICATES = Schema({"row_id": "BIGINT", "adm_order": "INTEGER"})
_VERSION = "record_id, payload, version_at, batch_order, row_id"
_DUPLICATES = f"""SELECT row_id, CAST($order AS INTEGER) AS adm_order FROM (
        SELECT *, lag(payload) OVER w AS before, lag(true) OVER w AS has_before, lead(payload) OVER w AS after,
               lead(here) OVER w AS after_here
        FROM mine WINDOW w AS (PARTITION BY record_id ORDER BY {VERSION_ORDER}))
    WHERE here AND (has_before AND payload IS NOT DISTINCT FROM before
        OR payload IS NOT DISTINCT FROM after AND NOT after_here) ORDER BY row_id"""
_OVERTAKEN = """SELECT row_id, by_row, CAST($order AS INTEGER) AS adm_order FROM (
        SELECT *, max(row_id) OVER (PARTITION BY record_id, version_at, batch_order) AS by_row,
               lead(payload) OVER w AS after, lead(here) OVER w AS after_here
        FROM mine WINDOW w AS (PARTITION BY record_id, version_at, batch_order ORDER BY row_id))
    WHERE payload <> after AND (here OR after_here) ORDER BY row_id"""
_DISPUTED = "SELECT DISTINCT record_id FROM mine ORDER BY record_id"
_SUPERSEDED = f"""SELECT row_id FROM (
        SELECT row_id, here, lead(row_id) OVER (PARTITION BY record_id ORDER BY {VERSION_ORDER}) AS next FROM mine)
    WHERE here AND next IS NOT NULL"""


def write(session: Session, twice: Digests, target: Path, order: int, *, any_held: bool, withdraws: bool) -> None:
    """Write the files; leave `mine`, `superseded` and, of the file, `duplicates`. Needs `linked` and `held`.

    `mine`: all versions of the records that may be disputed, `here` or held; `superseded` (row_id): rows of this batch
    after which another version of their record stands. twice: hash(record_id) that several settled rows of this batch
    have. any_held: whether anything is held; withdraws: whether a row of this batch may withdraw its record.
    """
    session.rows("repeated", pa.table({"h": twice}))
    session.leave(_mine(session, any_held=any_held, withdraws=withdraws))
    written = {
        name: session.write_any(Step(f"{name}_file", ("mine",), sql, {"order": order}), target / f"{name}.parquet")
        for name, sql in (("duplicates", _DUPLICATES), ("overtaken", _OVERTAKEN), ("disputed", _DISPUTED))
    }
    session.files("duplicates", written["duplicates"], DUPLICATES)
    session.leave(Step("superseded", ("mine",), _SUPERSEDED))


def _mine(session: Session, *, any_held: bool, withdraws: bool) -> Step:
    """Return the step `mine`. Only records that occur twice here, or that are already held, can be duplicates."""
    among = ["hash(record_id) IN (SELECT h FROM repeated)"]
    among += ["payload IS NULL"] if withdraws else []
    held = ""
    if any_held:
        known = f"""SELECT {_VERSION} FROM held
            WHERE record_id IN (SELECT record_id FROM linked WHERE NOT waiting)"""
        if session.leave(Step("known", ("held", "linked"), known)):
            among.append("record_id IN (SELECT record_id FROM known)")
            held = f"UNION ALL SELECT {_VERSION}, false FROM known"
    sql = f"SELECT {_VERSION}, true AS here FROM linked WHERE NOT waiting AND ({' OR '.join(among)}) {held}"
    return Step("mine", ("linked", "repeated", *(["known"] if held else [])), sql)
