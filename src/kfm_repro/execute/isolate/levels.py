"""The ladder of isolation: which rungs this machine has, found out by doing, and which one a replay takes."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from kfm_repro.errors import NotReplayable, UsageError

__all__ = [
    "AUTO",
    "CONFINE",
    "SHARED_MEMORY",
    "Chosen",
    "Isolation",
    "LevelState",
    "choose",
    "detect",
    "landlock_abi",
]

AUTO = "auto"
CONFINE = Path(__file__).with_name("confine")
"""The folder that ``python -I -S`` runs as the supervisor."""

SHARED_MEMORY = "/dev/shm"  # noqa: S108 - where every Linux has it
"""A file system in memory; the level namespace has one of its own."""

SETTINGS = Path("/proc/sys")
"""Where the kernel's settings are read when a namespace was refused."""

_PATIENCE_S = 30


class Isolation(StrEnum):
    """How far a command is kept apart from this machine, best first. docs/isolation.md says what each keeps."""

    NAMESPACE = "namespace"
    LANDLOCK = "landlock"
    AGENT = "agent"
    NONE = "none"


@dataclass(frozen=True)
class LevelState:
    """One level on this machine: whether it can be had, else why not and the one line that would change that."""

    level: Isolation
    available: bool
    reason: str = ""
    enable_line: str = ""


@dataclass(frozen=True)
class Chosen:
    """The level that a replay takes, and what is lost compared with the best one, a sentence each."""

    level: Isolation
    lost: tuple[str, ...] = ()


_BELOW_NAMESPACE = (
    "inputs are copies: a pipeline that writes into one changes its copy",
    "shared memory (the folder dev/shm) is that of this machine, without a limit",
    "processes that got away are ended only at the next start if kfm-repro and its supervisor are killed together",
)
_LOST: dict[Isolation, tuple[str, ...]] = {
    Isolation.NAMESPACE: (),
    Isolation.LANDLOCK: (
        "paths, host name, user and process numbers are those of this machine",
        "that an undeclared file exists can be seen, though it cannot be opened",
        "UNIX sockets with a path can be connected to; there is no loopback network",
        "modes and times of files that are yours and that it may read can be changed, not their content",
        *_BELOW_NAMESPACE,
    ),
    Isolation.AGENT: (
        "the pipeline can read and write whatever you can, and use the network: observed, not prevented",
        *_BELOW_NAMESPACE,
    ),
    Isolation.NONE: (
        "the pipeline can read and write whatever you can, and use the network, unobserved",
        *_BELOW_NAMESPACE,
    ),
}


_SINCE = (
    (2, "files cannot be moved from one folder to another, only copied"),
    (3, "undeclared files that you may write to can be cut short"),
    (6, "other processes of yours, kfm-repro too, can be sent signals"),
)
"""What the level landlock does not keep before a version of Landlock."""


@functools.cache
def detect() -> tuple[LevelState, ...]:
    """Return every level, best first, tried once per process by doing it."""
    return (
        _namespace(),
        _landlock(),
        LevelState(Isolation.AGENT, available=True),
        LevelState(Isolation.NONE, available=True),
    )


def choose(wanted: str = AUTO) -> Chosen:
    """Return the level ``wanted``, or for ``auto`` the best that this machine has; ``none`` is never chosen for you.

    Raises UsageError for a word that is no level, NotReplayable (``isolation-unavailable``) for a level that cannot
    be had here, with the line that would enable it.
    """
    states = detect()
    if wanted == AUTO:
        level = next(state.level for state in states if state.available)
        refused = [f"{state.level}: {state.reason}" for state in states if not state.available]
        return Chosen(level, (*refused[: states_before(level)], *_lost(level)))
    if wanted not in tuple(Isolation):
        raise UsageError(
            f"no isolation level is called {wanted!r}", hint=f"one of {AUTO}, {', '.join(Isolation)}"
        )
    state = next(state for state in states if state.level == wanted)
    if not state.available:
        best = next(state.level for state in states if state.available)
        line = f"to enable it: {state.enable_line}; or " if state.enable_line else ""
        raise NotReplayable(
            f"isolation level {wanted} is not available here: {state.reason}",
            hint=f"{line}take the best there is with --isolation auto ({best})",
            code="isolation-unavailable",
        )
    return Chosen(state.level, _lost(state.level))


def landlock_abi() -> int:
    """Return the version of Landlock that was found to hold here, 0 for none."""
    state = next(state for state in detect() if state.level is Isolation.LANDLOCK)
    return int(state.reason.removeprefix("ABI ")) if state.available else 0


def _lost(level: Isolation) -> tuple[str, ...]:
    """Return what is lost at a level on this machine: an old Landlock keeps less."""
    if level is not Isolation.LANDLOCK:
        return _LOST[level]
    version = landlock_abi()
    return (*_LOST[level], *(f"{text} (Landlock ABI {version})" for since, text in _SINCE if version < since))


def states_before(level: Isolation) -> int:
    """Return how many levels are better than ``level``."""
    return list(Isolation).index(level)


def _namespace() -> LevelState:
    if not sys.platform.startswith("linux"):
        return _without(Isolation.NAMESPACE, f"namespaces are Linux' own, this is {sys.platform}")
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return _without(Isolation.NAMESPACE, "bubblewrap is not installed", _install("bubblewrap"))
    argv = [
        bwrap, "--unshare-all", "--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL",
        "--hostname", "kfm", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc",
        "--perms", "1777", "--size", "65536", "--tmpfs", SHARED_MEMORY, "--remount-ro", "/dev",
        "--", "true",
    ]  # fmt: skip
    error = _attempt(argv)[1]
    if error:
        return _without(Isolation.NAMESPACE, f"bubblewrap was refused: {error}", _enable(error))
    return LevelState(Isolation.NAMESPACE, available=True)


def _landlock() -> LevelState:
    if not sys.platform.startswith("linux"):
        return _without(Isolation.LANDLOCK, f"Landlock is Linux' own, this is {sys.platform}")
    out, error = _attempt([sys.executable, "-I", "-S", str(CONFINE), "--probe"])
    try:
        answer = json.loads(out)
    except ValueError:
        return _without(Isolation.LANDLOCK, error or "its probe gave no answer")
    if answer["error"]:
        line = "add landlock to the kernel's boot parameter lsm=" if answer["boot"] else ""
        return _without(Isolation.LANDLOCK, str(answer["error"]), line)
    return LevelState(Isolation.LANDLOCK, available=True, reason=f"ABI {answer['abi']}")


def _without(level: Isolation, reason: str, line: str = "") -> LevelState:
    return LevelState(level, available=False, reason=reason, enable_line=line)


def _attempt(argv: list[str]) -> tuple[str, str]:
    """Return what a probe printed, and in one line why it failed, empty when it did not."""
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PATIENCE_S, check=False,
            errors="replace",
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as exc:
        return "", str(exc)
    if done.returncode == 0:
        return done.stdout, ""
    lines = done.stderr.strip().splitlines()
    return done.stdout, lines[-1].removeprefix("bwrap: ") if lines else f"it ended with {done.returncode}"


def _enable(error: str) -> str:
    """Return the line that lifts the refusal that was met, as far as it can be told."""
    for setting, wanted in (
        ("kernel.apparmor_restrict_unprivileged_userns", "0"),
        ("kernel.unprivileged_userns_clone", "1"),
    ):
        if _setting(setting) not in ("", wanted):
            return f"sudo sysctl -w {setting}={wanted}"
    if _setting("user.max_user_namespaces") == "0":
        return "sudo sysctl -w user.max_user_namespaces=15000"
    if "Unknown option" in error:
        return f"{_install('bubblewrap')} (0.7 or later)"
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists():
        return (
            "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
            "--security-opt systempaths=unconfined …"
        )
    return ""


def _setting(name: str) -> str:
    try:
        return SETTINGS.joinpath(*name.split(".")).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _install(package: str) -> str:
    for program, words in (
        ("apt-get", "install -y"), ("dnf", "install -y"), ("zypper", "install -y"), ("pacman", "-S"), ("apk", "add"),
    ):  # fmt: skip
        if shutil.which(program):
            return f"sudo {program} {words} {package}"
    return f"install the package {package}"
