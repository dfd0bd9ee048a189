"""Who we are to a department's interface: tokens, signed requests, OAuth2, certificates. Secrets come by name only.

For the connection `tax_api` the environment holds, beside CHENGXIN_CONN_TAX_API (the base URL):

    CHENGXIN_CONN_TAX_API_KEY            app key / client id            auth: hmac, sign, oauth2
    CHENGXIN_CONN_TAX_API_SECRET         app secret / client secret     auth: hmac, sign, oauth2
    CHENGXIN_CONN_TAX_API_TOKEN_URL      where oauth2 tokens are given; default <base URL>/oauth/token
    CHENGXIN_CONN_TAX_API_CERT           client certificate chain, a PEM file
    CHENGXIN_CONN_TAX_API_CERT_KEY       its private key, a PEM file; default: in the same file
    CHENGXIN_CONN_TAX_API_CERT_PASSWORD  of that key, where it is encrypted
    CHENGXIN_CONN_TAX_API_CA             certificate authorities to trust, a PEM file; default: REQUESTS_CA_BUNDLE

Each may be given as a file that holds it instead: CHENGXIN_CONN_TAX_API_FILE, CHENGXIN_CONN_TAX_API_SECRET_FILE ...
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import Field

from chengxin.clock import SHANGHAI, Clock
from chengxin.connectors.base import Options, connection_variable, given
from chengxin.errors import ContractError, SourceUnavailable

Digest = Literal["sha256", "sm3"]


class Auth(Options):
    """How requests are authenticated beyond `user:password@` in the URL and `headers_env`.

    kind: hmac = headers sign the whole request (see `canonical`); sign = the app_key/timestamp/sign parameters of
        Chinese platforms; oauth2 = client credentials (RFC 6749 4.4).
    digest: sha256 or sm3 (GB/T 32905; where OpenSSL has it). encoding: of the signature.
    style (sign only): hmac = HMAC(secret, "a=1&b=2" + body); wrapped = DIGEST(secret + "a1b2" + body + secret);
        suffix = DIGEST("a=1&b=2" + body + "&key=" + secret). Parameters are sorted by name, values unencoded, empty
        ones left out.
    timestamp: how the moment is spelled. *_name: of headers (hmac) or parameters (sign); nonce_name "" = no nonce.
    scope: of the oauth2 token.
    """

    kind: Literal["hmac", "sign", "oauth2"]
    digest: Digest = "sha256"
    encoding: Literal["hex", "HEX", "base64"] = "hex"
    style: Literal["hmac", "wrapped", "suffix"] = "hmac"
    timestamp: Literal["epoch_ms", "epoch_s", "datetime"] = "epoch_ms"
    key_name: str | None = None
    timestamp_name: str | None = None
    nonce_name: str | None = None
    sign_name: str | None = None
    scope: Annotated[str, Field(max_length=200)] = ""


@dataclass(frozen=True)
class Request:
    """One request before it is sent: path below the base URL, ordered parameters, headers, body."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def query_string(self) -> str:
        """Return the query as sent: RFC 3986 encoding, in the given order."""
        return "&".join(f"{encoded(k)}={encoded(v)}" for k, v in self.query)


def encoded(text: str) -> str:
    """Percent-encode all but unreserved characters (RFC 3986), UTF-8."""
    return quote(text, safe="-._~")


def environment_secret(connection: str, part: str) -> str:
    """Return CHENGXIN_CONN_<NAME>_<PART>; raise SourceUnavailable, naming the variable, where it is not set."""
    value = optional_secret(connection, part)
    if not value:
        variable = f"{connection_variable(connection)}_{part}"
        raise SourceUnavailable(f"连接“{connection}”缺少环境变量 {variable}")
    return value


def optional_secret(connection: str, part: str) -> str | None:
    """Return CHENGXIN_CONN_<NAME>_<PART> or None."""
    return given(f"{connection_variable(connection)}_{part}")


def check(auth: Auth | None) -> None:
    """Raise ContractError when this machine cannot compute the digest."""
    if auth and auth.digest not in hashlib.algorithms_available:
        raise ContractError(f"本机的 OpenSSL 没有摘要算法 {auth.digest}，无法按合同签名；请更换运行环境")


def signed(request: Request, auth: Auth, connection: str, base_path: str) -> Request:
    """Return the request with what `auth` (hmac or sign) adds to it.

    base_path: path of the base URL, ending in /; the hmac signature covers the whole path.
    """
    check(auth)
    key, secret = environment_secret(connection, "KEY"), environment_secret(connection, "SECRET")
    moment, nonce = _moment(auth), secrets.token_hex(16)
    if auth.kind == "hmac":
        names = _names(auth, "X-App-Key", "X-Timestamp", "X-Nonce", "X-Signature")
        text = canonical(request, base_path, moment, nonce)
        signature = _spelled(auth, hmac.digest(secret.encode(), text.encode(), auth.digest))
        extra = zip(names, (key, moment, nonce, signature), strict=True)
        return replace(request, headers={**request.headers, **{name: value for name, value in extra if name}})
    names = _names(auth, "app_key", "timestamp", "nonce", "sign")
    query = [*request.query, (names[0], key), (names[1], moment), *([(names[2], nonce)] if names[2] else [])]
    return replace(request, query=(*query, (names[3], parameter_sign(auth, secret, query, request.body))))


def signing_names(auth: Auth | None) -> set[str]:
    """Return the parameters that `signed` adds to a query."""
    if auth is None or auth.kind != "sign":
        return set()
    return {name for name in _names(auth, "app_key", "timestamp", "nonce", "sign") if name}


def canonical(request: Request, base_path: str, timestamp: str, nonce: str) -> str:
    """Return the text that the hmac headers sign: six lines, joined by LF, without a final one.

    Method; path as sent; query as sent, sorted by name, then value; timestamp; nonce; hex SHA-256 of the body.
    """
    query = "&".join(sorted(f"{encoded(k)}={encoded(v)}" for k, v in request.query))
    path = base_path + request.path.lstrip("/")
    return "\n".join([request.method, path, query, timestamp, nonce, hashlib.sha256(request.body).hexdigest()])


def parameter_sign(auth: Auth, secret: str, query: list[tuple[str, str]], body: bytes) -> str:
    """Return the `sign` parameter of the platforms' style that `auth.style` names."""
    pairs = sorted((k, v) for k, v in query if v != "")
    if auth.style == "wrapped":
        joined = "".join(k + v for k, v in pairs).encode()
        return _spelled(auth, hashlib.new(auth.digest, secret.encode() + joined + body + secret.encode()).digest())
    joined = "&".join(f"{k}={v}" for k, v in pairs).encode() + body
    if auth.style == "suffix":
        return _spelled(auth, hashlib.new(auth.digest, joined + b"&key=" + secret.encode()).digest())
    return _spelled(auth, hmac.digest(secret.encode(), joined, auth.digest))


def spelled_instant(moment: datetime, style: str) -> str:
    """Spell an instant: iso, date, datetime (both in Shanghai time), epoch_s or epoch_ms."""
    local = moment.astimezone(SHANGHAI)
    return {
        "iso": local.isoformat(),
        "date": local.strftime("%Y-%m-%d"),
        "datetime": local.strftime("%Y-%m-%d %H:%M:%S"),
        "epoch_s": str(int(moment.timestamp())),
        "epoch_ms": str(int(moment.timestamp() * 1000)),
    }[style]


def _names(auth: Auth, key: str, timestamp: str, nonce: str, sign: str) -> tuple[str, str, str, str]:
    return (
        auth.key_name or key,
        auth.timestamp_name or timestamp,
        nonce if auth.nonce_name is None else auth.nonce_name,
        auth.sign_name or sign,
    )


def _moment(auth: Auth) -> str:
    # The real clock, whatever CHENGXIN_NOW says: the server compares it with its own.
    return spelled_instant(Clock().now(), auth.timestamp)


def _spelled(auth: Auth, digest: bytes) -> str:
    match auth.encoding:
        case "hex":
            return digest.hex()
        case "HEX":
            return digest.hex().upper()
        case "base64":
            return base64.b64encode(digest).decode()
