"""Rebuilt environments by content: a folder each, built beside its place and renamed into it, read-only, capped.

Whoever uses an environment shares its lock; whoever builds or deletes one holds it alone. The kernel drops locks
with the process, and with uv, which inherits the one it builds under.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from kfm_repro.errors import NotWritable
from kfm_repro.runs.cache import cache_root

__all__ = [
    "KEPT_DAYS",
    "Held",
    "StoredEnvironment",
    "environments_root",
    "hold",
    "list_environments",
    "prune",
    "state_of",
]

KEPT_DAYS = 30
"""Days after its last use when an environment is removed."""
_STATE = "state.json"
_BUILDING, _TRASH, _LOCK = ".building-", ".trash-", ".lock-"
_DAY_S = 86_400.0
_ATTEMPTS = 5


@dataclass(frozen=True)
class StoredEnvironment:
    """One environment of the cache: its key, size in bytes, and last use (seconds since the epoch)."""

    key: str
    path: Path
    size_bytes: int
    used: float


class Held:
    """An environment that nobody deletes as long as this object lives. ``state`` is what its builder noted."""

    def __init__(self, path: Path, state: dict[str, Any], handle: int, *, cached: bool) -> None:
        self.path = path
        self.state = state
        self.cached = cached
        self._close = weakref.finalize(self, os.close, handle)

    @property
    def venv(self) -> Path:
        """The virtual environment."""
        return self.path / "venv"

    def intact(self) -> bool:
        """Whether no file of it was touched since it was built."""
        return state_of(self.venv)[0] == self.state.get("files_sha256")

    def release(self) -> None:
        """Let others delete it."""
        self._close()


Build = Callable[[Path, int], dict[str, Any]]
"""Makes ``venv`` in a folder and returns what is to be noted; gets the lock's descriptor for what it starts."""


def environments_root() -> Path:
    """Return the folder of all rebuilt environments; it need not exist. Raises UsageError."""
    return cache_root() / "environments"


def hold(key: str, build: Build, *, fresh: bool = False) -> Held:
    """Return the environment ``key``: the one in the cache when it is intact and not to be ``fresh``, else a new one.

    Waits while another process builds it, or, for a fresh one, uses it. Raises NotWritable, and what ``build`` raises;
    nothing half-built is ever left in its place.
    """
    import fcntl

    root, made = environments_root(), False
    with _writing(root):
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for _ in range(_ATTEMPTS):
            # A lock cannot be turned from exclusive to shared in one step: what was built is looked at anew.
            handle = _lock(root, key, fcntl.LOCK_SH)
            try:
                found = None if fresh and not made else _usable(root / key)
            except BaseException:
                os.close(handle)
                raise
            if found is not None:
                return Held(root / key, found, handle, cached=not made)
            os.close(handle)
            made = _build_alone(root, key, build, fresh=fresh and not made) or made
    raise NotWritable(
        f"the environment {key} does not stay as it was built: {root / key}",
        hint="something changes the files of the cache; take another folder: KFM_CACHE_ROOT",
    )


def list_environments() -> tuple[StoredEnvironment, ...]:
    """Return the environments of the cache, the least recently used first."""
    root = environments_root()
    found = []
    for path in sorted(root.glob("[0-9a-f]*")):
        state = _read_state(path)
        with suppress(OSError):
            lock = root / f"{_LOCK}{path.name}"
            used = (lock if lock.exists() else path).stat().st_mtime
            size = state.get("size_bytes")
            found.append(StoredEnvironment(path.name, path, size if isinstance(size, int) else 0, used))
    return tuple(sorted(found, key=lambda item: (item.used, item.key)))


def prune(
    most_bytes: int, *, days: float = KEPT_DAYS, dry_run: bool = False
) -> tuple[StoredEnvironment, ...]:
    """Delete what was not used for ``days``, then the least recently used while all are larger than ``most_bytes``.

    What is in use stays. Returns what was deleted (in a ``dry_run``: what would be, if none is in use). Raises
    NotWritable.
    """
    root = environments_root()
    if not root.is_dir():
        return ()
    with _writing(root):
        if not dry_run:
            _sweep(root)
        all_of_them = list_environments()
        total = sum(item.size_bytes for item in all_of_them)
        limit = time.time() - days * _DAY_S
        gone = []
        for item in all_of_them:
            goes = item.used < limit or total > most_bytes
            if goes and (dry_run or _delete_unused(root, item)):
                total -= item.size_bytes
                gone.append(item)
        return tuple(gone)


def state_of(venv: Path) -> tuple[str, int]:
    """Return a digest over place, kind, mode, size and change time of every file, and the bytes of all.

    The change time (ctime) is the kernel's: who alters a file cannot set it back.
    """
    digest, size = hashlib.sha256(), 0
    for folder, names, files in os.walk(venv):
        names.sort()
        for name in sorted([*names, *files]):
            path = os.path.join(folder, name)  # noqa: PTH118 - ten thousands of files
            about = os.lstat(path)
            size += about.st_blocks * 512
            row = (os.path.relpath(path, venv), about.st_mode, about.st_size, about.st_ctime_ns, about.st_ino)
            digest.update(json.dumps(row).encode(errors="surrogateescape") + b"\n")
    return digest.hexdigest(), size


def _build_alone(root: Path, key: str, build: Build, *, fresh: bool) -> bool:
    """Build an environment unless another process has done so meanwhile; return whether it was us."""
    import fcntl

    handle = _lock(root, key, fcntl.LOCK_EX)
    try:
        if not fresh and _usable(root / key) is not None:
            return False
        _built(root, key, build, handle)
        return True
    finally:
        os.close(handle)


def _built(root: Path, key: str, build: Build, handle: int) -> None:
    _sweep(root, key)
    place = root / f"{_BUILDING}{key}-{uuid4().hex}"
    place.mkdir(mode=0o700)
    try:
        state = build(place, handle)
        _make_read_only(place / "venv")
        files, size = state_of(place / "venv")
        state |= {"files_sha256": files, "size_bytes": size}
        (place / _STATE).write_text(json.dumps(state, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        _put_away(root, root / key)
        place.rename(root / key)
    except BaseException:
        _delete(place)
        raise


def _usable(path: Path) -> dict[str, Any] | None:
    """Return the state of a whole, untouched environment whose interpreter is still there."""
    state = _read_state(path)
    venv = path / "venv"
    if not state or not (venv / "bin" / "python").exists():
        return None
    return state if state_of(venv)[0] == state.get("files_sha256") else None


def _read_state(path: Path) -> dict[str, Any]:
    try:
        state = json.loads((path / _STATE).read_bytes())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _lock(root: Path, key: str, how: int) -> int:
    """Return the locked lock file of an environment, with its time set to now."""
    import fcntl

    path = root / f"{_LOCK}{key}"
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, how)
            if _same(handle, path):
                os.utime(handle)
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _same(handle: int, path: Path) -> bool:
    """Return whether a lock file still has its name: whoever deletes an environment deletes its lock as well."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _delete_unused(root: Path, item: StoredEnvironment) -> bool:
    import fcntl

    lock = root / f"{_LOCK}{item.key}"
    handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _same(handle, lock) or os.fstat(handle).st_mtime != item.used:
            return False  # it was used since it was listed
        _put_away(root, root / item.key)
        lock.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


def _put_away(root: Path, path: Path) -> None:
    """Take an environment from its place by one rename, then delete it."""
    if path.exists():
        trash = root / f"{_TRASH}{uuid4().hex}"
        path.rename(trash)
        _delete(trash)


def _sweep(root: Path, key: str = "") -> None:
    """Delete what a killed process left: the trash, and half-built environments that nobody builds any more."""
    for folder in root.glob(f"{_TRASH}*"):
        _delete(folder)
    for folder in root.glob(f"{_BUILDING}{key}*"):
        owner = folder.name.removeprefix(_BUILDING).rpartition("-")[0]
        if owner == key or _nobody_builds(root, owner):
            _delete(folder)


def _nobody_builds(root: Path, key: str) -> bool:
    import fcntl

    try:
        handle = os.open(root / f"{_LOCK}{key}", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


def _make_read_only(venv: Path) -> None:
    for folder, _, files in os.walk(venv, topdown=False):
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & 0o555)
        Path(folder).chmod(0o555)


def _delete(folder: Path) -> None:
    for parent, _, _ in os.walk(folder):
        with suppress(OSError):
            Path(parent).chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _writing(root: Path) -> Iterator[None]:
    """Turn what the system refuses into an error of ours."""
    try:
        yield
    except OSError as exc:
        full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
        raise NotWritable(
            f"the environment cannot be kept in {root}: {exc.strerror or exc}",
            hint="make room there, or say where there is some: KFM_CACHE_ROOT"
            if full
            else "check its permissions, or take another folder: KFM_CACHE_ROOT",
        ) from exc
