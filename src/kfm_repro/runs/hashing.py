"""Digests: each file is read once, for its sha256 (the records' language) and its size."""

from __future__ import annotations

import hashlib
import os
import re
import resource
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import msgspec
import xxhash

from kfm_repro.errors import InvalidRecord
from kfm_repro.runs.hash_process import HashProcess

__all__ = ["Digest", "digest_file", "digest_many", "normal_sha256"]

_BLOCK = 1 << 17
"""Bytes per read of a large file: small enough that both digests find the block in the core's own cache."""
_SMALL = 1 << 16
"""A file of at most this many bytes is read at once and hashed on the spot: handing it over would cost more."""
_CHUNK = 256
_MANY = 4_000
"""From so many files on, another process has started before this one is done."""
_HELPERS = 3
_PAGE = 4096
_FLAGS = os.O_RDONLY | os.O_CLOEXEC
_PREFIXES = ("jcs:sha256:", "sha256:", "sha256-")
_HEX = re.compile(r"[0-9a-f]{64}\Z")


class Digest(msgspec.Struct, frozen=True, gc=False):
    """sha256 (lower-case hex), xxh3-128 (lower-case hex, for our own indexes) and size in bytes."""

    sha256: str
    xxh3: str
    size_bytes: int


_Made = Digest | Future[Digest] | None


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
    the hash. Where there are thousands, other cores take some from the end, each in a process of its own. Large
    ones go to threads, and all that is left does as soon as the disk is what is waited for.
    Raises the OSError of the first path that cannot be read.
    """
    made: list[_Made] = [None] * len(paths)
    with ThreadPoolExecutor(max_workers=min(8, 2 * (os.cpu_count() or 1))) as pool, ExitStack() as stack:
        helpers = _helpers(len(paths), stack)
        at, end = 0, len(paths)
        while at < end:
            slept = _sleeps()
            end = _hand_out(helpers, paths, made, at + _CHUNK, end)
            for number in range(at, min(at + _CHUNK, end)):
                try:
                    made[number] = _digest_small(paths[number]) or pool.submit(digest_file, paths[number])
                except OSError:
                    _settle(made[:number])
                    raise
            at += _CHUNK
            if _sleeps() - slept > _CHUNK // 2:
                made[at:end] = [pool.submit(_digest_one, path) for path in paths[at:end]]
                break
        for helper in helpers:
            _take(helper, made, wait=True)
        return _settle(
            [item or pool.submit(_digest_one, path) for item, path in zip(made, paths, strict=True)]
        )


def _helpers(count: int, stack: ExitStack) -> list[HashProcess]:
    """Start a process for each further core, if there is enough to do for them."""
    cores = len(os.sched_getaffinity(0)) if count >= _MANY and sys.executable else 1
    try:
        return [stack.enter_context(HashProcess(_SMALL)) for _ in range(min(cores - 1, _HELPERS))]
    except OSError:
        return []


def _hand_out(
    helpers: Sequence[HashProcess], paths: Sequence[Path], made: list[_Made], at: int, end: int
) -> int:
    """Note what the helpers have done, give them the last of ``paths[at:end]``, and return the new end."""
    for helper in helpers:
        _take(helper, made, wait=False)
        while helper.wants and end - at >= _CHUNK:
            end -= _CHUNK
            helper.ask(end, paths[end : end + _CHUNK])
    return end


def _take(helper: HashProcess, made: list[_Made], *, wait: bool) -> None:
    for start, records in helper.answers(wait=wait):
        for number, (hashed, size, sha, xxh) in enumerate(records, start):
            if hashed:
                made[number] = Digest(sha.hex(), xxh.hex(), size)


def _sleeps() -> int:
    """Return how often this thread has given up its core to wait: for bytes that are not in memory, above all."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


def _settle(made: Sequence[_Made]) -> list[Digest]:
    """Return what was made, in order; the first error in that order is raised, whichever came first in time."""
    return [item.result() if isinstance(item, Future) else item for item in made if item]


def _digest_one(path: Path) -> Digest:
    return _digest_small(path) or digest_file(path)


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
