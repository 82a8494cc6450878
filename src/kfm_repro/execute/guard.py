"""A run's own folder while its command runs: the command is told where it lies, and may do it harm."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

__all__ = ["Guard"]

_Seen = tuple[int, int, int]


class Guard:
    """What the folder of a run was before its command began; ``kept`` are the subfolders that must stay as they are."""

    def __init__(self, folder: Path, kept: tuple[str, ...] = ()) -> None:
        self._folder = folder
        self._identity = _identity(folder)
        self._files = {
            path: _seen(path)
            for name in kept
            for path in sorted((folder / name).rglob("*"))
            if path.is_file()
        }

    def broken(self) -> str:
        """Return what the command did to the folder, empty when it is whole."""
        if _identity(self._folder) != self._identity:
            return "removed or replaced its own run folder (KFM_RUN_DIR)"
        gone = [path for path, seen in self._files.items() if _seen(path) != seen]
        if gone:
            name = gone[0].relative_to(self._folder).as_posix()
            more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
            return f"removed or changed what was kept of it in its run folder (KFM_RUN_DIR): {name}{more}"
        return ""

    def make_way(self) -> None:
        """Leave a folder in its place that a failed run can be written to; nothing outside of it is touched."""
        if self._folder.is_symlink() or self._folder.is_file():
            self._folder.unlink()
        self._folder.mkdir(parents=True, exist_ok=True)
        for name in ("run.yaml", "status.json", "_SUCCESS", "_FAILED"):
            path = self._folder / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        state = os.lstat(folder)
    except OSError:
        return None
    return (state.st_dev, state.st_ino) if folder.is_dir() and not folder.is_symlink() else None


def _seen(path: Path) -> _Seen | None:
    try:
        state = os.lstat(path)
    except OSError:
        return None
    return (state.st_size, state.st_mtime_ns, state.st_ino)
