"""Post one JSON document to an address of ours (alerts), signed where there is a key."""

import hmac

import requests

from chengxin.errors import SourceUnavailable
from chengxin.settings import authorities


def post(address: str, body: bytes, key: str | None, *, seconds: float) -> None:
    """Post; raise SourceUnavailable, without the address, which may be a secret, unless the answer is 2xx.

    TLS is verified (REQUESTS_CA_BUNDLE names other authorities); proxies and netrc of the environment are not used.
    """
    headers = {"Content-Type": "application/json; charset=utf-8"}
    if key:
        headers["X-Chengxin-Signature"] = "sha256=" + hmac.digest(key.encode(), body, "sha256").hex()
    with requests.Session() as session:
        session.trust_env = False
        session.verify = authorities() or True
        try:
            answer = session.post(address, data=body, headers=headers, timeout=seconds, allow_redirects=False)
        except requests.RequestException as error:
            raise SourceUnavailable(f"没有送到：{type(error).__name__}") from None
    if not 200 <= answer.status_code < 300:
        raise SourceUnavailable(f"没有送到：HTTP {answer.status_code}")
