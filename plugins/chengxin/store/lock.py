"""One writer at a time: advisory file locks that the kernel frees when the process dies."""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from chengxin.errors import CommitConflict
from chengxin.store.layout import Layout


@contextmanager
def held(layout: Layout, name: str, *, seconds: float = 3600) -> Iterator[None]:
    """Hold the home's lock `name`; raise CommitConflict when somebody else keeps it longer than `seconds`."""
    layout.locks.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(layout.locks / f"{name}.lock", timeout=seconds):
            yield
    except Timeout as error:
        raise CommitConflict(f"另一个进程正占用“{name}”锁，已等待 {seconds:.0f} 秒；请稍后重试") from error
