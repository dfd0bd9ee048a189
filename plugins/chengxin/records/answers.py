"""How many rows of a batch that is not admitted yet answer what was refused of earlier ones of its data set."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyarrow.parquet as pq

from chengxin.contracts.models import Contract
from chengxin.facts import Admission, Batch
from chengxin.home import Home
from chengxin.records.refused import Refusals
from chengxin.store.lock import held

_LOOKED_AT = 100  # batches before it: a correction comes soon after what it corrects


def count(
    home: Home, contract: Contract, batch: Batch, landed: Sequence[Batch], admitted: Mapping[str, Admission]
) -> tuple[int, int]:
    """Return how many rows of a batch answer open refused rows, and how many of these were refused again.

    landed: the batches of the data set, in order. admitted: accounts by batch id. A batch that is our own table of
    refused rows answers with every row.
    """
    before = [b for b in landed[: landed.index(batch)] if b.batch_id in admitted][-_LOOKED_AT:]
    if not before and not batch.corrects:
        return 0, 0
    as_if = {b.batch_id: admitted[b.batch_id] for b in before}
    if before:
        as_if[batch.batch_id] = replace(admitted[before[-1].batch_id], batch_id=batch.batch_id)
    refusals = Refusals(home, contract, [*before, batch], as_if)
    rows = {name: sum(map(_rows, refusals.files(batch.batch_id, name))) for name in ("standard", "quarantine")}
    if batch.corrects:
        return sum(rows.values()), rows["quarantine"]
    if not any(b.batch_id in refusals.refused for b in before):
        return 0, 0
    with held(refusals.layout, f"feedback-{contract.id}"), refusals.opened() as opened:
        standing = opened.standing()
    mended = sum(s.mended.get(batch.batch_id, 0) for s in standing.values())
    again = sum(s.again_in.get(batch.batch_id, 0) for s in standing.values())
    mended, again = min(mended, rows["standard"]), min(again, rows["quarantine"])
    return mended + again, again


def _rows(path: object) -> int:
    return int(pq.read_metadata(path).num_rows)
