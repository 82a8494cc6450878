"""The object store: bytes of outputs and inputs by their sha256, so that later runs may overwrite files.

It lies in the runs folder, or where the setting ``objects`` says; then what was left in the runs folder before is
still found. Writers share ``.lock``; whoever takes an object away holds it alone. An object that is added again gets
a new time, so that what a run has just named is never too old to keep.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import shutil
from collections.abc import Container, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from kfm_repro.errors import NotWritable
from kfm_repro.runs.hashing import digest_file
from kfm_repro.runs.locks import locked, try_lock
from kfm_repro.runs.project import Project
from kfm_repro.runs.trouble import runs_not_writable, way_out
from kfm_repro.runs.users import Users

__all__ = ["Collected", "ObjectStore", "StoredObject", "copy_file"]

_FICLONE = 0x40049409
_SHARD = re.compile(r"[0-9a-f]{2}\Z")
_REST = re.compile(r"[0-9a-f]{62}\Z")
_PART = ".part"


def copy_file(source: Path, target: Path) -> None:
    """Copy the bytes of ``source`` to the new file ``target``: as a reflink where the file system can."""
    with target.open("xb") as writer:
        _copy_into(source, writer)


def _copy_into(source: Path, writer: BinaryIO) -> None:
    import fcntl

    with source.open("rb") as reader:
        try:
            fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
        except OSError:
            shutil.copyfileobj(reader, writer, 1 << 20)


@dataclass(frozen=True)
class StoredObject:
    """One object: its name, its size in bytes, and when it was last added (seconds since the epoch)."""

    sha256: str
    size_bytes: int
    added: float


@dataclass(frozen=True)
class Collected:
    """What a collection took away, and what is left."""

    removed: tuple[str, ...]
    freed_bytes: int
    left: int
    left_bytes: int


_NOTHING = Collected((), 0, 0, 0)
_ELSEWHERE = 'objects = "/another/folder" in kfm-repro.toml, or KFM_OBJECTS_ROOT'


class ObjectStore:
    """Content-addressed files: read-only, never linked to files others may write.

    They lie in ``place``, by default in ``<runs>/.objects``.
    """

    def __init__(self, runs: Path, place: Path | None = None) -> None:
        own = runs / ".objects"
        self._root = place or own
        self._users = Users(self._root, runs)
        self._earlier = None if self._root == own else ObjectStore(runs)
        self._registered = False

    @classmethod
    def of(cls, project: Project) -> ObjectStore:
        """Return the store of a project, where its settings say."""
        return cls(project.runs, project.objects)

    def prepare(self) -> None:
        """Make sure, before anything depends on it, that objects can be added. Raises NotWritable."""
        if not self._users.is_own and not self._root.is_dir():
            raise NotWritable(
                f"the folder of the object store does not exist: {self._root}",
                hint=f"make it: mkdir -p {shlex.quote(str(self._root))}; or correct the setting objects",
            )
        with self._writing(), self._part(self._root / "part"):
            pass

    def users(self) -> tuple[Path, ...]:
        """Return every runs folder that uses this store, ours first. Raises NotWritable when one is not found."""
        earlier = self._earlier.users() if self._earlier else ()
        return tuple(dict.fromkeys((*self._users.folders(), *earlier)))

    def _path(self, sha256: str) -> Path:
        return self._root / sha256[:2] / sha256[2:]

    def _aside(self, sha256: str) -> Path:
        return self._root / "damaged" / sha256

    def _lock(self, *, shared: bool = False) -> AbstractContextManager[None]:
        return locked(self._root / ".lock", shared=shared)

    def has(self, sha256: str) -> bool:
        """Return whether there is an object of this name (its bytes are checked when it is read)."""
        return self._path(sha256).is_file() or (self._earlier is not None and self._earlier.has(sha256))

    def add(self, source: Path, sha256: str) -> bool:
        """Keep the bytes of ``source`` under ``sha256``; False when they are not those bytes.

        An object that is there and good is kept; a damaged one is replaced. Raises NotWritable.
        """
        with self._writing():
            return self._add(source, sha256)

    def _add(self, source: Path, sha256: str) -> bool:
        if self._renew(sha256):
            return True
        target = self._path(sha256)
        with self._part(target) as (part, writer):
            _copy_into(source, writer)
            writer.flush()
            os.fsync(writer.fileno())
            if digest_file(part).sha256 != sha256:
                return False
            part.chmod(0o444)
            with self._lock(shared=True):
                part.replace(target)
                os.utime(target)
        _flush_folder(target.parent)
        self._aside(sha256).unlink(missing_ok=True)
        if self._earlier is not None:
            with suppress(OSError):
                self._earlier._aside(sha256).unlink(missing_ok=True)  # noqa: SLF001 - another of this class
        return True

    def find(self, sha256: str) -> Path | None:
        """Return the object when it is there and its bytes are what its name says, else None.

        A damaged object is moved aside, and ``is_damaged`` says so from then on.
        """
        path = self._path(sha256)
        if path.is_file():
            if digest_file(path).sha256 == sha256:
                return path
            with suppress(OSError):
                self._set_aside(sha256)
        return self._earlier.find(sha256) if self._earlier is not None else None

    def is_damaged(self, sha256: str) -> bool:
        """Return whether the stored copy was found to have other bytes than its name says."""
        return self._aside(sha256).is_file() or (
            self._earlier is not None and self._earlier.is_damaged(sha256)
        )

    def damaged(self) -> tuple[str, ...]:
        """Return the names of objects that were found damaged and not put back since, sorted."""
        names = {path.name for path in _files(self._root / "damaged")}
        return tuple(sorted(names.union(self._earlier.damaged() if self._earlier else ())))

    def objects(self) -> Iterator[StoredObject]:
        """Yield every object by name; nothing is read."""
        for shard in sorted(_folders(self._root), key=lambda path: path.name):
            for path in sorted(_files(shard), key=lambda path: path.name):
                if _REST.match(path.name):
                    with suppress(FileNotFoundError):
                        stat = path.stat()
                        yield StoredObject(shard.name + path.name, stat.st_size, stat.st_mtime)

    def collect(self, needed: Container[str], *, before: float, down_to: int | None = None) -> Collected:
        """Remove objects that are not ``needed`` and were last added ``before`` that time, oldest first.

        With ``down_to`` only until the store holds no more than so many bytes; what lies where an earlier
        setting had it goes in any case. Raises OSError.
        """
        earlier = self._earlier.collect(needed, before=before) if self._earlier else _NOTHING
        everything = list(self.objects())
        total = sum(item.size_bytes for item in everything)
        removed: list[StoredObject] = []
        idle = [item for item in everything if item.added < before and item.sha256 not in needed]
        for item in sorted(idle, key=lambda item: (item.added, item.sha256)):
            if down_to is not None and total <= down_to:
                break
            if self._remove(item.sha256, before):
                removed.append(item)
                total -= item.size_bytes
        freed = sum(item.size_bytes for item in removed)
        names = tuple(sorted({*earlier.removed, *(item.sha256 for item in removed)}))
        return Collected(
            names,
            earlier.freed_bytes + freed,
            earlier.left + len(everything) - len(removed),
            earlier.left_bytes + total,
        )

    def clean(self, *, before: float) -> int:
        """Remove what writers left behind that are gone; return how many files. Raises OSError."""
        count = self._earlier.clean(before=before) if self._earlier else 0
        if not self._root.is_dir():
            return count
        with self._lock():
            for folder in (self._root, *_folders(self._root)):
                for path in _files(folder):
                    stale = path.name.endswith(_PART) and _is_abandoned(path)
                    spooled = path.name.startswith(".git-") and path.stat().st_mtime < before
                    if path.name.startswith(".") and (stale or spooled):
                        path.unlink(missing_ok=True)
                        count += 1
        return count

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Note that we use the store, once, and say clearly when it cannot be written."""
        try:
            if not self._registered:
                self._root.mkdir(parents=True, exist_ok=True)
                self._users.register()
                self._registered = True
            yield
        except OSError as exc:
            place = Path(os.fsdecode(exc.filename)) if exc.filename else self._root
            if self._users.is_own and exc.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise runs_not_writable(self._root.parent, exc) from exc
            if self._users.is_own and exc.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise runs_not_writable(place, exc) from exc
            raise NotWritable(
                f"the object store cannot be written: {exc.strerror or exc}: {place}",
                hint=f"{way_out(place, exc)}; or put it elsewhere: {_ELSEWHERE}",
            ) from exc

    def _renew(self, sha256: str) -> bool:
        """Return whether the object is there and good, as new as if it had just been added."""
        path = self._path(sha256)
        if not path.is_file():
            return False
        with self._lock(shared=True):
            if not path.is_file():
                return False
            if digest_file(path).sha256 == sha256:
                with suppress(PermissionError):
                    os.utime(path)
                return True
        self._set_aside(sha256)
        return False

    def _set_aside(self, sha256: str) -> None:
        path, aside = self._path(sha256), self._aside(sha256)
        aside.parent.mkdir(parents=True, exist_ok=True)
        with self._lock():
            if path.is_file() and digest_file(path).sha256 != sha256:
                path.replace(aside)

    def _remove(self, sha256: str, before: float) -> bool:
        path = self._path(sha256)
        with self._lock():
            try:
                if path.stat().st_mtime >= before:
                    return False
                path.unlink()
            except FileNotFoundError:
                return False
        return True

    @contextmanager
    def _part(self, target: Path) -> Iterator[tuple[Path, BinaryIO]]:
        """Open a new file beside ``target``, locked while its writer lives; what is not renamed is removed."""
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.parent / f".{uuid4().hex}{_PART}"
        with self._lock(shared=True):
            writer = part.open("xb")
            try_lock(writer.fileno())
        try:
            with writer:
                yield part, writer
        finally:
            part.unlink(missing_ok=True)


def _is_abandoned(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return try_lock(file.fileno())
    except FileNotFoundError:
        return False


def _folders(root: Path) -> list[Path]:
    try:
        return [path for path in root.iterdir() if _SHARD.match(path.name) and path.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _files(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_file() and not path.is_symlink()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
