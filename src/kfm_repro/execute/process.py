"""Run one command: its output logged and bounded, its end awaited, its group ended when we are interrupted."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import IO, BinaryIO

from kfm_repro.errors import NotReplayable
from kfm_repro.execute.leftover import LeftRunning, Orphans
from kfm_repro.execute.logs import RunLog

__all__ = ["Echo", "Outcome", "Process", "run_command"]

_LINE_BYTES = 64 << 10
_GRACE_S = 5.0
_DRAIN_S = 2.0
"""How long we wait for the rest of the output when a process that was left behind may hold the pipe open."""
_LONGEST_DRAIN_S = 20.0
_PATIENCE_S = 2.0
_LONGEST_PAUSE_S = 0.05


@dataclass(frozen=True)
class Outcome:
    """How a command ended. ``outcome`` is success, failed or timeout; times in seconds, memory in bytes.

    ``left`` is what it left running; in a group of its own that was ended.
    """

    outcome: str
    exit_code: int
    started: datetime
    finished: datetime
    user_s: float
    system_s: float
    peak_memory_bytes: int
    last_lines: tuple[str, ...] = ()
    left: LeftRunning = field(default_factory=LeftRunning)

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
    started = datetime.now(UTC)
    with RunLog(process.logs) as log, Orphans(_mark(process)) as orphans:
        child = _start(process)
        orphans.session = child.pid if process.own_group else None
        pumps = [
            _pump(child.stdout, "stdout", log, _STREAMS[process.echo][0]()),
            _pump(child.stderr, "stderr", log, _STREAMS[process.echo][1]()),
        ]
        try:
            usage, timed_out = _await(child, process)
            finished = datetime.now(UTC)
            left = orphans.left(0.0 if timed_out else _PATIENCE_S)
        finally:
            if process.own_group:
                _kill_group(child.pid)
                orphans.end()
        deadline = time.monotonic() + (_DRAIN_S if left.programs or not left.known else _LONGEST_DRAIN_S)
        for pump in pumps:
            pump.join(max(0.0, deadline - time.monotonic()))
    state = "timeout" if timed_out else "success" if child.returncode == 0 else "failed"
    return Outcome(
        outcome=state,
        exit_code=child.returncode,
        started=started,
        finished=finished,
        user_s=usage.ru_utime,
        system_s=usage.ru_stime,
        peak_memory_bytes=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        last_lines=log.last_lines,
        left=left,
    )


_STREAMS: dict[Echo, tuple[Callable[[], BinaryIO | None], Callable[[], BinaryIO | None]]] = {
    Echo.NONE: (lambda: None, lambda: None),
    Echo.BOTH: (lambda: sys.stdout.buffer, lambda: sys.stderr.buffer),
    Echo.STDERR: (lambda: sys.stderr.buffer, lambda: sys.stderr.buffer),
}


def _mark(process: Process) -> str:
    """Return the variable by which what the command starts is known: its run's own folder, or id."""
    names = (name for name in ("KFM_RUN_DIR", "KFM_RUN_ID") if name in process.env)
    return next((f"{name}={process.env[name]}" for name in names), "")


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


def _await(child: subprocess.Popen[bytes], process: Process) -> tuple[resource.struct_rusage, bool]:
    """Wait for the end of the command, or bring it about; return what it used and whether its time was up."""
    try:
        return _wait(child, process.timeout_s), False
    except subprocess.TimeoutExpired:
        return _end(child, process.own_group), True
    except BaseException:
        _end(child, process.own_group)
        raise


def _wait(child: subprocess.Popen[bytes], timeout_s: float | None) -> resource.struct_rusage:
    """Wait for the command and return what it and its children used, none of our other processes counted in.

    Raises subprocess.TimeoutExpired.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    pause = 0.0005
    while True:
        pid, status, usage = os.wait4(child.pid, 0 if deadline is None else os.WNOHANG)
        if pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            return usage
        remaining = (deadline or 0.0) - time.monotonic()
        if remaining <= 0:
            raise subprocess.TimeoutExpired(child.args, timeout_s or 0.0)
        pause = min(pause * 2, remaining, _LONGEST_PAUSE_S)
        time.sleep(pause)


def _end(child: subprocess.Popen[bytes], own_group: bool) -> resource.struct_rusage:  # noqa: FBT001 - one private switch
    """Ask the command to end, then make it; return what it used."""
    try:
        return _make_end(child, own_group)
    except ChildProcessError:
        # The interruption came between the end of the command and our taking note of it: how it ended is lost.
        child.returncode = -signal.SIGKILL
        if own_group:
            _kill_group(child.pid)
        return resource.getrusage(resource.RUSAGE_CHILDREN)


def _make_end(child: subprocess.Popen[bytes], own_group: bool) -> resource.struct_rusage:  # noqa: FBT001 - one private switch
    usage = None
    for number in (signal.SIGINT, signal.SIGTERM):
        if own_group:
            _kill_group(child.pid, number)
        elif number is signal.SIGTERM:
            child.terminate()
        try:
            usage = _wait(child, _GRACE_S / 2)
        except subprocess.TimeoutExpired:
            continue
        break
    else:
        child.kill()
    if own_group:
        _kill_group(child.pid)
    return usage or _wait(child, None)


def _kill_group(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _pump(pipe: IO[bytes] | None, stream: str, log: RunLog, echo: BinaryIO | None) -> threading.Thread:
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
