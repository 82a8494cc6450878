"""Find runs by the layout of their directories, and resolve what a user calls them."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from kfm_repro.errors import AmbiguousRun, InvalidRecord, RunNotFound, UsageError
from kfm_repro.model.listing import ListedRun
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.locks import runs_lock
from kfm_repro.runs.paths import is_safe_component
from kfm_repro.runs.project import Project
from kfm_repro.runs.read import read_run
from kfm_repro.runs.summary import is_original, summarise
from kfm_repro.runs.trust import is_foreign

__all__ = ["Found", "Survey", "held_run", "iterate_runs", "resolve_run", "survey_runs"]

_LATEST = "latest:"
_OURS = frozenset(("run.yaml", "status.json"))
_FOREIGN = frozenset(("manifest.yml", "manifest.yaml"))
"""Files by which run folders of another layout are known (rule 9)."""
_SHOWN = 8


@dataclass(frozen=True)
class Found:
    """The folder of a run and the names of the files in it, so that nothing need be asked twice."""

    run: RunDir
    files: frozenset[str]


@dataclass(frozen=True)
class Survey:
    """What lies below the runs folder: runs, and what looks like runs but is not read as such.

    ``foreign`` are folders in another layout (rule 9), ``unusable`` folders with the reason why they are no runs.
    """

    runs: tuple[Found, ...] = ()
    foreign: tuple[Path, ...] = ()
    unusable: tuple[tuple[Path, str], ...] = ()


def survey_runs(runs: Path, *, pipeline: str = "") -> Survey:
    """Look at every folder below ``runs``, by pipeline and then by id, opening no file.

    A run directory is ``<pipeline>/<run_id>`` and has run.yaml or status.json. ``pipeline`` looks at one only.
    """
    found: list[Found] = []
    foreign: list[Path] = []
    unusable: list[tuple[Path, str]] = []
    for folder, files in _children(runs, unusable):
        before = len(found)
        for path, inner in _children(folder, unusable) if pipeline in ("", folder.name) else ():
            if not _OURS.isdisjoint(inner):
                found.append(Found(RunDir(path), inner))
            elif not _FOREIGN.isdisjoint(inner):
                foreign.append(path)
        if len(found) == before and not _FOREIGN.isdisjoint(files):
            foreign.append(folder)
    return Survey(tuple(found), tuple(foreign), tuple(unusable))


def iterate_runs(runs: Path) -> Iterator[RunDir]:
    """Yield every run below ``runs``, by pipeline and then by id, opening no file."""
    for found in survey_runs(runs).runs:
        yield found.run


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
        return _at(project, path)
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


@contextmanager
def held_run(project: Project, spec: str) -> Iterator[RunDir]:
    """Return the run that ``spec`` names, kept from every prune meanwhile. Raises what resolving does, NotWritable.

    Who waited for a prune may find that the run has gone: what is held is resolved when the wait is over.
    """
    resolve_run(project, spec)
    with runs_lock(project.runs, shared=True):
        yield resolve_run(project, spec)


def _at(project: Project, path: Path) -> RunDir:
    """Return the run in the folder ``path``, which has to be one of this project.

    Another project's run is another's: its labels, settings and objects are not ours. Raises UsageError.
    """
    real = path.resolve()
    if real.parent.parent != project.runs.resolve():
        raise UsageError(
            f"{path} is no run of this project: it does not lie in {project.runs}/<pipeline>/",
            hint="go to its project, or name it with --root DIR (the folder of its runs with --runs DIR)",
        )
    return RunDir(project.runs / real.parent.name / real.name)


def _latest(project: Project, pipeline: str) -> RunDir:
    """Return the newest successful run of a pipeline that is not itself a replay (rule 15).

    Our own come first: a stranger's may say any time. run.yaml has the last word, and is opened for the newest
    candidates only.
    """
    if not pipeline:
        raise UsageError(
            "latest: names no pipeline", hint="write latest:<pipeline>; kfm-repro list names them"
        )
    found = survey_runs(project.runs, pipeline=pipeline).runs
    summaries = [(summarise(item.run, item.files), item.run) for item in found]
    candidates = sorted(
        (
            (not is_foreign(run), summary.started_at or "", run.name, run)
            for summary, run in summaries
            if is_original(summary)
        ),
        key=lambda item: item[:3],
        reverse=True,
    )
    for *_, run in candidates:
        try:
            if read_run(run).replay is None:
                return run
        except InvalidRecord:
            continue
    if found:
        raise RunNotFound(
            f"no successful run of pipeline {pipeline!r}: {_ended(summary for summary, _ in summaries)}",
            hint=f"see how they ended: kfm-repro list --pipeline {shlex.quote(pipeline)}",
        )
    names = sorted({run.pipeline for run in iterate_runs(project.runs)})
    near = get_close_matches(pipeline, names, n=3)
    hint = f"pipelines here: {', '.join(near or names[:_SHOWN])}" if names else "record a run first"
    where = project.relative(project.runs)
    raise RunNotFound(f"no successful run of pipeline {pipeline!r} under {where}", hint=hint)


def _ended(summaries: Iterable[ListedRun]) -> str:
    """Say how the runs of a pipeline ended: ``2 failed, 1 replay``."""
    counts = Counter(
        "replay" if summary.replay_of is not None else str(summary.state) for summary in summaries
    )
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def _not_found(project: Project, spec: str, runs: list[RunDir]) -> RunNotFound:
    where = project.relative(project.runs)
    if not project.runs.is_dir():
        return RunNotFound(
            f"no run {spec!r}: there is no folder {where}",
            hint="name the project with --root, or the folder of the runs with --runs",
        )
    names = sorted({run.name for run in runs})
    near = get_close_matches(spec, names, n=3, cutoff=0.5) or [n for n in names if n[:4] == spec[:4]][:3]
    if spec in {folder.name for folder in survey_runs(project.runs).foreign}:
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


def _children(path: Path, unusable: list[tuple[Path, str]]) -> Iterator[tuple[Path, frozenset[str]]]:
    """Yield the folders in ``path`` by name, each with the names of its files; hidden ones are ours."""
    folders, _, links = _look(path)
    unusable += [(path / name, "it is a symbolic link, and none is followed") for name in links]
    for name in folders:
        folder = path / name
        if not is_safe_component(name):
            unusable.append((folder, "such a name is neither a pipeline nor a run id"))
            continue
        try:
            yield folder, _look(folder)[1]
        except PermissionError:
            unusable.append((folder, "it may not be read"))


def _look(path: Path) -> tuple[list[str], frozenset[str], list[str]]:
    """Return the names of the folders in ``path``, of its files, and of the links to folders, which are not followed.

    Folders and links are sorted, and those that are hidden left out.
    """
    folders, files, links = [], [], []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                elif entry.is_file():
                    files.append(entry.name)
                elif entry.is_symlink() and entry.is_dir():
                    links.append(entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return [], frozenset(), []
    return _shown(folders), frozenset(files), _shown(links)


def _shown(names: list[str]) -> list[str]:
    return sorted(name for name in names if not name.startswith("."))
