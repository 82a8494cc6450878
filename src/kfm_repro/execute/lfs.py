"""Files that are only a pointer of Git LFS: the data itself was never fetched."""

from __future__ import annotations

from pathlib import Path

__all__ = ["LARGEST_POINTER", "is_pointer", "is_pointer_text"]

_START = b"version https://git-lfs.github.com/spec/"
LARGEST_POINTER = 1024
"""Git LFS specification: a pointer file is smaller than 1024 bytes and begins with its version line."""


def is_pointer(path: Path) -> bool:
    """Return whether a file is a pointer of Git LFS instead of the data. False when it cannot be read."""
    try:
        if path.stat().st_size >= LARGEST_POINTER:
            return False
        with path.open("rb") as file:
            return is_pointer_text(file.read(len(_START)))
    except OSError:
        return False


def is_pointer_text(content: bytes) -> bool:
    """Return whether a file of fewer than ``LARGEST_POINTER`` bytes that begins so is a pointer of Git LFS."""
    return content.startswith(_START)
