"""Start one command, wait for it, keep its limits, end whatever it leaves behind."""

from __future__ import annotations

import errno
import os
import resource
import select
import signal
import time
from typing import Any

from . import kernel, landlock, seccomp
from .tree import Tree, look_at, tasks_of_user
from .watch import Ceilings, Watch

__all__ = ["Supervisor"]

_MACHINE_WIDE_OOM = b"oom_kill "


class Supervisor:
    """Runs the job once. The job is what ``Jail`` in jail.py writes; its keys are read here and nowhere else."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._job = job
        self._alone = os.getpid() == 1
        self._tree = Tree(alone=self._alone)
        self._child = 0
        self._status: int | None = None
        self._usage: resource.struct_rusage | None = None
        self._cause = self._evidence = ""
        self._stops: list[tuple[float, int]] = []
        self._lifeline: int = job["lifeline"]
        self._wake, self._waker = os.pipe()
        self._noted: list[tuple[int, int]] = []

    def run(self) -> dict[str, Any]:
        """Run the command to its end and return the report; an error of the start is a report as well."""
        job = self._job
        self._prepare()
        ceilings = Ceilings(job["memory"], job["disk"], job["reserve"], job["processes"])
        watch = Watch(self._tree, ceilings, job["roots"], job["sized"])
        killed_by_kernel = _machine_wide_kills()
        failure = self._start()
        if failure:
            return {"failure": failure}
        self._follow(watch)
        left = len(self._tree.living(thorough=True))
        ended = self._tree.end_all()
        code = -signal.SIGKILL if self._status is None else os.waitstatus_to_exitcode(self._status)
        if not self._cause and code != 0:
            self._judge(code, watch, killed_by_kernel)
        usage = self._usage
        return {
            "exit_code": code, "cause": self._cause, "evidence": self._evidence,
            "left": left, "contained": ended, "peak_tree_bytes": watch.peak_memory,
            "user_s": usage.ru_utime if usage else 0.0, "system_s": usage.ru_stime if usage else 0.0,
            "peak_bytes": usage.ru_maxrss * 1024 if usage else 0,
        }  # fmt: skip

    def _prepare(self) -> None:
        kernel.hide_memory()
        kernel.close_on_exec()
        if not self._alone:
            kernel.become_subreaper()
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _heard)
        os.set_blocking(self._waker, False)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        self._note()

    def _start(self) -> list[Any]:
        """Start the command. Return what went wrong: an errno and the step, nothing when it runs."""
        told, tell = os.pipe()
        limit = self._process_limit()
        me = os.getpid()
        self._child = os.fork()
        if self._child == 0:
            _become(self._job, me, limit, tell)
        os.close(tell)
        for number in (1, 2):
            # The command has them; if we held them too, nobody would see when they are closed.
            os.dup2(0, number)
        with open(told, "rb") as pipe:
            text = pipe.read()
        if not text:
            return []
        os.waitpid(self._child, 0)
        code, _, step = text.decode().partition(" ")
        return [int(code), step]

    def _process_limit(self) -> int | None:
        """Return RLIMIT_NPROC: it counts the user's threads, outside of a namespace everybody's that he runs."""
        limit: int | None = self._job["processes"]
        if limit is None or os.getuid() == 0:
            return None
        return limit if self._alone else limit + tasks_of_user(os.getuid())

    def _follow(self, watch: Watch) -> None:
        """Wait until the command has ended, by itself or by us."""
        timeout = self._job["timeout"]
        deadline = None if timeout is None else time.monotonic() + timeout
        next_look = time.monotonic()
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        poll.register(self._lifeline, select.POLLIN | select.POLLHUP)
        while not self._reap():
            now = time.monotonic()
            if deadline is not None and now >= deadline and not self._cause:
                self._stop("timeout", f"it ran longer than {timeout:g} seconds")
            while self._stops and self._stops[0][0] <= now:
                self._hit(self._stops.pop(0)[1])
            if now >= next_look:
                cause, evidence, pause = watch.look()
                next_look = time.monotonic() + pause
                self._note([(task.pid, task.started) for task in watch.tasks])
                if cause and not self._cause:
                    self._cause, self._evidence = cause, evidence
                    self._kill()
            due = [
                next_look,
                *([deadline] if deadline and not self._cause else []),
                *(at for at, _ in self._stops[:1]),
            ]
            for handle, _ in poll.poll(max(0.0, min(due) - time.monotonic()) * 1000 + 1):
                self._hear(handle)

    def _reap(self) -> bool:
        """Take note of every child that ended, adopted ones too; return whether the command is one of them."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == self._child:
                self._status, self._usage = status, usage
            if pid == 0 or self._status is not None:
                return self._status is not None

    def _hear(self, handle: int) -> None:
        if handle == self._wake:
            for number in os.read(self._wake, 4096):
                if number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                    self._hit(number)
            return
        word = os.read(self._lifeline, 1)
        if word == b"s":
            self._stop("asked", "it was asked to stop")
        else:
            # Nobody is there any more who waits for us.
            self._tree.end_all()
            os._exit(1)

    def _stop(self, cause: str, evidence: str) -> None:
        """Ask the command to end, then insist."""
        self._cause, self._evidence = cause, evidence
        now, grace = time.monotonic(), self._job["grace"]
        self._stops = [
            (now, signal.SIGINT), (now + grace / 2, signal.SIGTERM), (now + grace, signal.SIGKILL),
        ]  # fmt: skip

    def _hit(self, number: int) -> None:
        if number == signal.SIGKILL:
            self._kill()
            return
        try:
            os.killpg(self._child, number)
        except (ProcessLookupError, PermissionError):
            return

    def _kill(self) -> None:
        for number in (self._child, -self._child):
            try:
                os.kill(number, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue

    def _judge(self, code: int, watch: Watch, killed_by_kernel: int) -> None:
        """Say why a command failed, where there is evidence for more than "failed"."""
        if code == -signal.SIGKILL and _machine_wide_kills() > killed_by_kernel:
            self._cause, self._evidence = "out-of-memory", "the kernel ran out of memory and killed it"
        elif code == -signal.SIGXFSZ:
            self._cause, self._evidence = (
                "disk-full",
                f"a file reached the limit of {self._job['disk']} bytes",
            )
        elif evidence := watch.full():
            self._cause, self._evidence = "disk-full", evidence
        elif code < 0:
            self._cause, self._evidence = "killed", f"signal {-code}, which was not ours"

    def _note(self, tasks: list[tuple[int, int]] | None = None) -> None:
        """Write down who runs, for the next start, should we all be killed at once."""
        handle = self._job["record"]
        if handle is None or (tasks is not None and tasks == self._noted):
            return
        self._noted = list(tasks or ())
        mine = look_at(os.getpid())
        lines = [*([(mine.pid, mine.started)] if mine else []), *self._noted]
        text = "".join(f"{pid} {started}\n" for pid, started in lines).encode()
        os.pwrite(handle, text, 0)
        os.ftruncate(handle, len(text))


def _become(job: dict[str, Any], supervisor: int, processes: int | None, tell: int) -> None:
    """Turn this forked child into the command; never returns."""
    step = "the limits"
    try:
        os.setsid()
        kernel.die_with_parent(supervisor)
        _limit(job, processes)
        if job["umask"] is not None:
            os.umask(job["umask"])
        for number in (
            signal.SIGINT,
            signal.SIGTERM,
            signal.SIGHUP,
            signal.SIGCHLD,
            signal.SIGPIPE,
            signal.SIGXFSZ,
        ):
            signal.signal(number, signal.SIG_DFL)
        step = f"the working folder {job['cwd']}"
        os.chdir(job["cwd"])
        step = "the confinement"
        _confine(job)
        step = job["argv"][0]
        os.execvpe(job["argv"][0], job["argv"], job["env"])
    except OSError as exc:
        os.write(tell, f"{exc.errno or errno.EINVAL} {step}".encode())
    except BaseException as exc:  # noqa: BLE001 - whatever it is, this child must not go on as a second supervisor
        os.write(tell, f"{errno.EINVAL} {step}: {exc}".encode())
    finally:
        os._exit(127)


def _limit(job: dict[str, Any], processes: int | None) -> None:
    kernel.lower_limit(resource.RLIMIT_CORE, 0)
    if job["disk"] is not None:
        kernel.lower_limit(resource.RLIMIT_FSIZE, job["disk"])
    if job["memory"] is not None:
        # Address space that is asked for and never used is no memory: only what is far beyond is refused here.
        kernel.lower_limit(resource.RLIMIT_DATA, 4 * job["memory"] + (8 << 30))
    if processes is not None:
        kernel.lower_limit(resource.RLIMIT_NPROC, processes)


def _confine(job: dict[str, Any]) -> None:
    strict = job["capabilities"] == "none"
    if strict:
        kernel.no_new_privileges()
    if job["landlock"] is not None:
        landlock.restrict(job["landlock"], network=job["network"])
    kernel.drop_capabilities(0 if strict else kernel.HARMLESS)
    if strict:
        seccomp.restrict(network=job["network"] or job["landlock"] is None)


def _heard(*_: object) -> None:
    """Let the wake-up pipe tell; without a handler it would not."""


def _machine_wide_kills() -> int:
    try:
        with open("/proc/vmstat", "rb") as file:
            return next((int(line.split()[1]) for line in file if line.startswith(_MACHINE_WIDE_OOM)), 0)
    except OSError:
        return 0
