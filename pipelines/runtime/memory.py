"""Telling the C library to keep the memory of blocks that were freed, for the next ones."""

from __future__ import annotations

import contextlib
import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_KEPT_BYTES = 1 << 30


def keep_freed_memory() -> None:
    """Keep up to 1 GiB of freed memory in this process (glibc; elsewhere nothing happens).

    By itself glibc gives every block of 4 MB back to the system, which then has to make 1,000 pages of zeros for the
    next one. The memory that is kept is at most what was in use at one time.
    """
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
