"""What became of the batches of a data set, read from the journal and from the folders of the stages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from chengxin.connectors import landing
from chengxin.contracts.models import Contract
from chengxin.facts import COUNTS, Admission, Batch, StandardBatch, Verdict
from chengxin.home import Home
from chengxin.quality import evidence
from chengxin.records import journal
from chengxin.store import atomic


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a batch. account: None while it is held; counts: as of COUNTS, adding up.

    arrived: the Shanghai day on which the batch reached us: terms count from it. superseded: the newer full delivery
    that had been admitted before this one came late; None otherwise.
    """

    batch: Batch
    account: Admission | None
    counts: Mapping[str, int]
    summary: StandardBatch
    verdict: Verdict
    arrived: date
    superseded: str | None = None


def ended(home: Home, contract: Contract, judged: Callable[[Batch], Verdict | None]) -> list[Outcome]:
    """Return the outcomes of landed batches that are admitted or held, in order.

    judged: the verdict of a batch under the present contract; None when it is still to be judged.
    """
    layout = home.layout
    admitted = journal.accounts(layout)
    accounts = admitted.latest(contract.id)
    batches = landing.batches(home, contract.id)
    superseded = _superseded(batches, admitted.of(contract.id))
    found = []
    for batch in batches:
        account = accounts.get(batch.batch_id)
        folder = layout.validation(contract.id, batch.batch_id)
        verdict = evidence.read_verdict(folder) if account else judged(batch)
        if verdict is None or not (account or verdict.status == "hold"):
            continue
        summary = StandardBatch(**atomic.read_json(layout.standard(contract.id, batch.batch_id) / "summary.json"))
        known = asdict(account) if account else {"received": summary.received, "quarantined": summary.received}
        counts = {name: int(known.get(name, 0)) for name in COUNTS}
        arrived, by = landing.arrived_on(home, batch), superseded.get(batch.batch_id)
        found.append(
            Outcome(
                batch=batch,
                account=account,
                counts=counts,
                summary=summary,
                verdict=verdict,
                arrived=arrived,
                superseded=by,
            )
        )
    return found


def accounts(home: Home, contract: Contract, judged: Callable[[Batch], Verdict | None]) -> list[list[Any]]:
    """Return what tells the outcomes of `ended` from others: [batch, revision], [held batch, digest of its verdict].

    Reads no file of an admitted batch.
    """
    admitted = {a.batch_id: a.revision for a in journal.accounts(home.layout).of(contract.id)}
    open_ones = landing.batches(home, contract.id, but=admitted)
    held = [[b.batch_id, v.digest] for b in open_ones if (v := judged(b)) is not None and v.status == "hold"]
    return [*map(list, admitted.items()), *held]


def waited_out(home: Home, contract: Contract, today: date) -> list[str]:
    """Return the batches with rows that have waited for their subject as long as the contract allows."""
    waiting = [a.batch_id for a in journal.accounts(home.layout).waiting() if a.dataset == contract.id]
    landed = (landing.landed(home, contract.id, b) for b in waiting)
    return [b.batch_id for b in landed if today > wait_until(contract, landing.arrived_on(home, b))]


def wait_until(contract: Contract, arrived: date) -> date:
    """Return the last day on which rows of a batch that arrived then only wait."""
    return arrived + timedelta(days=contract.feedback.wait_days)


def _superseded(batches: Sequence[Batch], admissions: Sequence[Admission]) -> dict[str, str]:
    """Return, for full batches that came after a newer full one, the delivery of the newest of those."""
    place = {b.batch_id: (n, b.delivery) for n, b in enumerate(batches)}
    newest = (-1, "")
    found = {}
    for account in admissions:
        if account.revision == 0 and account.mode == "full" and account.batch_id in place:
            if place[account.batch_id] < newest:
                found[account.batch_id] = newest[1]
            newest = max(newest, place[account.batch_id])
    return found
