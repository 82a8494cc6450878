"""Files that are only a pointer of Git LFS: the data itself was never fetched, or lies in git's own folder."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LARGEST_POINTER", "Pointer", "is_pointer", "is_pointer_text", "local_data", "parse_pointer"]

_START = b"version https://git-lfs.github.com/spec/"
LARGEST_POINTER = 1024
"""Git LFS specification: a pointer file is smaller than 1024 bytes and begins with its version line."""
_OID = re.compile(rb"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)
_SIZE = re.compile(rb"^size ([0-9]{1,19})$", re.MULTILINE)
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Pointer:
    """What a pointer says of the data: its sha256 and its size in bytes."""

    sha256: str
    size_bytes: int


def is_pointer(path: Path) -> bool:
    """Return whether a file is a pointer of Git LFS instead of the data. False when it cannot be read."""
    return _head(path).startswith(_START)


def parse_pointer(content: bytes) -> Pointer | None:
    """Return what a pointer says, None when ``content`` is no whole pointer."""
    if len(content) >= LARGEST_POINTER or not content.startswith(_START):
        return None
    oid, size = _OID.search(content), _SIZE.search(content)
    return Pointer(oid[1].decode(), int(size[1])) if oid and size else None


def local_data(pointer: Pointer, git_folder: Path) -> Path | None:
    """Return the file that Git LFS keeps below ``git_folder`` for a pointer; None unless it has the very bytes."""
    oid = pointer.sha256
    path = git_folder / "lfs" / "objects" / oid[:2] / oid[2:4] / oid
    try:
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while block := file.read(_BLOCK):
                digest.update(block)
            whole = file.tell() == pointer.size_bytes and digest.hexdigest() == oid
    except OSError:
        return None
    return path if whole else None


def _head(path: Path) -> bytes:
    try:
        if path.stat().st_size >= LARGEST_POINTER:
            return b""
        with path.open("rb") as file:
            return file.read(LARGEST_POINTER)
    except OSError:
        return b""


def is_pointer_text(content: bytes) -> bool:
    """Return whether a file of fewer than ``LARGEST_POINTER`` bytes that begins so is a pointer of Git LFS."""
    return content.startswith(_START)
