"""Processes that a command leaves running when it ends: what they write later is in no record.

While a command runs, this process adopts its orphans (PR_SET_CHILD_SUBREAPER), however they were detached. They are
told from other children of this process by a variable that the command was given, or by its session; one that cleared
its environment and left the session is not seen. Nor are any where the system does not list children.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

__all__ = ["LeftRunning", "Orphans"]

_SUBREAPER, _ASK_SUBREAPER = 36, 37  # include/uapi/linux/prctl.h
_ACCESS_MODE = os.O_WRONLY | os.O_RDWR
_PAUSE_S = 0.01
_END_S = 5.0


@dataclass(frozen=True)
class LeftRunning:
    """What was still running: the names of the programs, and the files that they had open for writing; sorted.

    ``known`` is whether this system tells.
    """

    programs: tuple[str, ...] = ()
    writing: tuple[Path, ...] = ()
    known: bool = False


class Orphans:
    """Adopts what a command leaves behind, from entering to leaving the context.

    ``mark`` is a variable of the command (``NAME=value``) that nothing else has; without one every new child counts.
    ``session`` is the session that the command leads, once it has one.
    """

    def __init__(self, mark: str = "") -> None:
        self._mark = mark.encode(errors="surrogateescape")
        self.session: int | None = None
        self._mine: set[int] = set()
        self._libc = ctypes.CDLL(None, use_errno=True) if sys.platform.startswith("linux") else None
        self._had = 0
        self._known: frozenset[int] = frozenset()

    def __enter__(self) -> Self:
        if self._libc is not None:
            had = ctypes.c_int(0)
            self._libc.prctl(_ASK_SUBREAPER, ctypes.byref(had), 0, 0, 0)
            self._had = had.value
            self._libc.prctl(_SUBREAPER, 1, 0, 0, 0)
        self._known = frozenset(_children(os.getpid()))
        return self

    def __exit__(self, *_: object) -> None:
        if self._libc is not None:
            self._libc.prctl(_SUBREAPER, self._had, 0, 0, 0)

    def left(self, patience_s: float) -> LeftRunning:
        """Return what is still running after ``patience_s``: helpers that end with their parent take a moment."""
        deadline = time.monotonic() + patience_s
        while running := self._running():
            if time.monotonic() >= deadline:
                break
            time.sleep(_PAUSE_S)
        return LeftRunning(
            programs=tuple(sorted(filter(None, (_name(pid) for pid in running)))),
            writing=tuple(sorted({path for pid in running for path in _written_by(pid)})),
            known=Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").exists(),
        )

    def end(self) -> None:
        """Kill all of them, and what they start meanwhile."""
        deadline = time.monotonic() + _END_S
        while (running := self._running()) and time.monotonic() < deadline:
            for pid in running:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_PAUSE_S)

    def _running(self) -> list[int]:
        """Return the living descendants that came since we began; the dead among our children are buried."""
        found: list[int] = []
        waiting = [pid for pid in _children(os.getpid()) if pid not in self._known and self._is_mine(pid)]
        for pid in waiting:
            self._mine.add(pid)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        while waiting:
            pid = waiting.pop()
            waiting += _children(pid)
            if _state(pid) not in ("", "Z", "X"):
                found.append(pid)
        return sorted(found)

    def _is_mine(self, pid: int) -> bool:
        if not self._mark or pid in self._mine:
            return True
        with contextlib.suppress(OSError):
            if self.session is not None and os.getsid(pid) == self.session:
                return True
            return self._mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        return False


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in _listed(Path(f"/proc/{pid}/task")):
        with contextlib.suppress(OSError, ValueError):
            found += map(int, (task / "children").read_text(encoding="ascii").split())
    return found


def _listed(folder: Path) -> Iterable[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return ()


def _state(pid: int) -> str:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[0]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _written_by(pid: int) -> Iterator[Path]:
    """Yield the files that a process has open for writing."""
    for handle in _listed(Path(f"/proc/{pid}/fd")):
        with contextlib.suppress(OSError, ValueError):
            target = handle.readlink()
            info = Path(f"/proc/{pid}/fdinfo/{handle.name}").read_text(encoding="ascii")
            flags = next(line for line in info.splitlines() if line.startswith("flags:"))
            if int(flags.split()[1], 8) & _ACCESS_MODE and target.is_file():
                yield target
