"""Where a department puts the mended table of refused rows: into its drop folder, else where its answers come from."""

import posixpath
from collections.abc import Sequence

from chengxin.connectors.files.places import inbox
from chengxin.contracts.corrections import STEM, is_named
from chengxin.contracts.models import Contract, DeliverySpec
from chengxin.facts import Delivery
from chengxin.home import Home


def answer_folder(contract: Contract) -> str:
    """Return the folder of a data set's answers below the outbox: as the contract states, else that of the drop."""
    drop = _drop(contract)
    return contract.feedback.folder or (drop if drop != "." else contract.id)


def sent_back(home: Home, contract: Contract, offered: Sequence[Delivery]) -> list[Delivery]:
    """List the tables (需更正*.csv, *.xlsx) that a department put back, whatever its files are called or made of.

    They lie in its own drop folder, or in the folder of the inbox that is called as that of its answers. offered: what
    has been found already.
    """
    from chengxin.connectors.files.connector import FileDrop

    far = _connection(contract)
    known = {delivery.name for delivery in offered}
    found: list[Delivery] = []
    for folder in (_drop(contract),) if far else dict.fromkeys((_drop(contract), answer_folder(contract))):
        place = (inbox(home) / folder).resolve()
        if not far and (folder == "." or not (place.is_relative_to(inbox(home)) and place.is_dir())):
            continue
        options = {"folder": folder, "pattern": f"{STEM}*", **({"connection": far} if far else {})}
        drop = contract.model_copy(update={"delivery": DeliverySpec(connector="file_drop", options=options)})
        found += [d for d in FileDrop().discover(home, drop) if d.name not in known and is_named(d.name)]
    return found


def place_of_return(contract: Contract) -> str:
    """Describe in Chinese where a department puts the table."""
    own = _connection(contract) or _drop(contract) != "."
    return "原投递目录" if own else f"收件箱的 {answer_folder(contract)} 文件夹（没有文件夹的，交给平台联系人代为放入）"


def _connection(contract: Contract) -> str | None:
    far = contract.delivery.options.get("connection") if contract.delivery.connector == "file_drop" else None
    return str(far) if far else None


def _drop(contract: Contract) -> str:
    options = contract.delivery.options if contract.delivery.connector == "file_drop" else {}
    return posixpath.normpath(str(options.get("folder") or ".").lstrip("/") or ".")
