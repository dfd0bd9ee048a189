"""What a worker process does first. It imports no pyarrow, because it has to come before that."""

import ctypes
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _NoPandas(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is kept out of this process", name="pandas")
        return None


def leave_pandas_out() -> None:
    """Keep pyarrow from importing pandas where it finds it: a third of a worker's start, and nothing here uses it."""
    sys.meta_path.insert(0, _NoPandas())


# malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MOST_MMAP_THRESHOLD = 32 << 20  # bytes; glibc refuses more


def keep_freed_memory() -> None:
    """Let the C library keep what is freed: arrays of megabytes come and go by the thousand here.

    Each would be mapped anew and its pages cleared by the kernel: a sixth of a worker's CPU. glibc only.
    """
    change = getattr(ctypes.CDLL(None), "mallopt", None)
    if change:
        change(_M_MMAP_THRESHOLD, _MOST_MMAP_THRESHOLD)
        change(_M_TRIM_THRESHOLD, 1 << 30)


def prepare() -> None:
    """Prepare a worker process; its memory goes back when it ends."""
    leave_pandas_out()
    keep_freed_memory()
