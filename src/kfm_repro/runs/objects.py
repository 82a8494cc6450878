"""The object store: bytes of outputs and inputs by their sha256, so that later runs may overwrite files.

Writers share ``.lock``; whoever takes an object away holds it alone. An object that is added again gets a new
time, so that what a run has just named is never too old to keep.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from io import FileIO
from itertools import islice
from pathlib import Path
from uuid import uuid4

from kfm_repro.runs.hashing import Digest, digest_file, digest_many
from kfm_repro.runs.locks import locked, try_lock

__all__ = ["Collected", "ObjectStore", "StoredObject", "copy_file"]

_FICLONE = 0x40049409
_SHARD = re.compile(r"[0-9a-f]{2}\Z")
_REST = re.compile(r"[0-9a-f]{62}\Z")
_PART = ".part"
_BLOCK = 1 << 17
_CHUNK = 128
"""Objects that are written together: their files are open at the same time."""
_FLUSHERS = 8
"""Threads that wait for the disk: a journal takes what is asked for at the same time in one go."""


def copy_file(source: Path, target: Path) -> str:
    """Copy the bytes of ``source`` to the new file ``target``: as a reflink where the file system can.

    Return the sha256 of the bytes that ``target`` holds now; they are read once for both.
    """
    with target.open("x+b", buffering=0) as writer:
        return _copy_into(source, writer)


def _copy_into(source: Path, writer: FileIO) -> str:
    """Fill the empty file behind ``writer`` (open for reading, too) and return the sha256 of what it holds."""
    import fcntl

    with source.open("rb", buffering=0) as reader:
        try:
            fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
        except OSError:
            return _digest_of(reader, writer)
    return _digest_of(writer)


def _digest_of(reader: FileIO, writer: FileIO | None = None) -> str:
    digest, block = hashlib.sha256(), bytearray(_BLOCK)
    view = memoryview(block)
    while count := reader.readinto(block):
        digest.update(view[:count])
        written = 0 if writer else count
        while writer and written < count:
            written += writer.write(view[written:count])
    return digest.hexdigest()


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


class ObjectStore:
    """Content-addressed files below ``<runs>/.objects``: read-only, never linked to files others may write."""

    def __init__(self, runs: Path) -> None:
        self._root = runs / ".objects"

    def _path(self, sha256: str) -> Path:
        return self._root / sha256[:2] / sha256[2:]

    def _aside(self, sha256: str) -> Path:
        return self._root / "damaged" / sha256

    def _lock(self, *, shared: bool = False) -> AbstractContextManager[None]:
        return locked(self._root / ".lock", shared=shared)

    def has(self, sha256: str) -> bool:
        """Return whether there is an object of this name (its bytes are checked when it is read)."""
        return os.path.isfile(f"{self._root}/{sha256[:2]}/{sha256[2:]}")  # noqa: PTH113 - no Path per object

    def add(self, source: Path, sha256: str) -> bool:
        """Keep the bytes of ``source`` under ``sha256``; False when they are not those bytes.

        An object that is there and good is kept; a damaged one is replaced.
        """
        if self._renew(sha256):
            return True
        return not self._add_new({sha256: source})

    def add_all(self, items: Iterable[tuple[Path, str]]) -> tuple[Path, ...]:
        """Keep the bytes of many files, each under its sha256, as ``add`` does; return those that have other bytes.

        What ``add`` waits for, file by file, is waited for together here: the disk, and the lock of the store.
        """
        wanted: dict[str, Path] = {}
        for source, sha256 in items:
            wanted.setdefault(sha256, source)
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
        there = [sha256 for sha256 in dict.fromkeys(names) if self.has(sha256)]
        paths = [self._path(sha256) for sha256 in there]
        found = {}
        for sha256, path, digest in zip(there, paths, digest_many(paths), strict=True):
            if digest.sha256 == sha256:
                found[sha256] = (path, digest)
                continue
            with suppress(OSError):
                self._set_aside(sha256)
        return found

    def is_damaged(self, sha256: str) -> bool:
        """Return whether the stored copy was found to have other bytes than its name says."""
        return self._aside(sha256).is_file()

    def damaged(self) -> tuple[str, ...]:
        """Return the names of objects that were found damaged and not put back since, sorted."""
        return tuple(sorted(path.name for path in _files(self._root / "damaged")))

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

        With ``down_to`` only until the store holds no more than so many bytes. Raises OSError.
        """
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
        names = tuple(sorted(item.sha256 for item in removed))
        return Collected(names, freed, len(everything) - len(removed), total)

    def clean(self, *, before: float) -> int:
        """Remove what writers left behind that are gone; return how many files. Raises OSError."""
        count = 0
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
            list(pool.map(_flush_folder, sorted({self._path(sha256).parent for sha256 in wanted})))
        return tuple(wrong)

    def _add_some(self, wanted: Mapping[str, Path], pool: ThreadPoolExecutor) -> list[Path]:
        """Fill a part for each object, flush them together, then put those into their places that are right."""
        with ExitStack() as stack:
            parts = self._open_parts(wanted, stack)
            good = {
                sha256: (part, writer)
                for sha256, (part, writer) in parts.items()
                if _copy_into(wanted[sha256], writer) == sha256
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
                part = self._path(sha256).with_name(f".{uuid4().hex}{_PART}")
                try:
                    writer = part.open("x+b", buffering=0)
                except FileNotFoundError:
                    part.parent.mkdir(exist_ok=True)
                    writer = part.open("x+b", buffering=0)
                stack.callback(part.unlink, missing_ok=True)
                stack.enter_context(writer)
                try_lock(writer.fileno())
                parts[sha256] = (part, writer)
        return parts


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


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
