"""Let a process keep the memory that it frees: arrays of megabytes come and go by the thousand in ours."""

import ctypes

# malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MOST_MMAP_THRESHOLD = 32 << 20  # bytes; glibc refuses more


def keep_freed_memory() -> None:
    """Let the C library keep what is freed until the process ends; for the entry points of short-lived processes.

    Each array would be mapped anew and its pages cleared by the kernel: a sixth of a worker's CPU. glibc only. Arrow's
    own allocator is told the same in chengxin/__init__.py.
    """
    change = getattr(ctypes.CDLL(None), "mallopt", None)
    if change:
        change(_M_MMAP_THRESHOLD, _MOST_MMAP_THRESHOLD)
        change(_M_TRIM_THRESHOLD, 1 << 30)
