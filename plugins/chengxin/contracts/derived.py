"""A batch that we made ourselves from refused rows (replay), and the contract under which its bytes are read.

Its payload is JSON Lines of header -> text, each on the line of its row in the original file; so place and order stay.
"""

from chengxin.contracts.models import Contract, FileSpec, Quality, Threshold
from chengxin.handover import Batch, DeliveryMode

REPLAY = "replay:"
_POSITIONAL = {"csv", "tsv", "xlsx", "xls"}


def replayed(batch: Batch) -> str | None:
    """Return the id of the batch whose refused rows this batch holds; None when it came from a department."""
    return batch.origin.removeprefix(REPLAY) if batch.origin.startswith(REPLAY) else None


def contract_for(contract: Contract, batch: Batch) -> Contract:
    """Return the contract that reads a batch: its data set's own, or what is left of it for replayed rows.

    Some rows of a delivery are no delivery: nothing is expected of their number, share or age.
    """
    if replayed(batch) is None:
        return contract
    columns = contract.columns
    if contract.file.header == 0 and contract.file.format in _POSITIONAL:
        columns = tuple(c.model_copy(update={"source": str(n), "aliases": ()}) for n, c in enumerate(columns, 1))
    return contract.model_copy(
        update={
            "file": FileSpec(format="jsonl"),
            "columns": columns,
            "delivery": contract.delivery.model_copy(update={"mode": "incremental"}),
            "quality": Quality(quarantined=Threshold(warn=1, hold=1)),
        }
    )


def mode_for(contract: Contract, batch: Batch) -> DeliveryMode:
    """Return whether a batch is the whole list: as the contract says, never so for replayed rows."""
    return contract.delivery.mode if replayed(batch) is None else "incremental"
