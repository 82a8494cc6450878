"""The object store: bytes of outputs and inputs by their sha256, so that later runs may overwrite files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from uuid import uuid4

from kfm_repro.runs.hashing import digest_file

__all__ = ["ObjectStore", "copy_file"]

_FICLONE = 0x40049409


def copy_file(source: Path, target: Path) -> None:
    """Copy the bytes of ``source`` to the new file ``target``: as a reflink where the file system can."""
    import fcntl

    with source.open("rb") as reader, target.open("xb") as writer:
        try:
            fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
        except OSError:
            shutil.copyfileobj(reader, writer, 1 << 20)


class ObjectStore:
    """Content-addressed files below ``<runs>/.objects``: read-only, never linked to files others may write."""

    def __init__(self, runs: Path) -> None:
        self._root = runs / ".objects"

    def _path(self, sha256: str) -> Path:
        return self._root / sha256[:2] / sha256[2:]

    def has(self, sha256: str) -> bool:
        """Return whether there is an object of this name (its bytes are checked when it is read)."""
        return self._path(sha256).is_file()

    def add(self, source: Path, sha256: str) -> bool:
        """Keep the bytes of ``source`` under ``sha256``; False when they are not those bytes."""
        target = self._path(sha256)
        if target.is_file():
            return True
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.parent / f".{uuid4().hex}.part"
        try:
            copy_file(source, part)
            if digest_file(part).sha256 != sha256:
                return False
            part.chmod(0o444)
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return True

    def find(self, sha256: str) -> Path | None:
        """Return the object when it is there and its bytes are what its name says, else None."""
        path = self._path(sha256)
        if path.is_file() and digest_file(path).sha256 == sha256:
            return path
        return None
