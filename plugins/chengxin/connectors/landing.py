"""Landing: received bytes become a batch, once. The same bytes twice are the same batch.

    <home>/landing/<dataset>/<batch_id>/payload/*     the bytes as they came
    <home>/landing/<dataset>/<batch_id>/receipt.json  what they are; a batch exists when its receipt does
    <home>/landing/<dataset>/seen.json                a cache: fingerprint of a delivery -> batch; may be deleted
    <home>/landing/<dataset>/.pull-*                  pages of a pull under way (http_pull); may be deleted between runs

The receipts are the only memory: what to ask a source for next is read from the newest one.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from chengxin.clock import SHANGHAI, Clock
from chengxin.connectors import connector_for, connector_named
from chengxin.connectors.files.corrections import sent_back
from chengxin.connectors.files.names import gaps
from chengxin.connectors.locators import from_instant, locator_of
from chengxin.contracts.models import Contract
from chengxin.errors import DeliveryCorrupt
from chengxin.facts import Batch, Delivery, LandedFile, Locator, TableFormat, as_json
from chengxin.home import Home
from chengxin.store.atomic import BUILDING, fsync_folder, read_json, sha256_file, sync_tree, write_json
from chengxin.store.lock import held

PAYLOAD = "payload"
RECEIPT = "receipt.json"
SEEN = "seen.json"

# A file that changed within this time before it was copied could change again within the same tick of its clock.
_SETTLED_SECONDS = 2.0

_IDENTITY = ("fingerprint", "path")

# Not in the receipt: paths and inode numbers of one machine. It keeps what the next look at the source begins from.
_PRIVATE = ("path", "fingerprint", "touched", "files", "manifest", "pull")


def offered(
    home: Home, contract: Contract, since: datetime | None = None, counted: Container[str] | None = None
) -> list[Delivery]:
    """Ask the source of a contract what it offers beyond what has surely landed already.

    since: ask for all from this instant on, whatever has landed; the same bytes are still the same batch. What counts
    its changes with a number and not in time is asked from its beginning. counted: the batches whose rows need not be
    asked for again (None = all): a pull goes on from the newest of them.
    """
    if since is not None:
        begin = from_instant(contract.delivery.connector, since.isoformat())
        found = connector_for(contract).discover(home, contract, begin)
        found += sent_back(home, contract, found)
        return [d for d in found if d.locator.live or d.offered_at >= since]
    found = connector_for(contract).discover(home, contract, cursor(home, contract.id, counted))
    found += sent_back(home, contract, found)
    folder = home.layout.landing(contract.id, "")
    seen = _seen(folder)
    return [delivery for delivery in found if _landed_as(folder, seen, delivery) is None]


def land(
    home: Home, contract: Contract, delivery: Delivery, recognise: Callable[[Path], TableFormat | None] = lambda _: None
) -> Batch:
    """Fetch a delivery and make it a batch; return the earlier batch when its bytes have landed before.

    A pull from a live source whose whole state is delivered (mode full) is compared with the newest batch only: a
    source that returns to an earlier state says something new, a file that is sent again does not, but where it is a
    full list and another one came in between; where nothing tells which of the two it is, it is landed to be held.
    What was dated in the future is no copy of what comes with an earlier date, and no pull is put after it.
    clock: says when we took it (received_at), and orders pulls from sources that have no time of their own.
    recognise: tells of a file whether it is our table of refused rows, mended (Batch.corrects): that is no whole list,
    and later than all that has landed.
    Raises SourceUnavailable, DeliveryCorrupt; then nothing is left behind.
    """
    layout = home.layout
    folder = _folder(home, contract.id)
    with held(layout, f"landing-{contract.id}"):
        folder.mkdir(parents=True, exist_ok=True)
        known = _landed_as(folder, _seen(folder), delivery)
        if known:
            return _read_receipt(known)
        for stray in folder.glob(f"{BUILDING}*"):
            shutil.rmtree(stray) if stray.is_dir() else stray.unlink()
        building = _building(folder)
        try:
            files = _fetch(home, contract, delivery, building / PAYLOAD)
            settled = _settled(building / PAYLOAD, delivery)
            single = len(files) == 1 and delivery.locator.connector == "file_drop"
            corrects = recognise(building / PAYLOAD / files[0].name) if single else None
            batch = _as_batch(home, contract, delivery, files, corrects)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        if settled:
            _remember(folder, delivery, batch)
        pull = folder / delivery.locator.pull if delivery.locator.pull else None
        if pull and pull.is_dir():
            # At once, not page by page: what is left of a half-deleted pull would be gone on from.
            shutil.rmtree(pull.rename(folder / f"{BUILDING}{pull.name}"), ignore_errors=True)
        return batch


def batches(home: Home, dataset: str, but: Container[str] = ()) -> list[Batch]:
    """Return the landed batches of a data set in the order in which they count: as of when, name, id.

    but: batches that are left out, unread.
    """
    folder = home.layout.landing(dataset, "")
    return sorted(_receipts(folder, but), key=lambda b: (b.as_of, b.delivery, b.batch_id))


def arrived_at(receipt: Mapping[str, Any]) -> datetime:
    """Return the instant at which a delivery reached us, whatever period its name states."""
    return datetime.fromisoformat((receipt.get("locator") or {}).get("arrived") or receipt["received_at"])


def arrived_on(home: Home, batch: Batch) -> date:
    """Return the Shanghai day on which a batch reached us; its terms count from there."""
    locator = _receipt(home.layout.landing(batch.dataset, batch.batch_id) / RECEIPT)[1]
    arrived = datetime.fromisoformat(locator.arrived) if locator.arrived else batch.received_at
    return arrived.astimezone(SHANGHAI).date()


def landed(home: Home, dataset: str, batch_id: str) -> Batch:
    """Return one landed batch; raise DeliveryCorrupt when its receipt is damaged, FileNotFoundError without one."""
    if Path(batch_id).name != batch_id or batch_id.startswith("."):
        raise FileNotFoundError(batch_id)  # no name of a batch
    return _read_receipt(home.layout.landing(dataset, batch_id) / RECEIPT)


def cursor(home: Home, dataset: str, counted: Container[str] | None = None) -> Locator:
    """Return where the newest landed pull of a data set (of those `counted`) stopped; empty before the first."""
    folder = home.layout.landing(dataset, "")
    for batch in reversed(batches(home, dataset)):
        if counted is not None and batch.batch_id not in counted:
            continue
        locator = _receipt(folder / batch.batch_id / RECEIPT)[1]
        if locator.live:
            return locator
    return Locator()


def missing(home: Home, contract: Contract, offered: Sequence[Delivery] = ()) -> list[str]:
    """Describe in Chinese which numbers of a data set's sequence have not arrived, counting what is offered now."""
    if "{seq}" not in str(contract.delivery.options.get("pattern", "")):
        return []
    folder = home.layout.landing(contract.id, "")
    locators = [_receipt(folder / b.batch_id / RECEIPT)[1] for b in batches(home, contract.id)]
    locators += [d.locator for d in offered]
    numbers = [(at.period or "", at.seq) for at in locators if at.seq is not None]
    return gaps(numbers, contract.delivery.options.get("sequence", "per_date"))


def payload(home: Home, batch: Batch) -> list[Path]:
    """Return the received files of a batch, in the order of their names."""
    folder = home.layout.landing(batch.dataset, batch.batch_id) / PAYLOAD
    return [folder / file.name for file in batch.files]


def verify_landed(home: Home, batch: Batch) -> list[str]:
    """Compare the bytes on disk with the receipt; return what is wrong, in Chinese."""
    folder = home.layout.landing(batch.dataset, batch.batch_id)
    problems = []
    for file in batch.files:
        path = folder / PAYLOAD / file.name
        if not path.is_file():
            problems.append(f"批次 {batch.batch_id}：缺少收到的文件“{file.name}”")
        elif path.stat().st_size != file.size or sha256_file(path) != file.sha256:
            problems.append(f"批次 {batch.batch_id}：文件“{file.name}”与接收时的大小或 sha256 不一致")
    present = {p.name for p in (folder / PAYLOAD).iterdir()} if (folder / PAYLOAD).is_dir() else set()
    extra = sorted(present - {f.name for f in batch.files})
    problems += [f"批次 {batch.batch_id}：出现未登记的文件“{name}”" for name in extra]
    try:
        intact = _parsed(folder / RECEIPT)[0] == batch
    except (OSError, DeliveryCorrupt):
        intact = False
    return problems if intact else [*problems, f"批次 {batch.batch_id}：接收回执缺失或被改动"]


def payload_digest(files: tuple[LandedFile, ...]) -> str:
    """Return the sha256 of a payload: of the one file, or of the sorted `name sha256` lines of several."""
    if len(files) == 1:
        return files[0].sha256
    lines = "".join(f"{f.name} {f.sha256}\n" for f in sorted(files, key=lambda f: f.name))
    return hashlib.sha256(lines.encode()).hexdigest()


def _fetch(home: Home, contract: Contract, delivery: Delivery, target: Path) -> tuple[LandedFile, ...]:
    target.mkdir(parents=True)
    rows = connector_named(delivery.locator.connector).fetch(home, delivery, contract, target) or {}
    files = tuple(
        LandedFile(p.name, p.stat().st_size, sha256_file(p), rows.get(p.name)) for p in sorted(target.iterdir())
    )
    if not files:
        raise DeliveryCorrupt(f"“{delivery.name}”没有收到任何文件")
    return files


def _folder(home: Home, dataset: str) -> Path:
    return home.layout.landing(dataset, "").resolve()


def _building(folder: Path) -> Path:
    """Return where a batch is put together."""
    return folder / f"{BUILDING}delivery"


def _as_batch(
    home: Home, contract: Contract, delivery: Delivery, files: tuple[LandedFile, ...], corrects: TableFormat | None
) -> Batch:
    folder, clock = _folder(home, contract.id), home.clock
    building = _building(folder)
    digest = payload_digest(files)
    mode = "incremental" if corrects else contract.delivery.mode
    full, live = mode == "full", delivery.locator.live
    lists = [b for b in _receipts(folder) if corrects or not b.corrects] if live or corrects else []
    newest = max(lists, key=lambda b: b.as_of, default=None)
    twin = newest if live and full else _with_digest(folder, digest)
    restated = full and not live and _restated(folder, delivery, digest)
    redated = twin is not None and twin.is_ahead and delivery.offered_at < twin.as_of
    if twin and payload_digest(twin.files) == digest and not (restated or redated):
        return twin
    restates = twin.batch_id if twin and restated == "perhaps" else None
    as_of = clock.now() if delivery.locator.undated else delivery.offered_at
    newest = max((b for b in lists if not b.is_ahead), key=lambda b: b.as_of, default=None)
    if newest and as_of <= newest.as_of:
        # Two pulls are in the order in which they were made, whatever the source's clock or watermark says; and what
        # is corrected comes after what was wrong, whatever period that was of.
        as_of = newest.as_of + timedelta(seconds=1)
    if delivery.locator.period and not corrects:
        as_of = _after_namesakes(folder, delivery, as_of)
    batch_id = _batch_id(folder, contract.id, as_of, digest)
    batch = Batch(
        dataset=contract.id,
        batch_id=batch_id,
        mode=mode,
        origin=delivery.origin,
        delivery=delivery.name,
        received_at=clock.now(),
        as_of=as_of,
        files=files,
        restates=restates,
        corrects=corrects,
        is_ahead=_day(as_of) > _day(max(Clock().now(), clock.now())),  # CHENGXIN_NOW may fix a later day
    )
    stated = {k: v for k, v in as_json(delivery.locator).items() if v is not None and v is not False}
    more = {"payload_sha256": digest, "locator": {k: v for k, v in stated.items() if k not in _PRIVATE}}
    write_json(building / RECEIPT, {**as_json(batch), **more})
    sync_tree(building)
    building.rename(folder / batch_id)
    fsync_folder(folder)
    return batch


def _restated(folder: Path, delivery: Delivery, digest: str) -> Literal["", "perhaps", "surely"]:
    """Return whether a full list is, later, what an earlier one was, after one with other content: A, B, A again.

    A file that was only touched is not: what landed last under its name are these bytes. One that replaces another
    content under its name is, and one with a later period in its name. Under another name it may be an old file that
    was sent by mistake.
    """
    receipts = {b.batch_id: b for b in _receipts(folder) if not b.corrects}
    namesakes = [b for b in receipts.values() if b.delivery == delivery.name]
    seen = receipts.get(_seen(folder).get(delivery.name, {}).get("batch_id", ""))
    last = seen or max(namesakes, key=lambda b: b.as_of, default=None)
    if last and payload_digest(last.files) == digest:
        return ""
    known = max((b.as_of for b in receipts.values() if payload_digest(b.files) == digest), default=None)
    if known is None or not any(known < b.as_of < delivery.offered_at for b in receipts.values()):
        return ""
    return "surely" if last or delivery.locator.period else "perhaps"


def _after_namesakes(folder: Path, delivery: Delivery, as_of: datetime) -> datetime:
    """Put a delivery that was sent again with other content right after what it replaces.

    Both count as of the period in their name, so only the order in which they arrived tells them apart: a microsecond,
    where the next number of the sequence is a millisecond away.
    """
    same = [b.as_of for b in _receipts(folder) if b.delivery == delivery.name]
    step = timedelta(milliseconds=1)
    earlier = [at for at in same if as_of <= at < as_of + step]
    return max(earlier) + timedelta(microseconds=1) if earlier else as_of


def _day(instant: datetime) -> date:
    return instant.astimezone(SHANGHAI).date()


def _batch_id(folder: Path, dataset: str, as_of: datetime, digest: str) -> str:
    """Return `<dataset>-<yyyymmdd>-<sha12>`, the day (in Shanghai) that it counts as of.

    A live source that comes back to an earlier state on the same day gets another hash: of the state and the instant.
    """
    day = f"{_day(as_of):%Y%m%d}"
    batch_id = f"{dataset}-{day}-{digest[:12]}"
    if (folder / batch_id).exists():
        again = hashlib.sha256(f"{digest} {as_of.isoformat()}".encode()).hexdigest()
        return f"{dataset}-{day}-{again[:12]}"
    return batch_id


def _with_digest(folder: Path, digest: str) -> Batch | None:
    for path in sorted(folder.glob(f"*-{digest[:12]}/{RECEIPT}")):
        batch = _read_receipt(path)
        if payload_digest(batch.files) == digest:
            return batch
    return None


def _receipts(folder: Path, but: Container[str] = ()) -> Iterator[Batch]:
    names = sorted(entry.name for entry in os.scandir(folder)) if folder.is_dir() else []
    for name in names:
        if name not in but and not name.startswith(".") and (path := folder / name / RECEIPT).is_file():
            yield _read_receipt(path)


def _read_receipt(path: Path) -> Batch:
    return _receipt(path)[0]


def _receipt(path: Path) -> tuple[Batch, Locator]:
    """Return a batch and its locator. Receipts never change: a process reads each once."""
    found = path.stat()
    return _once(path, (found.st_ino, found.st_size, found.st_mtime_ns))


@lru_cache(maxsize=1 << 16)
def _once(path: Path, _stamp: tuple[int, int, int]) -> tuple[Batch, Locator]:
    return _parsed(path)


def _parsed(path: Path) -> tuple[Batch, Locator]:
    names = {f.name for f in fields(Batch)}
    try:
        said = read_json(path)
        return Batch.from_json({k: v for k, v in said.items() if k in names}), locator_of(said.get("locator") or {})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DeliveryCorrupt(
            f"批次 {path.parent.name} 的接收回执已损坏；请从备份恢复或删除该批次后重新接收"
        ) from error


def _landed_as(folder: Path, seen: dict[str, dict[str, str]], delivery: Delivery) -> Path | None:
    """Return the receipt of the batch that an untouched file became, without reading the file."""
    entry = seen.get(delivery.name)
    if not entry or any(entry[k] != getattr(delivery.locator, k) for k in _IDENTITY):
        return None
    receipt = folder / entry["batch_id"] / RECEIPT
    return receipt if receipt.is_file() else None


def _settled(target: Path, delivery: Delivery) -> bool:
    """Return whether the fingerprint is reliable: the file had not changed for a while when it was copied."""
    touched = delivery.locator.touched
    if not delivery.locator.fingerprint or touched is None:
        return False
    return all(path.stat().st_mtime - touched >= _SETTLED_SECONDS for path in target.iterdir())


def _remember(folder: Path, delivery: Delivery, batch: Batch) -> None:
    """Note the fingerprint of a delivery that need not be read again."""
    entry = {k: getattr(delivery.locator, k) for k in _IDENTITY} | {"batch_id": batch.batch_id}
    write_json(folder / SEEN, {**_seen(folder), delivery.name: entry})


def _seen(folder: Path) -> dict[str, dict[str, str]]:
    try:
        seen = read_json(folder / SEEN)
    except (OSError, ValueError):
        return {}
    return seen if isinstance(seen, dict) else {}
