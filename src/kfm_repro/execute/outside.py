"""Outputs behind symbolic links that lead out of the project, or nowhere: seen to be written, and never read."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from kfm_repro.execute.collect import can_be_recorded, matches_any
from kfm_repro.execute.scan import NEVER_OUTPUTS, FileState, watched_folders
from kfm_repro.model.manifest import UNRECORDED, Entry
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.project import Project

__all__ = [
    "note_outside",
    "of_another_run",
    "outside_before",
    "outside_entry",
    "outside_outputs",
    "scan_outside",
    "written_outside",
]

_REASON = "behind a symbolic link that leads out of the project or nowhere: the content is not recorded"
_SHOWN = 3
_MOST = 10_000
"""Files that are looked at behind one link: it may lead to a whole archive, or to the root of the machine."""


def outside_entry(path: str) -> Entry:
    """Return the manifest entry of an output whose content cannot be recorded."""
    return Entry(path=path, extra={UNRECORDED: _REASON})


def outside_before(project: Project, patterns: Sequence[str]) -> dict[str, FileState]:
    """Return what there is behind links where the outputs of a command can appear, before it runs."""
    return scan_outside(project.root, watched_folders(project, patterns), str(project.ephemeral))


def outside_outputs(
    project: Project, patterns: Sequence[str], run: RunDir, before: dict[str, FileState]
) -> tuple[Entry, ...]:
    """Return the entries of what a command wrote there; ``patterns`` are its declared outputs, if any."""
    written = written_outside(
        project.root, watched_folders(project, patterns), before, str(project.ephemeral)
    )
    return tuple(
        outside_entry(path)
        for path in written
        if not patterns or (matches_any(path, patterns) and not of_another_run(project, run, path))
    )


def note_outside(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Return what the user should know of outputs that cannot be recorded."""
    if not entries:
        return ()
    names = ", ".join(entry.path for entry in entries[:_SHOWN]) + (" …" if len(entries) > _SHOWN else "")
    told = f"behind a symbolic link that leads out of the project or nowhere: {names}; the content is not recorded, so "
    return (f"{told}that no replay can be judged by it: write files inside of the project",)


def of_another_run(project: Project, run: RunDir, path: str) -> bool:
    """Return whether a file lies among the run records, but not in the record of this run."""
    place = project.root / path
    return place.is_relative_to(project.runs) and not place.is_relative_to(run.path)


def scan_outside(root: Path, folders: Iterable[str], passed_over: str = "") -> dict[str, FileState]:
    """Return the state of every link at or below ``folders`` that leads out of ``root`` or nowhere, and what is behind.

    Names are relative to ``root``, through the links; nothing at or below ``passed_over`` is looked at.
    """
    base = os.path.realpath(root)
    found: dict[str, FileState] = {}
    for folder in folders:
        top = root / folder
        name = top.relative_to(root).as_posix()
        real = os.path.realpath(top)
        if not _is_below(real, base) or (top.is_symlink() and not os.path.exists(real)):  # noqa: PTH110
            found.update(_behind(name, str(top), real, passed_over))
        elif os.path.isdir(real):  # noqa: PTH112 - no Path per file
            prefix = "" if name == "." else f"{name}/"
            found.update(_walk(prefix, real, base, passed_over))
    return found


def written_outside(
    root: Path, folders: Iterable[str], before: dict[str, FileState], passed_over: str = ""
) -> tuple[str, ...]:
    """Return what of `scan_outside` is new or changed since ``before``, sorted; a new link stands for all behind it.

    Names that no record can hold are left out.
    """
    after = scan_outside(root, folders, passed_over)
    moved = {path for path, state in after.items() if before.get(path) != state}
    return tuple(
        path
        for path in sorted(moved)
        if can_be_recorded(path)
        and moved.isdisjoint(itertools.accumulate(path.split("/")[:-1], "{}/{}".format))
    )


def _walk(prefix: str, folder: str, base: str, passed_over: str) -> Iterator[tuple[str, FileState]]:
    with os.scandir(folder) as listed:
        entries = list(listed)
    for entry in entries:
        name = prefix + entry.name
        if entry.name in NEVER_OUTPUTS or name == passed_over:
            continue
        if entry.is_symlink():
            real = os.path.realpath(entry.path)
            # What a link inside leads to is found where it lies.
            if not _is_below(real, base) or not os.path.exists(real):  # noqa: PTH110 - no Path per file
                yield from _behind(name, entry.path, real, passed_over)
        elif entry.is_dir():
            yield from _walk(f"{name}/", entry.path, base, passed_over)


def _behind(name: str, link: str, real: str, passed_over: str) -> Iterator[tuple[str, FileState]]:
    """Yield a link and, when it leads to a folder, the files in there; links among them are not followed."""
    if not os.path.isdir(real):  # noqa: PTH112 - no Path per file
        yield from _state(name, link)
        return
    if os.path.islink(link):  # noqa: PTH114 - no Path per file
        yield from _state(name, link, follow=False)
    files = (
        (Path(folder, file), f"{name}/{Path(folder, file).relative_to(real).as_posix()}")
        for folder, _, files in os.walk(real)
        for file in files
    )
    for path, seen in itertools.islice(files, _MOST):
        if not passed_over or not f"{seen}/".startswith(f"{passed_over}/"):
            yield from _state(seen, str(path))


def _state(name: str, place: str, *, follow: bool = True) -> Iterator[tuple[str, FileState]]:
    """Yield the state of what lies behind ``place``, of the link itself where nothing does; nothing when it is gone."""
    try:
        target = os.readlink(place) if os.path.islink(place) else ""  # noqa: PTH114, PTH115 - no Path per file
        exists = follow and os.path.exists(place)  # noqa: PTH110 - no Path per file
        stat = os.stat(place, follow_symlinks=exists)  # noqa: PTH116 - no Path per file
    except OSError:
        return
    yield name, (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, target)


def _is_below(place: str, base: str) -> bool:
    return place == base or place.startswith(base.rstrip("/") + "/")
