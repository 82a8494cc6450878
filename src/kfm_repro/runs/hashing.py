"""Digests: each file is read once, for its sha256 (the records' language) and its size."""

from __future__ import annotations

import hashlib
import os
import re
import resource
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import msgspec
import xxhash

from kfm_repro.errors import InvalidRecord

__all__ = ["Digest", "digest_file", "digest_many", "normal_sha256"]

_BLOCK = 1 << 17
"""Bytes per read of a large file: small enough that both digests find the block in the core's own cache."""
_SMALL = 1 << 16
"""A file of at most this many bytes is read at once and hashed on the spot: handing it over would cost more."""
_CHUNK = 256
_PAGE = 4096
_FLAGS = os.O_RDONLY | os.O_CLOEXEC
_PREFIXES = ("jcs:sha256:", "sha256:", "sha256-")
_HEX = re.compile(r"[0-9a-f]{64}\Z")


class Digest(msgspec.Struct, frozen=True, gc=False):
    """sha256 (lower-case hex), xxh3-128 (lower-case hex, for our own indexes) and size in bytes."""

    sha256: str
    xxh3: str
    size_bytes: int


def digest_file(path: Path) -> Digest:
    """Read ``path`` once and return its digests. Raises OSError."""
    sha, xxh, size = hashlib.sha256(), xxhash.xxh3_128(), 0
    with path.open("rb", buffering=0) as file:
        block = bytearray(min(_BLOCK, os.fstat(file.fileno()).st_size + _PAGE))
        view = memoryview(block)
        while count := file.readinto(block):
            sha.update(view[:count])
            xxh.update(view[:count])
            size += count
    return Digest(sha.hexdigest(), xxh.hexdigest(), size)


def digest_many(paths: Sequence[Path]) -> list[Digest]:
    """Return the digests of many files, in the order of ``paths``; each is read once.

    Small files are hashed here, one after the other: for them a thread's turn at the interpreter costs more than
    the hash. Large ones go to threads, and all that is left does as soon as the disk is what is waited for.
    Raises the OSError of the first path that cannot be read.
    """
    with ThreadPoolExecutor(max_workers=min(8, 2 * (os.cpu_count() or 1))) as pool:
        made: list[Digest | Future[list[Digest]]] = []
        rest = iter(paths)
        try:
            while chunk := list(islice(rest, _CHUNK)):
                slept = _sleeps()
                for path in chunk:
                    digest = _digest_small(path)
                    made.append(digest or pool.submit(_digest_chunk, (path,)))
                if _sleeps() - slept > _CHUNK // 2:
                    made += [pool.submit(_digest_chunk, part) for part in _parts(rest)]
        except OSError:
            _settle(made)
            raise
        return _settle(made)


def _sleeps() -> int:
    """Return how often this thread has given up its core to wait: for bytes that are not in memory, above all."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


def _settle(made: list[Digest | Future[list[Digest]]]) -> list[Digest]:
    """Return what was made, in order; the first error in that order is raised, whichever came first in time."""
    done: list[Digest] = []
    for item in made:
        done += (item,) if isinstance(item, Digest) else item.result()
    return done


def _parts(rest: Iterator[Path]) -> Iterator[list[Path]]:
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk


def _digest_chunk(paths: Sequence[Path]) -> list[Digest]:
    return [_digest_small(path) or digest_file(path) for path in paths]


def _digest_small(path: Path) -> Digest | None:
    """Return the digests of a small file, None when it is not small. Bare system calls: they are half the time."""
    handle = os.open(path, _FLAGS)
    try:
        data = os.read(handle, _SMALL)
        while more := os.read(handle, _SMALL):
            if len(data) + len(more) > _SMALL:
                return None
            data += more
    except OSError as exc:
        raise OSError(exc.errno, exc.strerror, str(path)) from None
    finally:
        os.close(handle)
    return Digest(hashlib.sha256(data).hexdigest(), xxhash.xxh3_128_hexdigest(data), len(data))


def normal_sha256(text: str, *, where: str) -> str:
    """Return a sha256 in any spelling met in records as bare lower-case hex. Raises InvalidRecord."""
    if _HEX.match(text):
        return text
    value = text.strip().lower()
    for prefix in _PREFIXES:
        if value.startswith(prefix):
            value = value.removeprefix(prefix)
            break
    if not _HEX.match(value):
        raise InvalidRecord(
            f"not a sha256 digest in {where}: {text[:80]!r}",
            hint="write 64 hex digits, bare or after 'sha256:'",
        )
    return value
