"""The command line: `chengxin --help`. Chinese for people, `--json` for programs.

Exit codes: 0 fine, 3 something was held, 1 machinery failed, 2 usage, 130 interrupted.
"""

import atexit
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from chengxin import language
from chengxin.settings import environment

STOPPED = 130
INTERRUPTED = "已中断。已完成的部分不会丢失，可以重新运行同一命令。"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line, and end the process with its exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    language.choose(language.wanted(words, environment()))
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interruptible:
        # The last thing at exit: a signal after Python has let go of its handlers would change the exit code.
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGINT, _leave)  # imports take seconds on a busy machine, and nothing is begun yet
    from chengxin.cli import (  # noqa: F401  # add their commands
        acts,
        alerts,
        backup,
        commands,
        home,
        housekeeping,
        identity,
        judgements,
        onboarding,
        recipients,
        retry,
        state,
    )
    from chengxin.cli.group import main as group

    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    group(words)


def _leave(*_: Any) -> None:
    sys.stderr.write(f"\n{language.localise(INTERRUPTED)}\n")
    os._exit(STOPPED)


__all__ = ["main"]
