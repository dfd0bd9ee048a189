"""Files that a department puts into a folder: here or on a mounted share, on an SFTP server, in an object store."""

import hashlib
import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from chengxin.clock import Clock, instant_of_timestamp
from chengxin.connectors.base import Options, read_options
from chengxin.connectors.files.completeness import (
    MANIFEST_BYTES,
    UNFINISHED,
    Complete,
    Listed,
    disagreement,
    read_manifest,
)
from chengxin.connectors.files.names import Named, Pattern, Sequence, fill
from chengxin.connectors.files.places import Entry, LocalPlace, Place, inbox, local_entry, place_of, readable_name
from chengxin.contracts.models import Contract
from chengxin.errors import DeliveryCorrupt, SourceUnavailable
from chengxin.facts import Delivery
from chengxin.home import Home

__all__ = ["FileDrop", "FileDropOptions", "file_delivery", "inbox", "readable_name"]

log = logging.getLogger(__name__)

_BLOCK = 1 << 20
_SECOND_LOOK = 1.0  # seconds
_COMING = 600.0  # what changed within this time may still be on its way
_UNSIZED = 60.0  # a file whose manifest came first and gives no size must stand still so long
_OLD = 86_400.0  # a file that nobody touched for a day needs no second look


class FileDropOptions(Options):
    """Options of a file drop.

    connection: name of an SFTP server or object store; without it the folder lies in the inbox.
    folder: below the inbox (CHENGXIN_INBOX, else <home>/inbox) or below the connection's own folder.
    pattern: glob on the file name, which may hold fields (`处罚_{date}_{seq}.csv`, see file_names); with a `/` it is
        matched against the path below the folder, and subfolders are searched. Files that differ in `{part}` only are
        one delivery.
    complete: how to tell that a delivery is complete.
    checksum: suffix of a file beside each delivery that holds its sha256 (`.sha256`); short for `complete` with
        `manifest` of that name.
    sequence: whether `{seq}` begins anew in each period or runs on.
    """

    connection: str | None = None
    folder: str = "."
    pattern: Annotated[str, Field(min_length=1)] = "*"
    complete: Complete | None = None
    checksum: Annotated[str, Field(pattern=r"^\.\w+$")] | None = None
    sequence: Sequence = "per_date"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        fields = _pattern(self.pattern).fields
        if self.complete and self.checksum:
            raise ValueError("checksum 与 complete 不能同时写")
        if "part" in fields and not self.complete:
            raise ValueError("pattern 含 {part}（一次报送多个文件）时须写明 complete：怎样才算到齐")
        return self

    @property
    def completeness(self) -> Complete | None:
        """Return how completeness is told, the default of the place included."""
        if self.checksum:
            return Complete(manifest=f"{{name}}{self.checksum}")
        return self.complete


@dataclass(frozen=True)
class _Found:
    """A file of the folder that belongs to the data set."""

    entry: Entry
    named: Named


class FileDrop:
    """Offers each complete delivery of a folder once."""

    def options(self, contract: Contract) -> FileDropOptions:
        """Read the options."""
        return read_options(FileDropOptions, contract)

    def discover(self, home: Home, contract: Contract, cursor: dict[str, Any]) -> list[Delivery]:
        """List the complete deliveries that match, in the order in which they count."""
        options = self.options(contract)
        with closing(place_of(home, options.connection, options.folder)) as place:
            deep = "/" in options.pattern
            entries = {e.name: e for e in place.entries(deep=deep)}
            complete = _completeness(options, place)
            groups = _groups(entries.values(), options, complete)
            offered = []
            moving = False
            for files in groups:
                state = _state(files, entries, complete)
                moving = moving or state == "look again"
                if state and not _still_coming(place, files, entries, complete):
                    offered.append((files, state))
            if moving:
                time.sleep(_SECOND_LOOK)
                again = {e.name: e for e in place.entries(deep=deep)}
                offered = [(files, s) for files, s in offered if s != "look again" or _unchanged(files, again)]
        found = [_delivery(home, contract, options, files, entries, complete) for files, _ in offered]
        return sorted(found, key=lambda d: (d.offered_at, d.name))

    def fetch(self, home: Home, delivery: Delivery, contract: Contract, target: Path) -> dict[str, int]:
        """Copy the files, going on where a lost connection broke off; check size, fingerprint and manifest.

        Return the numbers of rows that the manifest gives. Raises DeliveryCorrupt when a file changed since it was
        found, is too large or is not what the manifest says.
        """
        with _place_of(home, delivery) as place:
            names = _copy_names([f["name"] for f in delivery.locator["files"]])
            manifest = _manifest(place, delivery)
            beside = set() if manifest is None else self._beside(place, delivery, contract)
            for file, name in zip(delivery.locator["files"], names, strict=True):
                entry = Entry(**file)
                _check_size(home, entry)
                _copy(place, entry, target / name)
        if manifest is None:
            return {}
        copies = dict(zip((f["name"] for f in delivery.locator["files"]), names, strict=True))
        return _compare(delivery, copies, manifest, target, beside)

    def _beside(self, place: Place, delivery: Delivery, contract: Contract) -> set[str] | None:
        """Return the names of the files in the folder; None where a single file was given by hand."""
        if delivery.locator.get("local"):
            return None
        deep = "/" in self.options(contract).pattern
        return {entry.name.rpartition("/")[2] for entry in place.entries(deep=deep)}


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
    named = _pattern(str(given.get("pattern", "*"))).read(name) or Named({}, name)
    checksum = str(given.get("checksum") or "")
    beside = path.with_name(path.name + checksum)
    manifest = local_entry(beside, readable_name(beside.name)) if checksum and beside.is_file() else None
    return _offer(home, contract, [_Found(local_entry(path, name), named)], manifest, {"local": True}, name)


# -- looking


@lru_cache
def _pattern(text: str) -> Pattern:
    return Pattern(text)


def _completeness(options: FileDropOptions, place: Place) -> Complete | None:
    told = options.completeness
    return Complete(stable=place.stable) if told is None and place.stable else told


def _groups(entries: Iterable[Entry], options: FileDropOptions, complete: Complete | None) -> list[list[_Found]]:
    """Return the matching files by delivery, sorted; companions and unfinished uploads are no data."""
    pattern = _pattern(options.pattern)
    found = []
    for entry in entries:
        parts = entry.name.split("/")
        unfinished = any(p.startswith((".", "~$")) for p in parts) or entry.name.lower().endswith(UNFINISHED)
        named = None if unfinished or entry.name.endswith("/") else pattern.read(entry.name)
        if named:
            found.append(_Found(entry, named))
    companions = {_companion(f, complete) for f in found}
    groups: dict[Any, list[_Found]] = {}
    for file in sorted(found, key=lambda f: f.entry.name):
        if file.entry.name not in companions:
            one = "part" in pattern.fields
            groups.setdefault(file.named.key if one else file.entry.name, []).append(file)
    return list(groups.values())


def _companion(file: _Found, complete: Complete | None) -> str | None:
    """Return the path of the marker or manifest that belongs to a file, in the same folder."""
    if complete is None or complete.companion is None:
        return None
    folder, _, name = file.entry.name.rpartition("/")
    companion = fill(complete.companion, name, file.named)
    return f"{folder}/{companion}" if folder else companion


def _state(files: list[_Found], entries: dict[str, Entry], complete: Complete | None) -> str:
    """Tell whether a delivery is complete: `complete`, `look again`, or empty."""
    if complete is None:
        return "complete"
    if complete.stable is not None:
        age = Clock().now().timestamp() - max(f.entry.changed for f in files)
        return "" if age < complete.stable else "complete" if age > _OLD else "look again"
    companions = [entries.get(_companion(f, complete) or "") for f in files]
    present = [c for c in companions if c]
    # `{name}.ok` is one marker a file, `{date}.ok` one for all of them; either way none may be missing.
    if len(present) < len(files):
        return ""
    if complete.marker and any(c.changed < f.entry.changed for c, f in zip(present, files, strict=True)):
        log.warning("“%s”晚于它的标志文件，可能正在重传，暂不接收；请在传完后重新放置标志文件", files[0].named.group)
        return ""
    return "complete"


def _still_coming(place: Place, files: list[_Found], entries: dict[str, Entry], complete: Complete | None) -> bool:
    """Tell whether a manifest came before all that it lists, and say so; after a while `fetch` refuses what lacks."""
    if complete is None or not complete.manifest:
        return False
    manifest = entries[_companion(files[0], complete) or ""]
    age = Clock().now().timestamp() - max(manifest.changed, *(f.entry.changed for f in files))
    if age > _COMING or manifest.size > MANIFEST_BYTES:
        return False
    try:
        listed = _read_manifest(place, manifest)
    except DeliveryCorrupt:
        return False
    sizes = {(x.name or files[0].entry.name).replace("\\", "/").rpartition("/")[2]: x.size for x in listed}
    absent = sizes.keys() - {name.rpartition("/")[2] for name in entries}
    words = f"清单列出的 {_some(absent)} 未到" if absent else ""
    for file in files:
        size, entry = sizes.get(file.entry.name.rpartition("/")[2]), file.entry
        if size is not None and entry.size < size:
            words = f"“{entry.name}”应有 {size} 字节，只到 {entry.size} 字节"
        elif size is None and manifest.changed <= entry.changed and age < _UNSIZED:
            words = words or f"“{entry.name}”在清单之后仍有变动"
    if words:
        log.warning("“%s”还没有传完：%s；暂不接收，下次运行再看", files[0].named.group, words)
    return bool(words)


def _unchanged(files: list[_Found], again: dict[str, Entry]) -> bool:
    return all(f.entry.name in again and again[f.entry.name].fingerprint == f.entry.fingerprint for f in files)


def _delivery(
    home: Home,
    contract: Contract,
    options: FileDropOptions,
    files: list[_Found],
    entries: dict[str, Entry],
    complete: Complete | None,
) -> Delivery:
    companion = _companion(files[0], complete) if complete and complete.manifest else None
    lies = {"connection": options.connection, "folder": options.folder}
    shown = "/".join(p for p in (options.connection, options.folder.strip("/")) if p and p != ".")
    named = files[0].named.group
    return _offer(
        home, contract, files, entries[companion] if companion else None, lies, f"{shown}/{named}".lstrip("/")
    )


def _offer(
    home: Home, contract: Contract, files: list[_Found], manifest: Entry | None, lies: dict[str, Any], origin: str
) -> Delivery:
    """Make the delivery. What it says of period and arrival stays in the receipt; keys and fingerprints do not."""
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
    locator = {
        "connector": "file_drop",
        **lies,
        "path": "\n".join(f.entry.key for f in files),
        "fingerprint": fingerprint,
        "touched": max(max(e.changed, e.touched) for e in entries),
        "files": [asdict(f.entry) for f in files],
        "manifest": asdict(manifest) if manifest else None,
        "arrived": arrived.isoformat(),
        "period": day.isoformat() if day else None,
        "seq": first.seq,
    }
    return Delivery(contract.id, first.group, f"file_drop:{origin}", first.counts_as_of(arrived), locator)


# -- fetching


@contextmanager
def _place_of(home: Home, delivery: Delivery) -> Iterator[Place]:
    at = delivery.locator
    # A file given by hand lies outside the inbox, and its key is its whole path.
    place: Place = LocalPlace(Path("/"), ".") if at.get("local") else place_of(home, at["connection"], at["folder"])
    with closing(place):
        yield place


def _check_size(home: Home, entry: Entry) -> None:
    most = home.limits.file_bytes
    if entry.size > most:
        raise DeliveryCorrupt(
            f"文件“{entry.name}”有 {entry.size >> 20} MiB，超过上限 {most >> 20} MiB，未接收；"
            "请提供部门拆分后重新投递，或由管理员调高 CHENGXIN_MAX_FILE_MIB"
        )


def _copy(place: Place, entry: Entry, copy: Path) -> None:
    """Copy one file; a broken connection goes on at the last byte received, as long as the file is the same."""
    for attempt in Retrying(
        stop=stop_after_attempt(place.attempts),
        wait=wait_exponential_jitter(multiplier=0.2, max=5, jitter=0.2),
        retry=retry_if_exception_type(SourceUnavailable),
        reraise=True,
    ):
        with attempt:
            _check_same(place, entry)
            with copy.open("ab") as out, closing(place.open(entry, out.tell())) as stream:
                # One block more than announced is enough to see that it is another file.
                while out.tell() <= entry.size and (block := stream.read(_BLOCK)):
                    out.write(block)
            _check_same(place, entry)
            if copy.stat().st_size != entry.size:
                got = copy.stat().st_size
                copy.unlink()  # bytes of which nobody knows whose they are
                raise SourceUnavailable(f"文件“{entry.name}”应有 {entry.size} 字节，只收到 {got} 字节；将重新接收")


def _check_same(place: Place, entry: Entry) -> None:
    if place.entry(entry.key, entry.name).fingerprint != entry.fingerprint:
        raise DeliveryCorrupt(f"文件“{entry.name}”在接收过程中被改动，可能尚未写完；写完后会重新接收")


def _copy_names(names: list[str]) -> list[str]:
    """Return the names below payload/: the last parts, or whole paths where these are not all different."""
    last = [n.rpartition("/")[2] for n in names]
    return last if len(set(last)) == len(last) else [n.replace("/", "_") for n in names]


def _manifest(place: Place, delivery: Delivery) -> list[Listed] | None:
    announced = delivery.locator["manifest"]
    if announced is None:
        return None
    return _read_manifest(place, Entry(**announced))


def _read_manifest(place: Place, entry: Entry) -> list[Listed]:
    if entry.size > MANIFEST_BYTES:
        raise DeliveryCorrupt(f"清单“{entry.name}”过大，不像清单；请提供部门重新投递")
    with closing(place.open(entry, 0)) as stream:
        return read_manifest(stream.read(MANIFEST_BYTES + 1), entry.name)


def _compare(
    delivery: Delivery, copies: dict[str, str], manifest: list[Listed], target: Path, beside: set[str] | None
) -> dict[str, int]:
    """Compare what came with what was announced, both ways; return the announced numbers of rows by copy.

    A manifest may be about several deliveries; what it lists of others must lie there too (`beside`).
    """
    shown = delivery.locator["manifest"]["name"]
    if len(copies) == 1 and len(manifest) == 1 and manifest[0].name is None:
        listed = dict.fromkeys(copies, manifest[0])
    else:
        announced = {x.name.replace("\\", "/").rpartition("/")[2]: x for x in manifest if x.name}
        listed = {n: announced.pop(n.rpartition("/")[2]) for n in copies if n.rpartition("/")[2] in announced}
        absent = announced if delivery.name not in copies else set(announced) - (beside or set(announced))
        if absent:
            raise DeliveryCorrupt(f"清单“{shown}”列出的文件没有到齐：{_some(absent)}；请提供部门补投后重新放置清单")
    unlisted = [n for n in copies if n not in listed]
    if unlisted:
        raise DeliveryCorrupt(f"文件 {_some(unlisted)} 不在清单“{shown}”里；请提供部门核对后重新投递")
    for name, copy in copies.items():
        wrong = disagreement(target / copy, listed[name])
        if wrong:
            raise DeliveryCorrupt(f"文件“{name}”{wrong}（清单“{shown}”）；请提供部门重新投递")
    rows = {copy: listed[name].rows for name, copy in copies.items()}
    return {copy: n for copy, n in rows.items() if n is not None}


def _some(names: Iterable[str]) -> str:
    names = sorted(names)
    return "、".join(f"“{n}”" for n in names[:5]) + ("等" if len(names) > 5 else "")
