"""A real S3 server for homes: conditional writes are one step, as S3 promises, and it can be made to fail."""

import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import botocore.session

from file_servers import free_port, wait_for

KEY, SECRET = "tester", "s3cret/+x"


class OneByOne:
    """Moto behind a lock: it looks whether an object is there and writes it in two steps, which must be one.

    before, after: asked with method (COPY for a copy inside the store) and path; True = drop the connection then.
    """

    def __init__(self, app: Any) -> None:
        self._app, self._lock = app, threading.Lock()
        self.before: Callable[[str, str], bool] = lambda method, path: False
        self.after: Callable[[str, str], bool] = lambda method, path: False
        self.requests: list[tuple[str, str]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        method = "COPY" if "HTTP_X_AMZ_COPY_SOURCE" in environ else method
        if self.before(method, path):
            return self._drop(environ)
        with self._lock:
            self.requests.append((method, path))
            answer = list(self._app(environ, start_response))
        if self.after(method, path):
            return self._drop(environ)
        return answer

    @staticmethod
    def _drop(environ: dict[str, Any]) -> Iterable[bytes]:
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        raise ConnectionError


class Server:
    """A running S3 server."""

    def __init__(self, port: int, gate: OneByOne) -> None:
        self.port, self.gate = port, gate

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1", "NO_PROXY": "127.0.0.1", **more,
        }  # fmt: skip

    def client(self) -> Any:
        return botocore.session.get_session().create_client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
        )

    def objects(self, bucket: str, prefix: str = "") -> dict[str, bytes]:
        """Return all objects below a prefix."""
        client, found = self.client(), {}
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", ()):
                body = client.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
                found[entry["Key"].removeprefix(prefix)] = body
        return found


@contextmanager
def s3_server() -> Iterator[Server]:
    """Start one in this process."""
    from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    class Quiet(MotoRequestHandler):
        def log(self, *_: Any) -> None:
            pass

    port = free_port()
    gate = OneByOne(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", port, gate, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    wait_for(port)
    try:
        yield Server(port, gate)
    finally:
        server.shutdown()
        thread.join(10)


def use(server: Server, monkeypatch: Any) -> None:
    """Let this process speak with a server."""
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    assert os.environ["AWS_ENDPOINT_URL"] == server.endpoint
