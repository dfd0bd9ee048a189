"""`chengxin demo --airflow` as a process: what it says, what of it still runs."""

import os
import re
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
from pipeline_runs import command

from chengxin.cli.embedded_airflow import HOST
from chengxin.cli.embedded_api import AirflowApi
from chengxin.settings import PROJECT

# The second delivery of the bank accounts is held: somebody has to be asked before publication.
USED = ("commerce/commerce_registration", "banking/banking_settlement_account")
DOOR = re.compile(r"Airflow：(\S+)  用户 (\S+)  密码 (\S+)")


def contracts_below(folder: Path) -> Path:
    """Copy the contracts that are used below this folder; return it."""
    for name in USED:
        path = folder / "contracts" / f"{name}.yaml"
        path.parent.mkdir(parents=True)
        path.write_bytes((PROJECT / "dags" / "contracts" / f"{name}.yaml").read_bytes())
    return folder


class Started:
    """A run of the demo as a process, with what it has said so far."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.home = folder / "home"
        self.said_in = folder / f"said-{time.monotonic_ns()}"
        words = command(self.home, folder / "contracts", "demo", "--airflow", *options)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "CHENGXIN"))}
        kept["CHENGXIN_RETRY_SECONDS"] = "5"  # for a question that was answered at once
        with self.said_in.open("wb") as said:
            self.process = subprocess.Popen(
                words, env=kept, cwd=folder, stdout=said, stderr=said, start_new_session=True,
                preexec_fn=_listens,
            )  # fmt: skip

    @property
    def said(self) -> str:
        return self.said_in.read_text("utf-8", errors="replace")

    def until(self, words: str, seconds: float = 600, *, times: int = 1) -> str:
        ends = time.monotonic() + seconds
        while self.said.count(words) < times:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < ends, self.said
            time.sleep(0.5)
        return self.said

    def left(self) -> list[str]:
        """Return what still runs for this home."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                mine = process.environ().get("AIRFLOW_HOME") == str(self.home / "airflow")
                if mine and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(process.cmdline()))
        return found

    def nothing_left(self, seconds: float = 30) -> bool:
        ends = time.monotonic() + seconds
        while self.left() and time.monotonic() < ends:
            time.sleep(0.5)
        return not self.left()


def _listens() -> None:
    """Let Ctrl-C end a process also where whoever runs the tests does not hear it, in the background of a shell."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def door(said: str) -> AirflowApi:
    url, user, password = DOOR.findall(said)[-1]
    assert url.startswith(f"http://{HOST}:")
    return AirflowApi(url, user, password)
