"""Real places to drop files at: an OpenSSH server of the test's own, an S3 server, and a wire that can be cut."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

SSHD = "/usr/sbin/sshd"
PASSWORD = "p@ss/wörd+1"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise TimeoutError(port)


@dataclass
class Sftp:
    """A running OpenSSH server whose users see this machine's files. `inbox` is a fresh folder of it."""

    folder: Path
    port: int
    user: str
    has_password: bool

    @property
    def inbox(self) -> Path:
        return self.folder / "inbox"

    @property
    def fingerprint(self) -> str:
        shown = subprocess.run(
            ["ssh-keygen", "-lf", self.folder / "host.pub"], check=True, capture_output=True, text=True
        ).stdout
        return shown.split()[1]

    def known_hosts(self, port: int | None = None, key: str = "host.pub") -> Path:
        path = self.folder / f"known_hosts_{key}"
        kind, value = (self.folder / key).read_text().split()[:2]
        path.write_text(f"[127.0.0.1]:{port or self.port} {kind} {value}\n")
        return path

    def url(self, *, password: str | None = None, port: int | None = None, **query: str | Path) -> str:
        """Return the URL; without password it is by key."""
        if password is None:
            query = {"key": self.folder / "user", **query}
        query = query if "fingerprint" in query or "known_hosts" in query else {"fingerprint": self.fingerprint} | query
        secret = "" if password is None else ":" + quote(password, safe="")
        words = "&".join(f"{k}={v}" for k, v in query.items() if v)
        return f"sftp://{self.user}{secret}@127.0.0.1:{port or self.port}{quote(str(self.inbox))}?{words}"


@contextmanager
def sftp() -> Iterator[Sftp | None]:
    """Start a private OpenSSH server; None where it is not installed.

    As root it runs in a mount namespace of its own, where the shadow file is one that knows our password.
    """
    if not Path(SSHD).exists() or not shutil.which("ssh-keygen"):
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="chengxin-sshd-"))
    port, root = free_port(), os.geteuid() == 0
    user = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
    try:
        for name in ("host", "other", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        (folder / "inbox").mkdir()
        shutil.copy(folder / "user.pub", folder / "authorized_keys")
        (folder / "config").write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nStrictModes no\nUsePAM no\n"
            f"AuthorizedKeysFile {folder}/authorized_keys\nPermitRootLogin yes\nPasswordAuthentication yes\n"
            "Subsystem sftp internal-sftp\nUseDNS no\nMaxStartups 50\n"
        )
        command = [SSHD, "-D", "-e", "-f", str(folder / "config")]
        if root:
            Path("/run/sshd").mkdir(exist_ok=True)  # where sshd wants to be confined before login
            hashed = subprocess.run(
                ["openssl", "passwd", "-6", "-stdin"], input=PASSWORD, check=True, capture_output=True, text=True
            ).stdout.strip()
            lines = Path("/etc/shadow").read_text().splitlines()
            mine = [f"{user}:{hashed}:19000:0:99999:7:::" if x.startswith(f"{user}:") else x for x in lines]
            (folder / "shadow").write_text("\n".join(mine) + "\n")
            command = [
                "unshare", "-m", "sh", "-c", f'mount --bind {folder}/shadow /etc/shadow && exec "$@"', "sh", *command
            ]  # fmt: skip
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_for(port)
            yield Sftp(folder, port, user, root)
        finally:
            server.terminate()
            server.wait(10)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Wire:
    """A TCP relay that can be cut: `cut_after` bytes from the server, the next `cuts` connections are dropped."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.cut_after, self.cuts, self.made = 0, 0, 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.made += 1
                server = socket.create_connection(("127.0.0.1", self._to))
                budget = self.cut_after if self.cuts > 0 else -1
                self.cuts -= 1
                threading.Thread(target=self._relay, args=(client, server, -1), daemon=True).start()
                threading.Thread(target=self._relay, args=(server, client, budget), daemon=True).start()

    @staticmethod
    def _relay(source: socket.socket, sink: socket.socket, budget: int) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if budget >= 0:
                    data = data[:budget]
                    budget -= len(data)
                sink.sendall(data)
                if budget == 0:
                    break
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        self._listener.close()


@dataclass
class Store:
    """A running S3 server with one bucket."""

    port: int
    bucket: str = "exchange"

    def url(self, *, port: int | None = None, secret: str = "s3cret/+x") -> str:
        key = quote(secret, safe="")
        return f"s3://tester:{key}@{self.bucket}/in?endpoint=http://127.0.0.1:{port or self.port}&region=us-east-1"

    def put(self, name: str, data: bytes) -> None:
        self.client().put_object(Bucket=self.bucket, Key=f"in/{name}", Body=data)

    def client(self):
        import botocore.session

        return botocore.session.get_session().create_client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id="tester",
            aws_secret_access_key="s3cret/+x",
        )


@contextmanager
def store() -> Iterator[Store]:
    """Start an S3 server in this process."""
    from moto.server import ThreadedMotoServer

    port = free_port()
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    try:
        wait_for(port)
        made = Store(port)
        made.client().create_bucket(Bucket=made.bucket)
        yield made
    finally:
        server.stop()
