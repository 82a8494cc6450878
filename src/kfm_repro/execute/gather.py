"""What a replay left in its workspace: outputs under their recorded names, files of its run, and the rest."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePosixPath

from kfm_repro.execute.collect import (
    Produced,
    can_be_recorded,
    describe_files,
    is_ephemeral,
    matches_any,
    written_files,
)
from kfm_repro.execute.outside import outside_entry, scan_outside, written_outside
from kfm_repro.execute.plan import Plan
from kfm_repro.execute.scan import FileState, relocate, watched_folders
from kfm_repro.execute.workspace import Workspace
from kfm_repro.model.manifest import UNRECORDED, Entry
from kfm_repro.model.run import Run
from kfm_repro.runs.layout import RunDir, is_own_file
from kfm_repro.runs.paths import real_path
from kfm_repro.runs.project import Project

__all__ = ["Gathered", "Unrecorded", "adopt_run_files", "gather", "links_before"]


_OF_THE_RUN = frozenset(("config", "logs", "metrics", "scratch", "validation"))
"""Folders of a run that hold what is known about it."""


@dataclass(frozen=True)
class Unrecorded:
    """An output that was written and whose content is not at hand; ``reason`` says why."""

    entry: Entry
    reason: str


@dataclass(frozen=True)
class Gathered:
    """What a replay wrote: outputs by recorded path, those without content, and what is not compared."""

    produced: dict[str, Produced]
    unrecorded: dict[str, Unrecorded]
    not_compared: tuple[str, ...]


def gather(
    project: Project, plan: Plan, fresh: RunDir, workspace: Workspace, links: dict[str, FileState]
) -> Gathered:
    """Return what the replay wrote; ``links`` is what `links_before` returned."""
    # Walked once: a workspace may hold very many files.
    written = dict.fromkeys(written_files(workspace.root, ["."], workspace.before))
    produced = _outputs(project, plan, fresh, workspace, written)
    unrecorded = _unrecorded(project, plan, fresh, workspace, links, written)
    return Gathered(produced, unrecorded, _not_compared(plan, workspace, produced, unrecorded, written))


def _outputs(
    project: Project, plan: Plan, fresh: RunDir, workspace: Workspace, written: Collection[str]
) -> dict[str, Produced]:
    """Return what the replay wrote, by the path under which the recorded run would have written it.

    What lay in the workspace before the pipeline started counts only when its state moved on.
    """
    places = {
        relocate(entry.path, project, plan.original, fresh): entry.path for entry in plan.outputs.entries
    }
    named = {place: path for place, path in places.items() if place in written}
    patterns = plan.run.pipeline.outputs
    passed_over = {_provenance_target(plan.run), *(entry.path for entry in plan.inputs.entries), *places}
    named |= {
        path: path
        for path in written
        if path not in passed_over and can_be_recorded(path) and _wanted(project, path, patterns, fresh)
    }
    described = describe_files(workspace.root, list(named))
    return {path: _renamed(item, path) for path, item in zip(named.values(), described, strict=True)}


def links_before(project: Project, plan: Plan, workspace: Workspace) -> dict[str, FileState]:
    """Return the state of the links that lead out of the workspace before the pipeline runs."""
    return scan_outside(workspace.root, _link_folders(project, plan, workspace))


def _link_folders(project: Project, plan: Plan, workspace: Workspace) -> tuple[str, ...]:
    """Return where links count: where outputs can appear, and at the recorded outputs themselves."""
    recorded = (entry.path for entry in plan.outputs.entries)
    links = (path for path in recorded if os.path.islink(f"{workspace.root}/{path}"))  # noqa: PTH114 - many paths
    return (*watched_folders(project, plan.run.pipeline.outputs), *links)


def _unrecorded(
    project: Project,
    plan: Plan,
    fresh: RunDir,
    workspace: Workspace,
    before: dict[str, FileState],
    written: Collection[str],
) -> dict[str, Unrecorded]:
    """Return what the replay wrote besides: behind links that lead out, and under names that no record can hold.

    ``before`` is what `links_before` returned. A link stands for the recorded outputs that would lie behind it.
    """
    places = {
        relocate(entry.path, project, plan.original, fresh): entry.path for entry in plan.outputs.entries
    }
    patterns = plan.run.pipeline.outputs
    found: dict[str, Unrecorded] = {}
    for link in written_outside(workspace.root, _link_folders(project, plan, workspace), before):
        names = [path for place, path in places.items() if f"{place}/".startswith(f"{link}/")]
        for path in names or ([link] if _wanted(project, link, patterns, fresh) else []):
            entry = outside_entry(path)
            found[path] = Unrecorded(entry, str(entry.extra[UNRECORDED]))
    for path in written:
        if not can_be_recorded(path) and _wanted(project, path, patterns, fresh):
            reason = "written in B under a name that no record can hold (control characters, not UTF-8)"
            found[_shown(path)] = Unrecorded(Entry(path=_shown(path)), reason)
    return found


def _shown(path: str) -> str:
    """Return a path with what cannot be printed escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in path)


def _wanted(project: Project, path: str, patterns: tuple[str, ...], fresh: RunDir) -> bool:
    """Return whether a file that was not declared would be an output all the same."""
    if patterns:
        runs = project.runs_relative
        return matches_any(path, patterns) and not is_own_file(path, runs, runs / fresh.pipeline / fresh.name)
    in_data = any(PurePosixPath(path).is_relative_to(name) for name in project.settings.data_roots)
    return in_data and not is_ephemeral(path, project.ephemeral)


def _not_compared(
    plan: Plan,
    workspace: Workspace,
    produced: dict[str, Produced],
    unrecorded: Collection[str],
    written: Collection[str],
) -> tuple[str, ...]:
    """Return what the replay wrote where outputs are not looked for, in the folder of its run as well."""
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
        for path in written
        if path not in known
        and _shown(path) not in unrecorded
        and not _is_of_run(PurePosixPath(path), run_dir)
    ]
    # Behind a link, one file has two names.
    compared = {real_path(item.file) for item in produced.values()} if left else set()
    return tuple(_shown(path) for path in left if real_path(workspace.root / path) not in compared)


def _is_of_run(path: PurePosixPath, run_dir: PurePosixPath) -> bool:
    return path.is_relative_to(run_dir) and path.relative_to(run_dir).parts[0] in _OF_THE_RUN


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
