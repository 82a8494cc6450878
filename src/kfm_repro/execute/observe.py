"""What a command opens below the project: watched from outside by inotify, so that nothing is added to it.

The kernel reports every open of a file in a watched folder, by any process and any library: Python, GDAL, Arrow
and shell tools alike. It does not say which process it was, so that something else that reads the same files
meanwhile is counted in; an input too many is harmless, one too few makes a replay fail.
"""

from __future__ import annotations

import ctypes
import os
import re
import select
import stat
import struct
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from kfm_repro.runs.paths import kind_of, real_path

__all__ = ["Observation", "SeenState", "Watch", "remote_systems"]

SeenState = tuple[int, int, int, int]
"""Size in bytes, time of modification in nanoseconds, inode, time of change in nanoseconds.

The last one moves with a link or a mode as well, which is no change of data: it counts for what was written.
"""

# include/uapi/linux/inotify.h
_OPEN, _CLOSE_WRITE, _CLOSE_NOWRITE = 0x20, 0x08, 0x10
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x40, 0x80, 0x100, 0x200
_OVERFLOW, _ISDIR = 0x4000, 0x40000000
_ONLYDIR, _DONT_FOLLOW = 0x01000000, 0x02000000
_WRITTEN = _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
_MASK = _OPEN | _CLOSE_NOWRITE | _WRITTEN | _ONLYDIR | _DONT_FOLLOW
_EVENT = struct.Struct("iIII")

_REMOTE = (
    "nfs",
    "cifs",
    "smb",
    "9p",
    "ceph",
    "lustre",
    "gpfs",
    "afs",
    "beegfs",
    "glusterfs",
    "sshfs",
    "s3fs",
)
"""How the types of file systems begin, or end after ``fuse.``, that other machines write to as well."""

_MAX_FOLDERS = 50_000
_ENVIRONMENT = frozenset({"pyvenv.cfg", "conda-meta"})
_PASSED_OVER = frozenset({"__pycache__", "node_modules", "site-packages"})


@dataclass(frozen=True)
class Observation:
    """What was seen, by path relative to the project root; every tuple is sorted.

    ``before`` are the files that were there when the command began, ``read_first`` those that it read before it
    changed them, ``links`` symbolic links that lead out of the project, ``aliases`` those that stay inside, with the
    path that they lead to: what is opened through one is seen there. ``gap`` says why something may be missing; it
    is empty when every open was seen. ``remote`` are the kinds of file systems of other machines below the project.
    """

    before: dict[str, SeenState] = field(default_factory=dict)
    opened: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    read_first: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    aliases: dict[str, str] = field(default_factory=dict)
    remote: tuple[str, ...] = ()
    gap: str = ""


class Watch:
    """Watches the folders of a project while a command runs.

    Hidden folders, caches, virtual environments and ``passed_over`` (the run records) are left out. Where this
    machine cannot watch, the observation has a ``gap`` and only ``before`` and ``links``.
    """

    def __init__(self, root: Path, passed_over: Path, *, on: bool = True) -> None:
        self._root = root.resolve()
        self._passed_over = passed_over.resolve()
        self._before: dict[str, SeenState] = {}
        self._links: list[str] = []
        self._aliases: dict[str, str] = {}
        self._folders: dict[int, str] = {}
        self._opened: set[str] = set()
        self._listed: set[str] = set()
        self._written: set[str] = set()
        self._read: set[str] = set()
        self._read_first: set[str] = set()
        self._gap = "" if on else "observation was turned off"
        self._handle = -1
        self._wake = (-1, -1)
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        libc = self._start() if not self._gap else None
        # The watch comes before the look inside, so that nothing is opened unseen in between; our own listing
        # is taken back below.
        for number, (folder, entries) in enumerate(self._walk(libc)):
            if number >= _MAX_FOLDERS:
                self._gap = self._gap or f"the project has more than {_MAX_FOLDERS} folders"
                break
            self._note_files(folder, entries)
            if self._handle >= 0:
                self._drain()
        if self._handle >= 0:
            self._drain()
            for seen in (self._opened, self._listed, self._written, self._read, self._read_first):
                seen.clear()
            self._wake = os.pipe()
            self._thread = threading.Thread(target=self._follow, name="kfm-repro-observe", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def finish(self) -> Observation:
        """Stop watching and return what was seen."""
        self._stop()
        return Observation(
            before=self._before,
            opened=tuple(sorted(self._opened)),
            listed=tuple(sorted(self._listed)),
            written=tuple(sorted(self._written)),
            read_first=tuple(sorted(self._read_first)),
            links=tuple(sorted(self._links)),
            aliases=dict(sorted(self._aliases.items())),
            remote=remote_systems(self._root, _mounts()),
            gap=self._gap,
        )

    def _start(self) -> ctypes.CDLL | None:
        if not sys.platform.startswith("linux"):
            self._gap = "this system does not report which files a command opens"
            return None
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            self._handle = int(libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
        except AttributeError:
            self._handle = -1
        if self._handle < 0:
            self._gap = "this machine does not report which files a command opens (inotify is not available)"
            return None
        return libc

    def _walk(self, libc: ctypes.CDLL | None) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
        """Watch every folder, and yield it with what lies in it, by path."""
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            place = self._root / folder
            if libc is not None and not self._gap:
                self._watch(libc, place, folder)
            try:
                with os.scandir(place) as found:
                    entries = sorted(found, key=lambda entry: entry.name)
            except OSError:
                continue
            if folder and any(entry.name in _ENVIRONMENT for entry in entries):
                continue
            yield folder, entries
            waiting += [
                f"{folder}{entry.name}/"
                for entry in reversed(entries)
                if entry.is_dir(follow_symlinks=False)
                and not entry.name.startswith(".")
                and entry.name not in _PASSED_OVER
                and Path(entry.path) != self._passed_over
            ]

    def _watch(self, libc: ctypes.CDLL, place: Path, folder: str) -> None:
        number = int(libc.inotify_add_watch(self._handle, os.fsencode(place), _MASK))
        if number >= 0:
            self._folders[number] = folder
        elif os.path.isdir(place) and os.access(place, os.R_OK):  # noqa: PTH112 - one stat, no object
            reason = os.strerror(ctypes.get_errno())
            self._gap = f"not every folder could be watched ({reason}; see fs.inotify.max_user_watches)"

    def _note_files(self, folder: str, entries: list[os.DirEntry[str]]) -> None:
        for entry in entries:
            path = f"{folder}{entry.name}"
            try:
                state = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISREG(state.st_mode):
                self._before[path] = (state.st_size, state.st_mtime_ns, state.st_ino, state.st_ctime_ns)
            elif stat.S_ISLNK(state.st_mode):
                target = real_path(Path(entry.path))
                if not target.is_relative_to(self._root):
                    self._links.append(path)
                elif target != self._root and kind_of(target) in ("file", "folder"):
                    self._aliases[path] = target.relative_to(self._root).as_posix()

    def _follow(self) -> None:
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        poll.register(self._wake[0], select.POLLIN)
        while not any(number == self._wake[0] for number, _ in poll.poll()):
            self._drain()
        self._drain()

    def _drain(self) -> None:
        while True:
            try:
                events = os.read(self._handle, 1 << 16)
            except BlockingIOError:
                return
            except OSError as exc:
                self._gap = self._gap or f"the watch broke off: {exc.strerror}"
                return
            position = 0
            while position < len(events):
                number, mask, _, length = _EVENT.unpack_from(events, position)
                position += _EVENT.size
                self._take(number, mask, os.fsdecode(events[position : position + length].rstrip(b"\0")))
                position += length

    def _take(self, number: int, mask: int, name: str) -> None:
        if mask & _OVERFLOW:
            self._gap = self._gap or "files were opened faster than they could be noted"
        folder = self._folders.get(number)
        if folder is None:
            return
        path = f"{folder}{name}".rstrip("/")
        if mask & _ISDIR:
            if mask & _OPEN:
                self._listed.add(path)
            return
        if mask & _OPEN:
            self._opened.add(path)
        if mask & _CLOSE_NOWRITE:
            self._read.add(path)
        if mask & _WRITTEN:
            if path in self._read and path in self._before and path not in self._written:
                self._read_first.add(path)
            self._written.add(path)

    def _stop(self) -> None:
        if self._thread is not None:
            os.write(self._wake[1], b"x")
            self._thread.join()
            self._thread = None
            for handle in self._wake:
                os.close(handle)
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def remote_systems(root: Path, mounts: str) -> tuple[str, ...]:
    """Return the kinds of file systems of other machines that ``root`` lies on or holds, sorted.

    ``mounts`` is the text of /proc/self/mountinfo (proc_pid_mountinfo(5)).
    """
    found, above = set(), (0, "")
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        if len(before.split()) <= _MOUNT_POINT or not after:
            continue
        point = Path(
            re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), before.split()[_MOUNT_POINT])
        )
        kind = after.split()[0]
        if root.is_relative_to(point):
            above = max(above, (len(point.parts), kind), key=lambda item: item[0])
        elif point.is_relative_to(root):
            found.add(kind)
    names = {kind.removeprefix("fuse.") for kind in {*found, above[1]}}
    return tuple(sorted(name for name in names if name.startswith(_REMOTE)))


_MOUNT_POINT = 4


def _mounts() -> str:
    try:
        return Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
