"""Run one command: its output logged and bounded, its end awaited, everything it started ended.

A command with a ``confinement`` runs under a supervisor of its own, see isolate/; one without, as `record` runs it,
is our child.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, BinaryIO

from kfm_repro.errors import NotReplayable
from kfm_repro.execute.isolate import Confinement, Jail
from kfm_repro.execute.leftover import LeftRunning, Orphans
from kfm_repro.execute.logs import RunLog
from kfm_repro.runs.secrets import redact

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
    """How a command ended; times in seconds, memory in bytes, a negative exit code is a signal.

    ``outcome`` is success, failed or timeout; of a confined command also out-of-memory, disk-full,
    too-many-processes or killed (by a signal that was not ours). ``evidence`` says what speaks for it. ``left``
    is what it left running; ``ended`` processes outlived a confined command and were ended; ``contained`` is false
    when some could not be.
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
    evidence: str = ""
    ended: int = 0
    contained: bool = True

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
    """What to run. ``own_group`` keeps Ctrl-C from the command, so that we can end it in order.

    With a ``confinement``, whose limits hold the timeout, ``argv``, ``cwd`` and ``env`` are as the command sees them,
    and ``turn`` is entered while it runs.
    """

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    logs: Path
    timeout_s: float | None = None
    echo: Echo = Echo.NONE
    own_group: bool = True
    confinement: Confinement | None = None
    turn: Callable[[], AbstractContextManager[Any]] = field(default=nullcontext, compare=False)


def run_command(process: Process) -> Outcome:
    """Run a command to its end and log what it says to ``logs/pipeline.jsonl`` and ``logs/stderr.log``.

    ``echo`` says whether its output also goes to ours, unchanged. Raises NotReplayable when it cannot be started, and
    lets KeyboardInterrupt through after the command and its children were ended.
    """
    with RunLog(process.logs) as log:
        outcome = _run_confined(process, log) if process.confinement else _run_child(process, log)
    # What a command says of its end goes into messages and reports (rule 24).
    said = redact("\n".join(log.last_lines), name="stderr.log")
    return replace(
        outcome, last_lines=tuple(said.split("\n")) if said else (), evidence=redact(outcome.evidence)
    )


def _run_child(process: Process, log: RunLog) -> Outcome:
    started = datetime.now(UTC)
    with Orphans(_mark(process)) as orphans:
        child = _start(process)
        orphans.session = child.pid if process.own_group else None
        pumps = _pump_both(child.stdout, child.stderr, log, process.echo)
        try:
            usage, timed_out = _await(child, process)
            finished = datetime.now(UTC)
            left = orphans.left(0.0 if timed_out else _PATIENCE_S)
        finally:
            if process.own_group:
                _kill_group(child.pid)
                orphans.end()
        _drain(pumps, _DRAIN_S if left.programs or not left.known else _LONGEST_DRAIN_S)
    return Outcome(
        outcome="timeout" if timed_out else "success" if child.returncode == 0 else "failed",
        exit_code=child.returncode,
        started=started,
        finished=finished,
        user_s=usage.ru_utime,
        system_s=usage.ru_stime,
        peak_memory_bytes=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        left=left,
    )


def _run_confined(process: Process, log: RunLog) -> Outcome:
    if process.confinement is None:
        raise ValueError("a command without a confinement is our own child")
    with process.turn():
        jail = Jail(process.argv, process.cwd, process.env, process.confinement)
        started = datetime.now(UTC)
        pumps = _pump_both(jail.stdout, jail.stderr, log, process.echo)
        try:
            report = jail.wait()
        except BaseException:
            jail.stop()
            _drain(pumps)
            raise
    _drain(pumps, _LONGEST_DRAIN_S if report.contained else _DRAIN_S)
    return Outcome(
        outcome=report.cause or ("success" if report.exit_code == 0 else "failed"),
        exit_code=report.exit_code,
        started=started,
        finished=jail.ended,
        user_s=report.user_s,
        system_s=report.system_s,
        peak_memory_bytes=report.peak_bytes,
        evidence=report.evidence,
        ended=report.left,
        contained=report.contained,
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


def _pump_both(
    stdout: IO[bytes] | None, stderr: IO[bytes] | None, log: RunLog, echo: Echo
) -> tuple[threading.Thread, threading.Thread]:
    to_stdout, to_stderr = _STREAMS[echo]
    return _pump(stdout, "stdout", log, to_stdout()), _pump(stderr, "stderr", log, to_stderr())


def _drain(pumps: Sequence[threading.Thread], patience_s: float = _DRAIN_S) -> None:
    """Wait for what was said last, but not for what somebody may yet say who holds a pipe."""
    deadline = time.monotonic() + patience_s
    for pump in pumps:
        pump.join(max(0.0, deadline - time.monotonic()))


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
