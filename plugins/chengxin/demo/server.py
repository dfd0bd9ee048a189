"""A department's HTTP interface on this machine, for the demo: pages of JSON out of what `write_sources` prepared."""

import json
import threading
from datetime import datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from chengxin.connectors.base import connection_variable
from chengxin.contracts.models import Contract
from chengxin.demo.sources import DemoSources
from chengxin.demo.writers import page_bytes


class _QuietServer(ThreadingHTTPServer):
    """Keeps the terminal free for the summary, also when a client hangs up."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing; the client says what went wrong."""


class DemoServer:
    """Serves the HTTP deliveries of a demo on 127.0.0.1 while the `with` block lasts; the port is free and chosen anew.

    environment: all CHENGXIN_* variables that a run over the demo needs, the addresses of this server included.
    """

    def __init__(self, sources: DemoSources) -> None:
        self._sources = sources
        self._server = _QuietServer(("127.0.0.1", 0), _handler(sources.interfaces))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables to set."""
        base = f"http://127.0.0.1:{self._server.server_address[1]}"
        addresses = {connection_variable(name): f"{base}/{name}" for name in self._sources.connections}
        return {**self._sources.environment, **addresses}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(folder: Path) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            interface = _interface(folder, parts.path)
            query = {key: value[-1] for key, value in parse_qs(parts.query).items()}
            body = _page(interface, query) if interface else b'{"error": "not found"}'
            self.send_response_only(200 if interface else 404)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            if interface:
                modified = datetime.fromisoformat(interface["modified"])
                self.send_header("Last-Modified", format_datetime(modified, usegmt=True))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    return Handler


def _interface(folder: Path, path: str) -> dict[str, Any] | None:
    """Find what is served under a path, as it is now: a second round replaces it while the server runs."""
    for file in sorted(folder.glob("*.json")):
        interface: dict[str, Any] = json.loads(file.read_bytes())
        if interface["path"].strip("/") == path.strip("/"):
            return interface
    return None


def _page(interface: dict[str, Any], query: dict[str, str]) -> bytes:
    contract = Contract.model_validate(interface["contract"])
    options = contract.delivery.options
    since = query.get(str(options.get("since_param", "")))
    rows = [
        row
        for row, updated in zip(interface["rows"], interface["updated"], strict=True)
        if since is None or datetime.fromisoformat(updated) >= datetime.fromisoformat(since)
    ]
    size = int(query.get(str(options.get("size_param", "page_size")), options.get("page_size", 500))) or len(rows)
    first = int(options.get("first_page", 1))
    start = (int(query.get(str(options.get("page_param", "page")), first)) - first) * size
    return page_bytes(contract, rows[start : start + size], len(rows))
