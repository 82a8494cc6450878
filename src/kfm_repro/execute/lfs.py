"""Files that are only a pointer of Git LFS: the data itself was never fetched."""

from __future__ import annotations

from pathlib import Path

__all__ = ["is_pointer"]

_START = b"version https://git-lfs.github.com/spec/"
_LARGEST = 1024
"""Git LFS specification: a pointer file is smaller than 1024 bytes and begins with its version line."""


def is_pointer(path: Path) -> bool:
    """Return whether a file is a pointer of Git LFS instead of the data. False when it cannot be read."""
    try:
        if path.stat().st_size >= _LARGEST:
            return False
        with path.open("rb") as file:
            return file.read(len(_START)) == _START
    except OSError:
        return False
