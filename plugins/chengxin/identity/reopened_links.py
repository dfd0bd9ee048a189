"""Rows that new judgements are about are linked again, whatever they were linked by. Finds them; linking does the rest.

All versions of a record go together: each may be the one that the others repeat or correct. So the unit is the record:
`reopened.parquet` of a revision voids every earlier version of its records, in the whole data set, and each batch that
holds one enters it again in a revision of its own. A kill in between leaves void versions, which are found here again.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from chengxin.engine.session import Session
from chengxin.engine.step import Schema, Step, identifier
from chengxin.identity.by_code import RoleLink
from chengxin.identity.ledger import Judgement

REOPENED = Schema({"record_id": "VARCHAR", "part": "VARCHAR", "adm_order": "INTEGER"})


def void(version: str, reopened: str = "reopened") -> str:
    """Return the SQL condition that the version (an alias with record_id and adm_order) has been reopened since."""
    return f"""EXISTS (SELECT 1 FROM {reopened} v
        WHERE v.record_id = {version}.record_id AND v.adm_order > {version}.adm_order)"""


def current(linked: str) -> str:
    """Return SQL for the settled rows of batches as last tried: row_id, batch_order, adm_order, record_id, part."""
    return f"""(SELECT * FROM (
        SELECT row_id, batch_order, max(adm_order) AS adm_order, max_by(waiting, adm_order) AS waiting,
               max_by(coalesce(record_id, ''), adm_order) AS record_id, max_by(coalesce(part, ''), adm_order) AS part
        FROM {linked} GROUP BY row_id, batch_order) WHERE NOT waiting)"""


def records_judged(
    session: Session,
    *,
    linked: Sequence[Path],
    standard: Sequence[Path],
    roles: Mapping[str, RoleLink],
    judgements: Sequence[Judgement],
) -> pa.Table:
    """Return (record_id, part) of a batch's settled rows that bear a name or a code that is judged anew.

    Needs the input `reopened`.
    """
    session.files("judged_linked", linked)
    session.files("judged_standard", standard)
    said = {"part": [j.part for j in judgements], "value": [j.value for j in judgements]}
    session.rows("judged_anew", pa.table({n: pa.array(v, pa.string()) for n, v in said.items()}))
    parts = dict.fromkeys(j.part for j in judgements)
    bears = [
        f"{identifier(link.fields[part], 's')} IN (SELECT value FROM judged_anew WHERE part = '{part}')"
        for link in roles.values()
        for part in parts
        if part in link.fields
    ]
    sql = f"""SELECT DISTINCT c.record_id, c.part FROM {current("judged_linked")} c
        JOIN judged_standard s USING (row_id) WHERE ({" OR ".join(bears) or "false"}) AND NOT {void("c")}"""
    return session.table(Step("records_judged", ("judged_linked", "judged_standard", "judged_anew", "reopened"), sql))


def batches_to_reopen(session: Session, linked: Sequence[Path], records: pa.Table) -> list[int]:
    """Return, in order, the batches (batch_order) of a data set with void rows or with rows of these records.

    Needs the input `reopened`.
    """
    session.rows("records_reopened", records)
    session.files("all_linked", linked)
    sql = f"""SELECT DISTINCT batch_order FROM {current("all_linked")} c
        WHERE {void("c")} OR record_id IN (SELECT record_id FROM records_reopened) ORDER BY 1"""
    found = session.fetch(Step("batches_to_reopen", ("all_linked", "reopened", "records_reopened"), sql))
    return [order for (order,) in found]
