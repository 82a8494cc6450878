"""What is there, as far as we may look: where others keep us out, nothing is. ``pathlib`` raises there before 3.14."""

from __future__ import annotations

import os

__all__ = ["exists", "is_file", "is_folder"]

_Name = str | os.PathLike[str]


def exists(path: _Name) -> bool:
    """Return whether something is there that we can see."""
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: _Name) -> bool:
    """Return whether a file is there that we can see."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: _Name) -> bool:
    """Return whether a folder is there that we can see."""
    return os.path.isdir(path)  # noqa: PTH112
