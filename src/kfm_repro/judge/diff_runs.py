"""Compare two recorded runs: their outputs, and what lies between them besides."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
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
    left, right = (_Side.of(project, directory) for directory in directories)
    outputs = _compared(project, left, right, options, accept)
    for side in (left, right):
        given = side.inputs.entries if side.inputs else ()
        labels = read_labels(project, given, side.outputs.entries, run=side.directory)
        outputs = disclosed(outputs, labels)
    bad = (*_unsuccessful("A", left.directory), *_unsuccessful("B", right.directory))
    verdict, waivers = with_waivers(project, run_verdict(outputs, inconclusive=bool(bad)), outputs, accept)
    known = between(left.recorded, right.recorded)
    return Report(
        command="diff",
        verdict=verdict,
        counts=count_verdicts(outputs),
        run=left.ref,
        against=right.ref,
        scope=known.scope(identical=verdict is Verdict.REPRODUCIBLE),
        preconditions=(*bad, *known.conditions),
        environment=environment_found(known.environment),
        drift=(*known.drift, *output_drift(outputs)),
        outputs=outputs,
        waivers=waivers,
        error=_error(bad, outputs),
    )


@dataclass(frozen=True)
class _Side:
    """One of the two runs, as it was recorded."""

    directory: RunDir
    run: Run
    outputs: Manifest
    inputs: Manifest | None
    context: Side

    @classmethod
    def of(cls, project: Project, directory: RunDir) -> _Side:
        run = read_run(directory)
        return cls(
            directory,
            run,
            read_manifest(directory, run.outputs_manifest, "outputs"),
            _inputs_of(directory, run),
            side_of(project, directory, run),
        )

    @property
    def recorded(self) -> Recorded:
        return Recorded(self.directory, self.run, self.inputs or Manifest(), known=self.inputs is not None)

    @property
    def ref(self) -> RunRef:
        return RunRef(
            run_id=self.run.run_id,
            pipeline=self.run.pipeline_name or self.directory.pipeline,
            git_commit=self.run.pipeline.version.git_commit,
            source=source_of(self.run),
            window=self.context.window or msgspec.UNSET,
        )


def _compared(
    project: Project, a: _Side, b: _Side, options: Options, accept: Accept | None
) -> tuple[OutputComparison, ...]:
    """Compare the outputs by path; what lies in B's own folder stands for what lies in A's."""
    names = {entry.path: _counterpart(project, entry.path, a, b) for entry in b.outputs.entries}
    digests_a = {entry.path: entry.sha256 for entry in a.outputs.entries}
    digests_b = {names[entry.path]: entry.sha256 for entry in b.outputs.entries}
    with tempfile.TemporaryDirectory(prefix="kfm-repro-") as folder:
        of_a = recorded_outputs(project, a.run, a.outputs, Path(folder) / "0", settled=digests_b)
        of_b = recorded_outputs(project, b.run, b.outputs, Path(folder) / "1", settled=digests_a)
        return compare_outputs(
            of_a,
            {names[path]: output for path, output in of_b.items()},
            Context(a=a.context, b=b.context),
            lambda path: rule_for(project, path, accept, options),
        ).outputs


def _unsuccessful(name: str, directory: RunDir) -> Iterator[Precondition]:
    state, why = read_state(directory)
    if state is not RunState.SUCCESS:
        detail = f"{directory.name} is {state}: {why}".rstrip(": ")
        yield Precondition(name=f"run {name}", state="unknown", detail=detail)


def _inputs_of(directory: RunDir, run: Run) -> Manifest | None:
    """Return the inputs manifest of a run, None when it has none."""
    path = inside(directory.path, run.inputs_manifest, what=f"inputs_manifest of {directory.name}")
    return read_manifest(directory, run.inputs_manifest, "inputs") if kind_of(path) else None


def _counterpart(project: Project, path: str, a: _Side, b: _Side) -> str:
    """Return what an output of B is called in A: one in B's own folder stands for the one in A's (rule 3)."""
    if b.directory.name not in path:
        return path
    return relocate(path, project, b.directory, a.directory)


def _error(
    bad: tuple[Precondition, ...], outputs: tuple[OutputComparison, ...]
) -> ErrorInfo | msgspec.UnsetType:
    """Return why there is no verdict: of runs that did not succeed, and of none to compare, none holds."""
    if bad:
        message = "; ".join(item.detail for item in bad)
        return ErrorInfo(code="no-baseline", message=message, hint="compare runs that succeeded")
    return msgspec.UNSET if outputs else NOTHING_COMPARED
