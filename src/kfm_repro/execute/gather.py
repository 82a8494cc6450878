"""What a replay left in its workspace: outputs under their recorded names, files of its run, and the rest."""

from __future__ import annotations

import shutil
from pathlib import PurePosixPath

from kfm_repro.execute.collect import Produced, describe_files, is_ephemeral, matches_any, written_files
from kfm_repro.execute.plan import Plan
from kfm_repro.execute.workspace import Workspace, relocate
from kfm_repro.model.manifest import Entry
from kfm_repro.model.run import Run
from kfm_repro.runs.layout import RunDir, is_own_file
from kfm_repro.runs.paths import real_path
from kfm_repro.runs.project import Project

__all__ = ["adopt_run_files", "collect_outputs", "not_compared"]


def collect_outputs(project: Project, plan: Plan, fresh: RunDir, workspace: Workspace) -> dict[str, Produced]:
    """Return what the replay wrote, by the path under which the recorded run would have written it.

    What lay in the workspace before the pipeline started counts only when its state moved on.
    """
    written = dict.fromkeys(written_files(workspace.root, ["."], workspace.before))
    places = {
        relocate(entry.path, project, plan.original, fresh): entry.path for entry in plan.outputs.entries
    }
    named = {place: path for place, path in places.items() if place in written}
    patterns = plan.run.pipeline.outputs
    passed_over = {_provenance_target(plan.run), *(entry.path for entry in plan.inputs.entries), *places}
    named |= {
        path: path for path in written if path not in passed_over and _wanted(project, path, patterns, fresh)
    }
    described = describe_files(workspace.root, list(named))
    return {path: _renamed(item, path) for path, item in zip(named.values(), described, strict=True)}


def _wanted(project: Project, path: str, patterns: tuple[str, ...], fresh: RunDir) -> bool:
    """Return whether a file that was not declared would be an output all the same."""
    if patterns:
        runs = project.runs_relative
        return matches_any(path, patterns) and not is_own_file(path, runs, runs / fresh.pipeline / fresh.name)
    in_data = any(PurePosixPath(path).is_relative_to(name) for name in project.settings.data_roots)
    return in_data and not is_ephemeral(path, project.ephemeral)


def not_compared(plan: Plan, workspace: Workspace, produced: dict[str, Produced]) -> tuple[str, ...]:
    """Return what the replay wrote where outputs are not looked for."""
    inputs = {entry.path for entry in plan.inputs.entries}
    known = (
        {item.entry.path for item in produced.values()}
        | {*produced}
        | inputs
        | {_provenance_target(plan.run)}
    )
    run_dir = PurePosixPath(workspace.run_dir.relative_to(workspace.root))
    left = [
        path
        for path in written_files(workspace.root, ["."], workspace.before)
        if path not in known and not PurePosixPath(path).is_relative_to(run_dir)
    ]
    # Behind a link, one file has two names.
    compared = {real_path(item.file) for item in produced.values()} if left else set()
    return tuple(path for path in left if real_path(workspace.root / path) not in compared)


def _renamed(item: Produced, path: str) -> Produced:
    entry = item.entry
    if entry.path == path:
        return item
    return Produced(
        Entry(path=path, sha256=entry.sha256, size_bytes=entry.size_bytes, row_count=entry.row_count,
              feature_count=entry.feature_count),
        item.file,
    )  # fmt: skip


def _provenance_target(run: Run) -> str:
    """Return where the run's own PROV record goes: a record about the run, not one of its outputs."""
    prov = run.raw.get("prov")
    return str(prov.get("target_path", "")) if isinstance(prov, dict) else ""


def adopt_run_files(workspace: Workspace, fresh: RunDir) -> None:
    """Take what the pipeline wrote into its run folder (validation, metrics) over into the fresh record."""
    for path in sorted(workspace.run_dir.rglob("*")):
        relative = path.relative_to(workspace.run_dir)
        if (
            path.is_file()
            and not path.is_symlink()
            and relative.parts[0] in ("validation", "metrics", "config")
        ):
            target = fresh.path / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
