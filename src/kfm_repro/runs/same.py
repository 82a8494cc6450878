"""Whether a run that is to be brought in is here already, file by file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from filecmp import cmp
from pathlib import Path
from typing import Any

from kfm_repro.errors import NotWritable
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.trust import FOREIGN

__all__ = ["refuse_another"]

_LOCAL = frozenset(("retain",))
"""What of a status is about where the run lies, and not about the run."""


def refuse_another(staged: RunDir, final: RunDir) -> bool:
    """Return whether ``final`` is the run that ``staged`` is: every file of it is there with the same bytes.

    Files beside them, such as later reports, and the mark of a foreign run do not matter. Raises NotWritable where
    something else lies there.
    """
    if not os.path.lexists(final.path):
        return False
    if different := next(_differing(staged, final), None):
        raise NotWritable(
            f"run {final.pipeline}/{final.name} is here already, and {different} is not as in the pack",
            hint="unpack into another folder: --into DIR",
        )
    return True


def _differing(staged: RunDir, final: RunDir) -> Iterator[str]:
    """Yield the files of ``staged`` that are not in ``final``, or not the same there; nothing follows a link."""
    if final.path.is_symlink():
        yield final.name
        return
    for path in sorted(staged.path.rglob("*")):
        name = path.relative_to(staged.path)
        other = final.path / name
        if path.is_symlink() or path.is_dir() or name == Path(FOREIGN):
            continue
        real = other.parent.resolve() == final.path.resolve() / name.parent and not other.is_symlink()
        if not real or not other.is_file() or not _same(path, other, status=path == staged.status):
            yield name.as_posix()


def _same(path: Path, other: Path, *, status: bool) -> bool:
    if cmp(path, other, shallow=False):
        return True
    return status and _told(path) is not None and _told(path) == _told(other)


def _told(path: Path) -> dict[str, Any] | None:
    """Return what a status says of its run; None where it cannot be read."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return (
        {key: value for key, value in document.items() if key not in _LOCAL}
        if isinstance(document, dict)
        else None
    )
