"""A real `airflow api-server` for the tests of the pages."""

import os
import signal
import socket
import subprocess
import time

import requests

from airflow_home import AirflowHome


class ApiServer:
    """Airflow's API server over a home; a context manager that gives its address once it answers."""

    def __init__(self, airflow: AirflowHome) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"
        self.log = airflow.folder / "api-server.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["airflow", "api-server", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)],
                env=airflow.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> str:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                if requests.get(f"{self.base}/api/v2/version", timeout=5).ok:
                    return self.base
            except requests.RequestException:
                assert self.process.poll() is None, self.log.read_text()[-3000:]
                time.sleep(0.5)
        raise AssertionError(self.log.read_text()[-3000:])

    def __exit__(self, *_: object) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(30)
