"""The logs of a run: what the command said, with time, stream and level; of a flood the head and the tail."""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Self

from kfm_repro.runs.write import stamp

__all__ = ["RunLog"]

_HEAD_BYTES = 4 << 20
_TAIL_BYTES = 2 << 20
_LAST_LINES = 12
_LEVEL = re.compile(r"\b(DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|FATAL)\b")
_LEVEL_WITHIN = 80
_LEVELS = {"WARN": "warning", "FATAL": "critical"}


class RunLog:
    """``pipeline.jsonl`` (all of the output) and ``stderr.log`` (as it came). Lines may come from threads."""

    def __init__(self, folder: Path) -> None:
        self._events = _Capped((folder / "pipeline.jsonl").open("ab"))
        self._stderr = _Capped((folder / "stderr.log").open("ab"))
        self._lock = threading.Lock()
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
            self._events.close(lambda text: _event("kfm-repro", "warning", text))
            self._stderr.close(lambda text: f"[kfm-repro] {text}\n".encode())

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The last lines of the output, for the message of a command that failed."""
        return tuple(self._last)

    def line(self, stream: str, raw: bytes) -> None:
        """Take one line of output; lines that come after the end are dropped."""
        text = raw.decode("utf-8", errors="replace").rstrip("\r\n")
        event = _event(stream, _level(stream, text), text)
        with self._lock:
            if self._closed:
                return
            self._last.append(text)
            self._events.write(event)
            if stream == "stderr":
                self._stderr.write(raw)


class _Capped:
    """A file that takes what comes until it is full, and then only keeps the end of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._written = 0
        self._tail: deque[bytes] = deque()
        self._held = 0
        self._dropped = 0

    def write(self, line: bytes) -> None:
        if not self._tail and self._written + len(line) <= _HEAD_BYTES:
            self._written += len(line)
            self._file.write(line)
            self._file.flush()
            return
        self._tail.append(line)
        self._held += len(line)
        while self._held > _TAIL_BYTES and len(self._tail) > 1:
            self._held -= len(self._tail.popleft())
            self._dropped += 1

    def close(self, notice: Callable[[str], bytes]) -> None:
        if self._dropped:
            self._file.write(notice(f"{self._dropped} lines left out here: the output was a flood"))
        self._file.writelines(self._tail)
        self._file.close()


def _event(stream: str, level: str, text: str) -> bytes:
    record = {"time": stamp(datetime.now(UTC)), "stream": stream, "level": level, "text": text}
    return (json.dumps(record, ensure_ascii=False) + "\n").encode("utf-8", errors="backslashreplace")


def _level(stream: str, text: str) -> str:
    """Return the level that a line names itself at its beginning, else what its stream suggests."""
    named = _LEVEL.search(text, 0, _LEVEL_WITHIN)
    if named:
        return _LEVELS.get(named[1], named[1].lower())
    return "error" if stream == "stderr" else "info"
