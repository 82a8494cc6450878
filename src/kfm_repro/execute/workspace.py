"""A fresh workspace: the recorded code, the declared inputs, the config snapshot, and no other data."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kfm_repro.errors import InvalidRecord
from kfm_repro.execute.checkout import check_out, hide_removed
from kfm_repro.execute.inputs import InputSource, lay_inputs
from kfm_repro.execute.isolate import Isolation, Mount, arrange_inputs, protect
from kfm_repro.execute.plan import Plan
from kfm_repro.model.manifest import Manifest
from kfm_repro.model.run import Run
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.paths import inside
from kfm_repro.runs.project import Project

__all__ = [
    "FileState",
    "Workspace",
    "build_workspace",
    "relocate",
    "scan_files",
    "walk_files",
    "watched_folders",
]

FileState = tuple[int, int, int, int, str]
"""Size in bytes, times of modification and of change in nanoseconds, inode, target of a link."""

_NEVER_OUTPUTS = frozenset((".git", "__pycache__"))


@dataclass(frozen=True)
class Workspace:
    """Where a replay runs. ``root`` stands for the project root, ``run_dir`` for the run's own folder.

    ``top`` is the folder that ``root`` lies in or is: the clone. ``shown`` are inputs that are shown in it from
    where they lie, ``copies`` the others, by path.

    ``before`` is the state of every file before the pipeline started: an output counts only when it moved on.
    """

    root: Path
    run_dir: Path
    home: Path
    temporary: Path
    before: dict[str, FileState]
    top: Path
    shown: tuple[Mount, ...]
    copies: frozenset[str]


def build_workspace(
    place: Path, project: Project, plan: Plan, fresh: RunDir, sources: tuple[InputSource, ...]
) -> Workspace:
    """Lay out a workspace for the run ``fresh`` in the empty folder ``place``.

    Tracked files below the data roots are removed unless they are declared inputs (rule 12), and so is every
    recorded output, lest a committed copy of it be taken for the replay's. The folders of the recorded outputs
    are made, since a clean clone has no empty folders. Raises CodeNotAvailable, InputUnavailable, UnsafePath,
    InvalidRecord.
    """
    clone = check_out(plan.code, place / "workspace")
    root = clone.top / clone.prefix
    for name in project.settings.data_roots:
        shutil.rmtree(inside(root, name, what="data root"), ignore_errors=True)
    _remove_outputs(root, plan.outputs, {source.entry.path for source in sources})
    arranged = arrange_inputs(
        {source.entry.path: source.file for source in sources},
        root,
        plan.isolation.level,
        written=[entry.path for entry in plan.outputs.entries],
    )
    lay_inputs(sources, root, arranged.copies)
    if plan.isolation.level is Isolation.LANDLOCK:
        outputs = {entry.path for entry in plan.outputs.entries}
        protect(root / path for path in arranged.copies if path not in outputs)
    hide_removed(clone)
    run_dir = root / project.runs_relative / fresh.pipeline / fresh.name
    for name in ("config", "validation", "metrics", "logs", "scratch"):
        (run_dir / name).mkdir(parents=True)
    _lay_config(plan.original, plan.run, root, run_dir / "config")
    for entry in plan.outputs.entries:
        moved = relocate(entry.path, project, plan.original, fresh)
        inside(root, moved, what="output of the record").parent.mkdir(parents=True, exist_ok=True)
    home, temporary = place / "home", place / "tmp"
    home.mkdir()
    temporary.mkdir()
    before = scan_files(root, ["."])
    return Workspace(
        root, run_dir, home, temporary, before, clone.top, arranged.mounts, frozenset(arranged.copies)
    )


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
    base = root.resolve()
    for folder in folders:
        yield from _walk(root, root / folder, base, frozenset())


def scan_files(root: Path, folders: Iterable[str]) -> dict[str, FileState]:
    """Return the state of every file that `walk_files` finds."""
    return {path: _state(root / path) for path in walk_files(root, folders)}


def _walk(root: Path, top: Path, base: Path, above: frozenset[Path]) -> Iterator[str]:
    if top.name in _NEVER_OUTPUTS:
        return
    place = top.resolve()
    if place in above or not place.is_relative_to(base):
        return
    if place.is_dir():
        for path in sorted(top.iterdir()):
            yield from _walk(root, path, base, above | {place})
    elif place.is_file():
        yield top.relative_to(root).as_posix()


def _state(path: Path) -> FileState:
    stat = path.stat()
    target = str(path.readlink()) if path.is_symlink() else ""
    return (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, target)


def _remove_outputs(root: Path, outputs: Manifest, inputs: set[str]) -> None:
    """Remove recorded outputs that the checkout brought."""
    for entry in outputs.entries:
        if entry.path not in inputs:
            inside(root, entry.path, what="output of the record").unlink(missing_ok=True)


def _lay_config(original: RunDir, run: Run, root: Path, snapshot: Path) -> None:
    """Copy the config snapshot over ``<root>/config`` and into the run folder of the workspace (rule 13).

    Where the record lists the files of its snapshot, one that is not in the list was written by the run itself.
    """
    if original.config.is_symlink():
        raise InvalidRecord(
            f"the config snapshot of {original.name} is a symbolic link",
            hint="put the files themselves into the folder config/ of the run",
        )
    if not original.config.is_dir():
        return
    patch = run.pipeline.version.patch
    for path in sorted(original.config.rglob("*")):
        relative = path.relative_to(original.config).as_posix()
        if path.is_symlink():
            raise InvalidRecord(
                f"the config snapshot of {original.name} holds a symbolic link: {relative}",
                hint="put the file itself into the snapshot",
            )
        if not path.is_file() or f"config/{relative}" == patch:
            continue
        if run.pipeline.config is not None and relative not in run.pipeline.config:
            continue
        origin = (run.pipeline.config or {}).get(relative, f"config/{relative}")
        for target in (snapshot / relative, inside(root, origin, what="pipeline.config of the record")):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copyfile(path, target)
