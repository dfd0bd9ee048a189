"""Let a process keep the memory that it frees: arrays of megabytes come and go by the thousand in ours."""

import ctypes

# malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MOST_MMAP_THRESHOLD = 32 << 20  # bytes; glibc refuses more


def keep_freed_memory() -> None:
    """Let the C library keep what is freed until the process ends; for the entry points of short-lived processes.

    Each array would be mapped anew and its pages cleared by the kernel: a sixth of a worker's CPU. glibc only. Arrow's
    own allocator is told the same in chengxin/__init__.py. Airflow's tasks do without: large files are standardised by
    workers, which do call it, and the rest of a batch of 100,000 rows took 1.80 CPU seconds without it and 1.94 with.
    """
    change = getattr(ctypes.CDLL(None), "mallopt", None)
    if change:
        change(_M_MMAP_THRESHOLD, _MOST_MMAP_THRESHOLD)
        change(_M_TRIM_THRESHOLD, 1 << 30)
