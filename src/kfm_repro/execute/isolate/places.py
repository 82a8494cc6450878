"""Folders that replays work in: unique, locked while anyone lives who uses them, collected when nobody does."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import signal
import stat
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from kfm_repro.errors import NotWritable
from kfm_repro.runs.read import boot_id, process_started

__all__ = ["PREFIX", "Collected", "Place", "collect_leftovers", "new_place", "remove_tree"]

PREFIX = "kfm-repro-replay-"
"""Names of these folders in the temporary folder begin with this."""

_LOCK, _PROCESSES, _BOOT = "lock", "processes", "boot"
_ATTEMPTS = 100
_DYING_S = 10.0


@dataclass(frozen=True)
class Place:
    """A locked folder. ``lock`` and ``processes`` are descriptors that the supervisor inherits.

    The lock is free when kfm-repro and the supervisor are both gone. ``processes`` is where the supervisor writes
    down who runs, a line each: number and start in ticks since boot.
    """

    path: Path
    lock: int
    processes: int

    def remove(self) -> None:
        """Remove the folder and all that is in it, then give up the lock."""
        _remove(self.path)
        for handle in (self.processes, self.lock):
            with contextlib.suppress(OSError):
                os.close(handle)


@dataclass(frozen=True)
class Collected:
    """What was left by replays that were killed: folders removed, how many of their processes were ended."""

    removed: tuple[Path, ...] = ()
    ended: int = 0


def new_place(base: Path | None = None) -> Place:
    """Make a folder that nobody else uses, in ``base`` or the temporary folder, and lock it. Raises NotWritable."""
    try:
        for _ in range(_ATTEMPTS):
            path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base)).resolve()
            place = _take(path)
            if place is not None:
                return place
    except OSError as exc:
        raise NotWritable(
            f"no workspace can be made: {exc.strerror or exc}: {base or tempfile.gettempdir()}",
            hint="make room there, or choose another folder with TMPDIR",
        ) from exc
    raise NotWritable(f"no workspace can be locked in {base or tempfile.gettempdir()}")


def collect_leftovers(base: Path | None = None) -> Collected:
    """End what killed replays of this user left running, and remove their folders; the living are not touched.

    What cannot be removed now is left for the next time.
    """
    removed, ended = [], 0
    for path in sorted(Path(base or tempfile.gettempdir()).glob(f"{PREFIX}*")):
        with contextlib.suppress(OSError):
            state = path.lstat()
            if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid():
                continue
            count = _collect(path.resolve())
            ended += count or 0
            if count is not None and not path.exists():
                removed.append(path)
    return Collected(tuple(removed), ended)


def remove_tree(path: Path) -> None:
    """Remove a folder, also one whose folders were made unreadable; never raises, and follows no link."""
    shutil.rmtree(path, ignore_errors=True)
    if not path.exists():
        return
    for folder, names, _ in os.walk(path):
        for name in (".", *names):
            target = Path(folder, name)
            if not target.is_symlink():
                with contextlib.suppress(OSError):
                    target.chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)


def _remove(path: Path) -> None:
    """Remove the folder of a place, its lock last and alone: without one, nobody would ever collect what is left."""
    with contextlib.suppress(OSError):
        path.chmod(0o700)
        for item in path.iterdir():
            if item.is_dir() and not item.is_symlink():
                remove_tree(item)
            elif item.name != _LOCK:
                item.unlink()
        if {item.name for item in path.iterdir()} <= {_LOCK}:
            remove_tree(path)


def _take(path: Path) -> Place | None:
    """Lock a fresh folder; None when a collector was faster and takes it for a leftover."""
    try:
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if (path / _LOCK).stat().st_ino != os.fstat(lock).st_ino:
            os.close(lock)
            return None
        processes = os.open(path / _PROCESSES, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        (path / _BOOT).write_text(boot_id() or "", encoding="ascii")
    except (BlockingIOError, FileNotFoundError):
        os.close(lock)
        return None
    return Place(path, lock, processes)


def _collect(path: Path) -> int | None:
    """Collect one folder; return how many processes were ended, None when somebody uses it."""
    try:
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        # Killed just before it was locked, or just before its end; or being made: its maker takes another one then.
        path.rmdir()
        return 0
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        ended = _end({**_recorded(path), **_marked(path)})
        _remove(path)
        return ended
    finally:
        os.close(lock)


def _recorded(path: Path) -> dict[int, int]:
    """Return the processes that the supervisor wrote down, those of this boot."""
    found: dict[int, int] = {}
    with contextlib.suppress(OSError, ValueError):
        if (path / _BOOT).read_text(encoding="ascii") != (boot_id() or ""):
            return {}
        for line in (path / _PROCESSES).read_text(encoding="ascii").splitlines():
            pid, started = map(int, line.split())
            found[pid] = started
    return found


def _marked(path: Path) -> dict[int, int]:
    """Return the processes of this user that were started with a variable that points into the folder."""
    mark = b"=" + os.fsencode(path) + b"/"
    found: dict[int, int] = {}
    with contextlib.suppress(OSError):
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit() or int(folder.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                started = process_started(int(folder.name))
                ours = folder.stat().st_uid == os.geteuid()
                if ours and started is not None and mark in (folder / "environ").read_bytes():
                    found[int(folder.name)] = started
    return found


def _end(processes: dict[int, int]) -> int:
    """Kill processes that are still the ones that were meant, and wait for them; return how many."""
    handles = []
    for pid, started in processes.items():
        with contextlib.suppress(OSError, AttributeError):
            handle = os.pidfd_open(pid)
            handles.append(handle)
            if process_started(pid) != started or Path(f"/proc/{pid}").stat().st_uid != os.geteuid():
                os.close(handles.pop())
                continue
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    poll = select.poll()
    for handle in handles:
        poll.register(handle, select.POLLIN)
    deadline, waiting = time.monotonic() + _DYING_S, set(handles)
    while waiting and time.monotonic() < deadline:
        for handle, _ in poll.poll(max(1.0, (deadline - time.monotonic()) * 1000)):
            poll.unregister(handle)
            waiting.discard(handle)
    for handle in handles:
        os.close(handle)
    return len(handles)
