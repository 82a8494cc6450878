"""File locks that the kernel drops with the process: a kill leaves nothing locked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kfm_repro.runs.trouble import runs_not_writable

__all__ = ["locked", "mark_lock", "runs_lock", "try_lock"]


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock file ``path``, waiting for it; any number of holders may share it. Raises OSError."""
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def runs_lock(runs: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of a runs folder: alone to delete runs, shared to mark one or to bring one in.

    Raises NotWritable.
    """
    with _held(runs, ".prune.lock", shared=shared):
        yield


@contextmanager
def mark_lock(runs: Path) -> Iterator[None]:
    """Hold what only one holds who changes the mark of a run: two at once would lose one mark. Raises NotWritable."""
    with _held(runs, ".mark.lock", shared=False):
        yield


@contextmanager
def _held(runs: Path, name: str, *, shared: bool) -> Iterator[None]:
    lock = locked(runs / name, shared=shared)
    try:
        lock.__enter__()
    except OSError as exc:
        raise runs_not_writable(runs, exc) from exc
    with ExitStack() as stack:
        stack.push(lock)
        yield


def try_lock(handle: int) -> bool:
    """Lock an open file or folder for ourselves; False when another process holds it."""
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
