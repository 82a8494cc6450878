"""Pipelines that misbehave, and what has to become of each at every level of isolation.

``python misbehaving.py LEVEL…`` runs all of them and prints a JSON line for each: so it can be done as another user.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kfm_repro.execute.isolate import (
    Cell,
    Confinement,
    Isolation,
    Limits,
    Place,
    arrange_inputs,
    interpreter_places,
    new_place,
    protect,
    writable,
)
from kfm_repro.execute.isolate.levels import landlock_abi
from kfm_repro.execute.process import Outcome, Process, run_command

HEAD = """
import ctypes, errno, os, shutil, signal, socket, subprocess, sys, time
project, outside, port, us = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
def attempt(what):
    try:
        print("said", what() or "done", flush=True)
    except OSError as exc:
        print("said", errno.errorcode.get(exc.errno, type(exc).__name__), flush=True)
def sleeper(**how):
    return subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"], **how)
def write(path):
    with open(path, "w") as file: file.write("mine")
"""

ROOT = os.geteuid() == 0
_ALL = ("namespace", "landlock", "agent", "none")


@dataclass(frozen=True)
class Case:
    """One pipeline. ``stated`` gives, by level, how it ends and what it says; a level that is not there is not run."""

    name: str
    code: str
    stated: dict[str, str]
    limits: Limits = field(default_factory=lambda: Limits(timeout_s=60))
    left: int = 0
    abi: int = 1
    """The version of Landlock that it takes for the level landlock to keep its word."""


@dataclass
class Seen:
    """What became of a case."""

    outcome: Outcome
    said: str
    intact: bool
    received: list[str] = field(default_factory=list)
    escaped: list[str] = field(default_factory=list)
    log_bytes: int = 0

    @property
    def text(self) -> str:
        """The same words in which a case states it."""
        return f"{self.outcome.outcome}: {self.said}" if self.said else self.outcome.outcome


def _at(namespace: str, landlock: str, agent: str = "", none: str = "") -> dict[str, str]:
    told = dict(zip(_ALL, (namespace, landlock, agent, none or agent), strict=True))
    return {level: text for level, text in told.items() if text}


def _everywhere(text: str) -> dict[str, str]:
    return _at(text, text, text)


_SMALL = Limits(timeout_s=60, disk_bytes=16 << 20)

CASES = (
    Case("reads an undeclared file of the system", "attempt(lambda: bool(open('/etc/machine-id').read()) and 'read')",
         _at("success: ENOENT", "success: EACCES", "success: read")),
    Case("reads an undeclared file of the project", "attempt(lambda: open(project + '/data/raw/other.csv').read())",
         _at("success: ENOENT", "success: EACCES", "success: other")),
    Case("lists your home", "attempt(lambda: str(bool(os.listdir(os.path.dirname(project)))))",
         _at("success: ENOENT", "success: EACCES", "success: True")),
    Case("writes over its input", "attempt(lambda: write('data/raw/in.csv'))",
         _at("success: EROFS", "success: EACCES", "success: done")),
    Case("makes its input writable and writes", "attempt(lambda: (os.chmod('data/raw/in.csv', 0o666), write('data/raw/in.csv'))[1])",
         _at("success: EROFS", "success: done", "success: done")),
    Case("removes its input", "attempt(lambda: os.remove('data/raw/in.csv'))",
         _at("success: EBUSY", "success: done", "success: done")),
    Case("writes into the project", "attempt(lambda: write(project + '/new'))", _at("success: ENOENT", "success: EACCES")),
    Case("writes outside", "attempt(lambda: write(outside + '/new'))",
         _at("success: ENOENT", "success: EACCES", "success: done")),
    Case("writes to /var/tmp", "attempt(lambda: write('/var/tmp/kfm-misbehaving'))", _at("success: done", "success: EACCES")),
    Case("writes to /", "attempt(lambda: write('/kfm-misbehaving'))", _at("success: EROFS", "success: EACCES")),
    Case("writes to /etc", "attempt(lambda: write('/etc/passwd'))", _at("success: EROFS", "success: EACCES")),
    Case("forks a daemon", "sleeper(); print('said done')", _everywhere("success: done"), left=1),
    Case("forks twice and leaves the session",
         "heard, tell = os.pipe()\n"
         "if os.fork() == 0:\n    os.setsid()\n    if os.fork(): os._exit(0)\n    sleeper(start_new_session=True)\n"
         "    os.write(tell, b'x'); time.sleep(600)\nos.wait(); os.read(heard, 1); print('said done')",
         _everywhere("success: done"), left=2),
    Case("changes its group and goes on",
         "if os.fork() == 0:\n    os.setpgid(0, 0)\n    time.sleep(600)\nos.wait()",
         _everywhere("timeout"), Limits(timeout_s=1, grace_s=0.4)),
    Case("connects by TCP", "attempt(lambda: socket.create_connection(('127.0.0.1', port), 10).send(b'tcp'))",
         _at("success: ECONNREFUSED", "success: ENETUNREACH", "success: 3")),
    Case("sends by UDP", "attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'udp', ('192.0.2.1', 9)))",
         _at("success: ENETUNREACH", "success: ENETUNREACH")),
    Case("asks for a name", "attempt(lambda: socket.getaddrinfo('example.org', 80) and 'resolved')",
         _at("success: gaierror", "success: gaierror")),
    Case("opens a raw socket", "attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))",
         _at("success: EPERM", "success: EAFNOSUPPORT")),
    Case("fills the disk with one file", "with open('big', 'wb') as file:\n    for _ in range(64): file.write(bytes(1 << 20))",
         _everywhere("disk-full"), _SMALL),
    Case("fills the disk with many files",
         "for n in range(1000):\n    with open(f'f{n}', 'wb') as file: file.write(bytes(1 << 18))\ntime.sleep(600)",
         _everywhere("disk-full"), Limits(timeout_s=60, disk_bytes=64 << 20)),
    Case("fills /tmp", "with open('/tmp/big', 'wb') as file:\n    for _ in range(64): file.write(bytes(1 << 20))",
         {"namespace": "disk-full"}, Limits(timeout_s=60, temporary_bytes=16 << 20)),
    Case("eats memory", "held = []\nwhile len(held) < 400: held.append(bytearray(os.urandom(1 << 16) * 64))\ntime.sleep(600)",
         _everywhere("out-of-memory"), Limits(timeout_s=60, memory_bytes=256 << 20)),
    Case("eats memory in many processes",
         "for _ in range(8):\n    if os.fork() == 0:\n        held = bytearray(os.urandom(1 << 16) * 1024); time.sleep(600)\nos.wait()",
         _everywhere("out-of-memory"), Limits(timeout_s=60, memory_bytes=256 << 20)),
    Case("is a fork bomb",
         "for _ in range(400):\n    if os.fork() == 0: time.sleep(600)\ntime.sleep(600)",
         _everywhere("too-many-processes" if ROOT else "failed"), Limits(timeout_s=60, processes=60)),
    Case("floods stdout", "for n in range(150_000): print('a line of output, and another one', n)\nprint('said done')",
         _everywhere("success: done")),
    Case("floods one line", "for n in range(24): sys.stdout.write('x' * (1 << 20))\nprint(); print('said done')",
         _everywhere("success: done")),
    Case("ignores SIGTERM",
         "for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP): signal.signal(n, signal.SIG_IGN)\n"
         "time.sleep(600)",
         _everywhere("timeout"), Limits(timeout_s=1, grace_s=0.4)),
    Case("stops itself", "os.kill(os.getpid(), signal.SIGSTOP)",
         _everywhere("timeout"), Limits(timeout_s=1, grace_s=0.4)),
    Case("deletes its workspace", "here = os.getcwd(); shutil.rmtree(here, ignore_errors=True); print('said done')",
         _everywhere("success: done")),
    Case("sets the clock", "attempt(lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()))", _everywhere("success: EPERM")),
    Case("kills its supervisor", "attempt(lambda: os.kill(os.getppid(), signal.SIGKILL))",
         _at("success: done", "success: EPERM"), abi=6),
    Case("kills its supervisor and goes on", "os.kill(os.getppid(), signal.SIGKILL); time.sleep(600)",
         {"agent": "killed", "none": "killed"}),
    Case("kills whoever it can",
         "if os.fork() == 0: time.sleep(600)\nattempt(lambda: os.kill(-1, signal.SIGKILL))", {"namespace": "success: done"}),
    Case("kills us", "attempt(lambda: os.kill(us, signal.SIGKILL))", _at("success: ESRCH", "success: EPERM"), abi=6),
    Case("writes into our memory", "attempt(lambda: open(f'/proc/{us}/mem', 'r+b'))", _at("success: ENOENT", "success: EACCES")),
    Case("writes into the memory of its supervisor", "attempt(lambda: open(f'/proc/{os.getppid()}/mem', 'r+b'))",
         _everywhere("success: EACCES")),
    Case("makes a user namespace",
         "libc = ctypes.CDLL(None, use_errno=True)\n"
         "print('said', errno.errorcode[ctypes.get_errno()] if libc.unshare(0x10000000) else 'done')",
         _at("success: EPERM", "success: EPERM")),
    Case("exits 0 without output", "", _everywhere("success")),
    Case("exits 137", "sys.exit(137)", _everywhere("failed")),
    Case("kills itself", "os.kill(os.getpid(), signal.SIGKILL)", _everywhere("killed")),
    Case("closes stdin, stdout and stderr", "for n in range(3): os.close(n)\nos._exit(0)", _everywhere("success")),
    Case("looks for open files", "print('said', sorted(int(n) for n in os.listdir('/proc/self/fd'))[3:-1] or 'none')",
         _everywhere("success: none")),
)  # fmt: skip


def can_run(case: Case, level: Isolation) -> bool:
    """Return whether a case is stated for a level and cannot do harm there: an old Landlock lets signals through."""
    return level in case.stated and (level is not Isolation.LANDLOCK or landlock_abi() >= case.abi)


class Arena:
    """A project with an input, a place outside, a server on this machine, and room for workspaces."""

    def __init__(self, folder: Path) -> None:
        self.project, self.outside = folder / "home" / "project", folder / "outside"
        for path in (self.project / "data/raw", self.outside):
            path.mkdir(parents=True)
        (self.project / "data/raw/in.csv").write_text("id,n\n1,2\n", encoding="utf-8")
        (self.project / "data/raw/other.csv").write_text("other", encoding="utf-8")
        self._folder = folder

    def digest(self) -> str:
        """Return a digest of every file of the project, its mode and its name."""
        whole = hashlib.sha256()
        for path in sorted(self.project.rglob("*")):
            whole.update(f"{path.relative_to(self.project)} {path.stat().st_mode}\n".encode())
            whole.update(path.read_bytes() if path.is_file() else b"")
        return whole.hexdigest()

    def run(self, case: Case, level: Isolation) -> Seen:
        """Run a case at a level and look at what it did."""
        before = self.digest()
        place = new_place(self._folder)
        logs = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            with _server() as (port, received):
                outcome = self.command(place, level, HEAD + case.code, case.limits, logs, port)
            said = [line for line in _lines(logs) if line.startswith("said ")]
            return Seen(
                outcome, said[-1].removeprefix("said ") if said else "", before == self.digest(), received,
                _still_there(place.path), sum(path.stat().st_size for path in logs.iterdir()),
            )  # fmt: skip
        finally:
            place.remove()
            for path in (self.outside / "new", Path("/var/tmp/kfm-misbehaving")):  # noqa: S108 - what a case tries
                path.unlink(missing_ok=True)

    def command(
        self, place: Place, level: Isolation, code: str, limits: Limits, logs: Path, port: int = 9
    ) -> Outcome:
        """Run Python code in a fresh cell with one declared input."""
        how, work = self.confinement(place, level, limits)
        return run_command(
            Process(
                [
                    sys.executable,
                    "-c",
                    code,
                    str(self.project),
                    str(self.outside),
                    str(port),
                    str(os.getpid()),
                ],
                work,
                {
                    "PATH": "/usr/bin:/bin",
                    "HOME": str(place.path / "home"),
                    "TMPDIR": str(place.path / "tmp"),
                },
                logs,
                confinement=how,
            )
        )

    def confinement(self, place: Place, level: Isolation, limits: Limits) -> tuple[Confinement, Path]:
        """Lay out a workspace with the one declared input; return the confinement and the workspace."""
        work = place.path / "work"
        for path in (work / "data/raw", place.path / "home", place.path / "tmp", place.path / "scratch"):
            path.mkdir(parents=True, exist_ok=True)
        arranged = arrange_inputs({"data/raw/in.csv": self.project / "data/raw/in.csv"}, work, level)
        for name in arranged.copies:
            shutil.copyfile(self.project / name, work / name)
        if level is Isolation.LANDLOCK:
            protect(work / name for name in arranged.copies)
        cell = Cell(
            places=(
                writable(work), writable(place.path / "home"), writable(place.path / "tmp"), *arranged.mounts,
                *interpreter_places(Path(sys.executable)),
            ),
            scratch=place.path / "scratch",
        )  # fmt: skip
        return Confinement(cell, level, limits, place), work


def _lines(logs: Path) -> list[str]:
    with (logs / "pipeline.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line)["text"] for line in file]


def _still_there(place: Path) -> list[str]:
    """Return the processes whose variables point into a workspace: what got away."""
    found = []
    for path in Path("/proc").iterdir():
        name = path.name
        with contextlib.suppress(OSError):
            if name.isdigit() and os.fsencode(place) in (path / "environ").read_bytes():
                state = (path / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
                if state not in "ZX":
                    found.append(name)
    return found


@contextlib.contextmanager
def _server() -> Iterator[tuple[int, list[str]]]:
    """Listen on this machine's own loopback; what arrives is what got out."""
    received: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        received.append(connection.recv(100).decode())

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], received
        server.shutdown(socket.SHUT_RDWR)
        thread.join(30)


if __name__ == "__main__":
    for chosen in sys.argv[1:]:
        for each in CASES:
            if can_run(each, Isolation(chosen)):
                begun = time.monotonic()
                with tempfile.TemporaryDirectory() as base:
                    seen = Arena(Path(base)).run(each, Isolation(chosen))
                print(json.dumps({  # noqa: T201 - this is the answer
                    "case": each.name, "level": chosen, "stated": each.stated[chosen], "seen": seen.text,
                    "seconds": round(time.monotonic() - begun, 2), "intact": seen.intact, "escaped": seen.escaped, "evidence": seen.outcome.evidence,
                }))  # fmt: skip
