"""Real servers for tests: an HTTP server that misbehaves as told, and a private PostgreSQL cluster."""

import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

DATE = "Fri, 20 Nov 2026 01:00:00 GMT"


@dataclass
class Answer:
    """What to send: body and headers; `announce` lies about the length, `pause` waits before each byte."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    announce: int | None = None
    drip_seconds: float = 0.0
    hang_seconds: float = 0.0


def rows_answer(rows: list[dict], total: int | None = None, **headers: str) -> Answer:
    body: dict = {"data": {"rows": rows}}
    if total is not None:
        body["data"]["total"] = total
    return Answer(json.dumps(body, ensure_ascii=False).encode(), headers=headers)


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that turns away from a misbehaving server is what these tests are about."""


class Api:
    """An HTTP server whose answers are made by `behave(query, headers, number_of_request)`."""

    def __init__(self, behave: Callable[[dict[str, str], dict[str, str], int], Answer]) -> None:
        self.requests: list[tuple[str, dict[str, str], dict[str, str]]] = []
        stop = self._stop = threading.Event()
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {k: v[0] for k, v in parse_qs(parts.query).items()}
                api.requests.append((parts.path, query, dict(self.headers)))
                answer = behave(query, dict(self.headers), len(api.requests))
                if stop.wait(answer.hang_seconds):
                    return
                self.send_response_only(answer.status)
                headers = {"Date": DATE, "Content-Type": "application/json", **answer.headers}
                for name, value in headers.items():
                    self.send_header(name, value)
                length = len(answer.body) if answer.announce is None else answer.announce
                self.send_header("Content-Length", str(length))
                self.end_headers()
                try:
                    self._send(answer)
                except OSError:
                    return
                self.close_connection = self.close_connection or answer.announce is not None

            def _send(self, answer: Answer) -> None:
                if not answer.drip_seconds:
                    self.wfile.write(answer.body)
                    return
                for byte in answer.body:
                    if stop.wait(answer.drip_seconds):
                        return
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()

            def log_message(self, *args: object) -> None:
                pass

        self._server = _QuietServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def close(self) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def postgres() -> Iterator[str | None]:
    """Start a private cluster and give its SQLAlchemy URL; None where PostgreSQL is not installed."""
    binaries = _postgres_binaries()
    if binaries is None:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="chengxin-pg-"))
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    run_as = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    try:
        if run_as:
            shutil.chown(folder, "postgres")
        data, port = folder / "data", _free_port()
        quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
        initdb = [binaries / "initdb", "-D", data, "-A", "trust", "-U", user, "-E", "UTF8", "--locale=C", "-N"]
        subprocess.run([*run_as, *initdb], **quiet)
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        control = [*run_as, binaries / "pg_ctl", "-D", data, "-w"]
        subprocess.run([*control, "-l", folder / "log", "-o", options, "start"], **quiet)
        try:
            yield f"postgresql+psycopg://{user}@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **quiet)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_binaries() -> Path | None:
    found = [p.parent for p in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))]
    beside = shutil.which("initdb")
    return found[-1] if found else Path(beside).parent if beside else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
