"""Replay a run and judge what came out."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kfm_repro.compare.context import Context, Side
from kfm_repro.compare.outputs import Output, compare_outputs
from kfm_repro.errors import NotWritable
from kfm_repro.execute.drift import affects, bounded
from kfm_repro.execute.plan import Plan, Request, plan_replay
from kfm_repro.execute.preconditions import TRESPASS
from kfm_repro.execute.rebuild.store import prune
from kfm_repro.execute.replay import Replayed, host_names, run_replay
from kfm_repro.judge.baseline import local_offsets, recorded_outputs, rule_for, side_of
from kfm_repro.judge.disclose import disclosed
from kfm_repro.judge.scope import replay_scope
from kfm_repro.model.encode import report_json
from kfm_repro.model.report import (
    Environment,
    ErrorInfo,
    Replay,
    Report,
    RunRef,
    count_verdicts,
)
from kfm_repro.model.run import RunState
from kfm_repro.model.verdict import Accept, run_verdict
from kfm_repro.runs.discover import resolve_run
from kfm_repro.runs.labels import read_labels
from kfm_repro.runs.project import Project
from kfm_repro.runs.retention import keep_within_cap
from kfm_repro.runs.sizes import parse_size
from kfm_repro.runs.write import write_text

__all__ = ["Judged", "replay_and_judge"]


_NAMED = 5


@dataclass(frozen=True)
class Judged:
    """A report and where it was written."""

    report: Report
    report_path: Path
    last_lines: tuple[str, ...] = ()


def replay_and_judge(project: Project, spec: str, request: Request, accept: Accept | None = None) -> Judged:
    """Replay the run that ``spec`` names into a fresh run, compare the outputs, write and return the report.

    Raises what planning and running raise; a pipeline that fails gives a report with verdict unknown.
    """
    room = parse_size(project.settings.environments_max, what="environments-max")
    original = resolve_run(project, spec)
    plan = plan_replay(project, original, request)
    replayed = run_replay(project, plan, request)
    try:
        report = _judge(project, plan, replayed, accept)
        write_text(replayed.run.report, report_json(report))
    except BaseException as exc:
        replayed.finish(f"not judged: {type(exc).__name__}")
        raise
    replayed.finish("")
    keep_within_cap(project)
    if plan.rebuilt is not None:
        with suppress(NotWritable):
            prune(room)
    return Judged(report, replayed.run.report, replayed.outcome.last_lines)


def _judge(project: Project, plan: Plan, replayed: Replayed, accept: Accept | None) -> Report:
    outcome = replayed.outcome
    fresh = {path: Output(facts=item.entry.facts, file=item.file) for path, item in replayed.produced.items()}
    recorded = recorded_outputs(
        project, plan.run, plan.outputs, replayed.place / "baseline",
        settled={path: output.facts.sha256 for path, output in fresh.items()},
    )  # fmt: skip
    context = Context(a=side_of(project, plan.original, plan.run), b=_fresh_side(replayed))
    comparison = compare_outputs(recorded, fresh, context, lambda path: rule_for(project, path, accept))
    labels = read_labels(project, plan.inputs.entries, plan.outputs.entries)
    outputs = disclosed(comparison.outputs, labels)
    failed = outcome.outcome != "success"
    trespass = next((item.detail for item in replayed.preconditions if item.name == TRESPASS), "")
    inconclusive = failed or plan.state is not RunState.SUCCESS or bool(plan.code.uncaptured or trespass)
    return Report(
        command="replay",
        verdict=run_verdict(outputs, inconclusive=inconclusive),
        counts=count_verdicts(outputs),
        run=RunRef(
            run_id=plan.run.run_id,
            pipeline=plan.run.pipeline_name or plan.original.pipeline,
            git_commit=plan.run.pipeline.version.git_commit,
        ),
        replays=(
            Replay(
                run_id=replayed.run.name,
                path=project.relative(replayed.run.path),
                isolation="none",
                exit_code=outcome.exit_code,
                duration_s=round(outcome.duration_s, 3),
                outcome=outcome.outcome,
            ),
        ),
        scope=replay_scope(replayed.held, replayed.not_compared, capped=_capped(plan)),
        preconditions=replayed.preconditions,
        environment=_environment(plan, replayed),
        outputs=outputs,
        error=_error(plan, replayed, trespass) if inconclusive or not outputs else msgspec.UNSET,
    )


def _environment(plan: Plan, replayed: Replayed) -> Environment:
    shown, omitted = bounded(replayed.drift)
    found = Environment(drift=shown, affects=affects(replayed.drift), omitted=omitted)
    if plan.rebuilt is None:
        return found
    rebuilt, avoided = plan.rebuilt.document, bounded(replayed.avoided)[0]
    return msgspec.structs.replace(found, mode="rebuild", rebuilt=rebuilt, avoided=avoided)


def _capped(plan: Plan) -> str:
    """Return why a replay in a rebuilt environment is none in the recorded one: then it claims no level."""
    if plan.rebuilt is None or plan.rebuilt.exact:
        return ""
    if plan.interpreter.state == "drift":
        return f"not the same environment: {plan.interpreter.chosen}"
    return f"not the same environment: other files in {', '.join(plan.rebuilt.differs[:_NAMED])}"


def _error(plan: Plan, replayed: Replayed, trespass: str) -> ErrorInfo:
    outcome = replayed.outcome
    if outcome.outcome == "timeout":
        return ErrorInfo(
            code="timeout",
            message=f"the pipeline was ended after {plan.timeout_s:.0f} s",
            hint="give it more time with --timeout SECONDS",
        )
    if outcome.outcome != "success":
        said = "".join(f"\n  {line}" for line in outcome.last_lines)
        also = " (the recorded run failed, too)" if plan.state is RunState.FAILED else ""
        return ErrorInfo(
            code="pipeline-failed",
            message=f"the pipeline failed in the replay with exit code {outcome.exit_code}{also}{said}",
            hint="the whole log is in logs/pipeline.jsonl of the replay; data that is not a declared input, and code "
            "that git ignores, do not exist there",
        )
    if plan.state is not RunState.SUCCESS:
        return ErrorInfo(
            code="no-baseline",
            message="the recorded run failed, so that there is nothing to reproduce",
            hint="replay a run that succeeded",
        )
    if plan.code.uncaptured:
        return ErrorInfo(
            code="code-unavailable",
            message=plan.code.uncaptured,
            hint="commit before recording, or record with kfm-repro record, which keeps the patch",
        )
    if trespass:
        return ErrorInfo(
            code="project-changed",
            message=trespass,
            hint="use paths relative to the project root; if you changed the files yourself, replay again",
        )
    return ErrorInfo(
        code="nothing-compared",
        message="the record declares no outputs and the replay wrote none: nothing was compared",
        hint="declare outputs in manifests/outputs.json, or record again with --output GLOB",
    )


def _fresh_side(replayed: Replayed) -> Side:
    place = replayed.place
    paths = {
        str(replayed.workspace),
        str(replayed.run.path),
        str(place),
        str(place / "home"),
        str(place / "tmp"),
    }
    window = (replayed.outcome.started.timestamp(), replayed.outcome.finished.timestamp())
    return Side(
        run_id=replayed.run.name,
        window=window,
        offsets=local_offsets(replayed.held.get("TZ"), window),
        paths=tuple(sorted(paths, key=lambda path: (-len(path), path))),
        hosts=host_names(),
    )
