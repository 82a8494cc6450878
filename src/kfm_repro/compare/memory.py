"""How much memory a comparison may take when nobody says, and how to give back what is not needed any more."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import cache
from pathlib import Path

__all__ = ["available", "economise", "hold"]

_CGROUP = Path("/sys/fs/cgroup/memory.max")
_MEMINFO = Path("/proc/meminfo")
_UNKNOWN = 4 << 30
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Parameters of glibc's mallopt (malloc.h)."""
_RETURNED = 1 << 17
"""Allocations of so many bytes go back to the system as soon as they are freed."""
_LARGEST_HELD, _HELD = 32 << 20, 128 << 20
"""The largest allocation that glibc may be asked to keep, and how much of what is free it keeps."""


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
def hold() -> None:
    """Have freed memory kept for the next allocation, unless a bound was set: the system clears what it gives anew."""
    if economise.cache_info().currsize:
        return
    _set({_MMAP_THRESHOLD: _LARGEST_HELD, _TRIM_THRESHOLD: _HELD})


@cache
def economise() -> None:
    """Have freed memory given back at once: allocators keep it for the next one, and a bound is for all of it.

    It takes time, in the system above all; so only where somebody set a bound.
    """
    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())
    _set({_MMAP_THRESHOLD: _RETURNED, _TRIM_THRESHOLD: _RETURNED, _ARENA_MAX: 1})


def _set(parameters: Mapping[int, int]) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        for parameter, value in parameters.items():
            mallopt(parameter, value)
