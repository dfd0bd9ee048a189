"""One polite HTTP client: bounded waits, retries with backoff, TLS always verified, no wandering to other hosts.

Nothing that it raises or keeps shows a query, a header, a user name, a password, or what a server answered.
"""

import json
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import requests
from authlib.integrations.base_client import OAuthError
from pydantic import Field
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter
from urllib3 import encode_multipart_formdata
from urllib3.exceptions import HTTPError

from chengxin.connectors.base import Options, connection_url, given, masked
from chengxin.connectors.http.auth import Auth, Request, signed
from chengxin.connectors.http.oauth import authorise, bare_session, forget
from chengxin.connectors.http.replies import BUSY, RefusedError, Reply, TryAgainError, retry_after
from chengxin.connectors.http.tls import authorities, client_certificate
from chengxin.errors import DeliveryCorrupt, SourceUnavailable

_CHUNK = 2**16
_MOVED = (301, 302, 303, 307, 308)
_SUCCESS = (200, 201, 202, 204)
_RIGHTS = (401, 403, 407)

T = TypeVar("T")


class HttpConnection(Options):
    """What a connection to an HTTP server needs, for pulling and for answering alike.

    connection: its base URL is in CHENGXIN_CONN_<NAME>; further variables: `http_auth`.
    headers_env: HTTP header -> environment variable that holds its value (tokens). auth: signed requests or OAuth2.
    timeout_seconds: to connect and between bytes; page_seconds, page_mib: bounds of one whole answer.
    attempts, backoff_seconds: of each request, the pause doubled each time, with jitter; longest_wait_seconds: no
        pause is longer, and a server that asks for more (Retry-After) is left alone until the next run.
    requests_per_second: at most so many; 0 = no limit.
    """

    connection: str
    headers_env: dict[str, str] = Field(default_factory=dict)
    auth: Auth | None = None
    timeout_seconds: Annotated[float, Field(gt=0)] = 30
    page_seconds: Annotated[float, Field(gt=0)] = 600
    page_mib: Annotated[int, Field(ge=1)] = 256
    attempts: Annotated[int, Field(ge=1, le=10)] = 4
    backoff_seconds: Annotated[float, Field(ge=0)] = 1.0
    longest_wait_seconds: Annotated[float, Field(ge=0)] = 120
    requests_per_second: Annotated[float, Field(ge=0)] = 0


class HttpSession:
    """Requests below the base URL of one connection, each tried `attempts` times.

    Proxies and netrc of the environment are not used. Raises SourceUnavailable at once where a variable is missing.
    """

    def __init__(self, options: HttpConnection) -> None:
        self._options, self._label = options, options.connection
        base = connection_url(options.connection)
        parts = urlsplit(base)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SourceUnavailable(f"连接“{self._label}”的地址应以 http:// 或 https:// 开头")
        host = parts.netloc.rpartition("@")[2]
        self._base = f"{parts.scheme}://{host}{parts.path.rstrip('/')}/"
        self._earliest = 0.0
        self._session = bare_session(options.connection, options.auth, self._base)
        self._session.trust_env = False
        self._session.verify = authorities(options.connection)
        # Pages are kept as they came: asked for without compression, though it is undone where a server insists.
        self._session.headers.update({"Accept-Encoding": "identity", **_header_secrets(options)})
        if parts.username:
            self._session.auth = (unquote(parts.username), unquote(parts.password or ""))
        adapter = client_certificate(options.connection)
        if adapter:
            self._session.mount("https://", adapter)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def ask(self, request: Request, read: Callable[[Reply], T]) -> T:
        """Send a request and return what `read` makes of the answer; `read` may raise TryAgainError.

        Raises SourceUnavailable (no answer, an error status; RefusedError where it is the server's last word) or
        DeliveryCorrupt (cut off, too large).
        """
        pauses = wait_exponential_jitter(
            multiplier=self._options.backoff_seconds,
            max=self._options.longest_wait_seconds,
            jitter=self._options.backoff_seconds,
        )

        def pause(state: RetryCallState) -> float:
            again = state.outcome.exception() if state.outcome else None
            asked = again.wait if isinstance(again, TryAgainError) and again.wait else 0.0
            return max(asked, pauses(state))

        retrying = Retrying(
            stop=stop_after_attempt(self._options.attempts),
            wait=pause,
            retry=retry_if_exception_type(TryAgainError),
            reraise=True,
        )
        try:
            return retrying(lambda: read(self._once(request)))
        except TryAgainError as again:
            raise again.final from None

    def below(self, link: str) -> str:
        """Return a link relative to the base URL; raise SourceUnavailable where it leads elsewhere."""
        base, target = urlsplit(self._base), urlsplit(urljoin(self._base, link))
        if not _same_house(base, target) or not target.path.startswith(base.path):
            raise SourceUnavailable(
                f"接口“{self._label}”给出的下一页链接指向另一台主机，或不在连接的地址之下；出于安全已拒绝"
            )
        return target._replace(scheme="", netloc="", path=target.path[len(base.path) :], fragment="").geturl()

    def post(self, path: str, body: bytes, content_type: str, *, headers: Mapping[str, str] | None = None) -> Reply:
        """POST a body and return the answer, whose status is 200, 201, 202 or 204. It may arrive more than once.

        Raises as `ask`. The same rules as for pulling: authentication, TLS, no redirect to another host, retries.
        """
        request = Request("POST", path, headers={**(headers or {}), "Content-Type": content_type}, body=body)
        return self.ask(request, lambda reply: reply)

    def post_json(self, path: str, value: Any, *, headers: Mapping[str, str] | None = None) -> Reply:
        """POST a value as JSON (UTF-8, Chinese unescaped); as `post`."""
        body = json.dumps(value, ensure_ascii=False).encode()
        return self.post(path, body, "application/json; charset=utf-8", headers=headers)

    def post_file(self, path: str, file: Path, *, name: str = "file", fields: Mapping[str, str] | None = None) -> Reply:
        """POST a file as multipart/form-data under the field `name`, beside text `fields`; as `post`."""
        parts: dict[str, Any] = {**(fields or {}), name: (file.name, file.read_bytes())}
        body, content_type = encode_multipart_formdata(parts)
        return self.post(path, body, content_type)

    def _once(self, request: Request) -> Reply:
        self._wait_for_turn()
        auth = self._options.auth
        if auth and auth.kind == "oauth2":
            authorise(self._session, self._label, self._options.timeout_seconds)
        elif auth:
            request = signed(request, auth, self._label, urlsplit(self._base).path)
        url = urljoin(self._base, request.path.lstrip("/"))
        return self._exchanged(url + (f"?{request.query_string}" if request.query else ""), request)

    def _exchanged(self, url: str, request: Request) -> Reply:
        """Send to a URL, following moves on the same host; GET may move anyhow, POST only where it stays POST."""
        try:
            for _ in range(5):
                with self._session.request(
                    request.method,
                    url,
                    headers=request.headers,
                    data=request.body or None,
                    timeout=self._options.timeout_seconds,
                    stream=True,
                    allow_redirects=False,
                ) as answer:
                    if answer.status_code not in _MOVED:
                        return self._read(answer)
                    if request.method != "GET" and answer.status_code not in (307, 308):
                        raise SourceUnavailable(f"接口“{self._label}”对 POST 请求返回跳转，已拒绝；请核对地址")
                    url = self._followed(url, answer.headers.get("Location", ""))
        except requests.exceptions.SSLError as error:
            raise self._tls_problem(error) from None
        except requests.exceptions.Timeout:
            raise TryAgainError(
                SourceUnavailable(f"接口“{self._label}”在 {self._options.timeout_seconds:g} 秒内没有回应")
            ) from None
        except (requests.exceptions.RequestException, OSError, OAuthError) as error:  # a token may run out on its way
            shown = f"{masked(self._base)}，{type(error).__name__}"
            raise TryAgainError(SourceUnavailable(f"无法连接接口“{self._label}”（{shown}）")) from None
        raise SourceUnavailable(f"接口“{self._label}”重定向次数过多")

    def _tls_problem(self, error: Exception) -> SourceUnavailable:
        if "CERTIFICATE_VERIFY_FAILED" in str(error) or "doesn't match" in str(error):
            return SourceUnavailable(f"接口“{self._label}”的 TLS 证书无法验证；已拒绝连接")
        return SourceUnavailable(f"与接口“{self._label}”的 TLS 握手失败；对方可能要求客户端证书，或不接受我方证书")

    def _wait_for_turn(self) -> None:
        rate = self._options.requests_per_second
        if rate:
            now = time.monotonic()
            time.sleep(max(0.0, self._earliest - now))
            self._earliest = max(now, self._earliest) + 1 / rate

    def _followed(self, url: str, location: str) -> str:
        target = urljoin(url, location)
        if not location or not _same_house(urlsplit(url), urlsplit(target)):
            raise SourceUnavailable(f"接口“{self._label}”要求跳转到另一台主机；出于安全已拒绝")
        return target

    def _read(self, answer: requests.Response) -> Reply:
        status = answer.status_code
        if status in BUSY:
            said = f"接口“{self._label}”暂时不可用（HTTP {status}）"
            # Some programs fail in this way when they are asked for what lies beyond their end.
            is_error = status == HTTPStatus.INTERNAL_SERVER_ERROR
            problem = RefusedError(said, f"status_end: [{status}]", status) if is_error else SourceUnavailable(said)
            wait = retry_after(answer.headers.get("Retry-After"))
            if wait is not None and wait > self._options.longest_wait_seconds:
                raise SourceUnavailable(f"接口“{self._label}”要求 {wait:.0f} 秒后再来（HTTP {status}）；下次运行继续")
            raise TryAgainError(problem, wait)
        if status == HTTPStatus.UNAUTHORIZED and forget(self._session):
            raise TryAgainError(SourceUnavailable(f"接口“{self._label}”不接受访问令牌（HTTP 401）；请检查授权"))
        if status not in _SUCCESS:
            raise self._refused(status)
        return Reply(status, answer.headers, self._body(answer))

    def _refused(self, status: int) -> SourceUnavailable:
        said = f"接口“{self._label}”拒绝了请求（HTTP {status}）；请检查地址与授权"
        return SourceUnavailable(said) if status in _RIGHTS else RefusedError(said, f"status_end: [{status}]", status)

    def _body(self, answer: requests.Response) -> bytes:
        seconds, mib = self._options.page_seconds, self._options.page_mib
        deadline = time.monotonic() + seconds
        received = bytearray()
        try:
            # read1 returns what is there: a server that drips bytes cannot hold us longer than the deadline.
            while chunk := answer.raw.read1(_CHUNK, decode_content=True):
                received += chunk
                if len(received) > mib * 2**20:
                    raise DeliveryCorrupt(f"接口“{self._label}”的一页超过 {mib} MiB；请减小 page_size")
                if time.monotonic() > deadline:
                    problem = SourceUnavailable(f"接口“{self._label}”一页传输超过 {seconds:g} 秒")
                    raise TryAgainError(problem)
        except (HTTPError, OSError):
            raise TryAgainError(DeliveryCorrupt(f"接口“{self._label}”的传输中途断开，内容不完整")) from None
        announced = answer.headers.get("Content-Length", "")
        if announced.isdigit() and "Content-Encoding" not in answer.headers and len(received) != int(announced):
            raise TryAgainError(DeliveryCorrupt(f"接口“{self._label}”的内容长度与声明不符，可能被截断"))
        return bytes(received)


def _header_secrets(options: HttpConnection) -> dict[str, str]:
    headers = {}
    for header, variable in options.headers_env.items():
        value = given(variable)
        if not value:
            raise SourceUnavailable(f"连接“{options.connection}”需要环境变量 {variable}（请求头 {header}）")
        headers[header] = value
    return headers


def _same_house(old: SplitResult, new: SplitResult) -> bool:
    if (old.scheme, old.netloc) == (new.scheme, new.netloc):
        return True
    # The one harmless move: the same host turns plain HTTP into HTTPS on the usual ports.
    upgraded = (old.scheme, new.scheme) == ("http", "https") and old.hostname == new.hostname
    return upgraded and old.port in (None, 80) and new.port in (None, 443)
