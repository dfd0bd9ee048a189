"""A process that has everything imported and forks a stopped child for each command line it is told.

Run by test_kills.py. Reads one JSON list of arguments a line, answers `pid <n>` and, when the child ended,
`end <exit status or -signal>`.
"""

import json
import os
import signal
import sys

import great_expectations  # noqa: F401 - what a run imports on its way, done once

from chengxin import pipeline  # noqa: F401
from chengxin.cli import commands, main, render, work  # noqa: F401


def child(arguments: list[str]) -> int:
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    if "--loud" not in arguments:
        os.dup2(quiet, 2)
    os.kill(os.getpid(), signal.SIGSTOP)
    try:
        main(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def serve() -> None:
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os.setsid()
            status = 70
            try:
                status = child(json.loads(line))
            finally:
                os._exit(status)
        os.waitpid(pid, os.WUNTRACED)
        print(f"pid {pid}", flush=True)
        _, status = os.waitpid(pid, 0)
        print(f"end {os.waitstatus_to_exitcode(status)}", flush=True)


if __name__ == "__main__":
    serve()
