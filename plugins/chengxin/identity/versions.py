"""Every version of a data set's records that was ever admitted, as one view."""

from collections.abc import Callable, Sequence
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chengxin.engine.session import Session
from chengxin.engine.step import Schema, Step
from chengxin.identity.digests import NEAR, TWIN
from chengxin.identity.duplicates import DUPLICATES
from chengxin.identity.record_keys import VERSION_ORDER
from chengxin.identity.reopened_links import void
from chengxin.state import lookups

_PLACE = {"version_at": "TIMESTAMP WITH TIME ZONE", "batch_order": "INTEGER", "adm_order": "INTEGER"}
_WHOSE = {"subject_id": "BIGINT", "part": "VARCHAR"}
#: Of linked.parquet what versions are made of.
LINKED = Schema(
    {"record_id": "VARCHAR", "payload": "UBIGINT", **_PLACE, "row_id": "BIGINT", **_WHOSE, "waiting": "BOOLEAN"}
)
WITHDRAWN = Schema({"record_id": "VARCHAR", **_WHOSE, **_PLACE})
_FOUND = "record_id, payload, version_at, batch_order, adm_order, row_id, subject_id, part"
_HELD = f"""SELECT {_FOUND}, d.is_duplicate IS NOT NULL AS duplicate
    FROM held_linked l
    LEFT JOIN (SELECT row_id, adm_order, true AS is_duplicate FROM held_duplicates) d USING (row_id, adm_order)
    WHERE NOT waiting AND NOT {void("l")}
    UNION ALL SELECT record_id, CAST(NULL AS UBIGINT), version_at, batch_order, adm_order, CAST(-1 AS BIGINT),
        subject_id, part, false FROM held_withdrawn"""
_VERSIONS = """(SELECT record_id, payload IS NULL AS withdraws, version_at, batch_order, row_id FROM held
    UNION ALL SELECT record_id, payload IS NULL, version_at, batch_order, row_id FROM linked WHERE NOT waiting)"""


def held_by_files(
    session: Session, files: Callable[[str], Sequence[Path]], digests: Sequence[str] = (), compared: Sequence[str] = ()
) -> bool:
    """Leave the view `held`: every version and withdrawal (payload NULL) of a data set's records ever admitted.

    Duplicates are in it, marked: they tell that a content still held at their time. Reopened versions are not. For each
    digest the view <digest>_before: the rows of linked.parquet that have it; none where it is not `compared`. Return
    whether anything is held. files: the files of a name that earlier links folders have. Needs `reopened`.
    """
    linked = files("linked")
    session.files("held_linked", linked, LINKED)
    session.files("held_duplicates", files("duplicates"), DUPLICATES)
    session.files("held_withdrawn", files("withdrawn"), WITHDRAWN)
    session.view(Step("held", ("held_linked", "held_duplicates", "held_withdrawn", "reopened"), _HELD))
    for digest in digests:
        having = [p for p in linked if digest in pq.read_schema(p).names] if digest in compared else []
        session.files(f"{digest}_before", having, Schema({**LINKED.columns, digest: "UBIGINT"}))
    return bool(linked)


def held_by_state(session: Session, state: Connection, dataset: str, digests: Sequence[str], *, deletes: bool) -> bool:
    """Leave what `held_by_files` does, but only what the settled rows of `linked` can touch.

    deletes: rows may delete a record that they do not name, so all records of their subjects are touched.
    """

    def asked(column: str, where: str = "true") -> list[Any]:
        sql = f"SELECT DISTINCT {column} FROM linked WHERE NOT waiting AND {column} IS NOT NULL AND {where}"
        return [value for (value,) in session.fetch(Step(f"asked_{column}", ("linked",), sql))]

    found = lookups.versions(
        state,
        dataset,
        records=asked("record_id"),
        twins=asked(TWIN) if TWIN in digests else (),
        nears=asked(NEAR) if NEAR in digests else (),
        subjects=asked("subject_id", "payload IS NULL") if deletes else (),
    )
    session.rows("held_before", found)
    held = f"SELECT {_FOUND}, duplicate FROM held_before c WHERE NOT {void('c')}"
    session.view(Step("held", ("held_before", "reopened"), held))
    for digest in digests:
        rows = f"SELECT {_FOUND}, false AS waiting, {digest} FROM held_before WHERE {digest} IS NOT NULL"
        session.view(Step(f"{digest}_before", ("held_before",), rows))
    return bool(found.num_rows)


def versions_by_state(
    session: Session, state: Connection, dataset: str, *, records: Sequence[str], orders: Sequence[int]
) -> None:
    """Leave `reopened`, `held` and held_linked as the files give them, but of these records only.

    orders: the admissions that count; later ones may have been applied to the state.
    """
    session.rows("counting", pa.table({"adm_order": pa.array(orders, pa.int32())}))
    session.rows("held_before", lookups.versions(state, dataset, records=records, reopened=True))
    session.rows("reopened_ever", lookups.reopened(state, dataset))
    for name, table in (("reopened", "reopened_ever"), ("held_versions", "held_before")):
        sql = f"SELECT * FROM {table} WHERE adm_order IN (SELECT adm_order FROM counting)"
        session.view(Step(name, (table, "counting"), sql))
    held = f"SELECT {_FOUND}, duplicate FROM held_versions c WHERE NOT {void('c')}"
    session.view(Step("held", ("held_versions", "reopened"), held))
    session.view(Step("held_linked", ("held_versions",), "SELECT * FROM held_versions WHERE row_id >= 0"))


def create_gone(session: Session) -> None:
    """Leave the table `gone` (record_id): records whose newest version, in `held` or `linked`, withdraws them."""
    # Few have a version that does: the others are not gathered.
    gone = f"""SELECT record_id FROM {_VERSIONS}
        WHERE record_id IN (SELECT record_id FROM {_VERSIONS} WHERE withdraws)
        GROUP BY record_id HAVING max_by(withdraws, ({VERSION_ORDER}))"""
    session.leave(Step("gone", ("held", "linked"), gone))
