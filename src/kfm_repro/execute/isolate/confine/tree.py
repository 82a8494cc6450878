"""The processes that a command started, all of them: found in /proc, measured, ended."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

__all__ = ["Task", "Tree", "look_at", "tasks_of_user"]

_PAGE = os.sysconf("SC_PAGE_SIZE")
_END_S = 10.0
_PAUSE_S = 0.005


class Task(NamedTuple):
    """One process. ``started`` is in clock ticks since boot: a number that is used again has another one."""

    pid: int
    state: str
    parent: int
    group: int
    threads: int
    started: int


def look_at(pid: int) -> Task | None:
    """Return what /proc says of a process, None when there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return Task(pid, fields[0].decode(), int(fields[1]), int(fields[2]), int(fields[17]), int(fields[19]))


def tasks_of_user(user: int) -> int:
    """Return how many threads a user has on this machine: what RLIMIT_NPROC counts."""
    count = 0
    for pid in _numbers():
        with suppress(OSError):
            if os.stat(f"/proc/{pid}").st_uid == user:
                task = look_at(pid)
                count += task.threads if task else 0
    return count


class Tree:
    """Everything below this process. ``alone``: it is process 1 of a namespace, and all others are its own."""

    def __init__(self, *, alone: bool) -> None:
        self._alone = alone
        self._by_children = os.path.exists("/proc/self/task/%d/children" % os.getpid())  # noqa: UP031

    def living(self, *, thorough: bool) -> list[Task]:
        """Return the descendants that live, zombies left out; ``thorough`` looks at every process there is."""
        if self._alone:
            found = [task for pid in _numbers() if pid != os.getpid() and (task := look_at(pid))]
        elif self._by_children and not thorough:
            found = list(self._by_kinship())
        else:
            found = self._by_parents()
        return [task for task in found if task.state not in "ZX"]

    def end_all(self) -> bool:
        """Kill every descendant, also such that are being made meanwhile, and reap them. False: some live on."""
        deadline = time.monotonic() + _END_S
        while self._strike() and time.monotonic() < deadline:
            time.sleep(_PAUSE_S)
        return not self.living(thorough=True)

    def _strike(self) -> bool:
        """Kill whoever is there; return whether anyone is left to wait for."""
        if self._alone:
            with suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
        else:
            for task in self.living(thorough=True):
                # A group dies at one blow, between two forks of it; but ours is not theirs.
                with suppress(ProcessLookupError, PermissionError):
                    if task.group not in (os.getpgrp(), 0, 1):
                        os.killpg(task.group, signal.SIGKILL)
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(task.pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return False
        return True

    def _by_kinship(self) -> Iterator[Task]:
        waiting, seen = [os.getpid()], {os.getpid()}
        while waiting:
            pid = waiting.pop()
            for child in _children(pid):
                task = look_at(child)
                if task and child not in seen:
                    seen.add(child)
                    waiting.append(child)
                    yield task

    def _by_parents(self) -> list[Task]:
        tasks = [task for pid in _numbers() if (task := look_at(pid))]
        ours, grown = {os.getpid()}, True
        while grown:
            more = {task.pid for task in tasks if task.parent in ours} - ours
            ours |= more
            grown = bool(more)
        return [task for task in tasks if task.pid in ours and task.pid != os.getpid()]


def memory_of(tasks: Iterable[Task]) -> int:
    """Return the private memory of processes in bytes, at most: what a fork shares counts in each."""
    total = 0
    for task in tasks:
        with suppress(OSError, ValueError, IndexError), open(f"/proc/{task.pid}/statm", "rb") as file:
            fields = file.read().split()
            total += (int(fields[1]) - int(fields[2])) * _PAGE
    return total


def exact_memory_of(tasks: Iterable[Task]) -> int:
    """Return the memory of processes in bytes, what several share counted once; slower than memory_of."""
    total = 0
    for task in tasks:
        with suppress(OSError, ValueError, IndexError), open(f"/proc/{task.pid}/smaps_rollup", "rb") as file:
            sizes = {words[0]: int(words[1]) for line in file if len(words := line.split()) == 3}  # noqa: PLR2004
            total += (sizes.get(b"Pss_Anon:", 0) + sizes.get(b"Pss_Shmem:", 0)) << 10
    return total


def _children(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                yield from map(int, file.read().split())


def _numbers() -> Iterator[int]:
    with suppress(OSError):
        yield from (int(name) for name in os.listdir("/proc") if name.isdigit())
