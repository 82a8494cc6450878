"""Whether a command read its standard input: it is an input that no record keeps.

Nothing is put between the command and its standard input; the kernel says whether bytes were read from it.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from pathlib import Path
from typing import Self

__all__ = ["READ", "STDIN", "UNKNOWN", "UNREAD", "StdinWatch"]

READ, UNREAD, UNKNOWN = "read", "unread", "unknown"
STDIN = {
    READ: "the command read its standard input",
    UNKNOWN: "the command may have read its standard input (this machine does not tell)",
}
_ACCESS = 0x01  # IN_ACCESS, include/uapi/linux/inotify.h


class StdinWatch:
    """Watches file descriptor 0 of this process, which the command inherits."""

    def __init__(self) -> None:
        self._handle = -1
        self._offset: int | None = None
        self._there = False

    def __enter__(self) -> Self:
        try:
            state = os.fstat(0)
            null = Path(os.devnull).stat()
        except OSError:
            return self
        self._there = not (stat.S_ISCHR(state.st_mode) and state.st_rdev == null.st_rdev)
        if self._there:
            self._offset = _offset(state)
            self._handle = _watch()
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def finish(self) -> str:
        """Return `READ` when bytes were read from it, `UNREAD`, or `UNKNOWN` where the system does not say."""
        if not self._there:
            return UNREAD
        if self._offset is not None and _offset(os.fstat(0)) != self._offset:
            return READ
        if self._handle < 0:
            return UNREAD if self._offset is not None else UNKNOWN
        try:
            return READ if os.read(self._handle, 1 << 12) else UNREAD
        except BlockingIOError:
            return UNREAD


def _offset(state: os.stat_result) -> int | None:
    return os.lseek(0, 0, os.SEEK_CUR) if stat.S_ISREG(state.st_mode) else None


def _watch() -> int:
    """Return a handle that tells of reads from descriptor 0, -1 where there is none."""
    if not sys.platform.startswith("linux"):
        return -1
    libc = ctypes.CDLL(None, use_errno=True)
    handle = int(libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
    if handle >= 0 and int(libc.inotify_add_watch(handle, b"/proc/self/fd/0", _ACCESS)) < 0:
        os.close(handle)
        return -1
    return handle
