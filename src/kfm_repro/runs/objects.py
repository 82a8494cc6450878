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
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from itertools import islice
from pathlib import Path
from uuid import uuid4

from kfm_repro.errors import NotWritable
from kfm_repro.runs.copying import copy_into
from kfm_repro.runs.hashing import Digest, digest_file, digest_many
from kfm_repro.runs.locks import locked, try_lock
from kfm_repro.runs.own import refuse_link
from kfm_repro.runs.project import Project
from kfm_repro.runs.trouble import runs_not_writable, way_out
from kfm_repro.runs.users import Users
from kfm_repro.runs.write import flush_folder

__all__ = ["Collected", "ObjectStore", "StoredObject"]

_SHARD = re.compile(r"[0-9a-f]{2}\Z")
_REST = re.compile(r"[0-9a-f]{62}\Z")
_PART = ".part"
_CHUNK = 128
"""Objects that are written together: their files are open at the same time."""
_FLUSHERS = 8
"""Threads that wait for the disk: a journal takes what is asked for at the same time in one go."""


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
        if self._users.is_own:
            refuse_link(self._root, hint=f"say where the objects lie: {_ELSEWHERE}; {{}}")
        with self._writing(), ExitStack() as stack, self._lock(shared=True):
            _open_part(self._root, stack)

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
        there = os.path.isfile(f"{self._root}/{sha256[:2]}/{sha256[2:]}")  # noqa: PTH113 - no Path per object
        return there or (self._earlier is not None and self._earlier.has(sha256))

    def add(self, source: Path, sha256: str) -> bool:
        """Keep the bytes of ``source`` under ``sha256``; False when they are not those bytes.

        An object that is there and good is kept; a damaged one is replaced. Raises NotWritable.
        """
        with self._writing((source,)):
            return self._add(source, sha256)

    def _add(self, source: Path, sha256: str) -> bool:
        if self._renew(sha256):
            return True
        return not self._add_new({sha256: source})

    def add_all(self, items: Iterable[tuple[Path, str]]) -> tuple[Path, ...]:
        """Keep the bytes of many files, each under its sha256, as ``add`` does; return those that have other bytes.

        What ``add`` waits for, file by file, is waited for together here: the disk, and the lock of the store. Raises
        NotWritable.
        """
        wanted: dict[str, Path] = {}
        for source, sha256 in items:
            wanted.setdefault(sha256, source)
        with self._writing(wanted.values()):
            there = [sha256 for sha256 in wanted if self._path(sha256).is_file()]
            for part in _chunks(there):
                for sha256 in self._renew_good(part):
                    del wanted[sha256]
            for sha256 in set(there) & wanted.keys():
                self._set_aside(sha256)
            return self._add_new(wanted)

    def find(self, sha256: str) -> Path | None:
        """Return the object when it is there and its bytes are what its name says, else None.

        A damaged object is moved aside, and ``is_damaged`` says so from then on.
        """
        found = self.read(sha256)
        return found[0] if found else None

    def read(self, sha256: str) -> tuple[Path, Digest] | None:
        """Return what ``find`` returns, with the digest that was made of its bytes."""
        return self.find_all([sha256]).get(sha256)

    def find_all(self, names: Iterable[str]) -> dict[str, tuple[Path, Digest]]:
        """Return what ``read`` returns for each of ``names``, by name, without those that are not there."""
        wanted = list(dict.fromkeys(names))
        there = [sha256 for sha256 in wanted if self._path(sha256).is_file()]
        paths = [self._path(sha256) for sha256 in there]
        found = {}
        for sha256, path, digest in zip(there, paths, digest_many(paths), strict=True):
            if digest.sha256 == sha256:
                found[sha256] = (path, digest)
                continue
            with suppress(OSError):
                self._set_aside(sha256)
        if self._earlier is not None:
            found |= self._earlier.find_all(sha256 for sha256 in wanted if sha256 not in found)
        return found

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
    def _writing(self, sources: Collection[Path] = ()) -> Iterator[None]:
        """Note that we use the store, once, and say clearly when it cannot be written.

        What is wrong with one of ``sources`` is raised as it is: it says nothing of the store.
        """
        try:
            if not self._registered:
                self._root.mkdir(parents=True, exist_ok=True)
                self._users.register()
                self._registered = True
            yield
        except OSError as exc:
            place = Path(os.fsdecode(exc.filename)) if exc.filename else self._root
            if place in sources:
                raise
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
        if not self._path(sha256).is_file():
            return False
        if self._renew_good([sha256]):
            return True
        self._set_aside(sha256)
        return False

    def _renew_good(self, names: Sequence[str]) -> list[str]:
        """Make the good ones among these objects as new as if they had just been added, and return their names."""
        with self._lock(shared=True):
            there = [sha256 for sha256 in names if self._path(sha256).is_file()]
            digests = digest_many([self._path(sha256) for sha256 in there])
            good = [name for name, digest in zip(there, digests, strict=True) if digest.sha256 == name]
            for sha256 in good:
                with suppress(PermissionError):
                    os.utime(self._path(sha256))
        return good

    def _add_new(self, wanted: Mapping[str, Path]) -> tuple[Path, ...]:
        """Add objects that are not there; return the sources that have other bytes."""
        wrong: list[Path] = []
        with ThreadPoolExecutor(_FLUSHERS) as pool:
            for names in _chunks(wanted):
                wrong += self._add_some({sha256: wanted[sha256] for sha256 in names}, pool)
            list(pool.map(flush_folder, sorted({self._path(sha256).parent for sha256 in wanted})))
        return tuple(wrong)

    def _add_some(self, wanted: Mapping[str, Path], pool: ThreadPoolExecutor) -> list[Path]:
        """Fill a part for each object, flush them together, then put those into their places that are right."""
        with ExitStack() as stack:
            parts = self._open_parts(wanted, stack)
            good = {
                sha256: (part, writer)
                for sha256, (part, writer) in parts.items()
                if copy_into(wanted[sha256], writer) == sha256
            }
            for _, writer in good.values():
                os.fchmod(writer.fileno(), 0o444)
            list(pool.map(os.fsync, [writer.fileno() for _, writer in good.values()]))
            with self._lock(shared=True):
                for sha256, (part, _) in good.items():
                    part.replace(self._path(sha256))
                    os.utime(self._path(sha256))
        for sha256 in good:
            self._aside(sha256).unlink(missing_ok=True)
            if self._earlier is not None:
                with suppress(OSError):
                    self._earlier._aside(sha256).unlink(missing_ok=True)  # noqa: SLF001 - another of this class
        return [source for sha256, source in wanted.items() if sha256 not in good]

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

    def _open_parts(self, names: Iterable[str], stack: ExitStack) -> dict[str, tuple[Path, FileIO]]:
        """Open a new file beside each object, locked while its writer lives; what is not renamed is removed."""
        parts = {}
        with self._lock(shared=True):
            for sha256 in names:
                folder = self._path(sha256).parent
                try:
                    parts[sha256] = _open_part(folder, stack)
                except FileNotFoundError:
                    folder.mkdir(exist_ok=True)
                    parts[sha256] = _open_part(folder, stack)
        return parts


def _open_part(folder: Path, stack: ExitStack) -> tuple[Path, FileIO]:
    part = folder / f".{uuid4().hex}{_PART}"
    writer = part.open("x+b", buffering=0)
    stack.callback(part.unlink, missing_ok=True)
    stack.enter_context(writer)
    try_lock(writer.fileno())
    return part, writer


def _chunks(names: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(names)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk


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
