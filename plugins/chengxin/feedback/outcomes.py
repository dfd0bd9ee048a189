"""What became of the batches of a data set, read from the journal and from the folders of the stages."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from chengxin.connectors import landing
from chengxin.contracts.models import Contract
from chengxin.dataset import journal
from chengxin.handover import Admission, Batch, StandardBatch, Verdict
from chengxin.settings import Settings
from chengxin.store import atomic
from chengxin.store.layout import Layout

COUNTS = ("received", "accepted", "quarantined", "duplicate", "unlinked")


@dataclass(frozen=True)
class Outcome:
    """What became of a batch. account: None while it is held; counts: as of COUNTS, adding up."""

    batch: Batch
    account: Admission | None
    counts: Mapping[str, int]
    summary: StandardBatch
    verdict: Verdict


def ended(contract: Contract, settings: Settings, judged: Callable[[Batch], Verdict | None]) -> list[Outcome]:
    """Return the outcomes of landed batches that are admitted or held, in order.

    judged: the verdict of a batch under the present contract; None when it is still to be judged.
    """
    layout = Layout(settings.home)
    accounts = journal.latest(journal.admissions(layout))
    found = []
    for batch in landing.batches(settings, contract.id):
        account = accounts.get((contract.id, batch.batch_id))
        said = layout.validation(contract.id, batch.batch_id) / "verdict.json"
        verdict = Verdict.from_json(atomic.read_json(said)) if account else judged(batch)
        if verdict is None or not (account or verdict.status == "hold"):
            continue
        summary = StandardBatch(**atomic.read_json(layout.standard(contract.id, batch.batch_id) / "summary.json"))
        known = asdict(account) if account else {"received": summary.received, "quarantined": summary.received}
        counts = {name: int(known.get(name, 0)) for name in COUNTS}
        found.append(Outcome(batch, account, counts, summary, verdict))
    return found
