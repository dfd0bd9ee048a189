"""TLS of a connection: whom we trust, and the certificate that we show. The server's is always verified."""

import ssl
from pathlib import Path
from typing import Any

from requests.adapters import HTTPAdapter

from chengxin import settings
from chengxin.connectors.http.auth import optional_secret
from chengxin.errors import SourceUnavailable


class _Certified(HTTPAdapter):
    """Shows a client certificate; the server's is verified as ever."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **keywords: Any) -> None:
        super().init_poolmanager(*args, **keywords, ssl_context=self._context)


def client_certificate(connection: str) -> HTTPAdapter | None:
    """Return what shows the client certificate of a connection, None where the environment names none.

    Raises SourceUnavailable where certificate or key cannot be used.
    """
    certificate = optional_secret(connection, "CERT")
    if not certificate:
        return None
    password = optional_secret(connection, "CERT_PASSWORD") or ""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        # A password is always given: without one OpenSSL would ask the terminal.
        context.load_cert_chain(certificate, optional_secret(connection, "CERT_KEY"), password=password)
    except (OSError, ValueError):
        raise SourceUnavailable(
            f"连接“{connection}”的客户端证书或私钥无法使用；请检查其 _CERT、_CERT_KEY、_CERT_PASSWORD 变量"
        ) from None
    return _Certified(context)


def authorities(connection: str) -> str | bool:
    """Return the file of the authorities that vouch for a connection's server; True = those of certifi."""
    bundle = optional_secret(connection, "CA") or settings.authorities()
    if bundle and not Path(bundle).exists():
        raise SourceUnavailable(f"连接“{connection}”的 CA 证书文件不存在；请检查其 _CA 变量或 REQUESTS_CA_BUNDLE")
    return bundle or True
