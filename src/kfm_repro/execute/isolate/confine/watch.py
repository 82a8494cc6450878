"""The limits that the kernel does not keep for us: memory, processes, disk; looked at often, at little cost."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from .tree import Task, Tree, exact_memory_of, memory_of

__all__ = ["Ceilings", "Watch", "used_bytes"]

_SHORTEST_S, _LONGEST_S = 0.03, 1.0
_SHARE = 20
"""Looking may take a twentieth of the time."""
_WALK_S = 2.0
_LEAST_INODES = 1000
_NEARLY_FULL = 64 << 10


class Ceilings(NamedTuple):
    """Limits in bytes and numbers, None for no limit. ``reserve`` is what has to stay free on a disk."""

    memory: int | None
    disk: int | None
    reserve: int
    processes: int | None


class Watch:
    """Looks after one command.

    ``roots`` are the folders that it may write to, ``sized`` the small file systems in memory that are all its own.
    """

    def __init__(self, tree: Tree, ceilings: Ceilings, roots: Iterable[str], sized: Iterable[str]) -> None:
        self._tree, self._ceilings = tree, ceilings
        self._roots, self._sized = tuple(roots), tuple(sized)
        self._disks = {}
        for root in self._roots:
            with suppress(OSError):
                self._disks[os.stat(root).st_dev] = root
        self._before = used_bytes(self._roots) if ceilings.disk is not None else 0
        self._free = {root: _free(root) for root in self._disks.values()}
        self._walked = time.monotonic()
        self._walk_pause = _WALK_S
        self.peak_memory = 0
        self.tasks: list[Task] = []

    def look(self) -> tuple[str, str, float]:
        """Return the limit that was passed, empty for none, the evidence, and after how many seconds to look again."""
        begun = time.monotonic()
        self.tasks = self._tree.living(thorough=False)
        passed = self._processes() or self._memory() or self._disk(sure=False) or ("", "")
        pause = min(max((time.monotonic() - begun) * _SHARE, _SHORTEST_S), _LONGEST_S)
        return *passed, pause

    def full(self) -> str:
        """Return the evidence that a command which failed found its disk full, empty when there is none."""
        for path in self._sized:
            with suppress(OSError):
                state = os.statvfs(path)
                if state.f_blocks and state.f_bavail * state.f_frsize < _NEARLY_FULL:
                    return f"{path} is full ({state.f_blocks * state.f_frsize} bytes)"
        found = self._disk(sure=True)
        return found[1] if found else ""

    def _processes(self) -> tuple[str, str] | None:
        limit = self._ceilings.processes
        if limit is not None and len(self.tasks) > limit:
            return "too-many-processes", f"{len(self.tasks)} processes at once, the limit is {limit}"
        return None

    def _memory(self) -> tuple[str, str] | None:
        limit = self._ceilings.memory
        used = memory_of(self.tasks)
        if limit is not None and used > limit:
            used = exact_memory_of(self.tasks) or used
        self.peak_memory = max(self.peak_memory, used)
        if limit is not None and used > limit:
            return "out-of-memory", f"{used} bytes of memory, the limit is {limit}"
        return None

    def _disk(self, *, sure: bool) -> tuple[str, str] | None:
        for path in self._disks.values():
            free, inodes = _free(path)
            before = self._free[path]
            if free < min(self._ceilings.reserve, before[0] // 2):
                return "disk-full", f"{free} bytes are left on the disk of the workspace"
            if before[1] > _LEAST_INODES > inodes:
                return "disk-full", f"{inodes} files are left on the disk of the workspace"
        limit = self._ceilings.disk
        if limit is None or not (sure or self._worth_a_walk(limit)):
            return None
        begun = time.monotonic()
        used, largest = _measure(self._roots)
        self._walked = time.monotonic()
        self._walk_pause = max(_WALK_S, (self._walked - begun) * _SHARE)
        if used - self._before > limit:
            return "disk-full", f"{used - self._before} bytes written, the limit is {limit}"
        if sure and largest >= limit:
            return "disk-full", f"a file of {largest} bytes, the limit is {limit}"
        return None

    def _worth_a_walk(self, limit: int) -> bool:
        """Walk when the disks lost about as many bytes as may be written, and now and then in any case."""
        waited = time.monotonic() - self._walked
        if waited > self._walk_pause:
            return True
        lost = sum(self._free[path][0] - _free(path)[0] for path in self._disks.values())
        return lost > limit and waited * _SHARE > self._walk_pause - _WALK_S


def used_bytes(roots: Iterable[str]) -> int:
    """Return the bytes that are allocated below some folders; a file with several names counts once."""
    return _measure(roots)[0]


def _measure(roots: Iterable[str]) -> tuple[int, int]:
    total, largest = 0, 0
    seen: set[tuple[int, int]] = set()
    waiting = list(roots)
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    key = (found.st_dev, found.st_ino)
                    if key in seen:
                        continue
                    if stat.S_ISDIR(found.st_mode):
                        seen.add(key)
                        waiting.append(entry.path)
                    elif found.st_nlink > 1:
                        seen.add(key)
                    total += found.st_blocks * 512
                    if stat.S_ISREG(found.st_mode):
                        largest = max(largest, found.st_size)
    return total, largest


def _free(path: str) -> tuple[int, int]:
    """Return free bytes and free inodes; a disk that does not count inodes has plenty."""
    try:
        state = os.statvfs(path)
    except OSError:
        return 1 << 62, 1 << 62
    return state.f_bavail * state.f_frsize, state.f_favail if state.f_files else 1 << 62
