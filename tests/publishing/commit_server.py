"""A process that has everything imported and forks a stopped child for each home it is told; the child commits a draft.

Run by test_kill.py under strace. Reads one home a line from stdin, answers `pid <n>` and, when the child ended,
`end <exit status or -signal>`.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from chengxin.errors import ChengxinError
from chengxin.publishing import commit
from chengxin.store.layout import Layout
from chengxin.store.manifest import Manifest


def publish(home: Path) -> None:
    """Do what a run does: put the tier in order, then commit the draft unless that has happened."""
    layout = Layout(home)
    now = commit.resume(layout, "government").current
    manifest = Manifest.from_bytes((home / "draft-manifest.json").read_bytes())
    if manifest.same_content(now):
        return
    commit.commit(layout, manifest, layout.drafts / "government", now, catalogue={"datasets": []})


def child(home: Path, work: Callable[[Path], object]) -> int:
    os.kill(os.getpid(), signal.SIGSTOP)
    try:
        work(home)
    except ChengxinError as error:
        return 10 if type(error).__name__ == "CommitUnknown" else 11
    except OSError:
        return 12
    return 0


def main(work: Callable[[Path], object] = publish) -> None:
    """Serve; work: what a child does with its home."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os._exit(child(Path(line.strip()), work))
        os.waitpid(pid, os.WUNTRACED)
        print(f"pid {pid}", flush=True)
        _, status = os.waitpid(pid, 0)
        print(f"end {os.waitstatus_to_exitcode(status)}", flush=True)


if __name__ == "__main__":
    main()
