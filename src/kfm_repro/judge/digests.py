"""SHA-256 of two large files, taken by threads of their own while the files are compared.

The command line begins with it before it loads anything else, so nothing that takes long to load is imported here.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from hashlib import _Hash
    from io import FileIO
    from types import TracebackType
    from typing import Self

    Path = str | os.PathLike[str]

__all__ = ["LARGE", "Digests", "begin_ahead"]

LARGE = 1 << 20
"""Bytes from which on another thread is worth the while."""
_BLOCK = 1 << 21
"""Bytes that are compared at once, while those before them are digested."""
_LONG_BLOCK = 1 << 22
"""Bytes per read of what is digested alone: for every block a thread waits for the interpreter."""
_GLANCE = 1 << 17
"""Bytes that show of most differing files that they differ, before anything is laid out for a long comparison."""
_AHEAD = 4
"""Blocks that have been compared and wait to be digested, at most."""
_SWITCH_S = 0.0001
"""Seconds after which a thread gives up the interpreter that others wait for: those let it go again at once."""
_NICENESS = 10


class Digests:
    """The digests of two files A and B, begun at once; what both begin with alike is read and digested once.

    A context: behind it nothing is digested any more.
    """

    def __init__(self, a: Path, b: Path) -> None:
        self.paths = a, b
        self._stop, self._compared, self._shared = (threading.Event() for _ in range(3))
        self._whole = False
        self._sha, self._size = hashlib.sha256(), 0
        self._blocks: SimpleQueue[memoryview | None] = SimpleQueue()
        self._free: SimpleQueue[bytearray] = SimpleQueue()
        self._found: list[tuple[str, int] | OSError | None] = [None, None]
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)
        self._threads = [
            threading.Thread(target=run, daemon=True) for run in (self._digest_a, self._digest_b)
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave off, wherever it is."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        sys.setswitchinterval(self._interval)

    def are_equal(self) -> bool:
        """Wait until it is known whether both files have the same bytes, and return it."""
        self._compared.wait()
        return self._whole

    def of(self, side: int) -> tuple[str, int]:
        """Wait for the digest of A (0) or B (1), and return it with the size in bytes. Raises OSError."""
        self._threads[side].join()
        found = self._found[side]
        if isinstance(found, OSError):
            raise found
        if found is None:
            raise RuntimeError("the digests of files that nobody wanted are asked for")
        return found

    def _digest_a(self) -> None:
        while (block := self._blocks.get()) is not None:
            self._sha.update(block)
            self._size += len(block)
            self._free.put(block.obj)  # type: ignore[arg-type]  # views are of the blocks that come from there
        sha = self._sha.copy()
        self._shared.set()
        self._digest_rest(0, sha)

    def _digest_b(self) -> None:
        try:
            self._whole = self._compare()
        except OSError:
            pass  # which of them cannot be read is found when it is digested
        finally:
            self._compared.set()
            self._blocks.put(None)
        self._shared.wait()
        self._digest_rest(1, self._sha.copy())

    def _compare(self) -> bool:
        """Return whether both have the same bytes; what comes before the first block that differs is handed on."""
        with _opened(self.paths[0]) as a, _opened(self.paths[1]) as b:
            if os.fstat(a.fileno()).st_size != os.fstat(b.fileno()).st_size:
                return False
            glances = a.read(_GLANCE), b.read(_GLANCE)
            seen = min(map(len, glances))  # a read may bring less than it was asked for
            if glances[0][:seen] != glances[1][:seen]:
                return False
            a.seek(0)
            b.seek(0)
            other = bytearray(_BLOCK)
            for _ in range(_AHEAD):
                self._free.put(bytearray(_BLOCK))
            while not self._stop.is_set():
                block = self._free.get()
                count = _fill(a, block)
                if _fill(b, other) != count or not _begin_alike(block, other, count):
                    return False
                if not count:
                    return True
                self._blocks.put(memoryview(block)[:count])
        return False

    def _digest_rest(self, side: int, sha: _Hash) -> None:
        try:
            self._found[side] = self._rest(self.paths[side], sha)
        except OSError as exc:
            self._found[side] = exc

    def _rest(self, path: Path, sha: _Hash) -> tuple[str, int] | None:
        """Return digest and size of a file whose beginning is digested, unless nobody wants them. Raises OSError."""
        _give_way()
        size = self._size
        with _opened(path) as file:
            file.seek(size)
            block = bytearray(_LONG_BLOCK)
            view = memoryview(block)
            while not self._stop.is_set():
                count = file.readinto(block)
                if not count:
                    return sha.hexdigest(), size
                sha.update(view[:count])
                size += count
        return None


def begin_ahead(arguments: Sequence[str]) -> Digests | None:
    """Begin with the two large files that the arguments of ``diff`` name; None where they name another number."""
    if arguments[:1] != ["diff"]:
        return None
    large = [argument for argument in arguments[1:] if _is_large(argument)]
    return Digests(large[0], large[1]) if len(large) == 2 else None  # noqa: PLR2004 - A and B


def _is_large(path: str) -> bool:
    with suppress(OSError, ValueError):  # most arguments name no file, and some cannot
        found = os.stat(path)  # noqa: PTH116 - pathlib takes half as long to load as all that is loaded before us
        return stat.S_ISREG(found.st_mode) and found.st_size >= LARGE
    return False


def _opened(path: Path) -> FileIO:
    return open(path, "rb", buffering=0)  # noqa: PTH123 - as above


def _fill(file: FileIO, block: bytearray) -> int:
    """Fill a block as far as the file goes, and return how far."""
    count = file.readinto(block)
    while 0 < count < len(block):
        more = file.readinto(memoryview(block)[count:])
        if not more:
            break
        count += more
    return count


def _begin_alike(a: bytearray, b: bytearray, count: int) -> bool:
    """Return whether so many bytes are the same; whole bytearrays the C library compares, views go byte by byte."""
    return a == b if count == len(a) else a[:count] == b[:count]


def _give_way() -> None:
    """Let threads that compare go first where cores are few: they need no digest, but their end is waited for."""
    if sys.platform == "linux":  # elsewhere the number of a thread is none that priorities are known by
        this = threading.get_native_id()
        with suppress(OSError):  # some sandboxes forbid it
            os.setpriority(os.PRIO_PROCESS, this, os.getpriority(os.PRIO_PROCESS, this) + _NICENESS)
