"""One polite HTTP client: bounded waits, retries with backoff, TLS always verified, no wandering to other hosts.

Nothing that it raises or keeps shows a query, a header, a user name or a password.
"""

import json
import os
import secrets
import time
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import requests
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import HTTPError

from chengxin.clock import Clock
from chengxin.connectors.base import masked
from chengxin.errors import ChengxinError, DeliveryCorrupt, SourceUnavailable

_CHUNK = 2**16
_LONGEST_WAIT = 60.0
_BUSY = (408, 425, 429, 500, 502, 503, 504)
_MOVED = (301, 302, 303, 307, 308)


@dataclass(frozen=True)
class Page:
    """One answer: its headers, its body unchanged, and the JSON value that the body holds."""

    headers: CaseInsensitiveDict[str]
    body: bytes
    document: Any


class _TryAgainError(Exception):
    """An answer that may be better next time: what to raise in the end, and how long the server asks us to wait."""

    def __init__(self, final: ChengxinError, wait: float | None = None) -> None:
        super().__init__(str(final))
        self.final, self.wait = final, wait


class HttpSession:
    """GET below one base URL, which may hold `user:password@`.

    timeout: seconds to connect and between bytes; page_seconds, page_bytes: bounds of a whole answer; attempts and
    backoff (seconds, doubled each time, with jitter): of each request. Proxies and netrc of the environment are not
    used; REQUESTS_CA_BUNDLE is.
    """

    def __init__(
        self,
        base: str,
        *,
        label: str,
        headers: dict[str, str],
        timeout: float,
        page_seconds: float,
        page_bytes: int,
        attempts: int,
        backoff: float,
    ) -> None:
        parts = urlsplit(base)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SourceUnavailable(f"连接“{label}”的地址应以 http:// 或 https:// 开头")
        host = parts.netloc.rpartition("@")[2]
        self._base = f"{parts.scheme}://{host}{parts.path.rstrip('/')}/"
        self._label, self._timeout, self._page_seconds, self._page_bytes = label, timeout, page_seconds, page_bytes
        self._attempts, self._backoff = attempts, backoff
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
        self._session.headers.update({"Accept": "application/json", "Accept-Encoding": "identity", **headers})
        if parts.username:
            self._session.auth = (unquote(parts.username), unquote(parts.password or ""))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def get(self, path: str, query: dict[str, str]) -> Page:
        """Return the answer to one request, tried `attempts` times.

        Raises SourceUnavailable (no answer, an error status, a web page instead of data) or DeliveryCorrupt (cut off).
        """
        for attempt in range(1, self._attempts + 1):
            try:
                return self._once(path, query)
            except _TryAgainError as again:
                if attempt == self._attempts:
                    raise again.final from None
                pause = self._backoff * 2 ** (attempt - 1) * (1 + secrets.randbelow(1000) / 1000)
                time.sleep(min(_LONGEST_WAIT, pause if again.wait is None else max(again.wait, pause)))
        raise AssertionError("unreachable")

    def _once(self, path: str, query: dict[str, str]) -> Page:
        url = urljoin(self._base, path.lstrip("/"))
        try:
            for _ in range(5):
                with self._session.get(
                    url, params=query, timeout=self._timeout, stream=True, allow_redirects=False
                ) as answer:
                    if answer.status_code not in _MOVED:
                        return self._read(answer)
                    url, query = self._followed(url, answer.headers.get("Location", "")), {}
        except requests.exceptions.SSLError:
            raise SourceUnavailable(f"接口“{self._label}”的 TLS 证书无法验证；已拒绝连接") from None
        except requests.exceptions.Timeout:
            raise _TryAgainError(SourceUnavailable(f"接口“{self._label}”在 {self._timeout:g} 秒内没有回应")) from None
        except (requests.exceptions.RequestException, OSError) as error:
            shown = f"{masked(self._base)}，{type(error).__name__}"
            raise _TryAgainError(SourceUnavailable(f"无法连接接口“{self._label}”（{shown}）")) from None
        raise SourceUnavailable(f"接口“{self._label}”重定向次数过多")

    def _followed(self, url: str, location: str) -> str:
        target = urljoin(url, location)
        if not location or not _same_house(urlsplit(url), urlsplit(target)):
            raise SourceUnavailable(f"接口“{self._label}”要求跳转到另一台主机；出于安全已拒绝")
        return target

    def _read(self, answer: requests.Response) -> Page:
        status = answer.status_code
        if status in _BUSY:
            problem = SourceUnavailable(f"接口“{self._label}”暂时不可用（HTTP {status}）")
            raise _TryAgainError(problem, _retry_after(answer.headers.get("Retry-After")))
        if status != requests.codes.ok:
            raise SourceUnavailable(f"接口“{self._label}”拒绝了请求（HTTP {status}）；请检查地址与授权")
        body = self._body(answer)
        if "html" in answer.headers.get("Content-Type", "").lower() or body.lstrip()[:1] == b"<":
            # Login pages and maintenance notices come with status 200.
            raise _TryAgainError(
                SourceUnavailable(f"接口“{self._label}”返回的是网页而不是数据，可能需要登录或正在维护")
            )
        try:
            return Page(answer.headers, body, _parsed(body))
        except (ValueError, RecursionError):
            raise _TryAgainError(DeliveryCorrupt(f"接口“{self._label}”返回的内容不是完整的 JSON，可能被截断")) from None

    def _body(self, answer: requests.Response) -> bytes:
        deadline = time.monotonic() + self._page_seconds
        received = bytearray()
        try:
            # read1 returns what is there: a server that drips bytes cannot hold us longer than the deadline.
            while chunk := answer.raw.read1(_CHUNK, decode_content=True):
                received += chunk
                if len(received) > self._page_bytes:
                    raise DeliveryCorrupt(
                        f"接口“{self._label}”的一页超过 {self._page_bytes >> 20} MiB；请减小 page_size"
                    )
                if time.monotonic() > deadline:
                    problem = SourceUnavailable(f"接口“{self._label}”一页传输超过 {self._page_seconds:g} 秒")
                    raise _TryAgainError(problem)
        except (HTTPError, OSError):
            raise _TryAgainError(DeliveryCorrupt(f"接口“{self._label}”的传输中途断开，内容不完整")) from None
        announced = answer.headers.get("Content-Length", "")
        if announced.isdigit() and "Content-Encoding" not in answer.headers and len(received) != int(announced):
            raise _TryAgainError(DeliveryCorrupt(f"接口“{self._label}”的内容长度与声明不符，可能被截断"))
        return bytes(received)


def _same_house(old: SplitResult, new: SplitResult) -> bool:
    if (old.scheme, old.netloc) == (new.scheme, new.netloc):
        return True
    # The one harmless move: the same host turns plain HTTP into HTTPS on the usual ports.
    upgraded = (old.scheme, new.scheme) == ("http", "https") and old.hostname == new.hostname
    return upgraded and old.port in (None, 80) and new.port in (None, 443)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except UnicodeDecodeError:
        return json.loads(body.decode("gb18030"))


def _retry_after(header: str | None) -> float | None:
    if not header:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header).astimezone(UTC) - Clock().now()).total_seconds())
    except ValueError:
        return None
