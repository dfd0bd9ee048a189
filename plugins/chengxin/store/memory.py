"""How a process of ours treats memory: arrays of megabytes come and go by the thousand."""

import ctypes
import gc

from chengxin.settings import put_default

# malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_OBJECTS = 50_000  # made, less those freed, before the youngest are looked at; Python's own figure is 700
_MOST_MMAP_THRESHOLD = 32 << 20  # bytes; glibc refuses more


def expect_short_life() -> None:
    """Take memory and keep it until the process ends; for the entry points of short-lived processes.

    What is freed stays with the C library (glibc only): each array would be mapped anew and its pages cleared by the
    kernel, a sixth of a worker's CPU. Arrow's own allocator is told the same in chengxin/__init__.py. Cycles are looked
    for less often: that took a fifth of importing Great Expectations. Numpy's linear algebra, which nothing here uses,
    starts no threads unless it has been imported already.

    Airflow's tasks do without: large files are standardised by workers, which do call it, and the rest of a batch of
    100,000 rows took 1.80 CPU seconds without what is said of the C library and 1.94 with it.
    """
    gc.set_threshold(_OBJECTS, 10, 10)
    put_default({"OPENBLAS_NUM_THREADS": "1"})
    change = getattr(ctypes.CDLL(None), "mallopt", None)
    if change:
        change(_M_MMAP_THRESHOLD, _MOST_MMAP_THRESHOLD)
        change(_M_TRIM_THRESHOLD, 1 << 30)
