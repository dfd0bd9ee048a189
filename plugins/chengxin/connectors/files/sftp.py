"""A drop folder on an SFTP server. The server is known by its host key beforehand; nothing is trusted on first sight.

sftp://user:password@host:port/folder?fingerprint=SHA256:...
sftp://user@host/folder?key=/path/of/private/key&known_hosts=/path/of/known_hosts     (also &passphrase=...)
"""

import logging
import posixpath
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

import paramiko
from paramiko.sftp import CMD_CLOSE, CMD_DATA, CMD_HANDLE, CMD_NAME, CMD_OPENDIR, CMD_READ, CMD_READDIR, int64

from chengxin.connectors.files.places import Address, Stream, below, readable_name
from chengxin.connectors.files.upload import upload
from chengxin.connectors.locators import Entry
from chengxin.errors import SourceUnavailable

_SECONDS = 30  # to connect, and for any single answer
_REQUEST = 32 << 10  # bytes; what every server grants
_AHEAD = 64  # requests under way at a time
_FAULTS = (OSError, EOFError, paramiko.SSHException)

# The library logs every fault with a trace of its own; what matters is raised and told in Chinese.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


class _HostKeyRefused(paramiko.SSHException):
    """The server is not the one we know. `changed`: it used to have another key."""

    def __init__(self, shown: str, *, changed: bool) -> None:
        super().__init__(shown)
        self.changed = changed


class _Fingerprints(paramiko.MissingHostKeyPolicy):
    """Accepts a server by the fingerprint of its key, refuses any other."""

    def __init__(self, accepted: tuple[str, ...]) -> None:
        self._accepted = accepted

    def missing_host_key(self, _client: paramiko.SSHClient, _hostname: str, key: paramiko.PKey) -> None:
        """Compare; raise what ends the connection before any password is sent."""
        shown = str(key.fingerprint)
        if shown.rstrip("=") not in self._accepted:
            raise _HostKeyRefused(shown, changed=bool(self._accepted))


class SftpPlace:
    """A folder on an SFTP server."""

    attempts = 3
    stable: int | None = 60

    def __init__(self, address: Address, folder: str) -> None:
        self._address = address
        self._shown = folder
        self._folder = below(address.path, folder, f"连接“{address.name}”的目录")
        self._client: paramiko.SSHClient | None = None
        self._sftp: paramiko.SFTPClient | None = None

    def entries(self, *, deep: bool) -> Iterator[Entry]:
        """List the regular files; links are passed over."""
        waiting = [b""]
        while waiting:
            below_folder = waiting.pop()
            folder = posixpath.join(self._folder.encode(), below_folder) if below_folder else self._folder.encode()
            try:
                found = list(_listing(self._connected(), folder))
            except FileNotFoundError:
                continue  # the folder itself may come with its first file, a subfolder may just have gone
            except _FAULTS as error:
                raise self._unavailable(error, f"读取投递目录“{self._shown}”") from error
            for raw, attributes in found:
                name = posixpath.join(below_folder, raw)
                mode = attributes.st_mode or 0
                if deep and stat.S_ISDIR(mode):
                    waiting.append(name)
                elif stat.S_ISREG(mode):
                    yield _entry(readable_name(name), posixpath.join(folder, raw), attributes)

    def entry(self, key: str, name: str) -> Entry:
        """Look at one file again."""
        path = unquote_to_bytes(key)
        try:
            return _entry(name, path, self._connected().stat(path))
        except _FAULTS as error:
            raise self._unavailable(error, f"读取文件“{name}”") from error

    def open(self, entry: Entry, offset: int) -> Stream:
        """Open a file; it is fetched ahead of the reader."""
        try:
            client = self._connected()
            return _Reading(client, client.open(unquote_to_bytes(entry.key), "rb"), self, entry, offset)
        except _FAULTS as error:
            raise self._unavailable(error, f"读取文件“{entry.name}”") from error

    def put(self, name: str, files: Sequence[Path]) -> None:
        """Put files into a subfolder, which appears whole."""
        try:
            upload(self._connected(), self._folder, name, files)
        except _FAULTS as error:
            raise self._unavailable(error, f"写入目录“{self._shown}”") from error

    def close(self) -> None:
        """Let go of the connection."""
        if self._client:
            self._client.close()
        self._client = self._sftp = None

    def _connected(self) -> paramiko.SFTPClient:
        if self._sftp is None:
            self._client = paramiko.SSHClient()
            accepted = _host_keys(self._client, self._address)
            self._client.set_missing_host_key_policy(_Fingerprints(accepted))
            at = self._address
            try:
                self._client.connect(
                    at.host,
                    at.port or 22,
                    at.user,
                    at.password,
                    key_filename=at.query.get("key"),
                    passphrase=at.query.get("passphrase"),
                    timeout=_SECONDS,
                    banner_timeout=_SECONDS,
                    auth_timeout=_SECONDS,
                    channel_timeout=_SECONDS,
                    allow_agent=False,
                    look_for_keys=False,
                )
                self._sftp = self._client.open_sftp()
                channel = self._sftp.get_channel()
                if channel:
                    channel.settimeout(_SECONDS)
            except (*_FAULTS, ValueError) as error:
                raise self._unavailable(error, "连接") from error
        return self._sftp

    def _unavailable(self, error: Exception, doing: str) -> SourceUnavailable:
        """Put a fault into words, without address and credentials, and let go of the connection."""
        self.close()
        return SourceUnavailable(f"SFTP 连接“{self._address.name}”{doing}失败：{_words(error)}")


class _Reading:
    """An open remote file, read with many requests under way.

    The library's own reading ahead keeps what it fetched twice in memory once its thread falls behind; this one has no
    thread and holds 2 MiB at most.
    """

    def __init__(self, client: Any, remote: Any, place: SftpPlace, entry: Entry, offset: int) -> None:
        self._client, self._remote, self._place, self._name = client, remote, place, entry.name
        self._next, self._end = offset, entry.size + 1  # one byte more, to see that it is no longer
        self._asked: deque[tuple[int, int, int]] = deque()
        self._answers: dict[int, tuple[int, Any]] = {}
        self._ended = False

    def read(self, size: int = 1 << 20, /) -> bytes:
        """Read up to `size` bytes, fewer only at the end; raise SourceUnavailable when the connection is lost."""
        blocks: list[bytes] = []
        got = 0
        try:
            while got < size and (block := self._block()):
                blocks.append(block)
                got += len(block)
        except _FAULTS as error:
            raise self._place._unavailable(error, f"读取文件“{self._name}”") from error
        return b"".join(blocks)

    def _block(self) -> bytes:
        while len(self._asked) < _AHEAD and self._next < self._end and not self._ended:
            length = min(_REQUEST, self._end - self._next)
            number = self._client._async_request(self, CMD_READ, self._remote.handle, int64(self._next), length)
            self._asked.append((number, self._next, length))
            self._next += length
        if not self._asked:
            return b""
        number, at, length = self._asked.popleft()
        while number not in self._answers:
            self._client._read_response()
        block = self._data(*self._answers.pop(number))
        while block and len(block) < length and not self._ended:  # a server may answer with less than was asked
            with self._end_is_no_fault():
                rest = int64(at + len(block)), length - len(block)
                block += self._data(*self._client._request(CMD_READ, self._remote.handle, *rest))
        return block

    def _data(self, kind: int, answer: Any) -> bytes:
        if kind == CMD_DATA:
            return bytes(answer.get_string())
        with self._end_is_no_fault():
            self._client._convert_status(answer)
        return b""

    @contextmanager
    def _end_is_no_fault(self) -> Iterator[None]:
        try:
            yield
        except EOFError:
            self._ended = True

    def _async_response(self, kind: int, answer: Any, number: int) -> None:
        """Take an answer; the library calls this."""
        self._answers[number] = (kind, answer)

    def close(self) -> None:
        """Close; a connection that is gone is closed already."""
        with suppress(*_FAULTS):
            self._remote.close()


def _words(error: Exception) -> str:
    if isinstance(error, _HostKeyRefused):
        what = "与登记的指纹不一致，服务器可能已被更换或冒充" if error.changed else "没有登记"
        return f"服务器主机密钥（{error}）{what}，已拒绝连接；请向对方核实后更新 known_hosts 或 fingerprint"
    if isinstance(error, paramiko.BadHostKeyException):
        shown = error.key.fingerprint
        return (
            f"服务器主机密钥（{shown}）与 known_hosts 登记的不一致，服务器可能已被更换或冒充，已拒绝连接；"
            "请向对方核实后更新 known_hosts"
        )
    if isinstance(error, paramiko.PasswordRequiredException):
        return "私钥带有口令；请在连接的 URL 里给出 passphrase"
    if isinstance(error, paramiko.AuthenticationException):
        return "用户名、口令或私钥不被接受"
    if isinstance(error, FileNotFoundError):
        return "文件不存在，或私钥文件不存在"
    if isinstance(error, PermissionError):
        return "没有权限"
    return "服务器没有应答或连接中断"


def _host_keys(client: paramiko.SSHClient, address: Address) -> tuple[str, ...]:
    """Load the keys that the server may show; return the fingerprints that do as well."""
    accepted = tuple(f.strip().rstrip("=") for f in address.query.get("fingerprint", "").split(",") if f.strip())
    known = address.query.get("known_hosts")
    if not accepted and not known:
        raise SourceUnavailable(
            f"SFTP 连接“{address.name}”没有登记服务器主机密钥；"
            "请在连接的 URL 里给出 fingerprint=SHA256:... 或 known_hosts=..."
        )
    if known:
        try:
            client.load_host_keys(str(Path(known)))
        except (OSError, paramiko.SSHException) as error:
            raise SourceUnavailable(f"SFTP 连接“{address.name}”的 known_hosts 文件无法读取") from error
    return accepted


def _listing(client: Any, folder: bytes) -> Iterator[tuple[bytes, paramiko.SFTPAttributes]]:
    """List a folder with names as bytes: the library's own listing fails at the first name that is not UTF-8."""
    from_message: Any = vars(paramiko.SFTPAttributes)["_from_msg"].__get__(None, paramiko.SFTPAttributes)
    kind, answer = client._request(CMD_OPENDIR, folder)
    if kind != CMD_HANDLE:
        raise paramiko.SFTPError("Expected handle")
    handle = answer.get_binary()
    with suppress(EOFError):  # which is how the protocol ends a list
        while True:
            kind, answer = client._request(CMD_READDIR, handle)
            if kind != CMD_NAME:
                raise paramiko.SFTPError("Expected name response")
            for _ in range(answer.get_int()):
                name = answer.get_string()
                answer.get_string()  # the line that `ls -l` would show
                attributes = from_message(answer)
                if name not in (b".", b".."):
                    yield name, attributes
    client._request(CMD_CLOSE, handle)


def _entry(name: str, path: bytes, attributes: paramiko.SFTPAttributes) -> Entry:
    size, changed = attributes.st_size or 0, attributes.st_mtime or 0
    return Entry(name, quote_from_bytes(path), size, float(changed), f"{size}-{changed}", float(changed))
