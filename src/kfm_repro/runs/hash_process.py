"""A second core for many small files: a thread would wait for the interpreter, a process does not."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

import xxhash

from kfm_repro.runs.hash_worker import LENGTH, RECORD

__all__ = ["HashProcess", "Record"]

Record = tuple[int, int, bytes, bytes]
"""Of one path: 1 when it was hashed, its size in bytes, sha256, xxh3-128."""

_AHEAD = 2
"""Requests on their way: the answers to so few fit into a pipe, so that neither side waits for the other for good."""


class HashProcess:
    """Another process that hashes files of at most ``small`` bytes; a context. Raises OSError when it cannot start.

    One that has ended, for whatever reason, wants nothing more and answers nothing: its caller hashes what is left.
    """

    def __init__(self, small: int) -> None:
        worker = Path(__file__).with_name("hash_worker.py")
        packages = Path(xxhash.__file__).parents[1]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", worker, str(small), packages],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._asked: deque[tuple[int, int]] = deque()
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def wants(self) -> bool:
        """Whether it would take a request now."""
        return not self._ended and len(self._asked) < _AHEAD

    def ask(self, start: int, paths: Sequence[Path]) -> None:
        """Hand over ``paths``, which begin at ``start`` of some list."""
        request = b"\0".join([os.fsencode(path) for path in paths])
        pipe = cast("IO[bytes]", self._process.stdin)
        try:
            pipe.write(LENGTH.pack(len(request)) + request)
            pipe.flush()
        except OSError:
            self._ended = True
        self._asked.append((start, len(paths)))

    def answers(self, *, wait: bool) -> Iterator[tuple[int, list[Record]]]:
        """Yield where a request began, and its records: of all requests, or, without ``wait``, of the answered ones."""
        pipe = cast("IO[bytes]", self._process.stdout)
        while self._asked and not self._ended and (wait or select.select([pipe], [], [], 0)[0]):
            start, count = self._asked.popleft()
            answer = pipe.read(count * RECORD.size)
            self._ended = len(answer) < count * RECORD.size
            if not self._ended:
                yield start, list(RECORD.iter_unpack(answer))
