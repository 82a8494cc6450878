"""A fresh workspace: the recorded code, the declared inputs, the config snapshot, and no other data."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kfm_repro.errors import InvalidRecord
from kfm_repro.execute.checkout import check_out, hide_removed, left_pointers
from kfm_repro.execute.config import config_files
from kfm_repro.execute.inputs import InputSource, lay_inputs
from kfm_repro.execute.isolate import Isolation, Mount, arrange_inputs, protect
from kfm_repro.execute.perturb.axes import Shape, temporary_name, workspace_name
from kfm_repro.execute.plan import Plan
from kfm_repro.execute.scan import FileState, relocate, scan_files
from kfm_repro.model.manifest import UNRECORDED, Entry
from kfm_repro.model.run import Run
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.paths import Root, inside, kind_of, make_parent, real_path
from kfm_repro.runs.project import Project

__all__ = ["Workspace", "build_workspace"]


@dataclass(frozen=True)
class Workspace:
    """Where a replay runs. ``root`` stands for the project root, ``run_dir`` for the run's own folder.

    ``top`` is the folder that ``root`` lies in or is: the clone. ``shown`` are inputs that are shown in it from
    where they lie, ``copies`` the others, by path.

    ``before`` is the state of every file before the pipeline started: an output counts only when it moved on.
    ``pointers`` are files of the code that are pointers of Git LFS, whose data is not on this machine.
    """

    root: Path
    run_dir: Path
    home: Path
    temporary: Path
    before: dict[str, FileState]
    top: Path
    shown: tuple[Mount, ...]
    copies: frozenset[str]
    pointers: tuple[str, ...] = ()


def build_workspace(
    place: Path, project: Project, plan: Plan, fresh: RunDir, sources: tuple[InputSource, ...], shape: Shape
) -> Workspace:
    """Lay out a workspace for the run ``fresh`` in the empty folder ``place``, with the folders that ``shape`` names.

    Tracked files below the data roots are removed unless they are declared inputs (rule 12), and so is every
    recorded output, lest a committed copy of it be taken for the replay's. The folders of the recorded outputs
    are made, since a clean clone has no empty folders. Raises CodeNotAvailable, InputUnavailable, UnsafePath,
    InvalidRecord.
    """
    top = place / workspace_name(shape)
    top.parent.mkdir(parents=True, exist_ok=True)
    clone = check_out(plan.code, top)
    root = clone.top / clone.prefix
    for name in project.settings.data_roots:
        _empty_data_root(root, name)
    safe = Root(root)
    # What lies behind a link out of the project is not ours to lay out or to remove.
    recorded = tuple(entry for entry in plan.outputs.entries if UNRECORDED not in entry.extra)
    _remove_outputs(safe, recorded, {source.entry.path for source in sources})
    written = _written(plan)
    arranged = arrange_inputs(
        {source.entry.path: source.file for source in sources},
        root,
        plan.isolation.level if shape.inputs_mtime is None else Isolation.NONE,
        written=written,
    )
    lay_inputs(sources, root, arranged.copies)
    if shape.inputs_mtime is not None:
        for path in arranged.copies:
            os.utime(root / path, (shape.inputs_mtime, shape.inputs_mtime))
    if plan.isolation.level is Isolation.LANDLOCK or shape.inputs_mtime is not None:
        protect(root / path for path in arranged.copies if path not in written)
    hide_removed(clone)
    run_dir = root / project.runs_relative / fresh.pipeline / fresh.name
    for name in ("config", "validation", "metrics", "logs", "scratch"):
        (run_dir / name).mkdir(parents=True)
    _lay_config(plan.original, plan.run, root, run_dir / "config")
    for entry in recorded:
        safe.make_parent(relocate(entry.path, project, plan.original, fresh), what="output of the record")
    home, temporary = place / (shape.home or "home"), place / temporary_name(shape)
    home.mkdir()
    temporary.mkdir()
    before = scan_files(root, ["."])
    return Workspace(
        root,
        run_dir,
        home,
        temporary,
        before,
        clone.top,
        arranged.mounts,
        frozenset(arranged.copies),
        left_pointers(clone, plan.code),
    )


def _written(plan: Plan) -> frozenset[str]:
    """Return what the recorded run wrote: its outputs, and inputs that were others when it ended.

    Such an input can be written to in its copy, lest a replay fail where the recorded run did not.
    """
    changed = (entry.path for entry in plan.inputs.entries if entry.extra.get("changed_during_run") is True)
    return frozenset((*(entry.path for entry in plan.outputs.entries), *changed))


def _empty_data_root(root: Path, name: str) -> None:
    """Remove what the checkout brought below a data root; where that is a link, the link stays."""
    folder = real_path(inside(root, name, what="data root"))
    if root.resolve().is_relative_to(folder):
        raise InvalidRecord(
            f"the data root {name} links to the project itself",
            hint="name the folders that hold data: data-roots",
        )
    shutil.rmtree(folder, ignore_errors=True)


def _remove_outputs(root: Root, outputs: Iterable[Entry], inputs: set[str]) -> None:
    """Remove recorded outputs that the checkout brought."""
    for entry in outputs:
        if entry.path in inputs:
            continue
        path = root.path(entry.path, what="output of the record")
        if path.is_dir() and not path.is_symlink():
            raise InvalidRecord(
                f"the outputs manifest names a folder of the recorded code: {entry.path}",
                hint="name its files, one entry each",
            )
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()


def _lay_config(original: RunDir, run: Run, root: Path, snapshot: Path) -> None:
    """Copy the config snapshot over ``<root>/config`` and into the run folder of the workspace (rule 13)."""
    for relative, path in config_files(original, run).items():
        origin = (run.pipeline.config or {}).get(relative, f"config/{relative}")
        places = ((snapshot, relative, "config"), (root, origin, "pipeline.config of the record"))
        for target in (make_parent(base, name, what=what) for base, name, what in places):
            if kind_of(target) == "folder":
                raise InvalidRecord(
                    f"the config snapshot of {original.name} would replace a folder: {origin}",
                    hint="correct pipeline.config in run.yaml",
                )
            target.unlink(missing_ok=True)
            shutil.copyfile(path, target)
