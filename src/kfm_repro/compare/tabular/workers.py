"""How many threads decode and compare at once: the cores that this process may use, at most eight."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from typing import TypeVar

__all__ = ["in_parallel", "workers"]

_MOST = 8

_here = threading.local()

T = TypeVar("T")
R = TypeVar("R")


def workers() -> int:
    """Return the number of threads; containers and taskset are heeded."""
    return max(1, min(_MOST, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1))


@cache
def _threads() -> ThreadPoolExecutor:
    """Return the threads of this process: to start some for every column takes longer than a small piece does."""
    return ThreadPoolExecutor(workers(), thread_name_prefix="compare", initializer=_mark)


def _mark() -> None:
    """Note of this thread that it is one of those."""
    _here.works = True


os.register_at_fork(after_in_child=_threads.cache_clear)


def in_parallel(work: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
    """Yield the results in the order of the tasks; as many threads as cores, and few results ahead.

    Within a task it works by itself: all threads might wait for others otherwise. When this returns or raises, no task
    runs any more.
    """
    if getattr(_here, "works", False):
        yield from map(work, tasks)
        return
    waiting: deque[Future[R]] = deque()
    try:
        for task in tasks:
            waiting.append(_threads().submit(work, task))
            if len(waiting) > workers():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        wait(waiting)
