"""How declared inputs get into a cell: shown read-only from where they lie, or as copies of which nothing hangs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kfm_repro.execute.isolate.cell import Mount
from kfm_repro.execute.isolate.levels import Isolation

__all__ = ["MOST_MOUNTS", "Arranged", "arrange_inputs", "protect"]

MOST_MOUNTS = 100
"""More single files are copied: the kernel's and bubblewrap's work grows with the square of the number of mounts."""


@dataclass(frozen=True)
class Arranged:
    """``mounts`` are shown from where they lie, ``copies`` (paths in the workspace) have to be copied there."""

    mounts: tuple[Mount, ...]
    copies: tuple[str, ...]


def arrange_inputs(
    sources: Mapping[str, Path], workspace: Path, level: Isolation, *, written: Iterable[str] = ()
) -> Arranged:
    """Decide for each input, by its path in the workspace, whether it is shown or copied.

    ``workspace`` is where the command sees its workspace, ``written`` is what the recorded run wrote: an input that
    it wrote to as well is copied, and a folder with such a file in it is never shown as a whole. Whole folders are
    shown only where there are too many files for mounts of their own, and only if all that is in them is declared. A
    file that only another user may read is copied as well, since capabilities do not reach into the cell.
    """
    outputs = frozenset(written)
    if level is not Isolation.NAMESPACE:
        return Arranged((), tuple(sorted(sources)))
    shown = {path: file.resolve() for path, file in sources.items() if path not in outputs and _is_open(file)}
    folders: dict[str, Path] = {}
    if len(shown) > MOST_MOUNTS:
        folders = _whole_folders(shown, outputs)
    inside = {path for path in shown if str(PurePosixPath(path).parent) in folders}
    single = sorted(set(shown) - inside)
    if len(single) + len(folders) > MOST_MOUNTS:
        single = []
    targets = {**folders, **{path: shown[path] for path in single}}
    mounts = tuple(Mount(source, workspace / path) for path, source in sorted(targets.items()))
    return Arranged(mounts, tuple(sorted(set(sources) - inside - set(single))))


def protect(paths: Iterable[Path]) -> None:
    """Make copies of inputs read-only: without capabilities a write is refused to root as well."""
    for path in paths:
        path.chmod(0o444)


def _is_open(file: Path) -> bool:
    state = file.stat()
    return state.st_uid == os.geteuid() or bool(state.st_mode & 0o004)


def _whole_folders(shown: Mapping[str, Path], outputs: frozenset[str]) -> dict[str, Path]:
    """Return the folders of the workspace that equal a folder of this machine, file by file."""
    groups: dict[str, dict[str, Path]] = {}
    for path, file in shown.items():
        groups.setdefault(str(PurePosixPath(path).parent), {})[PurePosixPath(path).name] = file
    written = {str(parent) for path in outputs for parent in PurePosixPath(path).parents}
    folders = {}
    for folder, files in groups.items():
        (source, *others) = {file.parent for file in files.values()}
        same_names = all(name == file.name for name, file in files.items())
        if others or not same_names or folder in written or folder == ".":
            continue
        nested = any(other != folder and PurePosixPath(other).is_relative_to(folder) for other in groups)
        if not nested and {entry.name for entry in source.iterdir()} == set(files):
            folders[folder] = source
    return folders
