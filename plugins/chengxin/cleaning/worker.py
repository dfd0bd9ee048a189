"""What a worker process does first. It imports no pyarrow, because it has to come before that."""

import ctypes
import multiprocessing
import os
import signal
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec

from chengxin.store.memory import expect_short_life


class _NoPandas(MetaPathFinder):
    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is kept out of this process", name="pandas")
        return None


def leave_pandas_out() -> None:
    """Keep pyarrow from importing pandas where it finds it: a third of a worker's start, and nothing here uses it."""
    sys.meta_path.insert(0, _NoPandas())


_PR_SET_PDEATHSIG = 1  # sys/prctl.h


def end_with_parent() -> None:
    """End this process with the one that started it, however that ends. Linux only.

    A worker whose run was killed would wait for work for ever, or still write into the folder of the run that follows.
    """
    change = getattr(ctypes.CDLL(None), "prctl", None)
    if change:
        change(_PR_SET_PDEATHSIG, signal.SIGKILL)
        parent = multiprocessing.parent_process()
        if parent and os.getppid() != parent.pid:  # it was killed before we asked
            os._exit(1)


def prepare() -> None:
    """Prepare a worker process; its memory goes back when it ends."""
    end_with_parent()
    leave_pandas_out()
    expect_short_life()
