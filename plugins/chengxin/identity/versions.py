"""Every version of a data set's records that was ever admitted, as one view."""

from collections.abc import Sequence
from pathlib import Path

from chengxin.engine.session import Connection, parquet
from chengxin.identity.record_keys import VERSION_ORDER
from chengxin.identity.reopened_links import void


def create_held(
    connection: Connection,
    linked: Sequence[Path],
    duplicates: Sequence[Path],
    withdrawn: Sequence[Path],
    reopened: Sequence[Path],
) -> None:
    """Create the view `held`: every version and withdrawal (payload NULL) of a data set's records ever admitted.

    Duplicates are in it, marked: they tell that a content still held at their time. Reopened versions are not.
    """
    columns = "record_id, payload, version_at, batch_order, adm_order, row_id, subject_id, part"
    selects = []
    if linked:
        marked, repeats = "false", ""
        valid = f"AND NOT {void(reopened, 'l')}" if reopened else ""
        if duplicates:
            marked = "d.is_duplicate IS NOT NULL"
            repeats = f"""LEFT JOIN (SELECT row_id, adm_order, true AS is_duplicate FROM {parquet(duplicates)}) d
                USING (row_id, adm_order)"""
        selects.append(
            f"SELECT {columns}, {marked} AS duplicate FROM {parquet(linked)} l {repeats} WHERE NOT waiting {valid}"
        )
    if withdrawn:
        selects.append(f"""SELECT record_id, CAST(NULL AS UBIGINT), version_at, batch_order, adm_order,
            CAST(-1 AS BIGINT), subject_id, part, false FROM {parquet(withdrawn)}""")
    empty = """SELECT '' AS record_id, CAST(0 AS UBIGINT) AS payload, TIMESTAMPTZ 'epoch' AS version_at,
        0 AS batch_order, 0 AS adm_order, CAST(0 AS BIGINT) AS row_id, CAST(0 AS BIGINT) AS subject_id, '' AS part,
        false AS duplicate WHERE false"""
    connection.execute(f"CREATE OR REPLACE TEMP VIEW held AS {' UNION ALL '.join(selects) or empty}")


def create_gone(connection: Connection) -> None:
    """Create the temp table `gone` (record_id): records whose newest version, in `held` or `linked`, withdraws them."""
    versions = """(SELECT record_id, payload IS NULL AS withdraws, version_at, batch_order, row_id FROM held
        UNION ALL SELECT record_id, payload IS NULL, version_at, batch_order, row_id FROM linked WHERE NOT waiting)"""
    # Few have a version that does: the others are not gathered.
    connection.execute(f"""CREATE OR REPLACE TEMP TABLE gone AS SELECT record_id FROM {versions}
        WHERE record_id IN (SELECT record_id FROM {versions} WHERE withdraws)
        GROUP BY record_id HAVING max_by(withdraws, ({VERSION_ORDER}))""")
