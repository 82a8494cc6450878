"""How much memory a comparison may take when nobody says, and how to give back what is not needed any more."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

__all__ = ["available", "economise"]

_CGROUP = Path("/sys/fs/cgroup/memory.max")
_MEMINFO = Path("/proc/meminfo")
_UNKNOWN = 4 << 30
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Parameters of glibc's mallopt (malloc.h)."""
_RETURNED = 1 << 17
"""Allocations of so many bytes go back to the system as soon as they are freed."""


def available() -> int:
    """Return half of the memory that is free for this process, in bytes: of the machine, or of its container."""
    free = _UNKNOWN
    try:
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                free = int(line.split()[1]) * 1024
        limit = _CGROUP.read_text().strip()
        free = min(free, int(limit)) if limit.isdigit() else free
    except (OSError, ValueError, IndexError):
        pass
    return free // 2


@cache
def economise() -> None:
    """Have freed memory given back at once: allocators keep it for the next one, and a bound is for all of it.

    It takes time, in the system above all; so only where somebody set a bound.
    """
    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        for parameter, value in ((_MMAP_THRESHOLD, _RETURNED), (_TRIM_THRESHOLD, _RETURNED), (_ARENA_MAX, 1)):
            mallopt(parameter, value)
