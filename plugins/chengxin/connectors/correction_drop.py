"""Where a department puts the mended table of refused rows: into its drop folder, else where its answers come from."""

import posixpath
from collections.abc import Sequence

from chengxin.connectors.file_places import inbox
from chengxin.contracts.corrections import STEM, is_named
from chengxin.contracts.models import Contract, DeliverySpec
from chengxin.handover import Delivery
from chengxin.settings import Settings


def answer_folder(contract: Contract) -> str:
    """Return the folder of a data set's answers below the outbox: as the contract says, else that of the drop."""
    drop = _drop(contract)
    return contract.feedback.folder or (drop if drop != "." else contract.id)


def sent_back(contract: Contract, settings: Settings, offered: Sequence[Delivery]) -> list[Delivery]:
    """List the tables (需更正*.csv, *.xlsx) that a department put back, whatever its files are called or made of.

    They lie in its own drop folder on a server, else in the folder of the inbox that is called as that of its answers.
    offered: what has been found already.
    """
    from chengxin.connectors.file_drop import FileDrop

    far = contract.delivery.options.get("connection") if contract.delivery.connector == "file_drop" else None
    folder = _drop(contract) if far else answer_folder(contract)
    place = (inbox(settings) / folder).resolve()
    if not far and not (place.is_relative_to(inbox(settings)) and place.is_dir()):
        return []
    options = {"folder": folder, "pattern": f"{STEM}*", **({"connection": far} if far else {})}
    drop = contract.model_copy(update={"delivery": DeliverySpec(connector="file_drop", options=options)})
    known = {delivery.name for delivery in offered}
    found = FileDrop().discover(drop, settings, {})
    return [d for d in found if d.name not in known and is_named(d.name)]


def _drop(contract: Contract) -> str:
    options = contract.delivery.options if contract.delivery.connector == "file_drop" else {}
    return posixpath.normpath(str(options.get("folder") or ".").lstrip("/") or ".")
