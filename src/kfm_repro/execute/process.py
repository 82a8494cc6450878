"""Run one command: its output logged and bounded, its end awaited, its group ended when we are interrupted."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import IO, BinaryIO, Self

from kfm_repro.errors import NotReplayable
from kfm_repro.runs.write import stamp

__all__ = ["Echo", "Outcome", "Process", "run_command"]

_HEAD_BYTES = 4 << 20
_TAIL_LINES = 2_000
_LINE_BYTES = 64 << 10
_GRACE_S = 5.0
_DRAIN_S = 2.0


@dataclass(frozen=True)
class Outcome:
    """How a command ended. ``outcome`` is success, failed or timeout; times in seconds, memory in bytes."""

    outcome: str
    exit_code: int
    started: datetime
    finished: datetime
    user_s: float
    system_s: float
    peak_memory_bytes: int
    last_lines: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Wall-clock time of the command."""
        return (self.finished - self.started).total_seconds()


class Echo(StrEnum):
    """Where the output of a command goes besides the log: nowhere, as it comes, or all of it to our stderr."""

    NONE = "none"
    BOTH = "both"
    STDERR = "stderr"


@dataclass(frozen=True)
class Process:
    """What to run. ``own_group`` keeps Ctrl-C from the command, so that we can end it in order."""

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    logs: Path
    timeout_s: float | None = None
    echo: Echo = Echo.NONE
    own_group: bool = True


def run_command(process: Process) -> Outcome:
    """Run a command to its end and log what it says to ``logs/pipeline.jsonl`` and ``logs/stderr.log``.

    ``echo`` says whether its output also goes to ours, unchanged. Raises NotReplayable when it cannot be started, and
    lets KeyboardInterrupt through after the command and its children were ended.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = datetime.now(UTC)
    with _Log(process.logs) as log:
        child = _start(process)
        pumps = [
            _pump(child.stdout, "stdout", log, _STREAMS[process.echo][0]()),
            _pump(child.stderr, "stderr", log, _STREAMS[process.echo][1]()),
        ]
        timed_out = False
        try:
            child.wait(process.timeout_s)
        except subprocess.TimeoutExpired:
            timed_out = True
            _end(child, process.own_group)
        except BaseException:
            _end(child, process.own_group)
            raise
        if process.own_group:
            _kill_group(child.pid)
        finished = datetime.now(UTC)
        deadline = time.monotonic() + _DRAIN_S
        for pump in pumps:
            pump.join(max(0.0, deadline - time.monotonic()))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    state = "timeout" if timed_out else "success" if child.returncode == 0 else "failed"
    return Outcome(
        outcome=state,
        exit_code=child.returncode,
        started=started,
        finished=finished,
        user_s=after.ru_utime - before.ru_utime,
        system_s=after.ru_stime - before.ru_stime,
        peak_memory_bytes=after.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        last_lines=log.last_lines,
    )


_STREAMS: dict[Echo, tuple[Callable[[], BinaryIO | None], Callable[[], BinaryIO | None]]] = {
    Echo.NONE: (lambda: None, lambda: None),
    Echo.BOTH: (lambda: sys.stdout.buffer, lambda: sys.stderr.buffer),
    Echo.STDERR: (lambda: sys.stderr.buffer, lambda: sys.stderr.buffer),
}


def _start(process: Process) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(process.argv),
            cwd=process.cwd,
            env=dict(process.env),
            stdin=subprocess.DEVNULL if process.echo is Echo.NONE else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=process.own_group,
        )
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else str(exc)
        raise NotReplayable(
            f"the command cannot be started: {process.argv[0]}: {why}",
            hint="check that the program exists, is executable and is on PATH",
        ) from exc


def _end(child: subprocess.Popen[bytes], own_group: bool) -> None:  # noqa: FBT001 - one private switch
    """Ask the command to end, then make it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if own_group:
            _kill_group(child.pid, number)
        elif number is signal.SIGTERM:
            child.terminate()
        try:
            child.wait(_GRACE_S / 2)
        except subprocess.TimeoutExpired:
            continue
        break
    else:
        child.kill()
    if own_group:
        _kill_group(child.pid)
    child.wait()


def _kill_group(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _pump(pipe: IO[bytes] | None, stream: str, log: _Log, echo: BinaryIO | None) -> threading.Thread:
    """Start a thread that moves one pipe into the log, line by line."""

    def pump() -> None:
        if pipe is None:
            return
        with pipe:
            while line := pipe.readline(_LINE_BYTES):
                if echo is not None:
                    echo.write(line)
                    echo.flush()
                log.line(stream, line)

    thread = threading.Thread(target=pump, name=f"kfm-repro-{stream}", daemon=True)
    thread.start()
    return thread


class _Log:
    """The two log files: the head as it comes, of a flood only the tail, with a line that says so."""

    def __init__(self, folder: Path) -> None:
        self._events = (folder / "pipeline.jsonl").open("a", encoding="utf-8")
        self._stderr = (folder / "stderr.log").open("ab")
        self._lock = threading.Lock()
        self._written = 0
        self._dropped = 0
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._last: deque[str] = deque(maxlen=12)
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
            if self._tail:
                self._dropped -= len(self._tail)
                text = f"{max(self._dropped, 0)} lines left out here: the output was a flood"
                self._events.write(_event("kfm-repro", "warning", text))
                self._events.writelines(self._tail)
            self._events.close()
            self._stderr.close()

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The last lines of stderr, or of all output when stderr was silent."""
        return tuple(self._last)

    def line(self, stream: str, raw: bytes) -> None:
        """Take one line of output."""
        text = raw.decode("utf-8", errors="replace").rstrip("\r\n")
        with self._lock:
            if self._closed:
                return
            event = _event(stream, "error" if stream == "stderr" else "info", text)
            self._last.append(text)
            if self._written < _HEAD_BYTES:
                self._events.write(event)
                self._events.flush()
            else:
                self._dropped += 1
                self._tail.append(event)
            self._written += len(event)
            if stream == "stderr" and self._written < 2 * _HEAD_BYTES:
                self._stderr.write(raw)
                self._stderr.flush()


def _event(stream: str, level: str, text: str) -> str:
    record = {"time": stamp(datetime.now(UTC)), "stream": stream, "level": level, "text": text}
    return json.dumps(record, ensure_ascii=False) + "\n"
