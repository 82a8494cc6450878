"""Start a command under its supervisor, at a level of isolation, and learn from it how the command ended."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kfm_repro.errors import NotReplayable
from kfm_repro.execute.isolate.bubblewrap import HELPER, SIZED, bubblewrap_arguments
from kfm_repro.execute.isolate.cell import Cell, Limits
from kfm_repro.execute.isolate.hidden import around
from kfm_repro.execute.isolate.levels import CONFINE, SHARED_MEMORY, Isolation
from kfm_repro.execute.isolate.places import Place
from kfm_repro.execute.isolate.system import DEVICES, own_paths, shared_paths, system_paths

__all__ = ["Confinement", "Jail", "Report"]

_START_S = 120.0
_OVERDUE_S = 30.0


@dataclass(frozen=True)
class Confinement:
    """How a command is kept apart: what it sees, at which level, within which limits.

    ``place`` is the locked folder in which its workspace lies; its lock goes with the supervisor.
    """

    cell: Cell
    level: Isolation
    limits: Limits = field(default_factory=Limits)
    place: Place | None = None
    umask: int | None = None


@dataclass(frozen=True)
class Report:
    """How a command ended. ``cause`` is empty when it ended by itself and nothing speaks for more than that.

    Else it is timeout, asked (we were interrupted), out-of-memory, disk-full, too-many-processes or killed, and
    ``evidence`` says what was seen. ``left`` processes were ended after it; all of them, if ``contained``.
    """

    exit_code: int
    cause: str
    evidence: str
    left: int
    contained: bool
    user_s: float
    system_s: float
    peak_bytes: int


class Jail:
    """One command under supervision, started by the constructor; ``stdout`` and ``stderr`` are its pipes.

    ``ended`` is when it had ended with all that it started, once `wait` has returned.
    Raises NotReplayable when the cell cannot be set up or the command cannot be started.
    """

    def __init__(self, argv: Sequence[str], cwd: Path, env: Mapping[str, str], how: Confinement) -> None:
        self._how = how
        self._program = argv[0]
        lifeline, self._lifeline = os.pipe()
        self._report, report = os.pipe()
        self._heard = b""
        self.ended = datetime.now(UTC)
        job = json.dumps(_job(argv, cwd, env, how, lifeline, report)).encode()
        handle = _in_memory(job)
        kept = [handle, lifeline, report, *([how.place.lock, how.place.processes] if how.place else [])]
        try:
            self._process = subprocess.Popen(
                [*_supervisor(how), str(handle)],
                cwd="/",
                env={"PATH": os.environ.get("PATH", os.defpath)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=kept,
                start_new_session=True,
            )
        except BaseException:
            os.close(self._lifeline)
            os.close(self._report)
            raise
        finally:
            for number in (handle, lifeline, report):
                os.close(number)
        self.stdout, self.stderr = self._process.stdout, self._process.stderr
        try:
            self._await_start()
        except BaseException:
            self.kill()
            self._process.communicate()
            raise

    def wait(self) -> Report:
        """Wait for the end of the command and of everything that it started."""
        limits = self._how.limits
        patience = None if limits.timeout_s is None else limits.timeout_s + limits.grace_s + _OVERDUE_S
        text = self._line(patience)
        # Taking a private root apart may take longer than a short command does.
        self.ended = datetime.now(UTC)
        self.kill()
        if text is None:
            return _lost()
        document = json.loads(text)
        if "failure" in document:
            code, step = document["failure"]
            raise NotReplayable(
                f"the command cannot be started: {step}: {os.strerror(code)}",
                hint="check that the program exists, is executable and is on PATH",
            )
        return Report(**{name: document[name] for name in Report.__dataclass_fields__})

    def stop(self) -> None:
        """Ask the command to end (SIGINT, then SIGTERM, then SIGKILL) and wait until it and its children have.

        Does nothing when they have already.
        """
        if self._report < 0:
            return
        with contextlib.suppress(OSError):
            os.write(self._lifeline, b"s")
        try:
            self._line(self._how.limits.grace_s + _OVERDUE_S)
        finally:
            self.kill()

    def kill(self) -> None:
        """End everything at once. Does nothing when it has ended."""
        for handle in (self._lifeline, self._report):
            if handle >= 0:
                os.close(handle)
        self._lifeline = self._report = -1
        try:
            self._process.wait(_OVERDUE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _await_start(self) -> None:
        if self._line(_START_S) is not None:
            return
        # Nothing holds the pipe any more once the supervisor is gone, so that reading it comes to an end.
        self._process.kill()
        said = self.stderr.read(1 << 16).decode(errors="replace").strip() if self.stderr else ""
        why = said.splitlines()[-1].removeprefix("bwrap: ") if said else "its supervisor did not start"
        raise NotReplayable(
            f"the {self._how.level} isolation could not be set up: {why}",
            hint="look with kfm-repro doctor, or take another level with --isolation",
        )

    def _line(self, patience: float | None) -> bytes | None:
        """Return the next line from the supervisor, None when it ends or takes too long."""
        deadline = None if patience is None else time.monotonic() + patience
        poll = select.poll()
        poll.register(self._report, select.POLLIN | select.POLLHUP)
        while b"\n" not in self._heard:
            remaining = None if deadline is None else (deadline - time.monotonic()) * 1000
            if remaining is not None and (remaining <= 0 or not poll.poll(remaining)):
                return None
            piece = os.read(self._report, 1 << 16)
            if not piece:
                return None
            self._heard += piece
        line, _, self._heard = self._heard.partition(b"\n")
        return line


def _supervisor(how: Confinement) -> list[str]:
    python = [os.path.realpath(sys.executable), "-I", "-S"]
    if how.level is Isolation.NAMESPACE:
        return [*bubblewrap_arguments(how.cell, how.limits), "--", *python, HELPER]
    if how.cell.moved:
        raise NotReplayable(
            f"the {how.level} isolation cannot show {how.cell.moved[0].source} elsewhere than it is",
            hint="that takes --isolation namespace",
        )
    return [*python, str(CONFINE)]


def _job(
    argv: Sequence[str], cwd: Path, env: Mapping[str, str], how: Confinement, lifeline: int, report: int
) -> dict[str, Any]:
    """Return what the supervisor has to know; confine/supervise.py reads it."""
    limits, cell = how.limits, how.cell
    private = how.level is Isolation.NAMESPACE
    strict = how.level in (Isolation.NAMESPACE, Isolation.LANDLOCK)
    return {
        "argv": list(argv), "cwd": str(cwd), "env": dict(env), "umask": how.umask,
        "lifeline": lifeline, "report": report,
        "record": how.place.processes if how.place and not private else None,
        "timeout": limits.timeout_s, "grace": limits.grace_s, "memory": limits.memory_bytes,
        "disk": limits.disk_bytes, "reserve": limits.reserve_bytes, "processes": limits.processes,
        "roots": [str(mount.at) for mount in cell.places if mount.writable],
        "sized": list(SIZED) if private else [],
        "network": cell.network,
        "capabilities": "none" if strict else "harmless",
        "landlock": _rules(cell) if how.level is Isolation.LANDLOCK else None,
    }  # fmt: skip


def _rules(cell: Cell) -> dict[str, list[str]]:
    """Return what Landlock lets through. Its rules only add: what lies in a writable place is writable.

    So a folder that holds something hidden is let through child by child; the folder itself cannot be listed then.
    """
    read = (*map(Path, system_paths()), *(mount.source for mount in cell.places if not mount.writable))
    return {
        "read": [
            *(str(path) for folder in read for path in around(folder, cell.hidden)),
            *shared_paths(), *own_paths(), "/proc",
        ],
        "write": [SHARED_MEMORY, *(str(mount.source) for mount in cell.places if mount.writable)],
        "device": list(DEVICES),
    }  # fmt: skip


def _lost() -> Report:
    return Report(
        -9, "killed", "its supervisor was killed", 0, contained=False, user_s=0, system_s=0, peak_bytes=0
    )


def _in_memory(data: bytes) -> int:
    """Return a descriptor from which the data can be read, and of which no name is left."""
    import tempfile

    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        handle = os.dup(file.fileno())
    os.lseek(handle, 0, os.SEEK_SET)
    return handle
