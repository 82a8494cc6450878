"""A fresh workspace: the recorded code, the declared inputs, the config snapshot, and no other data."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kfm_repro.errors import InvalidRecord
from kfm_repro.execute.checkout import Code, check_out, hide_removed
from kfm_repro.execute.inputs import InputSource, lay_inputs
from kfm_repro.model.manifest import Manifest
from kfm_repro.model.run import Run
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.paths import inside
from kfm_repro.runs.project import Project

__all__ = ["FileState", "Workspace", "build_workspace", "relocate", "scan_files", "watched_folders"]

FileState = tuple[int, int, int]
"""Size in bytes, modification time in nanoseconds and inode: enough to see that a file was written."""


@dataclass(frozen=True)
class Workspace:
    """Where a replay runs. ``root`` stands for the project root, ``run_dir`` for the run's own folder."""

    root: Path
    run_dir: Path
    home: Path
    temporary: Path
    before: dict[str, FileState]


def build_workspace(
    project: Project,
    original: RunDir,
    run: Run,
    fresh: RunDir,
    code: Code,
    sources: tuple[InputSource, ...],
    outputs: Manifest,
) -> Workspace:
    """Lay out a workspace below ``fresh.scratch``.

    Tracked files below the data roots are removed unless they are declared inputs (rule 12), and so is every
    recorded output, lest a committed copy of it be taken for the replay's. The folders of the recorded outputs
    are made, since a clean clone has no empty folders. Raises CodeNotAvailable, InputUnavailable, UnsafePath,
    InvalidRecord.
    """
    clone = check_out(code, fresh.scratch / "workspace")
    root = clone.top / clone.prefix
    for name in project.settings.data_roots:
        shutil.rmtree(inside(root, name, what="data root"), ignore_errors=True)
    _remove_outputs(root, outputs, {source.entry.path for source in sources})
    lay_inputs(sources, root)
    hide_removed(clone)
    run_dir = root / project.runs_relative / fresh.pipeline / fresh.name
    for name in ("config", "validation", "metrics", "logs", "scratch"):
        (run_dir / name).mkdir(parents=True)
    _lay_config(original, run, root, run_dir / "config")
    for entry in outputs.entries:
        place = relocate(entry.path, project, original, fresh)
        inside(root, place, what="output of the record").parent.mkdir(parents=True, exist_ok=True)
    home, temporary = fresh.scratch / "home", fresh.scratch / "tmp"
    home.mkdir()
    temporary.mkdir()
    before = scan_files(root, watched_folders(project, run.pipeline.outputs))
    return Workspace(root, run_dir, home, temporary, before)


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


def scan_files(root: Path, folders: Iterable[str]) -> dict[str, FileState]:
    """Return the state of every regular file at or below ``folders`` of ``root``, by path relative to ``root``.

    Git's own folder is left out.
    """
    states: dict[str, FileState] = {}
    for folder in folders:
        top = root / folder
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            relative = path.relative_to(root)
            if ".git" not in relative.parts and path.is_file() and not path.is_symlink():
                stat = path.stat()
                states[relative.as_posix()] = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
    return states


def _remove_outputs(root: Path, outputs: Manifest, inputs: set[str]) -> None:
    """Remove recorded outputs that the checkout brought."""
    for entry in outputs.entries:
        if entry.path not in inputs:
            inside(root, entry.path, what="output of the record").unlink(missing_ok=True)


def _lay_config(original: RunDir, run: Run, root: Path, snapshot: Path) -> None:
    """Copy the config snapshot over ``<root>/config`` and into the run folder of the workspace (rule 13)."""
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
        origin = run.pipeline.config.get(relative, f"config/{relative}")
        for target in (snapshot / relative, inside(root, origin, what="pipeline.config of the record")):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copyfile(path, target)
