"""Every version of a data set's records that was ever admitted, as one view."""

from collections.abc import Sequence
from pathlib import Path

from chengxin.engine.session import Session
from chengxin.engine.step import Schema, Step
from chengxin.identity.record_keys import VERSION_ORDER
from chengxin.identity.reopened_links import REOPENED, void

_PLACE = {"version_at": "TIMESTAMP WITH TIME ZONE", "batch_order": "INTEGER", "adm_order": "INTEGER"}
_WHOSE = {"subject_id": "BIGINT", "part": "VARCHAR"}
#: Of linked.parquet what versions are made of.
LINKED = Schema(
    {"record_id": "VARCHAR", "payload": "UBIGINT", **_PLACE, "row_id": "BIGINT", **_WHOSE, "waiting": "BOOLEAN"}
)
DUPLICATES = Schema({"row_id": "BIGINT", "adm_order": "INTEGER"})
WITHDRAWN = Schema({"record_id": "VARCHAR", **_WHOSE, **_PLACE})
_HELD = f"""SELECT record_id, payload, version_at, batch_order, adm_order, row_id, subject_id, part,
        d.is_duplicate IS NOT NULL AS duplicate
    FROM held_linked l
    LEFT JOIN (SELECT row_id, adm_order, true AS is_duplicate FROM held_duplicates) d USING (row_id, adm_order)
    WHERE NOT waiting AND NOT {void("l", "held_reopened")}
    UNION ALL SELECT record_id, CAST(NULL AS UBIGINT), version_at, batch_order, adm_order, CAST(-1 AS BIGINT),
        subject_id, part, false FROM held_withdrawn"""
_VERSIONS = """(SELECT record_id, payload IS NULL AS withdraws, version_at, batch_order, row_id FROM held
    UNION ALL SELECT record_id, payload IS NULL, version_at, batch_order, row_id FROM linked WHERE NOT waiting)"""


def create_held(
    session: Session,
    linked: Sequence[Path],
    duplicates: Sequence[Path],
    withdrawn: Sequence[Path],
    reopened: Sequence[Path],
) -> None:
    """Leave the view `held`: every version and withdrawal (payload NULL) of a data set's records ever admitted.

    Duplicates are in it, marked: they tell that a content still held at their time. Reopened versions are not.
    """
    session.files("held_linked", linked, LINKED)
    session.files("held_duplicates", duplicates, DUPLICATES)
    session.files("held_withdrawn", withdrawn, WITHDRAWN)
    session.files("held_reopened", reopened, REOPENED)
    session.view(Step("held", ("held_linked", "held_duplicates", "held_withdrawn", "held_reopened"), _HELD))


def create_gone(session: Session) -> None:
    """Leave the table `gone` (record_id): records whose newest version, in `held` or `linked`, withdraws them."""
    # Few have a version that does: the others are not gathered.
    gone = f"""SELECT record_id FROM {_VERSIONS}
        WHERE record_id IN (SELECT record_id FROM {_VERSIONS} WHERE withdraws)
        GROUP BY record_id HAVING max_by(withdraws, ({VERSION_ORDER}))"""
    session.leave(Step("gone", ("held", "linked"), gone))
