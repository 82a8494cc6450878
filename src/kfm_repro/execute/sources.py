"""Code that an interpreter imports from folders that somebody edits: which commit it is, and what was changed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from kfm_repro.errors import CodeNotAvailable
from kfm_repro.execute.git import Repository, find_repository
from kfm_repro.runs.hashing import digest_file

__all__ = ["source_state"]

_MAX_NEW_FILES = 1_000
_MAX_NEW_BYTES = 16 << 20


def source_state(folder: Path) -> dict[str, Any]:
    """Return commit and changes of the source in ``folder``, or the ``reason`` why they cannot be told.

    ``changes_sha256`` is over the uncommitted changes and the new files that git does not ignore (of large ones
    only the size counts), so that two states with changes can be told apart.
    """
    try:
        repository = find_repository(folder)
        commit = repository.git("rev-parse", "--verify", "HEAD^{commit}").decode().strip()
        changes = _changes(repository)
    except (CodeNotAvailable, OSError) as exc:
        reason = "git has no commit of it" if isinstance(exc, CodeNotAvailable) else "it cannot be read"
        return {"commit": None, "reason": reason}
    state: dict[str, Any] = {"commit": commit, "changed": bool(changes)}
    if changes:
        state["changes_sha256"] = hashlib.sha256(changes).hexdigest()
    return state


def _changes(repository: Repository) -> bytes:
    """Return what differs from the commit at and below the folder, empty when nothing does."""
    below = f":(top,literal){repository.prefix}" if repository.prefix else ":/"
    changes = repository.git(
        "diff", "--binary", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color",
        "--src-prefix=a/", "--dst-prefix=b/", "HEAD", "--", below,
    )  # fmt: skip
    new = repository.git("ls-files", "--others", "--exclude-standard", "--full-name", "-z", "--", below)
    lines = []
    for number, name in enumerate(sorted(new.split(b"\0")[:-1])):
        path = repository.top / os.fsdecode(name)
        size = path.lstat().st_size
        told = number < _MAX_NEW_FILES and size <= _MAX_NEW_BYTES and path.is_file() and not path.is_symlink()
        lines.append(name + f"\0{size}\0{digest_file(path).sha256 if told else ''}\n".encode())
    return changes + b"".join(lines)
