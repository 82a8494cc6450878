"""Compare two runs, two files or two folders, running nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from kfm_repro.compare.context import Context, Options, Side
from kfm_repro.compare.outputs import Output, Rule, compare_outputs, with_facts
from kfm_repro.errors import KfmReproError, RootNotFound, RunNotFound, UsageError
from kfm_repro.execute.scan import relocate
from kfm_repro.judge.baseline import recorded_outputs, rule_for, side_of, source_of, with_waivers
from kfm_repro.judge.between import Between, Recorded, between
from kfm_repro.judge.disclose import disclosed
from kfm_repro.judge.drift import environment_found, output_drift
from kfm_repro.judge.folders import are_large_and_unlike, digests_beside, file_outputs, folder_outputs
from kfm_repro.model.finding import FileFacts
from kfm_repro.model.manifest import Manifest
from kfm_repro.model.report import (
    Comparison,
    ErrorInfo,
    Precondition,
    Report,
    RunRef,
    count_verdicts,
)
from kfm_repro.model.run import Run, RunState
from kfm_repro.model.verdict import Accept, Verdict, run_verdict
from kfm_repro.model.waiver import WaiverUse
from kfm_repro.runs.discover import resolve_run
from kfm_repro.runs.labels import read_labels
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.paths import inside, kind_of
from kfm_repro.runs.project import Project
from kfm_repro.runs.read import read_manifest, read_run, read_state

__all__ = ["compare_paths", "diff"]

FindProject = Callable[[], Project]


def diff(
    a: str,
    b: str,
    find_project: FindProject,
    *,
    key: tuple[str, ...] = (),
    accept: Accept | None = None,
    memory_bytes: int | None = None,
) -> Report:
    """Compare A with B: both files, both folders, or both runs.

    What exists as a path is a path, unless it is the folder of a run; everything else is the name of a run.
    Raises UsageError when A and B are of different sorts, and the errors of finding and reading runs.
    """
    sides = [_path_or_none(text) for text in (a, b)]
    left, right = sides
    if left is not None and right is not None:
        options = Options(key=key, memory_bytes=memory_bytes)
        comparison = compare_paths(left, right, accept=accept, options=options)
        return _report(comparison)
    if left is not None or right is not None:
        path, run = (a, b) if left is not None else (b, a)
        raise _not_both_paths(path, run, find_project)
    try:
        return _diff_runs(find_project(), a, b, Options(key=key, memory_bytes=memory_bytes), accept)
    except (RunNotFound, RootNotFound) as exc:
        paths = [text for text in (a, b) if "/" in text or "." in text]
        if paths or isinstance(exc, RootNotFound):
            raise UsageError(
                f"no such file, folder or run: {(paths or [a])[0]}",
                hint="check the path; a run needs its project",
            ) from exc
        raise


def compare_paths(
    a: Path,
    b: Path,
    *,
    key: tuple[str, ...] = (),
    accept: Accept | None = None,
    options: Options | None = None,
) -> Comparison:
    """Compare two files (whatever they are called) or two folders (file by file, by relative path).

    Raises UsageError when one is a file and the other a folder, or one does not exist.
    """
    for path in (a, b):
        kind = kind_of(path)
        if not kind:
            raise UsageError(f"no such file or folder: {path}", hint="check the path")
        if kind not in ("file", "folder"):
            raise UsageError(
                f"{path} is a {kind}, which can be read only once or never ends",
                hint="write its content into a file, and compare that",
            )
    if a.is_dir() != b.is_dir():
        raise UsageError(f"{a} and {b} are not of one sort", hint="compare two files or two folders")
    rule = Rule(options=options or Options(key=key), accept=accept or Accept.IDENTICAL)
    if a.is_dir():
        left, right = folder_outputs(a, b)
    elif are_large_and_unlike(a, b):
        return _compared_while_digested(a, b, rule)
    else:
        left, right = file_outputs(a, b)
    return compare_outputs(left, right, Context(), lambda _: rule)


def _compared_while_digested(a: Path, b: Path, rule: Rule) -> Comparison:
    """Compare two large files, whose bytes differ, while other cores digest them."""
    with digests_beside(a, b) as digested:
        left, right = ({a.name: Output(facts=FileFacts(), file=path)} for path in (a, b))
        found = compare_outputs(left, right, Context(), lambda _: rule)
        facts = digested()
    return Comparison(outputs=tuple(with_facts(output, *facts) for output in found.outputs))


def _diff_runs(project: Project, a: str, b: str, options: Options, accept: Accept | None) -> Report:
    directories = [resolve_run(project, spec) for spec in (a, b)]
    runs = [read_run(directory) for directory in directories]
    manifests = [
        read_manifest(directory, run.outputs_manifest, "outputs")
        for directory, run in zip(directories, runs, strict=True)
    ]
    digests = [
        {entry.path: entry.sha256 for entry in manifests[0].entries},
        {_counterpart(project, entry.path, directories): entry.sha256 for entry in manifests[1].entries},
    ]
    with tempfile.TemporaryDirectory(prefix="kfm-repro-") as folder:
        sets = [
            recorded_outputs(project, runs[n], manifests[n], Path(folder) / str(n), settled=digests[1 - n])
            for n in (0, 1)
        ]
        sets[1] = {_counterpart(project, path, directories): output for path, output in sets[1].items()}
        sides = [side_of(project, directory, run) for directory, run in zip(directories, runs, strict=True)]
        comparison = compare_outputs(
            sets[0],
            sets[1],
            Context(a=sides[0], b=sides[1]),
            lambda path: rule_for(project, path, accept, options),
        )
    outputs = comparison.outputs
    inputs = [_inputs_of(directory, run) for directory, run in zip(directories, runs, strict=True)]
    for directory, given, manifest in zip(directories, inputs, manifests, strict=True):
        entries = given.entries if given else ()
        outputs = disclosed(outputs, read_labels(project, entries, manifest.entries, run=directory))
    states = [read_state(directory) for directory in directories]
    bad = [
        Precondition(
            name=f"run {name}", state="unknown", detail=f"{directory.name} is {state}: {why}".rstrip(": ")
        )
        for directory, (state, why), name in zip(directories, states, "AB", strict=True)
        if state is not RunState.SUCCESS
    ]
    verdict, waivers = with_waivers(project, run_verdict(outputs, inconclusive=bool(bad)), outputs, accept)
    return _report(
        Comparison(outputs=outputs),
        verdict,
        waivers,
        runs=(_ref(directories[0], runs[0], sides[0]), _ref(directories[1], runs[1], sides[1])),
        bad=tuple(bad),
        between=between(
            *(
                Recorded(directory, run, given or Manifest(), known=given is not None)
                for directory, run, given in zip(directories, runs, inputs, strict=True)
            )
        ),
    )


def _inputs_of(directory: RunDir, run: Run) -> Manifest | None:
    """Return the inputs manifest of a run, None when it has none."""
    path = inside(directory.path, run.inputs_manifest, what=f"inputs_manifest of {directory.name}")
    return read_manifest(directory, run.inputs_manifest, "inputs") if kind_of(path) else None


def _counterpart(project: Project, path: str, directories: list[RunDir]) -> str:
    """Return what an output of B is called in A: one in B's own folder stands for the one in A's (rule 3)."""
    if directories[1].name not in path:
        return path
    return relocate(path, project, directories[1], directories[0])


def _report(
    comparison: Comparison,
    verdict: Verdict | None = None,
    waivers: tuple[WaiverUse, ...] = (),
    *,
    runs: tuple[RunRef, RunRef] | None = None,
    bad: tuple[Precondition, ...] = (),
    between: Between | None = None,
) -> Report:
    """Make the report; ``bad`` are runs that did not succeed: with them no verdict holds."""
    verdict = verdict or comparison.verdict
    known = between or Between()
    error: ErrorInfo | msgspec.UnsetType = msgspec.UNSET
    if bad:
        error = ErrorInfo(
            code="no-baseline",
            message="; ".join(item.detail for item in bad),
            hint="compare runs that succeeded",
        )
    elif not comparison.outputs:
        error = ErrorInfo(
            code="nothing-compared", message="there are no files to compare", hint="check both sides"
        )
    return Report(
        command="diff",
        verdict=verdict,
        counts=count_verdicts(comparison.outputs),
        run=runs[0] if runs else msgspec.UNSET,
        against=runs[1] if runs else msgspec.UNSET,
        scope=known.scope(identical=verdict is Verdict.REPRODUCIBLE),
        preconditions=(*bad, *known.conditions),
        environment=environment_found(known.environment),
        drift=(*known.drift, *(output_drift(comparison.outputs) if between else ())),
        outputs=comparison.outputs,
        waivers=waivers,
        error=error,
    )


def _ref(directory: RunDir, run: Run, side: Side) -> RunRef:
    return RunRef(
        run_id=run.run_id,
        pipeline=run.pipeline_name or directory.pipeline,
        git_commit=run.pipeline.version.git_commit,
        source=source_of(run),
        window=side.window or msgspec.UNSET,
    )


def _path_or_none(text: str) -> Path | None:
    path = Path(text)
    if not path.exists() or (path / "run.yaml").is_file():
        return None
    return path


def _not_both_paths(path: str, run: str, find_project: FindProject) -> KfmReproError:
    """Say whether the other side is a run or nothing at all."""
    try:
        resolve_run(find_project(), run)
    except (RunNotFound, RootNotFound):
        return UsageError(f"no such file, folder or run: {run}", hint="check the path or the run id")
    except KfmReproError as exc:
        return exc
    return UsageError(
        f"{path} is a path and {run} is a run", hint="compare two runs, two files or two folders"
    )
