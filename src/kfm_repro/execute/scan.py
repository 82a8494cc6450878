"""The files of a project or workspace that may be outputs, and the state of each."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.project import Project

__all__ = ["NEVER_OUTPUTS", "FileState", "relocate", "scan_files", "walk_files", "watched_folders"]

FileState = tuple[int, int, int, int, str]
"""Size in bytes, times of modification and of change in nanoseconds, inode, target of a link."""

NEVER_OUTPUTS = frozenset((".git", "__pycache__"))
"""Names of folders in which nothing is an output."""


def relocate(path: str, project: Project, original: RunDir, fresh: RunDir) -> str:
    """Return where an output lies in a replay: one in the recorded run's own folder moves to the fresh run's."""
    old = project.runs_relative / original.pipeline / original.name
    if PurePosixPath(path).is_relative_to(old):
        new = project.runs_relative / fresh.pipeline / fresh.name
        return (new / PurePosixPath(path).relative_to(old)).as_posix()
    return path


def watched_folders(project: Project, patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the folders in which outputs can appear: the data roots, and where the patterns point."""
    folders = {*project.settings.data_roots}
    for pattern in patterns:
        fixed = itertools.takewhile(
            lambda part: not any(c in part for c in "*?["), PurePosixPath(pattern).parts
        )
        folders.add(PurePosixPath(*fixed).as_posix())
    return tuple(sorted(folders))


def walk_files(root: Path, folders: Iterable[str]) -> Iterator[str]:
    """Yield every regular file at or below ``folders``, by path relative to ``root``, sorted within each folder.

    Links are followed as long as they stay inside ``root``; git's own folder and Python's caches are left out.
    """
    return (path for path, _, _ in _find(root, folders))


def scan_files(root: Path, folders: Iterable[str]) -> dict[str, FileState]:
    """Return the state of every file that `walk_files` finds."""
    return {path: _state(place, linked=linked) for path, place, linked in _find(root, folders)}


_Found = tuple[str, str, bool]
"""Path relative to the root, where the file was found, whether that is a link. Texts: a Path per file costs more."""


def _find(root: Path, folders: Iterable[str]) -> Iterator[_Found]:
    base, real = os.path.realpath(root), dict[Path, str]()
    for folder in folders:
        top = root / folder
        if top.parent not in real:
            real[top.parent] = os.path.realpath(top.parent)
        linked = top.is_symlink()
        place = os.path.realpath(top) if linked else os.path.join(real[top.parent], top.name)  # noqa: PTH118
        if top.name in NEVER_OUTPUTS or not _is_below(place, base):
            continue
        path = top.relative_to(root).as_posix()
        if os.path.isdir(place):  # noqa: PTH112 - see _Found
            yield from _walk("" if path == "." else f"{path}/", place, base, frozenset((place,)))
        elif os.path.isfile(place):  # noqa: PTH113 - see _Found
            yield path, str(top), linked


def _walk(prefix: str, folder: str, base: str, above: frozenset[str]) -> Iterator[_Found]:
    """Walk the real ``folder``, calling what lies in it ``prefix`` and its name; ``above`` are the folders entered."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        place, linked = entry.path, entry.is_symlink()
        if entry.name in NEVER_OUTPUTS:
            continue
        if linked:
            place = os.path.realpath(place)
            if not _is_below(place, base):
                continue
        if os.path.isdir(place) if linked else entry.is_dir():  # noqa: PTH112 - see _Found
            if place not in above:
                yield from _walk(f"{prefix}{entry.name}/", place, base, above | {place})
        elif os.path.isfile(place) if linked else entry.is_file():  # noqa: PTH113 - see _Found
            yield prefix + entry.name, entry.path, linked


def _is_below(place: str, base: str) -> bool:
    return place == base or place.startswith(base.rstrip("/") + "/")


def _state(place: str, *, linked: bool) -> FileState:
    stat = os.stat(place)  # noqa: PTH116 - see _Found
    target = os.readlink(place) if linked else ""  # noqa: PTH115 - see _Found
    return (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, target)
