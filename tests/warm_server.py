"""Reads one JSON command a line, answers its process id and, at its end, its exit code: `warm_server.py PROGRAM`."""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any


def chengxin() -> Callable[[list[str]], object]:
    import great_expectations  # noqa: F401  what a run imports on its way, done once

    from chengxin import pipeline  # noqa: F401
    from chengxin.cli import commands, main, render, work  # noqa: F401

    return main


def airflow() -> Callable[[list[str]], object]:
    import great_expectations  # noqa: F401
    from airflow.__main__ import main
    from airflow.api_fastapi.execution_api import app  # noqa: F401
    from airflow.cli.commands import connection_command, dag_command, db_command  # noqa: F401

    from chengxin import pipeline  # noqa: F401
    from chengxin.orchestration import ingest, stages  # noqa: F401

    def call(words: list[str]) -> object:
        sys.argv = ["airflow", *words]
        return main()

    return call


def serve(program: Callable[[], Callable[[list[str]], object]]) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what imports print is no answer
    main = program()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            answers.close()
            sys.exit(_child(main, json.loads(line)))  # as Python ends: pools of processes are told to end, too
        os.waitpid(pid, os.WUNTRACED)
        print(pid, file=answers, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def _child(main: Callable[[list[str]], object], asked: dict[str, Any]) -> int:
    """Become the command: its session, environment, folder and files; return its exit code."""
    os.setsid()
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, asked["out"], os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        (2, asked["err"], os.O_WRONLY | os.O_CREAT | os.O_APPEND),
    ):
        os.dup2(os.open(path, flags, 0o600), number)
    os.kill(os.getpid(), signal.SIGSTOP)
    try:
        return _called(main, asked["words"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _called(main: Callable[[list[str]], object], words: list[str]) -> int:
    """Return what Python would exit with."""
    try:
        main(words)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve({"chengxin": chengxin, "airflow": airflow}[sys.argv[1]])
