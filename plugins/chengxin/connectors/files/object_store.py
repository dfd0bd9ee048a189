"""A drop folder in an object store that speaks S3 (the clouds of the provinces do), through fsspec.

s3://KEY:SECRET@bucket/prefix?endpoint=https://...&region=...
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from chengxin.connectors.files.places import Address, Stream, below
from chengxin.connectors.locators import Entry
from chengxin.errors import SourceUnavailable

_BLOCK = 8 << 20
_FAULTS = (OSError, BotoCoreError, ClientError)


class StorePlace:
    """A prefix of a bucket."""

    attempts = 3
    stable: int | None = None  # an object appears when its upload has ended

    def __init__(self, address: Address, folder: str) -> None:
        self._address = address
        self._shown = folder
        base = f"{address.host}{address.path}".rstrip("/")
        self._folder = below(base, folder, f"连接“{address.name}”的目录")
        self._made: Any = None

    def entries(self, *, deep: bool) -> Iterator[Entry]:
        """List the objects below the prefix."""
        try:
            found = self._store().find(self._folder, maxdepth=None if deep else 1, detail=True, refresh=True)
            if not found:
                self._store().info(self._address.host, refresh=True)  # nothing there, or not even the bucket
        except _FAULTS as error:
            raise self._unavailable(error, f"读取投递目录“{self._shown}”") from error
        for key, about in sorted(found.items()):
            name = key[len(self._folder) :].lstrip("/")
            if about["type"] == "file" and name:
                yield _entry(name, key, about)

    def entry(self, key: str, name: str) -> Entry:
        """Look at one object again."""
        try:
            return _entry(name, key, self._store().info(key, refresh=True))
        except _FAULTS as error:
            raise self._unavailable(error, f"读取文件“{name}”") from error

    def open(self, entry: Entry, offset: int) -> Stream:
        """Open an object."""
        try:
            stream = self._store().open(entry.key, "rb", block_size=_BLOCK, cache_type="readahead")
            stream.seek(offset)
        except _FAULTS as error:
            raise self._unavailable(error, f"读取文件“{entry.name}”") from error
        return _Reading(stream, self, entry.name)

    def put(self, name: str, files: Sequence[Path]) -> None:
        """Put files below a prefix; each appears whole, and the mark after all others."""
        target, mark = f"{self._folder}/{name}", files[-1]
        try:
            try:
                if self._store().cat_file(f"{target}/{mark.name}") == mark.read_bytes():
                    return
            except FileNotFoundError:
                pass
            for path in files:
                self._store().put_file(str(path), f"{target}/{path.name}")
        except _FAULTS as error:
            raise self._unavailable(error, f"写入目录“{self._shown}”") from error

    def close(self) -> None:
        """Nothing is held open between requests; the next call begins with fresh state."""
        self._made = None

    def _store(self) -> Any:
        if self._made is None:
            at = self._address
            settings = {"connect_timeout": 10, "read_timeout": 60, "retries": {"total_max_attempts": 2}}
            client = {n: v for n, v in (("endpoint_url", "endpoint"), ("region_name", "region")) if at.query.get(v)}
            self._made = fsspec.filesystem(
                "s3",
                key=at.user,
                secret=at.password,
                client_kwargs={n: at.query[v] for n, v in client.items()},
                config_kwargs=settings,
                use_listings_cache=False,
                skip_instance_cache=True,
            )
            self._made.retries = 2  # on top of which come the attempts at the whole file
        return self._made

    def _unavailable(self, error: Exception, doing: str) -> SourceUnavailable:
        self.close()
        return SourceUnavailable(f"对象存储连接“{self._address.name}”{doing}失败：{_words(error)}")


class _Reading:
    """An open object whose faults are ours."""

    def __init__(self, stream: Any, place: StorePlace, name: str) -> None:
        self._stream, self._place, self._name = stream, place, name

    def read(self, size: int = -1, /) -> bytes:
        """Read; raise SourceUnavailable when the store does not answer."""
        try:
            return bytes(self._stream.read(size))
        except _FAULTS as error:
            raise self._place._unavailable(error, f"读取文件“{self._name}”") from error

    def close(self) -> None:
        """Close."""
        self._stream.close()


def _words(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "文件或存储桶不存在"
    if isinstance(error, PermissionError):
        return "密钥不被接受或没有权限"
    return "存储没有应答或连接中断"


def _entry(name: str, key: str, about: dict[str, Any]) -> Entry:
    size, changed = int(about["size"]), about["LastModified"].timestamp()
    return Entry(name, key, size, changed, f"{size}-{changed}-{str(about.get('ETag', '')).strip(chr(34))}", changed)
