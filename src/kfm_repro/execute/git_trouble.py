"""What git says when it refuses, told as one error with the cause and the command that mends it.

Containers bring most of it: another user's files, no home, a file system that cannot be written, half a mount.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from kfm_repro.errors import CodeNotAvailable, KfmReproError, NotARepository, NotWritable

__all__ = ["OLDEST_GIT", "explain_failure", "git_missing", "git_too_old"]

OLDEST_GIT = (2, 32)
"""The first git that has every option that we use (``clone --no-reject-shallow``)."""

_DUBIOUS = re.compile(
    r"dubious ownership in repository at '(?P<path>.*)'|unsafe repository \('(?P<old>.*)' is owned"
)
_NO_ROOM = ("no space left on device", "disk quota exceeded", "out of diskspace")
_UNWRITTEN = (
    "unable to write",
    "couldn't write",
    "could not write",
    "could not set",
    "write error",
    "failed to write",
)
"""What git says where a write failed, often without the reason."""
_FULL_BYTES = 1 << 20
_REFUSED = (
    "permission denied", "insufficient permission", "read-only file system", "unable to create directory for",
)  # fmt: skip
_GITDIR = re.compile(r"not a git repository: (?P<path>/.*)")


def git_missing(why: str) -> CodeNotAvailable:
    """Return the error for a machine without git, or with one that cannot be started."""
    return CodeNotAvailable(
        f"git cannot be run: {why}",
        hint="install it and see that PATH leads to it (apt-get install git, apk add git, dnf install git)",
    )


def git_too_old(version: str) -> CodeNotAvailable:
    """Return the error for a git that lacks options that we use."""
    least = ".".join(str(part) for part in OLDEST_GIT)
    return CodeNotAvailable(
        f"git {version} is too old: {least} or later is needed",
        hint="install a newer git, and see with git --version which one PATH leads to",
    )


def explain_failure(args: tuple[str, ...], folder: Path, said: str, exit_code: int) -> KfmReproError:
    """Return the error for a git command that failed in ``folder`` and ``said`` why."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    lower = said.casefold()
    dubious = _DUBIOUS.search(said)
    if dubious:
        return _not_trusted(Path(dubious["path"] or dubious["old"]))
    if "not a git repository" in lower:
        return _no_repository(folder, said)
    action = next((arg for arg in args if not arg.startswith("-") and "=" not in arg), "")
    blamed = next(
        (line for line in lines if any(text in line.casefold() for text in (*_NO_ROOM, *_REFUSED))), ""
    )
    if blamed and any(text in blamed.casefold() for text in _NO_ROOM):
        return _no_room(action, blamed)
    if blamed:
        return NotWritable(
            f"git {action} was refused by the file system: {blamed}",
            hint=f"make the repository yours and writable, as root: chown -R {os.geteuid()} {shlex.quote(str(folder))}",
        )
    unwritten = next((line for line in lines if any(text in line.casefold() for text in _UNWRITTEN)), "")
    if unwritten and _is_full(folder):
        return _no_room(action, unwritten)
    return CodeNotAvailable(
        f"git {action} failed: {lines[-1] if lines else f'exit code {exit_code}'}",
        hint="see the message of git above",
    )


def _no_room(action: str, said: str) -> NotWritable:
    return NotWritable(
        f"git {action} found no space left: {said}",
        hint="free some, or name a roomier folder for temporary files: TMPDIR=/folder kfm-repro …",
    )


def _is_full(folder: Path) -> bool:
    """Return whether next to nothing fits below ``folder``: what could not be written is often gone by now."""
    try:
        free = os.statvfs(folder)
    except OSError:
        return False
    return free.f_bavail * free.f_frsize < _FULL_BYTES or (free.f_files > 0 and free.f_favail == 0)


def _not_trusted(top: Path) -> CodeNotAvailable:
    """Say whose the repository is, and which command makes git trust it, also where there is no home."""
    try:
        owner = f"uid {top.stat().st_uid}, you are uid {os.geteuid()}"
    except OSError:
        owner = f"you are uid {os.geteuid()}"
    home = os.environ.get("HOME", "")
    own_home = bool(home) and os.access(home, os.W_OK)
    command = f"git config --global --add safe.directory {shlex.quote(str(top))}"
    return CodeNotAvailable(
        f"git does not trust the repository at {top}: it belongs to another user ({owner})",
        hint="if you trust it: " + (command if own_home else f'export HOME="$(mktemp -d)" && {command}'),
    )


def _no_repository(folder: Path, said: str) -> NotARepository:
    link = _GITDIR.search(said)
    if link:
        return NotARepository(
            f"the .git of {folder} leads to {link['path']}, which is not here",
            hint="a worktree or submodule needs its repository: mount that at the same place, or use a clone",
        )
    if "filesystem boundary" in said:
        return NotARepository(
            f"not a git repository: {folder} is a mount of its own, and git does not look above it",
            hint="mount the whole repository, with its .git",
        )
    return NotARepository(
        f"not a git repository: {folder}",
        hint="a run records the commit of its code: put the project under git (git init, git commit)",
    )
