"""How many threads decode and compare at once: the cores that this process may use, at most eight."""

from __future__ import annotations

import os

__all__ = ["workers"]

_MOST = 8


def workers() -> int:
    """Return the number of threads; containers and taskset are heeded."""
    return max(1, min(_MOST, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1))
