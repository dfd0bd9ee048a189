"""Airflow's REST API, asked in the session of a page's reader: what he may know of runs is Airflow's decision.

Only dependencies of FastAPI ask, on the server's event loop. A page that waited in a thread of the server for an answer
that needs a thread of the same server could, with enough others, wait for ever.
"""

import ssl
from typing import Annotated, Any
from urllib.parse import quote

import httpx
from airflow.sdk import conf
from fastapi import Depends, HTTPException, Request

from chengxin.orchestration.paths import PREFIX

SECONDS = 30.0
PAGE = 100  # what Airflow gives at most in one answer
SESSION = ("authorization", "cookie")
REFUSED = {401, 403, 404}


def client() -> httpx.AsyncClient:
    """Return a client for this server itself, which trusts no certificate but the server's own."""
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname = False  # the certificate names the address that people use
    trust.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if certificate := _certificate():
        trust.load_verify_locations(certificate)
    return httpx.AsyncClient(verify=trust, trust_env=False, timeout=SECONDS)


def _certificate() -> str:
    return str(conf.get("api", "ssl_cert", fallback="") or "")


class AirflowApi:
    """Airflow's REST API as the reader of one request, at the address of this server that took the request."""

    def __init__(self, request: Request) -> None:
        host, port = request.scope["server"]
        root = str(request.scope.get("root_path", "")).removesuffix(PREFIX)
        self._client: httpx.AsyncClient = request.app.state.airflow
        self._base = httpx.URL(scheme="https" if _certificate() else "http", host=host, port=port, path=root)
        self._headers = {name: value for name in SESSION if (value := request.headers.get(name))}

    async def get(self, *path: str, **query: Any) -> dict[str, Any] | None:
        """Return what stands below /api/v2 at a path, part by part; None where the reader gets nothing."""
        there = f"{self._base}/api/v2/{'/'.join(quote(part, safe='~') for part in path)}"
        try:
            answer = await self._client.get(there, params=query, headers=self._headers)
        except httpx.TransportError as error:
            raise HTTPException(503, "Airflow 的接口没有回答 (Airflow's API does not answer)") from error
        if answer.status_code in REFUSED:
            return None
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    async def every(self, *path: str, **query: Any) -> list[dict[str, Any]]:
        """Return all entries of a collection: the only list in each of its answers."""
        found: list[dict[str, Any]] = []
        while page := await self.get(*path, limit=PAGE, offset=len(found), **query):
            (entries,) = (value for value in page.values() if isinstance(value, list))
            found += entries
            if not entries or len(found) >= page["total_entries"]:
                break
        return found


AirflowDep = Annotated[AirflowApi, Depends(AirflowApi)]
