"""Reading the agent's log: what a command and its children read, opened, started and tried to reach.

The log is written by the command's own processes and may hold anything: every line that is not one of ours is
passed over and counted. A line is torn only when its process or the machine died while it was written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

__all__ = ["Event", "Kind", "Place", "read_events"]

_MOST_BYTES = 256 << 20
_MOST_EVENTS = 1_000_000
_MOST_LINE = 8192
_ESCAPED = re.compile(rb"\\(?:x([0-9a-f]{2})|~$)")
_EVENT_FIELDS = 11
_COUNT_FIELDS = 5


class Kind(StrEnum):
    """What was done. The names are those of the log."""

    PROCESS = "process"
    OPEN = "open"
    MISSING = "missing"
    CONNECT = "connect"
    RESOLVE = "resolve"
    EXEC = "exec"
    CLOCK = "clock"
    ENTROPY = "entropy"
    LISTING = "listing"
    HOSTNAME = "hostname"
    CPU = "cpu"
    MEMORY = "memory"
    TZ = "tz"
    LOCALE = "locale"
    THREAD = "thread"
    NOTE = "note"


_KINDS = {kind.value: kind for kind in Kind}


@dataclass(frozen=True)
class Place:
    """A line of a Python program, as Python names the file."""

    file: str
    line: int


@dataclass(frozen=True)
class Event:
    """One thing that one process did ``count`` times in one place.

    ``error`` is 0 or an errno; ``how`` a word of the agent (the function, or how a file was opened: r, w, c(reate),
    t(runcate), a(ppend), x, d(irectory)); ``text`` the path, host or program, ``cut`` when it was too long. ``at`` is
    the innermost Python frame, ``own`` the innermost one that is of no library, both None outside of Python.
    ``imported``: during an import. A NOTE is about the log itself: ``full``, ``lost``, ``malformed``, ``config``.
    """

    pid: int
    process: str
    kind: Kind
    how: str
    text: str = ""
    error: int = 0
    count: int = 1
    at: Place | None = None
    own: Place | None = None
    imported: bool = False
    cut: bool = False


def read_events(folder: Path) -> tuple[Event, ...]:
    """Return the events of a prepared agent folder, in the order in which each was first seen; none without a log."""
    try:
        with (folder / "log" / "events").open("rb") as log:
            return _Reader().read(log)
    except FileNotFoundError:
        return ()


class _Reader:
    def __init__(self) -> None:
        self._events: dict[tuple[bytes, bytes], Event] = {}
        self._earlier: dict[tuple[bytes, bytes], int] = {}
        self._ahead: dict[tuple[bytes, bytes], int] = {}
        self._malformed = 0
        self._full = False

    def read(self, log: BinaryIO) -> tuple[Event, ...]:
        size = 0
        while line := log.readline(_MOST_LINE):
            size += len(line)
            if not line.endswith(b"\n"):
                if len(line) < _MOST_LINE:
                    break  # torn: its writer is gone
                self._malformed += 1
                continue
            if size > _MOST_BYTES or len(self._events) >= _MOST_EVENTS:
                self._full = True
                break
            try:
                self._take(line[:-1].split(b"\t"))
            except (ValueError, KeyError):
                self._malformed += 1
        notes = []
        if self._full:
            notes.append(Event(0, "", Kind.NOTE, "full", "the log has reached its bound"))
        if self._malformed:
            text = "lines of the log are not the agent's"
            notes.append(Event(0, "", Kind.NOTE, "malformed", text, count=self._malformed))
        return (*self._events.values(), *notes)

    def _take(self, fields: list[bytes]) -> None:
        if fields[0] == b"E" and len(fields) == _EVENT_FIELDS:
            self._event(fields)
        elif fields[0] == b"C" and len(fields) == _COUNT_FIELDS:
            self._count((fields[2], fields[3]), int(fields[4]))
        elif fields[0] == b"X":
            self._full = True
        else:
            raise ValueError(fields)

    def _count(self, key: tuple[bytes, bytes], count: int) -> None:
        if key in self._events:
            count += self._earlier.get(key, 0)
            self._events[key] = replace(self._events[key], count=max(count, self._events[key].count))
        elif len(self._ahead) < _MOST_EVENTS:
            # Another thread was quicker to count an event than the first one to write it; if the log is full, none is.
            self._ahead[key] = max(count, self._ahead.get(key, 0))

    def _event(self, fields: list[bytes]) -> None:
        _, pid, process, key, kind, error, how, text, at, own, imported = fields
        if seen := self._events.get((process, key)):
            # It was pushed out of the table of its process, and begins anew.
            self._earlier[process, key] = seen.count
            self._events[process, key] = replace(seen, count=seen.count + 1)
            return
        self._events[process, key] = Event(
            pid=int(pid),
            process=process.decode("ascii"),
            kind=_KINDS[kind.decode("ascii")],
            how=how.decode("ascii"),
            text=_unescaped(text),
            error=int(error),
            at=_place(at),
            own=_place(at if own == b"=" else own),
            imported=imported == b"1",
            cut=text.endswith(b"\\~"),
            count=self._ahead.pop((process, key), 1),
        )


def _unescaped(field: bytes) -> str:
    def byte(found: re.Match[bytes]) -> bytes:
        return bytes([int(found[1], 16)]) if found[1] else b""

    return _ESCAPED.sub(byte, field).decode("utf-8", "surrogateescape")


def _place(field: bytes) -> Place | None:
    file, _, line = _unescaped(field).rpartition(":")
    return Place(file, int(line)) if file else None
