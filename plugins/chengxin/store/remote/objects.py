"""Objects of one bucket below a prefix: whole reads, writes that say who was first, copies inside the store.

A write whose reply was lost is asked again: what is there then tells whether it was ours.
"""

import errno
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from chengxin.errors import ContractError, StoreUnavailable

log = logging.getLogger(__name__)
T = TypeVar("T")
_SHA256 = "sha256"  # the name of the metadata in which an object tells its digest
_TRIES = 5
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # here, not in the store
_COPY_AT_ONCE = 5 << 30  # S3 copies no larger object with one request


@dataclass(frozen=True)
class Found:
    """One object of a listing. key: below the prefix."""

    key: str
    size: int
    modified: datetime


class Objects:
    """A bucket and a prefix. Credentials, endpoint and region come from the AWS_* variables."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc or parts.username or parts.query:
            raise ContractError("数据目录的网址应形如 s3://存储桶/前缀，密钥由 AWS_* 环境变量给出")
        self.url = url.rstrip("/")
        self._bucket, self._prefix = parts.netloc, parts.path.strip("/")
        self._made: Any = None

    def read(self, key: str) -> tuple[bytes, str] | None:
        """Return an object's bytes and its ETag; None when there is none."""

        def ask() -> tuple[bytes, str] | None:
            try:
                found = self._call("get_object", key)
                return self._body(found), str(found["ETag"])
            except FileNotFoundError:
                return None

        return self._tried(ask)

    def download(self, key: str, target: Path) -> None:
        """Fetch an object into a file. Raise FileNotFoundError when there is none."""
        self._tried(lambda: self._store().get_file(self._path(key), str(target)))

    def create(self, key: str, data: bytes) -> bool:
        """Write an object unless there is one; True when it is there with these very bytes afterwards."""
        return self._written(
            lambda: self._call("put_object", key, Body=data, IfNoneMatch="*"), lambda: self._holds(key, data)
        )

    def create_file(self, key: str, path: Path, sha256: str) -> bool:
        """Write a file as an object unless there is one; True when one with this content is there afterwards."""
        about = {"mode": "create", "Metadata": {_SHA256: sha256}}
        return self._written(
            lambda: self._store().put_file(str(path), self._path(key), **about), lambda: self.digest(key) == sha256
        )

    def replace(self, key: str, data: bytes, etag: str, sha256: str) -> bool:
        """Write an object in place of the one with this ETag; False when that is not there any more."""
        about = {"IfMatch": etag, "Metadata": {_SHA256: sha256}}
        try:
            return self._written(
                lambda: self._call("put_object", key, Body=data, **about), lambda: self._holds(key, data)
            )
        except FileNotFoundError:
            return False

    def _written(self, write: Callable[[], Any], is_there: Callable[[], bool]) -> bool:
        """Write on a condition. Refused, it is written all the same if the first try's reply was lost: look."""

        def ask() -> bool:
            try:
                write()
            except OSError as error:
                if not _refused(error):
                    raise
                return is_there()
            return True

        return self._tried(ask)

    def _holds(self, key: str, data: bytes) -> bool:
        now = self.read(key)
        return now is not None and now[0] == data

    def copy(self, source: str, target: str, size: int) -> bool:
        """Copy an object inside the store; False when that cannot be done with one request, or it is gone."""
        if size > _COPY_AT_ONCE:
            return False
        origin = {"Bucket": self._bucket, "Key": self._key(source)}

        def ask() -> bool:
            try:
                self._call("copy_object", target, CopySource=origin)
            except FileNotFoundError:
                return False
            return True

        return self._tried(ask)

    def digest(self, key: str) -> str | None:
        """Return the sha256 that an object tells of itself; None when there is no object, or it tells none."""
        try:
            return self._tried(lambda: dict(self._call("head_object", key)["Metadata"]).get(_SHA256))
        except FileNotFoundError:
            return None

    def listing(self, prefix: str = "", after: str = "") -> tuple[list[Found], datetime]:
        """Return all objects whose key begins with `prefix` and comes after `after`, and what time the store has."""
        found: list[Found] = []
        more: dict[str, Any] = {"StartAfter": self._key(after)} if after else {}
        cut = len(self._key(""))
        while True:
            page = self._tried(
                lambda more=more: self._list(Prefix=self._key(prefix), **more)  # type: ignore[misc]
            )
            found += [Found(o["Key"][cut:], int(o["Size"]), o["LastModified"]) for o in page.get("Contents", ())]
            if not page.get("IsTruncated"):
                return found, parsedate_to_datetime(page["ResponseMetadata"]["HTTPHeaders"]["date"])
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are not there are no matter."""
        left = list(keys)
        for start in range(0, len(left), 1000):
            named = [{"Key": self._key(k)} for k in left[start : start + 1000]]
            self._tried(
                lambda named=named: self._store().call_s3(  # type: ignore[misc]
                    "delete_objects", Bucket=self._bucket, Delete={"Objects": named, "Quiet": True}
                )
            )

    def make_bucket(self) -> None:
        """Make the bucket when it is not there."""

        def ask() -> None:
            try:
                self._store().call_s3("head_bucket", Bucket=self._bucket)
            except FileNotFoundError:
                self._store().mkdir(self._bucket)

        self._tried(ask)

    def _call(self, method: str, key: str, **more: Any) -> Any:
        return self._store().call_s3(method, Bucket=self._bucket, Key=self._key(key), **more)

    def _list(self, **more: Any) -> Any:
        return self._store().call_s3("list_objects_v2", Bucket=self._bucket, **more)

    def _body(self, found: Any) -> bytes:
        from fsspec.asyn import sync  # type: ignore[import-untyped]

        return bytes(sync(self._store().loop, found["Body"].read))

    def _key(self, key: str) -> str:
        return f"{self._prefix}/{key}" if self._prefix else key

    def _path(self, key: str) -> str:
        return f"{self._bucket}/{self._key(key)}"

    def _store(self) -> Any:
        if self._made is None:
            import fsspec  # type: ignore[import-untyped]

            self._made = fsspec.filesystem(
                "s3",
                config_kwargs={"connect_timeout": 10, "read_timeout": 120, "retries": {"total_max_attempts": 1}},
                use_listings_cache=False,
                skip_instance_cache=True,
            )
            self._made.retries = 1  # `_tried` tries again, and knows what a lost reply means
        return self._made

    def _tried(self, ask: Callable[[], T]) -> T:
        import aiohttp
        from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

        pause = 0.2
        for left in reversed(range(_TRIES)):
            try:
                return ask()
            except FileNotFoundError:
                raise
            except PermissionError as error:
                raise StoreUnavailable(f"对象存储 {self.url} 不接受密钥，或没有权限") from error
            except (OSError, BotoCoreError, ClientError, aiohttp.ClientError) as error:
                code = getattr(error, "errno", None)
                if code in _NO_ROOM:
                    raise
                if code == errno.EINVAL:
                    raise StoreUnavailable(f"对象存储不接受对 {self.url} 的请求：{error}") from error
                if not left:
                    raise StoreUnavailable(f"对象存储 {self.url} 没有应答或连接中断，稍后再试") from error
                log.info("%s: %s, trying again", self.url, type(error).__name__)
                self._made = None  # a connection that failed is not used again
                time.sleep(pause)
                pause *= 2
        raise AssertionError


def _refused(error: OSError) -> bool:
    """Return whether a condition of the request did not hold; s3fs knows some stores' answer only as EINVAL."""
    return isinstance(error, FileExistsError) or error.errno == errno.EINVAL
