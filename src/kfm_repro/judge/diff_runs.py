"""Compare two recorded runs: their outputs, and what lies between them besides."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec

from kfm_repro.compare.context import Context, Options, Side
from kfm_repro.compare.outputs import compare_outputs
from kfm_repro.execute.scan import relocate
from kfm_repro.judge.baseline import recorded_outputs, rule_for, side_of, source_of, with_waivers
from kfm_repro.judge.between import Recorded, between
from kfm_repro.judge.disclose import disclosed
from kfm_repro.judge.drift import environment_found, output_drift
from kfm_repro.model.finding import OutputComparison
from kfm_repro.model.manifest import Manifest
from kfm_repro.model.report import (
    NOTHING_COMPARED,
    ErrorInfo,
    Precondition,
    Report,
    RunRef,
    count_verdicts,
)
from kfm_repro.model.run import Run, RunState
from kfm_repro.model.verdict import Accept, Verdict, run_verdict
from kfm_repro.runs.discover import resolve_run
from kfm_repro.runs.labels import read_labels
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.paths import inside, kind_of
from kfm_repro.runs.project import Project
from kfm_repro.runs.read import read_manifest, read_run, read_state

__all__ = ["diff_runs"]


def diff_runs(project: Project, a: str, b: str, options: Options, accept: Accept | None) -> Report:
    """Compare the recorded outputs of two runs. Raises the errors of finding and reading runs."""
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
    bad = tuple(
        Precondition(
            name=f"run {name}", state="unknown", detail=f"{directory.name} is {state}: {why}".rstrip(": ")
        )
        for directory, (state, why), name in zip(directories, states, "AB", strict=True)
        if state is not RunState.SUCCESS
    )
    verdict, waivers = with_waivers(project, run_verdict(outputs, inconclusive=bool(bad)), outputs, accept)
    known = between(
        *(
            Recorded(directory, run, given or Manifest(), known=given is not None)
            for directory, run, given in zip(directories, runs, inputs, strict=True)
        )
    )
    return Report(
        command="diff",
        verdict=verdict,
        counts=count_verdicts(outputs),
        run=_ref(directories[0], runs[0], sides[0]),
        against=_ref(directories[1], runs[1], sides[1]),
        scope=known.scope(identical=verdict is Verdict.REPRODUCIBLE),
        preconditions=(*bad, *known.conditions),
        environment=environment_found(known.environment),
        drift=(*known.drift, *output_drift(outputs)),
        outputs=outputs,
        waivers=waivers,
        error=_error(bad, outputs),
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


def _error(
    bad: tuple[Precondition, ...], outputs: tuple[OutputComparison, ...]
) -> ErrorInfo | msgspec.UnsetType:
    """Return why there is no verdict: of runs that did not succeed, and of none to compare, none holds."""
    if bad:
        message = "; ".join(item.detail for item in bad)
        return ErrorInfo(code="no-baseline", message=message, hint="compare runs that succeeded")
    return msgspec.UNSET if outputs else NOTHING_COMPARED


def _ref(directory: RunDir, run: Run, side: Side) -> RunRef:
    return RunRef(
        run_id=run.run_id,
        pipeline=run.pipeline_name or directory.pipeline,
        git_commit=run.pipeline.version.git_commit,
        source=source_of(run),
        window=side.window or msgspec.UNSET,
    )
