"""Rows that new judgements are about are linked again, whatever they were linked by. Finds them; linking does the rest.

All versions of a record go together: each may be the one that the others repeat or correct. So the unit is the record:
`reopened.parquet` of a revision voids every earlier version of its records, in the whole data set, and each batch that
holds one enters it again in a revision of its own. A kill in between leaves void versions, which are found here again.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from chengxin.engine.session import Connection, literal, parquet
from chengxin.identity.by_code import RoleLink
from chengxin.identity.ledger import Judgement


def void(reopened: Sequence[Path], version: str) -> str:
    """Return SQL that tells whether the version (an alias with record_id and adm_order) has been reopened since."""
    if not reopened:
        return "false"
    return f"""EXISTS (SELECT 1 FROM {parquet(reopened)} v
        WHERE v.record_id = {version}.record_id AND v.adm_order > {version}.adm_order)"""


def current(linked: Sequence[Path]) -> str:
    """Return SQL for the settled rows of batches as last tried: row_id, batch_order, adm_order, record_id, part."""
    return f"""(SELECT * FROM (
        SELECT row_id, batch_order, max(adm_order) AS adm_order, max_by(waiting, adm_order) AS waiting,
               max_by(coalesce(record_id, ''), adm_order) AS record_id, max_by(coalesce(part, ''), adm_order) AS part
        FROM {parquet(linked)} GROUP BY row_id, batch_order) WHERE NOT waiting)"""


def records_judged(
    connection: Connection,
    linked: Sequence[Path],
    standard: Sequence[Path],
    reopened: Sequence[Path],
    roles: Mapping[str, RoleLink],
    judgements: Sequence[Judgement],
) -> pa.Table:
    """Return (record_id, part) of a batch's settled rows that bear a name or a code that is judged anew."""
    said = [
        f"s.{link.fields[j.part]} = {literal(j.value)}"
        for link in roles.values()
        for j in judgements
        if j.part in link.fields
    ]
    return connection.sql(f"""SELECT DISTINCT c.record_id, c.part FROM {current(linked)} c
        JOIN {parquet(standard)} s USING (row_id)
        WHERE ({" OR ".join(said) or "false"}) AND NOT {void(reopened, "c")}""").to_arrow_table()


def batches_to_reopen(
    connection: Connection, linked: Sequence[Path], reopened: Sequence[Path], records: pa.Table
) -> list[int]:
    """Return, in order, the batches (batch_order) of a data set with void rows or with rows of these records."""
    connection.register("judged_anew", records)
    found = connection.execute(f"""SELECT DISTINCT batch_order FROM {current(linked)} c
        WHERE {void(reopened, "c")} OR record_id IN (SELECT record_id FROM judged_anew) ORDER BY 1""").fetchall()
    connection.unregister("judged_anew")
    return [order for (order,) in found]
