"""Hashes small files in a process of its own; `hash_process` starts it and speaks with it.

A program on the standard library and xxhash. stdin has one request after another: a length in bytes (4 bytes,
little-endian), then that many bytes of paths, a NUL between two. stdout answers each with one `RECORD` per path, in
their order: whether it was hashed, its size in bytes, sha256, xxh3-128. What is not hashed (it is larger, it is gone,
it cannot be read) is left to the one who asked, who then sees why.
"""

from __future__ import annotations

import hashlib
import os
import struct
import sys
from collections.abc import Callable

__all__ = ["LENGTH", "RECORD"]

LENGTH = struct.Struct("<I")
RECORD = struct.Struct("<BI32s16s")
_FLAGS = os.O_RDONLY | os.O_CLOEXEC
_LEFT = RECORD.pack(0, 0, b"", b"")


def _serve(small: int, xxh3: Callable[[bytes], bytes]) -> None:
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    while head := asked.read(LENGTH.size):
        paths = asked.read(*LENGTH.unpack(head)).split(b"\0")
        answers.write(b"".join([_record(path, small, xxh3) for path in paths]))
        answers.flush()


def _record(path: bytes, small: int, xxh3: Callable[[bytes], bytes]) -> bytes:
    try:
        handle = os.open(path, _FLAGS)
    except OSError:
        return _LEFT
    try:
        data = os.read(handle, small)
        while more := os.read(handle, small):
            data += more
            if len(data) > small:
                return _LEFT
    except OSError:
        return _LEFT
    finally:
        os.close(handle)
    return RECORD.pack(1, len(data), hashlib.sha256(data).digest(), xxh3(data))


if __name__ == "__main__":
    # Started without the site module, for its speed: of what is installed it knows only the folder that it is given.
    sys.path.append(sys.argv[2])
    from xxhash import xxh3_128_digest

    _serve(int(sys.argv[1]), xxh3_128_digest)
