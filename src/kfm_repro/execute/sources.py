"""Code that an interpreter imports from folders that somebody edits: which commit it is, and what was changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from kfm_repro.errors import CodeNotAvailable
from kfm_repro.execute.git import Repository, find_repository
from kfm_repro.runs.hashing import digest_file

__all__ = ["source_state"]

_MAX_NEW_FILES = 1_000
_MAX_NEW_BYTES = 16 << 20
_MAX_ENTRIES = 20_000
_MAX_MODULES = 2_000
_MAX_MODULE_BYTES = 64 << 20
_MODULES = (".py", ".so")
_INSTALLED = ("site-packages", "dist-packages")
"""Folders of packages, whose own lists of files are in the fingerprint."""


def source_state(folder: Path) -> dict[str, Any]:
    """Return commit and changes of the source in ``folder``, or the ``reason`` why they cannot be told.

    ``changes_sha256`` is over the uncommitted changes and the new files that git does not ignore (of large ones
    only the size counts), so that two states with changes can be told apart. Of a folder that is not in git
    ``files_sha256`` is over its modules, ``files_bound`` says when they were too many or too large to read them all.
    """
    try:
        repository = find_repository(folder)
        commit = repository.git("rev-parse", "--verify", "HEAD^{commit}").decode().strip()
        changes = _changes(repository)
    except (CodeNotAvailable, OSError) as exc:
        reason = "git has no commit of it" if isinstance(exc, CodeNotAvailable) else "it cannot be read"
        return {"commit": None, "reason": reason, **_files(folder)}
    state: dict[str, Any] = {"commit": commit, "changed": bool(changes)}
    if changes:
        state["changes_sha256"] = hashlib.sha256(changes).hexdigest()
    return state


def _files(folder: Path) -> dict[str, str]:
    """Return a digest of the modules below a folder, by path and content; nothing of one of packages."""
    if folder.name in _INSTALLED:
        return {}
    digest, found, size, bound = hashlib.sha256(), 0, 0, ""
    for path in _modules(folder):
        if path is None or found >= _MAX_MODULES or size > _MAX_MODULE_BYTES:
            bound = f"only its first {found} modules were read"
            break
        with suppress(OSError):
            known = digest_file(path)
            digest.update(f"{path.relative_to(folder).as_posix()}\0{known.sha256}\n".encode(errors="replace"))
            found, size = found + 1, size + known.size_bytes
    return {"files_sha256": digest.hexdigest()} | ({"files_bound": bound} if bound else {})


def _modules(folder: Path) -> Iterator[Path | None]:
    """Yield the modules below a folder in a fixed order, and None where too much lies there to go on."""
    seen = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__pycache__")))
        seen += len(folders) + len(names)
        if seen > _MAX_ENTRIES:
            yield None
            return
        yield from (Path(place, name) for name in sorted(names) if name.endswith(_MODULES))


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
