"""Deliveries of files: what is offered of files that were found, and files given by hand."""

import hashlib
import logging
from dataclasses import dataclass, replace
from pathlib import Path

from chengxin.clock import Clock, instant_of_timestamp
from chengxin.connectors.files.names import Named
from chengxin.connectors.files.options import pattern_of
from chengxin.connectors.files.places import inbox, local_entry, readable_name
from chengxin.connectors.locators import Entry, FileLocator
from chengxin.contracts.models import Contract
from chengxin.errors import DeliveryCorrupt, SourceUnavailable
from chengxin.facts import Delivery
from chengxin.home import Home

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """A file of the folder that belongs to the data set."""

    entry: Entry
    named: Named


def inbox_delivery(home: Home, contract: Contract, name: str) -> Delivery:
    """Offer one file of the inbox, by its path below it; raise DeliveryCorrupt for anything else."""
    root = inbox(home)
    path = (root / name).resolve()
    if not path.is_relative_to(root) or not path.is_file():
        raise DeliveryCorrupt(f"收件箱内没有文件“{Path(name).name}”；请填写收件箱内的路径")
    return file_delivery(home, contract, path)


def file_delivery(home: Home, contract: Contract, path: Path) -> Delivery:
    """Offer one given file as a delivery of a contract, whatever the contract's own connector is."""
    path = path.resolve()
    if not path.is_file():
        raise SourceUnavailable(f"文件不存在或不可读：{path.name}")
    name = readable_name(path.name)
    given = contract.delivery.options if contract.delivery.connector == "file_drop" else {}
    named = pattern_of(str(given.get("pattern", "*"))).read(name) or Named({}, name)
    checksum = str(given.get("checksum") or "")
    beside = path.with_name(path.name + checksum)
    manifest = local_entry(beside, readable_name(beside.name)) if checksum and beside.is_file() else None
    return offer(home, contract, [Found(local_entry(path, name), named)], manifest, FileLocator(local=True), name)


def offer(
    home: Home, contract: Contract, files: list[Found], manifest: Entry | None, lies: FileLocator, origin: str
) -> Delivery:
    """Make the delivery. Its period and arrival stay in the receipt; keys and fingerprints do not. lies: where."""
    first = files[0].named
    # A file's time may be anything; it did not come before there were such times, nor will it come.
    # No file comes later than now; where CHENGXIN_NOW fixes a day to come, files may be of that day.
    latest = max(Clock().now(), home.clock.now()).timestamp()
    arrived = instant_of_timestamp(max(0.0, min(latest, max(f.entry.changed for f in files))))
    entries = [*(f.entry for f in files), *([manifest] if manifest else [])]
    said = [f"{e.key} {e.fingerprint}" for e in entries]
    single = len(files) == 1 and manifest is None
    fingerprint = files[0].entry.fingerprint if single else hashlib.sha256("\n".join(said).encode()).hexdigest()
    day = first.day
    if day is None and any(f in first.values for f in ("date", "month", "quarter", "year")):
        log.warning("“%s”文件名里的日期不存在，按到达时间排序", first.group)
    locator = replace(
        lies,
        path="\n".join(f.entry.key for f in files),
        fingerprint=fingerprint,
        touched=max(max(e.changed, e.touched) for e in entries),
        files=tuple(f.entry for f in files),
        manifest=manifest,
        arrived=arrived.isoformat(),
        period=day.isoformat() if day else None,
        seq=first.seq,
    )
    return Delivery(contract.id, first.group, f"file_drop:{origin}", first.counts_as_of(arrived), locator)
