"""A process that forks a child for each line it is told, to pull the contract of a file into a home.

Run by test_http_resume.py: `pull_server.py CONTRACT.json`; a line is a home; answers `pid <n>`, then `end <status>`.
"""

import os
import sys
from pathlib import Path

from chengxin.connectors import landing
from chengxin.connectors.http import connector  # noqa: F401 - what a pull imports on its way, done once
from chengxin.contracts.models import Contract
from chengxin.home import Home
from chengxin.settings import Settings


def pull(contract: Contract, home: Path) -> None:
    settings = Settings(home=home)
    for delivery in landing.offered(Home(settings), contract):
        landing.land(Home(settings), contract, delivery)


def serve(contract: Contract) -> None:
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                pull(contract, Path(line.strip()))
                status = 0
            finally:
                os._exit(status)
        print(f"pid {pid}", flush=True)
        print(f"end {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}", flush=True)


if __name__ == "__main__":
    serve(Contract.model_validate_json(Path(sys.argv[1]).read_bytes()))
