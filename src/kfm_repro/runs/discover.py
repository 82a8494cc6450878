"""Find runs by the layout of their directories, and resolve what a user calls them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from kfm_repro.errors import AmbiguousRun, InvalidRecord, RunNotFound, UsageError
from kfm_repro.model.run import RunState
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.project import Project
from kfm_repro.runs.read import read_run, read_state

__all__ = ["iterate_runs", "resolve_run"]

_LATEST = "latest:"
_SHOWN = 8


def iterate_runs(runs: Path) -> Iterator[RunDir]:
    """Yield every run below ``runs``, by pipeline and then by id, opening no file.

    A run directory is ``<pipeline>/<run_id>`` and has run.yaml or status.json.
    """
    for pipeline in _folders(runs):
        for run in _folders(pipeline):
            if (run / "run.yaml").is_file() or (run / "status.json").is_file():
                yield RunDir(run)


def resolve_run(project: Project, spec: str) -> RunDir:
    """Return the run that ``spec`` names: an exact id, a unique prefix, ``latest:<pipeline>``, or its folder.

    ``<pipeline>/<id>`` narrows an id that two pipelines share. Raises RunNotFound with the nearest ids,
    AmbiguousRun listing the runs that fit.
    """
    if not spec:
        raise UsageError("no run named", hint="name a run id, a unique prefix, or latest:<pipeline>")
    if spec.startswith(_LATEST):
        return _latest(project, spec.removeprefix(_LATEST))
    path = Path(spec)
    if ("/" in spec or spec in (".", "..")) and (path / "run.yaml").is_file():
        return RunDir(path.resolve())
    runs = list(iterate_runs(project.runs))
    names = [run for run in runs if spec in (run.name, f"{run.pipeline}/{run.name}")]
    fits = names or [
        run for run in runs if run.name.startswith(spec) or f"{run.pipeline}/{run.name}".startswith(spec)
    ]
    if len(fits) == 1:
        return fits[0]
    if fits:
        listed = "".join(f"\n  {run.pipeline}/{run.name}" for run in fits[:_SHOWN])
        more = f"\n  … and {len(fits) - _SHOWN} more" if len(fits) > _SHOWN else ""
        raise AmbiguousRun(
            f"{len(fits)} runs fit {spec!r}:{listed}{more}", hint="give more of the id, or <pipeline>/<id>"
        )
    raise _not_found(project, spec, runs)


def _latest(project: Project, pipeline: str) -> RunDir:
    """Return the newest successful run of a pipeline that is not itself a replay (rule 15)."""
    candidates = []
    for run in iterate_runs(project.runs):
        if run.pipeline != pipeline:
            continue
        try:
            if read_state(run)[0] is not RunState.SUCCESS:
                continue
            record = read_run(run)
        except InvalidRecord:
            continue
        if record.replay is None:
            started = record.runtime.started_at
            candidates.append((started.timestamp() if started else 0.0, run.name, run))
    if not candidates:
        names = sorted({run.pipeline for run in iterate_runs(project.runs)})
        near = get_close_matches(pipeline, names, n=3)
        hint = f"pipelines here: {', '.join(near or names[:_SHOWN])}" if names else "record a run first"
        where = project.relative(project.runs)
        raise RunNotFound(f"no successful run of pipeline {pipeline!r} under {where}", hint=hint)
    return max(candidates, key=lambda item: item[:2])[2]


def _not_found(project: Project, spec: str, runs: list[RunDir]) -> RunNotFound:
    where = project.relative(project.runs)
    if not project.runs.is_dir():
        return RunNotFound(
            f"no run {spec!r}: there is no folder {where}",
            hint="name the project with --root, or the folder of the runs with --runs",
        )
    names = sorted({run.name for run in runs})
    near = get_close_matches(spec, names, n=3, cutoff=0.5) or [n for n in names if n[:4] == spec[:4]][:3]
    foreign = [folder.name for folder in _folders(project.runs) if (folder / "manifest.yml").is_file()]
    if spec in foreign:
        return RunNotFound(
            f"{spec!r} is not in this layout: it has manifest.yml, not run.yaml",
            hint="kfm-repro reads runs/<pipeline>/<run_id>/run.yaml; see docs/run-record.md",
        )
    pipelines = sorted({run.pipeline for run in runs})
    named = next((name for name in (spec, spec.partition("/")[0]) if name in pipelines), "")
    hint = f"did you mean {' or '.join(near)}?" if near else f"did you mean latest:{named}?" if named else ""
    if not hint and names:
        hint = f"pipelines here: {', '.join(pipelines[:_SHOWN])}; latest:<pipeline> names the newest run"
    return RunNotFound(f"no run {spec!r} under {where} ({len(runs)} runs)", hint=hint or "record a run first")


def _folders(path: Path) -> list[Path]:
    """Return the folders in ``path`` by name; hidden ones are ours and hold no runs."""
    try:
        with os.scandir(path) as entries:
            names = [
                e.name for e in entries if not e.name.startswith(".") and e.is_dir(follow_symlinks=False)
            ]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [path / name for name in sorted(names)]
