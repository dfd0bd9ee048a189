"""Files that a department puts into a folder (SFTP drop, shared disk, hand-carried upload)."""

import os
import shutil
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

from pydantic import Field

from chengxin.clock import instant_of_timestamp
from chengxin.connectors.base import Options, read_options
from chengxin.contracts.models import Contract
from chengxin.errors import DeliveryCorrupt, SourceUnavailable
from chengxin.handover import Delivery
from chengxin.settings import Settings
from chengxin.store.atomic import sha256_file

# Half-written uploads of common SFTP clients, browsers and editors, and Office's lock files.
UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".download", ".swp", "~")


class FileDropOptions(Options):
    """Options of a file drop.

    folder: below the inbox (CHENGXIN_INBOX, else <home>/inbox). pattern: glob on the file name; with a `/` it is
    matched against the path below the folder, and subfolders are searched. checksum: suffix of a file beside each
    delivery that holds its sha256 (`.sha256`); a delivery without it is not complete yet and is left alone.
    """

    folder: str = "."
    pattern: Annotated[str, Field(min_length=1)] = "*"
    checksum: Annotated[str, Field(pattern=r"^\.\w+$")] | None = None


class FileDrop:
    """Offers each finished file of a folder once."""

    def options(self, contract: Contract) -> FileDropOptions:
        """Read the options."""
        return read_options(FileDropOptions, contract)

    def discover(self, contract: Contract, settings: Settings, cursor: dict[str, Any]) -> list[Delivery]:
        """List the finished files that match, oldest first. A folder that does not exist yet is empty."""
        options = self.options(contract)
        root = inbox(settings)
        folder = (root / options.folder).resolve()
        if not folder.is_relative_to(root):
            raise SourceUnavailable(f"合同 {contract.id} 的投递目录“{options.folder}”在收件箱之外")
        found = []
        try:
            for path, shown in _files(folder, deep="/" in options.pattern):
                if _wanted(path, shown, options) and path.resolve().is_relative_to(root):
                    found.append(_delivery(contract, path, shown, f"{options.folder}/{shown}".removeprefix("./")))
        except OSError as error:
            raise SourceUnavailable(f"读取投递目录“{options.folder}”失败：{error.strerror}") from error
        return sorted(found, key=lambda d: (d.offered_at, d.name))

    def fetch(self, delivery: Delivery, contract: Contract, settings: Settings, target: Path) -> None:
        """Copy the file; raise DeliveryCorrupt when it changed since it was found or while it was copied."""
        source = _path_of(delivery)
        copy = target / Path(delivery.name).name
        try:
            before = _fingerprint(source)
            shutil.copyfile(source, copy)
            after = _fingerprint(source)
        except OSError as error:
            raise SourceUnavailable(f"读取文件“{delivery.name}”失败：{error.strerror}") from error
        if not before == after == delivery.locator["fingerprint"] or copy.stat().st_size != source.stat().st_size:
            raise DeliveryCorrupt(f"文件“{delivery.name}”在接收过程中被改动，可能尚未写完；写完后会重新接收")
        announced = delivery.locator.get("checksum")
        if announced:
            _check_announced(copy, delivery.name, _decode_path(announced))


def file_delivery(contract: Contract, path: Path) -> Delivery:
    """Offer one given file as a delivery of a contract, whatever the contract's own connector is."""
    path = path.resolve()
    if not path.is_file():
        raise SourceUnavailable(f"文件不存在或不可读：{path.name}")
    return _delivery(contract, path, readable_name(path.name), readable_name(path.name))


def inbox(settings: Settings) -> Path:
    """Return the folder that holds all drop folders: CHENGXIN_INBOX, else <home>/inbox."""
    given = os.environ.get("CHENGXIN_INBOX")
    root = Path(given).resolve() if given else (settings.home / "inbox").resolve()
    if given and not root.is_dir():
        # A share that is not mounted must not read as 'nothing was delivered'.
        raise SourceUnavailable("CHENGXIN_INBOX 指向的收件箱目录不存在；可能尚未挂载")
    return root


def readable_name(name: str) -> str:
    """Return a file name as text; names that were made on a GBK system are read as such."""
    raw = os.fsencode(name)
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("ascii", "backslashreplace")


def _files(folder: Path, *, deep: bool) -> Iterator[tuple[Path, str]]:
    if not folder.is_dir():
        return
    for path in folder.rglob("*") if deep else folder.iterdir():
        if path.is_file():
            yield path, "/".join(readable_name(part) for part in path.relative_to(folder).parts)


def _wanted(path: Path, shown: str, options: FileDropOptions) -> bool:
    parts = shown.split("/")
    if any(part.startswith((".", "~$")) for part in parts) or shown.lower().endswith(UNFINISHED):
        return False
    if options.checksum and (shown.endswith(options.checksum) or not _checksum_path(path, options).is_file()):
        return False
    return fnmatchcase(shown, options.pattern)


def _checksum_path(path: Path, options: FileDropOptions) -> Path:
    return path.with_name(path.name + (options.checksum or ""))


def _delivery(contract: Contract, path: Path, shown: str, origin: str) -> Delivery:
    locator = {"connector": "file_drop", "path": _encode_path(path), "fingerprint": _fingerprint(path)}
    options = contract.delivery.options if contract.delivery.connector == "file_drop" else {}
    suffix = options.get("checksum")
    if suffix and path.with_name(path.name + suffix).is_file():
        locator["checksum"] = _encode_path(path.with_name(path.name + suffix))
    offered = instant_of_timestamp(path.stat().st_mtime)
    return Delivery(contract.id, shown, f"file_drop:{origin}", offered, locator)


def _fingerprint(path: Path) -> str:
    """Name a file's present content without reading it.

    ctime and inode are in it because size and mtime survive `cp -p`, `rsync -t` and `touch -r` over other bytes.
    """
    stat = path.stat()
    return f"{stat.st_size}-{stat.st_mtime_ns}-{stat.st_ctime_ns}-{stat.st_ino}"


def _encode_path(path: Path) -> str:
    """Spell a path so that JSON can carry it even when its name is no UTF-8."""
    return quote_from_bytes(os.fsencode(path))


def _decode_path(text: str) -> Path:
    return Path(os.fsdecode(unquote_to_bytes(text)))


def _path_of(delivery: Delivery) -> Path:
    return _decode_path(delivery.locator["path"])


def _check_announced(copy: Path, name: str, beside: Path) -> None:
    try:
        words = beside.read_text("utf-8-sig").split()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceUnavailable(f"文件“{name}”的校验值文件无法读取") from error
    if not words or words[0].lower() != sha256_file(copy):
        raise DeliveryCorrupt(f"文件“{name}”的 sha256 与随附的校验值不一致；请提供部门重新投递")
