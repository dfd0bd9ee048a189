"""The seam between a file drop and where its folder lies: here, on an SFTP server, in an object store."""

import os
import posixpath
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast
from urllib.parse import parse_qsl, quote_from_bytes, unquote, unquote_to_bytes, urlsplit

from chengxin.connectors.base import connection_url
from chengxin.connectors.locators import Entry
from chengxin.errors import ContractError, SourceUnavailable
from chengxin.home import Home
from chengxin.store import privacy
from chengxin.store.atomic import building

# Half-written uploads of common SFTP clients, browsers and editors, and Office's lock files.
_UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".download", ".swp", "~")


class Stream(Protocol):
    """An open file."""

    def read(self, size: int = ..., /) -> bytes: ...  # noqa: D102

    def close(self) -> None: ...  # noqa: D102


class Place(Protocol):
    """A folder somewhere. Every method raises SourceUnavailable when the place does not answer.

    attempts: at fetching one file. stable: seconds for which a file must have stood still where the contract does not
    say how completeness is told; None where files appear whole.
    """

    attempts: int
    stable: int | None

    def entries(self, *, deep: bool) -> Iterator[Entry]:
        """List the regular files of the folder (deep: of its subfolders too); a folder that does not exist is empty."""

    def entry(self, key: str, name: str) -> Entry:
        """Look at one file again."""

    def open(self, entry: Entry, offset: int) -> Stream:
        """Open a file for reading from a byte on."""

    def put(self, name: str, files: Sequence[Path]) -> None:
        """Put files into the subfolder `name`. The last one is the mark: where it lies, the others are whole.

        Nothing is done where the subfolder holds the very same mark.
        """

    def close(self) -> None:
        """Let go of the connection; the next call makes a new one."""


@dataclass(frozen=True)
class Address:
    """A connection's URL taken apart, `%xx` resolved. The secrets stay out of its text."""

    name: str
    scheme: str
    host: str
    port: int | None
    user: str | None
    password: str | None
    path: str
    query: dict[str, str]

    def __repr__(self) -> str:
        return f"Address({self.name!r}, {self.scheme!r})"

    @classmethod
    def of(cls, name: str) -> "Address":
        """Read the address of a connection from the environment."""
        try:
            parts = urlsplit(connection_url(name))
            port = parts.port
        except ValueError:
            raise SourceUnavailable(f"连接“{name}”的 URL 无法识别") from None
        # A `+` stands for itself: fingerprints are full of them.
        query = dict(parse_qsl(parts.query.replace("+", "%2B"), keep_blank_values=True))
        user = None if parts.username is None else unquote(parts.username)
        password = None if parts.password is None else unquote(parts.password)
        return cls(name, parts.scheme, parts.hostname or "", port, user, password, unquote(parts.path), query)


_SCHEMES = {"sftp": ("files.sftp", "SftpPlace"), "s3": ("files.object_store", "StorePlace")}


def place_of(home: Home, connection: str | None, folder: str) -> Place:
    """Return the place of a drop folder: below the inbox, or on the far side of a named connection."""
    return LocalPlace(inbox(home), folder) if connection is None else _far(Address.of(connection), folder)


def outbox_of(connection: str, drop: str, folder: str) -> tuple[Place, str]:
    """Return `folder` of the outbox that lies beside a far drop folder, and what to call it. drop: a normal path.

    Where the drop is the connection's own folder, the outbox lies beside that. Raises ContractError where the drop has
    no side: it is the login folder, the root, or a whole bucket.
    """
    address = Address.of(connection)
    parent = posixpath.dirname(drop)
    if drop == ".":
        base = posixpath.normpath(address.path or ".")
        if base in (".", "/"):
            raise ContractError(
                f"投递目录就是连接“{connection}”的根目录，旁边放不下反馈；"
                "请给投递另设子目录，或写 feedback: {local: true}"
            )
        address, parent = replace(address, path=posixpath.dirname(base)), ""
    shown = posixpath.join(parent, "outbox", folder)
    below("outbox", folder, f"连接“{connection}”的发件箱")
    return _far(address, shown), shown


def _far(address: Address, folder: str) -> Place:
    if address.scheme not in _SCHEMES:
        raise SourceUnavailable(f"连接“{address.name}”的 URL 应以 {'、'.join(f'{s}://' for s in _SCHEMES)} 开头")
    module, name = _SCHEMES[address.scheme]
    return cast(Place, getattr(import_module(f"chengxin.connectors.{module}"), name)(address, folder))


def below(base: str, folder: str, what: str) -> str:
    """Join a folder to the base of a connection; raise SourceUnavailable when it leads out of it."""
    base = posixpath.normpath(base or ".")
    joined = posixpath.normpath(posixpath.join(base, folder.lstrip("/")))
    inside = base in (".", "/") or joined == base or joined.startswith(f"{base}/")
    if not inside or ".." in joined.split("/"):
        raise SourceUnavailable(f"投递目录“{folder}”在{what}之外")
    return joined


def inbox(home: Home) -> Path:
    """Return the folder that holds all drop folders: CHENGXIN_INBOX, else <home>/inbox."""
    given = home.settings.inbox
    root = given or (home.settings.home / "inbox").resolve()
    if given and not root.is_dir():
        # A share that is not mounted must not read as 'nothing was delivered'.
        raise SourceUnavailable("CHENGXIN_INBOX 指向的收件箱目录不存在；可能尚未挂载")
    return root


def readable_name(name: str | bytes) -> str:
    """Return a file name as text; names that were made on a GBK system are read as such."""
    raw = os.fsencode(name)
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("ascii", "backslashreplace")


class LocalPlace:
    """A folder on this machine or on a mounted share."""

    attempts = 1
    stable: int | None = None

    def __init__(self, root: Path, folder: str, group: str | None = None) -> None:
        """Open a folder below `root`. group: who may read what is put there; None = nobody else."""
        self._root, self._shown, self._group = root, folder, group
        self._folder = (root / folder).resolve()
        if not self._folder.is_relative_to(root):
            raise SourceUnavailable(f"投递目录“{folder}”在收件箱之外")

    def entries(self, *, deep: bool) -> Iterator[Entry]:
        """List the files; links that lead out of the inbox are no files of it."""
        try:
            if not self._folder.is_dir():
                return
            for path in self._folder.rglob("*") if deep else self._folder.iterdir():
                if path.is_file() and path.resolve().is_relative_to(self._root):
                    shown = "/".join(readable_name(part) for part in path.relative_to(self._folder).parts)
                    yield local_entry(path, shown)
        except OSError as error:
            raise SourceUnavailable(f"读取投递目录“{self._shown}”失败：{error.strerror}") from error

    def entry(self, key: str, name: str) -> Entry:
        """Look at one file again."""
        try:
            return local_entry(decode_path(key), name)
        except OSError as error:
            raise SourceUnavailable(f"读取文件“{name}”失败：{error.strerror}") from error

    def open(self, entry: Entry, offset: int) -> Stream:
        """Open a file."""
        try:
            stream = decode_path(entry.key).open("rb")
            stream.seek(offset)
        except OSError as error:
            raise SourceUnavailable(f"读取文件“{entry.name}”失败：{error.strerror}") from error
        return stream

    def put(self, name: str, files: Sequence[Path]) -> None:
        """Put files into a subfolder, which appears whole."""
        target, mark = self._folder / name, files[-1]
        try:
            if (target / mark.name).exists() and (target / mark.name).read_bytes() == mark.read_bytes():
                return
            self._folder.mkdir(parents=True, exist_ok=True)
            with building(target) as made:
                for path in files:
                    shutil.copyfile(path, made / path.name)
                if self._group:
                    self._share(made, self._group)
        except OSError as error:
            raise SourceUnavailable(f"写入目录“{self._shown}”失败：{error.strerror}") from None

    def _share(self, made: Path, group: str) -> None:
        """Let a group read an answer, and enter the folders above it as far as they are ours."""
        try:
            for path in (made, *made.iterdir()):
                privacy.let_read(path, group)
        except (LookupError, PermissionError):
            raise SourceUnavailable(
                f"{privacy.GROUP} 所写的组“{group}”不存在，或运行本程序的用户不在该组；反馈未送达"
            ) from None
        for folder in (self._folder, *self._folder.parents):
            if folder == self._root:
                break
            with suppress(PermissionError):
                privacy.let_read(folder, group)

    def close(self) -> None:
        """Nothing is held."""


def local_entry(path: Path, name: str) -> Entry:
    """Look at a file of this machine. Raises OSError.

    ctime and inode are in the fingerprint because size and mtime survive `cp -p`, `rsync -t` and `touch -r` over
    other bytes.
    """
    stat = path.stat()
    fingerprint = f"{stat.st_size}-{stat.st_mtime_ns}-{stat.st_ctime_ns}-{stat.st_ino}"
    return Entry(name, encode_path(path), stat.st_size, stat.st_mtime, fingerprint, stat.st_ctime)


def encode_path(path: Path) -> str:
    """Spell a path so that JSON can carry it even when its name is no UTF-8."""
    return quote_from_bytes(os.fsencode(path))


def decode_path(text: str) -> Path:
    """Undo `encode_path`."""
    return Path(os.fsdecode(unquote_to_bytes(text)))


def is_unfinished(name: str) -> bool:
    """Return whether a name is that of an upload under way, whatever client makes it."""
    return name.lower().endswith(_UNFINISHED)
