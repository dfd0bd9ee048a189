"""A warm process: it has imported what a command needs, and forks a child for each command line it is told.

To start Python with Great Expectations or Airflow takes two to six CPU seconds, most of what a small command costs. A
fork is the same command without its start: arguments, environment, folder, output and exit code are its own.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

SERVER = Path(__file__).with_name("warm_server.py")
SECONDS = 300.0  # for one command, on a busy machine


class Warm:
    """Commands of one program, `chengxin` or `airflow`, in forks of a process that has it imported.

    environment: of the warm process, for what is read at import; a command has it too unless it is given its own.
    """

    def __init__(self, program: str, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self._process = subprocess.Popen(
            [sys.executable, str(SERVER), program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self.environment,
        )

    def begin(self, words: Iterable[str], environment: Mapping[str, str] | None = None, folder: Path | None = None,
              out: Path | None = None, err: Path | None = None) -> int:  # fmt: skip
        """Fork a command that is stopped before its first step, in a session of its own; return its process id."""
        asked = {"words": [*words], "environment": {**(environment or self.environment)}}
        asked |= {"folder": str(folder or Path.cwd()), "out": str(out or os.devnull), "err": str(err or os.devnull)}
        assert self._process.stdin
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def end(self) -> int:
        """Wait for the command that was begun; return its exit code, or -signal."""
        return self._answer()

    def run(self, words: Iterable[str], environment: Mapping[str, str] | None = None, folder: Path | None = None,
            *, together: bool = False) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Run a command and return what it printed; together: output and errors as one text."""
        words = [*words]
        with TemporaryDirectory() as kept:
            out, err = Path(kept) / "out", Path(kept) / ("out" if together else "err")
            pid = self.begin(words, environment, folder, out, err)
            late = threading.Timer(SECONDS, os.kill, (pid, signal.SIGKILL))
            late.start()
            os.kill(pid, signal.SIGCONT)
            code = self.end()
            late.cancel()
            return subprocess.CompletedProcess(words, code, out.read_text(), "" if together else err.read_text())

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> int:
        assert self._process.stdout
        return int(self._process.stdout.readline())
