"""Files that a department puts into a folder: here or on a mounted share, on an SFTP server, in an object store."""

import logging
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from chengxin.clock import Clock
from chengxin.connectors.base import NOWHERE, read_options
from chengxin.connectors.completeness import compare_files, last_part, listed_files, some
from chengxin.connectors.files.drop import Found, offer
from chengxin.connectors.files.manifest import MANIFEST_BYTES
from chengxin.connectors.files.names import fill
from chengxin.connectors.files.options import Complete, FileDropOptions, pattern_of
from chengxin.connectors.files.places import LocalPlace, Place, is_unfinished, place_of
from chengxin.connectors.files.transfer import copy_file, copy_names, manifest_of
from chengxin.connectors.locators import Entry, FileLocator
from chengxin.contracts.models import Contract
from chengxin.errors import DeliveryCorrupt
from chengxin.facts import Delivery, Locator
from chengxin.home import Home

__all__ = ["FileDrop", "FileDropOptions"]

log = logging.getLogger(__name__)

_SECOND_LOOK = 1.0  # seconds
_COMING = 600.0  # what changed within this time may still be on its way
_UNSIZED = 60.0  # a file whose manifest came first and gives no size must stand still so long
_OLD = 86_400.0  # a file that nobody touched for a day needs no second look


class FileDrop:
    """Offers each complete delivery of a folder once."""

    def options(self, contract: Contract) -> FileDropOptions:
        """Read the options."""
        return read_options(FileDropOptions, contract)

    def discover(self, home: Home, contract: Contract, _cursor: Locator = NOWHERE, /) -> list[Delivery]:
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
        found = [_delivery(home, contract, files, entries, complete) for files, _ in offered]
        return sorted(found, key=lambda d: (d.offered_at, d.name))

    def fetch(self, home: Home, delivery: Delivery, contract: Contract, target: Path) -> dict[str, int]:
        """Copy the files, going on where a lost connection broke off; check size, fingerprint and manifest.

        Return the numbers of rows that the manifest gives. Raises DeliveryCorrupt when a file changed since it was
        found, is too large or is not what the manifest states.
        """
        at = delivery.locator
        assert isinstance(at, FileLocator)
        entries = list(at.files)
        names = copy_names([entry.name for entry in entries])
        announced = at.manifest
        with closing(LocalPlace(Path("/"), ".") if at.local else place_of(home, at.connection, at.folder)) as place:
            manifest = manifest_of(place, announced) if announced else None
            beside = None if at.local or manifest is None else self._names(place, contract)
            for entry, name in zip(entries, names, strict=True):
                copy_file(place, entry, target / name, home.limits.file_bytes)
        if manifest is None or announced is None:
            return {}
        listed = listed_files(announced.name, delivery.name, [entry.name for entry in entries], manifest, beside)
        compare_files(announced.name, {e.name: target / n for e, n in zip(entries, names, strict=True)}, listed)
        rows = {name: listed[entry.name].rows for entry, name in zip(entries, names, strict=True)}
        return {name: number for name, number in rows.items() if number is not None}

    def _names(self, place: Place, contract: Contract) -> set[str]:
        """Return the names of the files in the folder."""
        return {last_part(entry.name) for entry in place.entries(deep="/" in self.options(contract).pattern)}


def _completeness(options: FileDropOptions, place: Place) -> Complete | None:
    told = options.completeness
    return Complete(stable=place.stable) if told is None and place.stable else told


def _groups(entries: Iterable[Entry], options: FileDropOptions, complete: Complete | None) -> list[list[Found]]:
    """Return the matching files by delivery, sorted; companions and unfinished uploads are no data."""
    pattern = pattern_of(options.pattern)
    found = []
    for entry in entries:
        parts = entry.name.split("/")
        unfinished = any(p.startswith((".", "~$")) for p in parts) or is_unfinished(entry.name)
        named = None if unfinished or entry.name.endswith("/") else pattern.read(entry.name)
        if named:
            found.append(Found(entry, named))
    companions = {_companion(f, complete) for f in found}
    groups: dict[Any, list[Found]] = {}
    for file in sorted(found, key=lambda f: f.entry.name):
        if file.entry.name not in companions:
            one = "part" in pattern.fields
            groups.setdefault(file.named.key if one else file.entry.name, []).append(file)
    return list(groups.values())


def _companion(file: Found, complete: Complete | None) -> str | None:
    """Return the path of the marker or manifest that belongs to a file, in the same folder."""
    if complete is None or complete.companion is None:
        return None
    folder, _, name = file.entry.name.rpartition("/")
    companion = fill(complete.companion, name, file.named)
    return f"{folder}/{companion}" if folder else companion


def _state(files: list[Found], entries: dict[str, Entry], complete: Complete | None) -> str:
    """Return whether a delivery is complete: `complete`, `look again`, or empty."""
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


def _still_coming(place: Place, files: list[Found], entries: dict[str, Entry], complete: Complete | None) -> bool:
    """Return whether a manifest came before all that it lists, and say so; after a while `fetch` refuses what lacks."""
    if complete is None or not complete.manifest:
        return False
    manifest = entries[_companion(files[0], complete) or ""]
    age = Clock().now().timestamp() - max(manifest.changed, *(f.entry.changed for f in files))
    if age > _COMING or manifest.size > MANIFEST_BYTES:
        return False
    try:
        listed = manifest_of(place, manifest)
    except DeliveryCorrupt:
        return False
    sizes = {last_part(x.name or files[0].entry.name): x.size for x in listed}
    absent = sizes.keys() - {last_part(name) for name in entries}
    words = f"清单列出的 {some(absent)} 未到" if absent else ""
    for file in files:
        size, entry = sizes.get(last_part(file.entry.name)), file.entry
        if size is not None and entry.size < size:
            words = f"“{entry.name}”应有 {size} 字节，只到 {entry.size} 字节"
        elif size is None and manifest.changed <= entry.changed and age < _UNSIZED:
            words = words or f"“{entry.name}”在清单之后仍有变动"
    if words:
        log.warning("“%s”还没有传完：%s；暂不接收，下次运行再看", files[0].named.group, words)
    return bool(words)


def _unchanged(files: list[Found], again: dict[str, Entry]) -> bool:
    return all(f.entry.name in again and again[f.entry.name].fingerprint == f.entry.fingerprint for f in files)


def _delivery(
    home: Home, contract: Contract, files: list[Found], entries: dict[str, Entry], complete: Complete | None
) -> Delivery:
    options = read_options(FileDropOptions, contract)
    companion = _companion(files[0], complete) if complete and complete.manifest else None
    lies = FileLocator(connection=options.connection, folder=options.folder)
    shown = "/".join(p for p in (options.connection, options.folder.strip("/")) if p and p != ".")
    named = files[0].named.group
    manifest = entries[companion] if companion else None
    return offer(home, contract, files, manifest, lies=lies, origin=f"{shown}/{named}".lstrip("/"))
