"""Batches whose bytes we wrote ourselves, and the contract under which they are read.

Refused rows that are replayed: JSON Lines of header -> text, each on the line of its row in the original file; so place
and order stay. Rows pulled from a database: CSV, whatever the contract says of files. Our table of refused rows that a
department corrected and sent back (corrections.py): CSV or a workbook, with the headers of the original.
"""

from typing import ClassVar

from chengxin.contracts.models import Column, Contract, FileSpec, Quality, Threshold
from chengxin.contracts.plan import PARTIAL
from chengxin.facts import Batch, DeliveryMode

REPLAY = "replay:"


class OwnRows(FileSpec):
    """CSV that we wrote: values may go over any number of lines."""

    trusted: ClassVar[bool] = True


def replayed(batch: Batch) -> str | None:
    """Return the id of the batch whose refused rows this batch holds; None when it came from a department."""
    return batch.origin.removeprefix(REPLAY) if batch.origin.startswith(REPLAY) else None


def contract_for(contract: Contract, batch: Batch) -> Contract:
    """Return the contract that reads a batch: its data set's own, or what is left of it where their form is ours.

    Some rows of a delivery are no delivery: nothing is expected of their number, share or age.
    """
    if replayed(batch) is not None:
        return _of_some_rows(contract, FileSpec(format="jsonl"), columns_of(contract))
    if batch.corrects is not None:
        form = FileSpec(format=batch.corrects, encoding="auto", sheet=1)
        columns = columns_of(contract)
        if contract.file.format in PARTIAL:
            columns = tuple(c.model_copy(update={"optional": True}) for c in columns)
        return _of_some_rows(contract, form, columns)
    return _pulled(contract, batch) if contract.delivery.connector == "database" else contract


def columns_of(contract: Contract) -> tuple[Column, ...]:
    """Return the columns by the names under which refused rows are kept: numbers where the file has no header."""
    columns = contract.columns
    if not contract.in_order:
        return columns
    places = {source: str(n) for n, source in enumerate(dict.fromkeys(c.source for c in columns), 1)}
    return tuple(c.model_copy(update={"source": places[c.source], "aliases": ()}) for c in columns)


def _of_some_rows(contract: Contract, form: FileSpec, columns: tuple[Column, ...]) -> Contract:
    return contract.model_copy(
        update={
            "file": form,
            "columns": columns,
            "delivery": contract.delivery.model_copy(update={"mode": "incremental"}),
            "quality": Quality(quarantined=Threshold(warn=1, hold=1)),
        }
    )


def _pulled(contract: Contract, batch: Batch) -> Contract:
    """Read rows that we pulled from a database as we wrote them: CSV now, JSON Lines in batches of earlier versions."""
    earlier = any(file.name.endswith(".jsonl") for file in batch.files)
    return contract.model_copy(update={"file": FileSpec(format="jsonl") if earlier else OwnRows()})


def mode_for(contract: Contract, batch: Batch) -> DeliveryMode:
    """Return whether a batch is the whole list: as the contract states, never so for some rows of it."""
    return "incremental" if replayed(batch) is not None or batch.corrects else contract.delivery.mode
