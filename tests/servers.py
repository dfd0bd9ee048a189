"""Real servers for tests: an HTTP server that misbehaves as told, and a private PostgreSQL cluster."""

import json
import os
import pwd
import shutil
import socket
import ssl
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
class Asked:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    query_string: str

    @property
    def json(self) -> dict:
        return json.loads(self.body)


@dataclass
class Answer:
    """What to send: body and headers; `announce` lies about the length, `drip_seconds` waits before each byte.

    chunked: send without a length; with `announce` the end mark is missing too.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    announce: int | None = None
    drip_seconds: float = 0.0
    hang_seconds: float = 0.0
    chunked: bool = False


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
    """An HTTP server whose answers are made by `behave(query, headers, number_of_request)`.

    with_asked: `behave` gets the whole request, an `Asked`, instead. tls: serve HTTPS.
    """

    def __init__(
        self, behave: Callable[..., Answer], *, with_asked: bool = False, tls: ssl.SSLContext | None = None
    ) -> None:
        self.requests: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.asked: list[Asked] = []
        self.tls = tls
        self._behave, self._with_asked, self._stop = behave, with_asked, threading.Event()
        self._server = _QuietServer(("127.0.0.1", 0), _handler(self))
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def answer(self, asked: Asked) -> Answer | None:
        """Note a request and say what to send; None once the server is being closed."""
        self.requests.append((asked.path, asked.query, asked.headers))
        self.asked.append(asked)
        given = (asked,) if self._with_asked else (asked.query, asked.headers, len(self.requests))
        answer = self._behave(*given)
        return None if self.wait(answer.hang_seconds) else answer

    def wait(self, seconds: float) -> bool:
        return self._stop.wait(seconds)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/api"

    def close(self) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()


def _handler(api: Api) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            answer = api.answer(Asked(self.command, parts.path, query, dict(self.headers), body, parts.query))
            if answer is None:
                return
            self.send_response_only(answer.status)
            headers = {"Date": DATE, "Content-Type": "application/json", **answer.headers}
            length = len(answer.body) if answer.announce is None else answer.announce
            headers |= {"Transfer-Encoding": "chunked"} if answer.chunked else {"Content-Length": str(length)}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self._send(answer)
            except OSError:
                return
            self.close_connection = self.close_connection or answer.announce is not None

        def do_POST(self) -> None:
            self.do_GET()

        def _send(self, answer: Answer) -> None:
            if answer.chunked:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(answer.body), answer.body))
                self.wfile.write(b"" if answer.announce is not None else b"0\r\n\r\n")
                return
            if not answer.drip_seconds:
                self.wfile.write(answer.body)
                return
            for byte in answer.body:
                if api.wait(answer.drip_seconds):
                    return
                self.wfile.write(bytes([byte]))
                self.wfile.flush()

        def log_message(self, *args: object) -> None:
            pass

    return Handler


@dataclass(frozen=True)
class Cluster:
    """A private PostgreSQL cluster; `restart` breaks every connection, as a crash does."""

    url: str
    control: tuple[str | Path, ...]
    start: tuple[str | Path, ...]

    def restart(self) -> None:
        self.stop()
        self.begin()

    def stop(self) -> None:
        self._run("-m", "immediate", "stop")

    def begin(self) -> None:
        self._run(*self.start)

    def _run(self, *words: str | Path) -> None:
        quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
        subprocess.run([*self.control, *words], **quiet)


@contextmanager
def postgres() -> Iterator[str | None]:
    """Start a private cluster and give its SQLAlchemy URL; None where PostgreSQL is not installed."""
    with postgres_cluster() as cluster:
        yield cluster.url if cluster else None


@contextmanager
def postgres_cluster() -> Iterator[Cluster | None]:
    """Start a private cluster; None where PostgreSQL is not installed."""
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
        start = ("-l", folder / "log", "-o", options, "start")
        subprocess.run([*control, *start], **quiet)
        try:
            url = f"postgresql+psycopg://{user}@127.0.0.1:{port}/postgres"
            yield Cluster(url, tuple(control), start)
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
